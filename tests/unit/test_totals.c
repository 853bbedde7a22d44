/* Totals: what counts as what, on a clock that the test turns. */
#include "stats_messages.h"

#include "base/clock.h"
#include "stats/mask.h"
#include "stats/totals.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t fake_now;

static uint64_t fake_clock(void)
{
    return fake_now;
}

static int set_up(void **state)
{
    struct totals *totals = malloc(sizeof *totals);
    assert_int_equal(totals_init(totals), 0);
    fake_now = 1000 * NS_PER_S;
    totals->clock = fake_clock;
    totals_start(totals);
    *state = totals;
    return 0;
}

static int tear_down(void **state)
{
    totals_done(*state);
    free(*state);
    return 0;
}

static void test_requests(void **state)
{
    struct totals *totals = *state;
    send_request(&totals->sink, "__root__ :: pay", "GET", 200, 0.001);
    send_request(&totals->sink, "__root__ :: pay", "GET", 503, 0.003);
    send_request(&totals->sink, "__root__ :: pay", "POST", 404, 0.002);
    send_request(&totals->sink, NULL, "GET", 399, 0.002);
    assert_int_equal(totals->requests, 4);
    assert_int_equal(totals->bad_status, 2);
    assert_int_equal(totals->errors, 0); /* a bad status is an answer like any other */
    assert_int_equal(totals->bytes_received, 400);
    assert_int_equal(totals->latency.min_ns, NS_PER_MS);
    assert_int_equal(totals->wait.max_ns, 12000);
    assert_int_equal(groups_count(&totals->request_groups), 3);
    const struct request_group *get = groups_at(&totals->request_groups, 0);
    assert_int_equal(get->count, 2);
    assert_int_equal(get->bad_status, 1);
    assert_int_equal(get->latency.max_ns, 3 * NS_PER_MS);
}

static void test_transactions_and_journeys(void **state)
{
    struct totals *totals = *state;
    send_txn(&totals->sink, "__root__ :: pay", true, 5 * NS_PER_MS);
    send_txn(&totals->sink, "__root__", true, 6 * NS_PER_MS);
    send_txn(&totals->sink, "__root__", false, 0); /* without a duration: end - start, a second */
    assert_int_equal(totals->journeys, 2);
    assert_int_equal(totals->failed_journeys, 1);
    assert_int_equal(totals->errors, 0); /* the message that made it fail is counted, not the transaction */
    const struct transaction_group *root = groups_at(&totals->transactions, 1);
    assert_int_equal(root->count, 2);
    assert_int_equal(root->duration.max_ns, NS_PER_S);
}

static void test_failures_by_kind(void **state)
{
    struct totals *totals = *state;
    send_failure(&totals->sink, MESSAGE_ERROR, "MiteError", "a.py:1:f", "no stock of http://ann:secret@127.0.0.1/x");
    send_failure(&totals->sink, MESSAGE_ERROR, "MiteError", "a.py:1:f", "another text");
    send_failure(&totals->sink, MESSAGE_EXCEPTION, "ValueError", "a.py:2:f", "bad");
    assert_int_equal(totals->errors, 3);
    assert_int_equal(groups_count(&totals->failures), 2);
    const struct failure_group *first = groups_at(&totals->failures, 0);
    assert_int_equal(first->count, 2);
    assert_string_equal(first->example, "no stock of http://***:***@127.0.0.1/x");
    const struct journey_group *journey = groups_at(&totals->journey_groups, 0);
    assert_int_equal(journey->errors, 3);
}

static void test_an_error_of_any_shape_counts(void **state)
{
    struct totals *totals = *state;
    struct message message = make_message(MESSAGE_OTHER, NULL);
    message.type = STR("error");
    sink_message(&totals->sink, &message);
    message.type = STR("my_own");
    sink_message(&totals->sink, &message);
    assert_int_equal(totals->errors, 1);
}

static void test_a_thousand_groups_then_other(void **state)
{
    struct totals *totals = *state;
    for (int i = 0; i <= GROUPS_MAX; i++) {
        char name[40];
        snprintf(name, sizeof name, "__root__ :: number %d", i);
        send_request(&totals->sink, name, "GET", 200, 0.001);
        send_txn(&totals->sink, name, false, NS_PER_MS);
    }
    assert_int_equal(groups_count(&totals->request_groups), GROUPS_MAX + 1);
    const struct request_group *other = groups_at(&totals->request_groups, GROUPS_MAX);
    assert_true(other->key.is_other);
    assert_int_equal(other->count, 1);
    assert_int_equal(other->latency.count, 1);
    const struct transaction_group *other_txn = groups_at(&totals->transactions, GROUPS_MAX);
    assert_int_equal(other_txn->count, 1);
    assert_int_equal(totals->requests, GROUPS_MAX + 1);
}

