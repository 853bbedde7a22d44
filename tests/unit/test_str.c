/* Text: comparison, UTF-8, the nearest word, numbers. */
#include "failmalloc.h"

#include "base/str.h"

static void compares_without_case(void **state)
{
    assert_true(str_equal_nocase(STR("Content-Type"), STR("cONTENT-tYPE")));
    assert_true(str_equal_nocase(STR(""), STR("")));
    assert_false(str_equal_nocase(STR("Content-Type"), STR("Content-Typ")));
    assert_false(str_equal_nocase(STR("a"), STR("b")));
    assert_false(str_equal_nocase(STR("@"), STR("`"))); /* differ by the bit that makes case, and are no letters */
    assert_false(str_equal_nocase(STR("\xc3\x84"), STR("\xc3\xa4")));
}

static void empty_is_not_none(void **state)
{
    assert_true(str_equal(STR_NONE, STR("")));
    assert_null(str_of(NULL).p);
    assert_null(str_copy(STR_NONE));

    char *copy = str_copy(STR(""));

    assert_string_equal(copy, "");
    free(copy);
}

static void copies_may_fail(void **state)
{
    failmalloc_start(0);
    assert_null(str_copy(STR("text")));
    assert_true(failmalloc_stop());
}

static void tells_utf8(void **state)
{
    static const char *const good[] = {
        "",
        "plain",
        "12345678\x7f",
        "\xc2\x80",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xef\xbf\xbf",
        "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf",
        "eight plain bytes and \xe2\x82\xac",
    };
    static const char *const bad[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xc2",
        "\xc2 ",
        "\xe0\x9f\xbf",
        "\xe2\x82",
        "\xe2\x82 ",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf0\x8f\xbf\xbf",
        "\xf0\x90\x80",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xff",
        "eight plain bytes and \xff",
    };

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(str_is_utf8(str_of(good[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(str_is_utf8(str_of(bad[i])));
    }
    assert_true(str_is_utf8(STR("a\0b")));
    assert_int_equal(str_utf8_length(STR("")), 0);
    assert_int_equal(str_utf8_length(STR("\0")), 1);
    assert_int_equal(str_utf8_length(STR("\xe2\x82\xac more")), 3);
}

static void finds_what_was_meant(void **state)
{
    static const char *const commands[] = {"scenario", "journey", "controller", "collector", "cat", "har"};
    size_t count = sizeof commands / sizeof *commands;
    char huge[300];

    assert_string_equal(str_nearest("journy", commands, count), "journey");
    assert_string_equal(str_nearest("scenraio", commands, count), "scenario"); /* two neighbours swapped */
    assert_string_equal(str_nearest("Controler", commands, count), "controller");
    assert_string_equal(str_nearest("cta", commands, count), "cat");
    assert_null(str_nearest("zebra", commands, count));
    assert_null(str_nearest("", commands, count));
    assert_null(str_nearest("journey", commands, 0));
    memset(huge, 'a', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    assert_null(str_nearest(huge, commands, count));
    assert_null(str_nearest("aaaa", (const char *const[]){huge}, 1));
}

static void reads_whole_integers(void **state)
{
    static const char *const bad[] = {"", " 1", "1 ", "1e3", "0x10", "1.0", "-", "+", "nan", "9223372036854775808"};
    long long n = 5;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(str_to_int64(bad[i], &n));
        assert_int_equal(n, 5);
    }
    assert_true(str_to_int64("-9223372036854775808", &n) && n == INT64_MIN);
    assert_true(str_to_int64("+7", &n) && n == 7);
    assert_true(str_to_int64("007", &n) && n == 7);
}

static void reads_whole_numbers(void **state)
{
    static const char *const bad[] = {"", " 1", "1 ", "1e", "0x10", "inf", "nan", "-inf", "1e999", "1.2.3", ".", "e5"};
    double f = 5;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(str_to_double(bad[i], &f));
        assert_true(f == 5);
    }
    assert_true(str_to_double("-1.5e3", &f) && f == -1500);
    assert_true(str_to_double(".5", &f) && f == 0.5);
    assert_true(str_to_double("1e-400", &f) && f == 0);
}

static void writes_the_fewest_digits(void **state)
{
    static const double numbers[] = {3, 0.1, -2.5, 1e22, 1.0 / 3, 5e-324, 1795245656.7183335};
    static const char *const texts[] = {
        "3", "0.1", "-2.5", "1e+22", "0.3333333333333333", "5e-324", "1795245656.7183335"};
    char text[STR_DOUBLE_SIZE];

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        str_from_double(text, numbers[i]);
        assert_string_equal(text, texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares_without_case), cmocka_unit_test(empty_is_not_none),
        cmocka_unit_test(copies_may_fail),       cmocka_unit_test(tells_utf8),
        cmocka_unit_test(finds_what_was_meant),  cmocka_unit_test(reads_whole_integers),
        cmocka_unit_test(reads_whole_numbers),   cmocka_unit_test(writes_the_fewest_digits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
