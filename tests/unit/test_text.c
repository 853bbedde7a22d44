/* How figures look. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sinks/text.h"

static void test_durations(void **state)
{
    static const struct {
        uint64_t ns;
        const char *text;
    } cases[] = {
        {0, "0 s"},
        {950, "950 ns"},
        {1000, "1.00 µs"},
        {9994, "9.99 µs"},
        {9996, "10.0 µs"},
        {12340, "12.3 µs"},
        {999499, "999 µs"},
        {999500, "1.00 ms"},
        {1234567, "1.23 ms"},
        {99960000, "100 ms"},
        {999500000, "1.00 s"},
        {UINT64_C(12345678901), "12.3 s"},
        {UINT64_C(125000000000), "2m 05s"},
        {UINT64_C(12000000000000), "3h 20m"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_string_equal(text_duration(cases[i].ns).s, cases[i].text);
    }
    assert_string_equal(text_clock(UINT64_C(65000000000)).s, "01:05");
    assert_string_equal(text_clock(UINT64_C(3723000000000)).s, "1:02:03");
}

static void test_counts_rates_and_sizes(void **state)
{
    assert_string_equal(text_count(0).s, "0");
    assert_string_equal(text_count(999).s, "999");
    assert_string_equal(text_count(1000).s, "1,000");
    assert_string_equal(text_count(1234567).s, "1,234,567");
    assert_string_equal(text_count(UINT64_MAX).s, "18,446,744,073,709,551,615");
    assert_string_equal(text_rate(0).s, "0.00/s");
    assert_string_equal(text_rate(12.34).s, "12.3/s");
    assert_string_equal(text_rate(48210.4).s, "48,210/s");
    assert_string_equal(text_bytes(999).s, "999 B");
    assert_string_equal(text_bytes(1000).s, "1.00 kB");
    assert_string_equal(text_bytes(2000000000).s, "2.00 GB");
    assert_string_equal(text_bytes(999999).s, "1.00 MB");
    assert_string_equal(text_bytes(UINT64_MAX).s, "18.4 EB");
}

static void assert_fit(const char *text, size_t width, bool right, const char *expected)
{
    struct buf out;
    buf_init(&out, 0);
    text_fit(&out, str_of(text), width, right);
    assert_string_equal(buf_view(&out).p, expected);
    buf_done(&out);
}

static void test_fit(void **state)
{
    assert_fit("abc", 5, false, "abc  ");
    assert_fit("abc", 5, true, "  abc");
    assert_fit("abcdefgh", 5, false, "ab…gh");
    assert_fit("abcdefgh", 1, false, "…");
    assert_fit("abcdefgh", 0, false, "");
    assert_fit("größer", 6, false, "größer");
    assert_fit("größer", 5, false, "gr…er");
    assert_fit("a\033[2Jb\n", 7, false, "a?[2Jb?");
    assert_fit("\xff\xc3", 2, false, "??");
    assert_fit("\xc2\x9b", 2, false, "??"); /* a C1 control character starts a sequence too */
}

static void assert_wrap(const char *text, size_t column, size_t indent, size_t width, const char *expected)
{
    struct buf out;
    buf_init(&out, 0);
    text_wrap(&out, str_of(text), column, indent, width);
    assert_string_equal(buf_view(&out).p, expected);
    buf_done(&out);
}

static void test_wrap(void **state)
{
    assert_wrap("one two three four five six", 2, 4, 24, "one two three four\n    five six\n");
    assert_wrap("fits exactly in twenty", 0, 0, 22, "fits exactly in twenty\n");
    assert_wrap("averylongwordwithoutanyblank", 0, 1, 20, "averylongwordwithout\n anyblank\n");
    assert_wrap("two\n\nlines\n", 1, 1, 40, "two\n lines\n");
    assert_wrap("\nfirst empty", 1, 1, 40, "first empty\n");
    assert_wrap("", 1, 1, 40, "\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_counts_rates_and_sizes),
        cmocka_unit_test(test_fit),
        cmocka_unit_test(test_wrap),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
