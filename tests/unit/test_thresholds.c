/* Thresholds: what is read from the option, and when a run has crossed one. */
#include "stats_messages.h"

#include "base/clock.h"
#include "stats/thresholds.h"

#include <stdlib.h>

struct fixture {
    struct totals totals;
    struct thresholds thresholds;
    struct buf lines;
    struct mite_error error;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    buf_init(&f->lines, 0);
    *state = f;
    return totals_init(&f->totals);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    totals_done(&f->totals);
    buf_done(&f->lines);
    error_done(&f->error);
    free(f);
    return 0;
}

static void parse(struct fixture *f, const char *text)
{
    assert_int_equal(thresholds_parse_percentiles(&f->thresholds, text, &f->error), 0);
}

static void assert_refused(struct fixture *f, const char *text, int code, const char *sentence)
{
    assert_int_equal(thresholds_parse_percentiles(&f->thresholds, text, &f->error), code);
    assert_string_equal(f->error.text, sentence);
}

static void assert_crossed(struct fixture *f, size_t count, const char *lines)
{
    buf_clear(&f->lines);
    assert_int_equal(thresholds_crossed(&f->thresholds, &f->totals, &f->lines), count);
    assert_string_equal(buf_view(&f->lines).p, lines);
}

static void test_parse(void **state)
{
    struct fixture *f = *state;
    parse(f, "99.9:1500.5,50:0,95:200");
    assert_int_equal(f->thresholds.percentile_count, 3);
    assert_true(f->thresholds.percentiles[0].percent == 50 && f->thresholds.percentiles[0].limit_ms == 0);
    assert_true(f->thresholds.percentiles[2].percent == 99.9 && f->thresholds.percentiles[2].limit_ms == 1500.5);
    parse(f, NULL);
    assert_int_equal(f->thresholds.percentile_count, 4);
    assert_true(f->thresholds.percentiles[3].percent == 99 && f->thresholds.percentiles[3].limit_ms == 0);
}

static void test_bad_input(void **state)
{
    struct fixture *f = *state;
    parse(f, "95:200");
    assert_refused(f, "99", MITE_EINVAL,
                   "--benchmark-percentiles: \"99\" has no colon (PERCENT:MILLISECONDS, such as 99:250)");
    assert_refused(f, "", MITE_EINVAL,
                   "--benchmark-percentiles: \"\" has no colon (PERCENT:MILLISECONDS, such as 99:250)");
    assert_refused(f, "50:1,", MITE_EINVAL,
                   "--benchmark-percentiles: \"\" has no colon (PERCENT:MILLISECONDS, such as 99:250)");
    assert_refused(f, "0:5", MITE_EINVAL,
                   "--benchmark-percentiles: \"0\" is no percentile (a number above 0, up to 100)");
    assert_refused(f, "101:5", MITE_EINVAL,
                   "--benchmark-percentiles: \"101\" is no percentile (a number above 0, up to 100)");
    assert_refused(f, "p99:5", MITE_EINVAL,
                   "--benchmark-percentiles: \"p99\" is no percentile (a number above 0, up to 100)");
    assert_refused(f, "99:-1", MITE_EINVAL,
                   "--benchmark-percentiles: \"-1\" is no limit for percentile 99 (milliseconds; 0 is off)");
    assert_refused(f, "99:5ms", MITE_EINVAL,
                   "--benchmark-percentiles: \"5ms\" is no limit for percentile 99 (milliseconds; 0 is off)");
    assert_refused(f, "99:5,50:1,99:6", MITE_EINVAL, "--benchmark-percentiles: percentile 99 is there twice");
    assert_refused(f,
                   "1:0,2:0,3:0,4:0,5:0,6:0,7:0,8:0,9:0,10:0,11:0,12:0,13:0,14:0,15:0,16:0,17:0,18:0,19:0,20:0,21:0,"
                   "22:0,23:0,24:0,25:0,26:0,27:0,28:0,29:0,30:0,31:0,32:0,33:0",
                   MITE_ELIMIT, "--benchmark-percentiles: more than 32 percentiles");
    /* What was there stays. */
    assert_int_equal(f->thresholds.percentile_count, 1);
    assert_true(f->thresholds.percentiles[0].percent == 95);
}

static void test_errors(void **state)
{
    struct fixture *f = *state;
    assert_crossed(f, 0, "");
    send_failure(&f->totals.sink, MESSAGE_ERROR, "MiteError", "a.py:1:f", "x");
    assert_crossed(f, 1, "errors: 1, above the threshold of 0\n");
    f->thresholds.max_errors = 1;
    assert_crossed(f, 0, "");
}

static void test_response_times(void **state)
{
    struct fixture *f = *state;
    send_request(&f->totals.sink, NULL, "GET", 200, 0.100);
    send_request(&f->totals.sink, NULL, "GET", 200, 0.300);
    assert_crossed(f, 0, ""); /* 0 is off */
    f->thresholds.max_response_ms = 300;
    f->thresholds.mean_response_ms = 200;
    f->thresholds.deviation_response_ms = 100.01;
    assert_crossed(f, 0, "");
    f->thresholds.max_response_ms = 299;
    f->thresholds.mean_response_ms = 199.5;
    f->thresholds.deviation_response_ms = 99;
    assert_crossed(f, 3,
                   "response time, maximum: 300.00 ms, above the threshold of 299 ms\n"
                   "response time, mean: 200.00 ms, above the threshold of 199.5 ms\n"
                   "response time, standard deviation: 100.00 ms, above the threshold of 99 ms\n");
}

static void test_percentiles_fail_at_their_value(void **state)
{
    struct fixture *f = *state;
    parse(f, "50:0,100:250");
    send_request(&f->totals.sink, NULL, "GET", 200, 0.250);
    assert_crossed(f, 1, "response time, p100: 250.00 ms, not below the threshold of 250 ms\n");
    parse(f, "100:250.01");
    assert_crossed(f, 0, "");
}

static uint64_t fake_now;

static uint64_t fake_clock(void)
{
    return fake_now;
}

static void test_request_rate(void **state)
{
    struct fixture *f = *state;
    f->totals.clock = fake_clock;
    totals_start(&f->totals);
    send_request(&f->totals.sink, NULL, "GET", 200, 0.001);
    send_request(&f->totals.sink, NULL, "GET", 200, 0.001);
    fake_now += 2 * NS_PER_S; /* 2 and 0: mean 1, deviation 1 */
    f->thresholds.deviation_requests_per_s = 1;
    assert_crossed(f, 0, "");
    f->thresholds.deviation_requests_per_s = 0.5;
    assert_crossed(f, 1, "requests per second, standard deviation: 1.00, above the threshold of 0.5\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_parse),
        TEST(test_bad_input),
        TEST(test_errors),
        TEST(test_response_times),
        TEST(test_percentiles_fail_at_their_value),
        TEST(test_request_rate),
    };
    return cmocka_run_group_tests_name("thresholds", tests, NULL, NULL);
}
