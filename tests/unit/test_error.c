/* Errors: one sentence, one code, lines of detail. */
#include "failmalloc.h"

#include "base/error.h"
#include "base/str.h"

#include <errno.h>

static void a_sentence_and_its_code(void **state)
{
    struct mite_error error = {0};

    assert_int_equal(error_set(&error, MITE_EINVAL, "no %s called %d", "thing", 7), MITE_EINVAL);
    assert_int_equal(error.code, MITE_EINVAL);
    assert_string_equal(error.text, "no thing called 7");
    assert_int_equal(error_prefix(&error, "in %s", "house"), MITE_EINVAL);
    assert_string_equal(error.text, "in house: no thing called 7");
    error_done(&error);
    assert_int_equal(error.code, 0);
    assert_string_equal(error.text, "");
}

static void long_sentences_are_cut(void **state)
{
    struct mite_error error = {0};
    char text[2000];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    error_set(&error, MITE_EIO, "%s", text);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
    error_prefix(&error, "front");
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
    assert_memory_equal(error.text, "front: xxx", 10);
    error_errno(&error, EACCES, "%s", text);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
    error_done(&error);
}

static void a_cut_leaves_whole_characters(void **state)
{
    static const char *const characters[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    struct mite_error error = {0};

    for (size_t i = 0; i < 3; i++) {
        for (int shift = 0; shift < 4; shift++) {
            char text[1024] = "";
            memset(text, 'x', (size_t)shift);
            while (strlen(text) < 600) {
                strcat(text, characters[i]);
            }
            error_set(&error, MITE_EIO, "%s", text);
            assert_true(str_is_utf8(str_of(error.text)));
            assert_in_range(strlen(error.text), 508, 511);
        }
    }
    error_done(&error);
}

static void nobody_has_to_ask_for_the_sentence(void **state)
{
    assert_int_equal(error_set(NULL, MITE_ELIMIT, "unheard"), MITE_ELIMIT);
    assert_int_equal(error_errno(NULL, ENOENT, "unheard"), MITE_ENOTFOUND);
    error_detail(NULL, "unheard", 7);
    assert_true(error_prefix(NULL, "unheard") < 0);
}

static void errno_becomes_ours(void **state)
{
    struct mite_error error = {0};

    assert_int_equal(error_errno(&error, ENOENT, "cannot open %s", "f"), MITE_ENOTFOUND);
    assert_string_equal(error.text, "cannot open f: No such file or directory");
    assert_int_equal(error_errno(&error, ENOMEM, "cannot open %s", "f"), MITE_ENOMEM);
    assert_int_equal(error_errno(&error, EACCES, "cannot open %s", "f"), MITE_EIO);
    error_done(&error);
}

static void the_detail_is_a_copy(void **state)
{
    struct mite_error error = {0};
    char lines[] = "first\nsecond\nthird";

    error_detail(&error, lines, 12);
    lines[0] = 'F';
    assert_string_equal(error.detail, "first\nsecond");
    error_detail(&error, "other", 5);
    assert_string_equal(error.detail, "other");
    error_detail(&error, NULL, 0);
    assert_null(error.detail);
    error_detail(&error, "last", 4);
    error_done(&error);
    assert_null(error.detail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sentence_and_its_code),
        cmocka_unit_test(long_sentences_are_cut),
        cmocka_unit_test(a_cut_leaves_whole_characters),
        cmocka_unit_test(nobody_has_to_ask_for_the_sentence),
        cmocka_unit_test(errno_becomes_ours),
        cmocka_unit_test(the_detail_is_a_copy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