static void test_windows_leave_nothing_out(void **state)
{
    struct totals *totals = *state;
    uint64_t seen = 0;
    for (int window = 0; window < 3; window++) {
        for (int i = 0; i <= window; i++) {
            send_request(&totals->sink, NULL, "GET", 200, 0.001);
        }
        fake_now += 2 * NS_PER_S;
        assert_int_equal(totals->window.requests, window + 1);
        assert_int_equal(totals->window.latency.count, window + 1);
        assert_int_equal(totals_window_ns(totals), 2 * NS_PER_S);
        seen += totals->window.requests;
        totals_next_window(totals);
    }
    /* The last window is as short as it is, and its figures are there. */
    send_request(&totals->sink, NULL, "GET", 200, 0.5);
    fake_now += NS_PER_S / 10;
    totals_stop(totals);
    assert_int_equal(totals->window.latency.max_ns, NS_PER_S / 2);
    assert_int_equal(totals_window_ns(totals), NS_PER_S / 10);
    seen += totals->window.requests;
    assert_int_equal(seen, totals->requests);
    assert_int_equal(totals->latency.max_ns, NS_PER_S / 2);
}

static void test_requests_per_second(void **state)
{
    static const int counts[] = {2, 4, 4, 4, 5, 5, 7, 9};
    struct totals *totals = *state;
    double mean, deviation;
    for (size_t second = 0; second < 8; second++) {
        for (int i = 0; i < counts[second]; i++) {
            send_request(&totals->sink, NULL, "GET", 200, 0.001);
        }
        fake_now += NS_PER_S;
    }
    send_request(&totals->sink, NULL, "GET", 200, 0.001); /* in a second that is not whole */
    fake_now += NS_PER_S / 2;
    totals_request_rate(totals, &mean, &deviation);
    assert_true(fabs(mean - 5) < 1e-9);
    assert_true(fabs(deviation - 2) < 1e-9);
}

static void test_a_pause_counts_as_seconds_without(void **state)
{
    struct totals *totals = *state;
    double mean, deviation;
    send_request(&totals->sink, NULL, "GET", 200, 0.001);
    fake_now += 4 * NS_PER_S;
    totals_request_rate(totals, &mean, &deviation);
    assert_true(fabs(mean - 0.25) < 1e-9);
}

static void test_rate_of_a_short_run(void **state)
{
    struct totals *totals = *state;
    double mean, deviation;
    totals_request_rate(totals, &mean, &deviation);
    assert_true(mean == 0 && deviation == 0);
    send_request(&totals->sink, NULL, "GET", 200, 0.001);
    fake_now += NS_PER_S / 2;
    totals_stop(totals);
    fake_now += 10 * NS_PER_S; /* what comes after the end changes nothing */
    totals_request_rate(totals, &mean, &deviation);
    assert_true(fabs(mean - 2) < 1e-9 && deviation == 0);
    assert_int_equal(totals_elapsed_ns(totals), NS_PER_S / 2);
}

static void assert_masked(const char *text, const char *expected)
{
    struct buf out;
    buf_init(&out, 0);
    mask_secrets(&out, str_of(text));
    assert_string_equal(buf_view(&out).p, expected);
    buf_done(&out);
}

static void test_passwords_are_masked(void **state)
{
    assert_masked("", "");
    assert_masked("no URL, ann@example.org", "no URL, ann@example.org");
    assert_masked("http://127.0.0.1/a@b", "http://127.0.0.1/a@b");
    assert_masked("GET https://ann:p@ss@host/x?u=http://b:c@d failed",
                  "GET https://***:***@host/x?u=http://***:***@d failed");
    assert_masked("http://token@host", "http://***:***@host");
    assert_masked("://", "://");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_requests),
        TEST(test_transactions_and_journeys),
        TEST(test_failures_by_kind),
        TEST(test_an_error_of_any_shape_counts),
        TEST(test_a_thousand_groups_then_other),
        TEST(test_windows_leave_nothing_out),
        TEST(test_requests_per_second),
        TEST(test_a_pause_counts_as_seconds_without),
        TEST(test_rate_of_a_short_run),
        TEST(test_passwords_are_masked),
    };
    return cmocka_run_group_tests_name("totals", tests, NULL, NULL);
}
