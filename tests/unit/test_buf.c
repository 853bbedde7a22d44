/* Byte buffers: growth, the stated maximum, failure that stays visible. */
#include "failmalloc.h"

#include "base/buf.h"
#include "base/error.h"

static void grows_and_keeps_a_zero_behind(void **state)
{
    struct buf buf;

    buf_init(&buf, 0);
    assert_null(buf.data);
    assert_int_equal(buf_view(&buf).n, 0);
    assert_non_null(buf_view(&buf).p);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(buf_char(&buf, (char)('a' + i % 26)), 0);
        assert_int_equal(buf.data[buf.size], '\0');
    }
    assert_int_equal(buf.size, 1000);
    assert_memory_equal(buf.data, "abcdefghijklmnopqrstuvwxyzab", 28);
    buf_clear(&buf);
    assert_string_equal(buf.data, "");
    buf_text(&buf, "one");
    buf_str(&buf, STR(" two"));
    buf_append(&buf, NULL, 0);
    buf_printf(&buf, " %d", 3);
    assert_string_equal(buf.data, "one two 3");
    buf_done(&buf);
    assert_null(buf.data);
}

static void prints_what_is_longer_than_the_room(void **state)
{
    struct buf buf;
    char text[5000];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    buf_init(&buf, 0);
    assert_int_equal(buf_printf(&buf, "%s", ""), 0);
    assert_int_equal(buf.size, 0);
    assert_int_equal(buf_printf(&buf, "<%s>", text), 0);
    assert_int_equal(buf.size, sizeof text + 1);
    assert_int_equal(buf.data[buf.size - 1], '>');
    buf_done(&buf);
}

static void the_maximum_holds(void **state)
{
    struct buf buf;

    buf_init(&buf, 10);
    assert_int_equal(buf_text(&buf, "12345678"), 0);
    assert_int_equal(buf_text(&buf, "9abc"), MITE_ELIMIT);
    assert_true(buf.failed);
    assert_string_equal(buf.data, "12345678");
    assert_int_equal(buf_printf(&buf, "%s", "9abc"), MITE_ELIMIT);
    assert_string_equal(buf.data, "12345678");
    assert_int_equal(buf_reserve(&buf, SIZE_MAX), MITE_ELIMIT);
    buf_clear(&buf);
    assert_false(buf.failed);
    assert_int_equal(buf_printf(&buf, "%s", "1234567890"), 0); /* up to the last byte */
    assert_int_equal(buf_char(&buf, 'x'), MITE_ELIMIT);
    buf_done(&buf);
}

static void drops_from_the_front(void **state)
{
    struct buf buf;

    buf_init(&buf, 0);
    buf_drop_front(&buf, 0);
    buf_text(&buf, "front and back");
    buf_drop_front(&buf, 10);
    assert_string_equal(buf.data, "back");
    buf_drop_front(&buf, 4);
    assert_string_equal(buf.data, "");
    buf_done(&buf);
}

static void a_failed_append_changes_nothing(void **state)
{
    struct buf buf;
    char text[600];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    buf_init(&buf, 0);
    failmalloc_start(0);
    assert_int_equal(buf_text(&buf, "first"), MITE_ENOMEM);
    assert_true(failmalloc_stop());
    assert_true(buf.failed);
    assert_int_equal(buf.size, 0);

    assert_int_equal(buf_text(&buf, "first"), 0);
    failmalloc_start(0);
    assert_int_equal(buf_printf(&buf, "%s", text), MITE_ENOMEM);
    assert_true(failmalloc_stop());
    assert_string_equal(buf.data, "first");
    buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_keeps_a_zero_behind),
        cmocka_unit_test(prints_what_is_longer_than_the_room),
        cmocka_unit_test(the_maximum_holds),
        cmocka_unit_test(drops_from_the_front),
        cmocka_unit_test(a_failed_append_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
