/* The arithmetic of who may start when, on a clock that the test moves. */
#include "base/clock.h"
#include "controller/tracker.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define START_NS (1000 * NS_PER_S)

static void make(struct tracker *tracker, size_t entries, double spawn_rate)
{
    assert_int_equal(tracker_init(tracker, entries, spawn_rate, 0, true), 0);
    assert_int_equal(tracker_add_runner(tracker, 0), 0);
    tracker_start(tracker, START_NS);
}

/* Starts all that may; how many that were. */
static int start_all(struct tracker *tracker)
{
    int started = 0, entry;

    while ((entry = tracker_next(tracker)) >= 0) {
        int runner = tracker_pick_runner(tracker, (size_t)entry);
        assert_true(runner >= 0);
        tracker_started(tracker, (size_t)entry, (size_t)runner);
        started++;
    }
    return started;
}

static int start_at(struct tracker *tracker, uint64_t after_ns)
{
    tracker_advance(tracker, START_NS + after_ns);
    return start_all(tracker);
}

/* ---- growth ---- */

static void growth_has_the_spawn_rate(void **state)
{
    struct tracker tracker;

    make(&tracker, 1, 100);
    tracker_want(&tracker, 0, 1000);
    assert_int_equal(start_all(&tracker), 1);
    assert_int_equal(tracker_wait_ns(&tracker), 10 * NS_PER_MS);
    for (int tick = 1; tick <= 500; tick++) {
        start_at(&tracker, (uint64_t)tick * 10 * NS_PER_MS);
        assert_in_range(tracker.running, tick, tick + 1);
    }
    tracker_done(&tracker);
}

static void a_default_burst_is_what_ten_milliseconds_bring(void **state)
{
    struct tracker tracker;

    make(&tracker, 1, 0);
    tracker_want(&tracker, 0, 1000);
    assert_int_equal(start_all(&tracker), 10);
    assert_int_equal(start_at(&tracker, 10 * NS_PER_MS), 10);
    tracker_done(&tracker);
}

static void a_fraction_is_a_rate_too(void **state)
{
    struct tracker tracker;

    make(&tracker, 1, 0.5);
    tracker_want(&tracker, 0, 10);
    assert_int_equal(start_all(&tracker), 1);
    assert_int_equal(tracker_wait_ns(&tracker), 2 * NS_PER_S);
    assert_int_equal(start_at(&tracker, 1 * NS_PER_S), 0);
    assert_int_equal(tracker_wait_ns(&tracker), 1 * NS_PER_S);
    assert_int_equal(start_at(&tracker, 2 * NS_PER_S), 1);
    assert_int_equal(start_at(&tracker, 4 * NS_PER_S), 1);
    tracker_done(&tracker);
}

static void a_late_tick_loses_nothing(void **state)
{
    struct tracker tracker;

    make(&tracker, 1, 1000);
    tracker_want(&tracker, 0, 5000);
    start_all(&tracker);
    assert_int_equal(start_at(&tracker, 90 * NS_PER_MS), 90);
    assert_int_equal(start_at(&tracker, 5 * NS_PER_S), 100); /* a loop that stood still does not explode */
    tracker_done(&tracker);
}

static void tokens_do_not_pile_up_unused(void **state)
{
    struct tracker tracker;

    make(&tracker, 1, 1000);
    tracker_want(&tracker, 0, 5);
    assert_int_equal(start_all(&tracker), 5);
    assert_true(tracker_wait_ns(&tracker) == UINT64_MAX);
    tracker_advance(&tracker, START_NS + 60 * NS_PER_S);
    tracker_want(&tracker, 0, 1000);
    assert_int_equal(start_all(&tracker), 10);
    tracker_done(&tracker);
}

/* ---- replacing ---- */

static void replacing_costs_no_token(void **state)
{
    struct tracker tracker;

    make(&tracker, 1, 1);
    tracker_want(&tracker, 0, 3);
    for (int second = 0; second < 3; second++) {
        assert_int_equal(start_at(&tracker, (uint64_t)second * NS_PER_S), 1);
    }
    for (int i = 0; i < 10000; i++) {
        tracker_completed(&tracker, 0, 0, false);
        assert_int_equal(start_all(&tracker), 1);
    }
    assert_int_equal(tracker.running, 3);
    assert_int_equal(tracker.started, 10003);
    assert_int_equal(tracker.completed, 10000);
    tracker_done(&tracker);
}

static void less_wanted_is_not_replaced(void **state)
{
    struct tracker tracker;

    make(&tracker, 1, 1000);
    tracker_want(&tracker, 0, 10);
    start_all(&tracker);
    tracker_want(&tracker, 0, 8);
    for (int i = 0; i < 2; i++) {
        tracker_completed(&tracker, 0, 0, false);
        assert_int_equal(start_all(&tracker), 0);
    }
    tracker_completed(&tracker, 0, 0, false);
    assert_int_equal(start_all(&tracker), 1);
    tracker_done(&tracker);
}

/* One entry shrinks while another grows: the number that runs does not grow, so it takes no tokens. */
static void a_place_may_go_to_another_entry(void **state)
{
    struct tracker tracker;

    make(&tracker, 2, 10);
    tracker_want(&tracker, 0, 1);
    start_all(&tracker);
    assert_int_equal(tracker.entries[0].running, 1);
    tracker_want(&tracker, 0, 0);
    tracker_want(&tracker, 1, 1);
    tracker.spawn.tokens = 0;
    assert_int_equal(start_all(&tracker), 0);
    tracker_completed(&tracker, 0, 0, false);
    assert_int_equal(start_all(&tracker), 1);
    assert_int_equal(tracker.entries[1].running, 1);
    tracker_done(&tracker);
}

/* ---- fair shares ---- */

static void limited_growth_is_shared(void **state)
{
    struct tracker tracker;

    make(&tracker, 3, 1000);
    tracker_want(&tracker, 0, 1000);
    tracker_want(&tracker, 1, 500);
    tracker_want(&tracker, 2, 10);
    for (int tick = 0; tick < 40; tick++) {
        start_at(&tracker, (uint64_t)tick * 10 * NS_PER_MS);
    }
    assert_int_equal(tracker.running, 400);
    assert_in_range(tracker.entries[0].running, 264, 266);
    assert_in_range(tracker.entries[1].running, 132, 133);
    assert_in_range(tracker.entries[2].running, 2, 3);
    tracker_done(&tracker);
}

static void runners_limits_are_kept_and_shared(void **state)
{
    struct tracker tracker;

    assert_int_equal(tracker_init(&tracker, 2, 1e9, 0, true), 0);
    assert_int_equal(tracker_add_runner(&tracker, 30), 0);
    assert_int_equal(tracker_add_runner(&tracker, 70), 1);
    tracker_start(&tracker, START_NS);
    tracker_want(&tracker, 0, 150);
    tracker_want(&tracker, 1, 50);
    assert_int_equal(start_all(&tracker), 100);
    assert_int_equal(tracker.runners[0].running, 30);
    assert_int_equal(tracker.runners[1].running, 70);
    assert_int_equal(tracker.entries[0].running, 75);
    assert_int_equal(tracker.entries[1].running, 25);
    assert_true(tracker_wait_ns(&tracker) == UINT64_MAX); /* no token would help */
    tracker_completed(&tracker, 0, 0, false);
    assert_int_equal(start_all(&tracker), 1);
    assert_int_equal(tracker.runners[0].running, 30);
    tracker_done(&tracker);
}

static void runners_share_the_work(void **state)
{
    struct tracker tracker;

    make(&tracker, 2, 1e9);
    assert_int_equal(tracker_add_runner(&tracker, 0), 1);
    tracker_want(&tracker, 0, 20);
    tracker_want(&tracker, 1, 20);
    assert_int_equal(start_all(&tracker), 40);
    assert_int_equal(tracker.runners[0].running, 20);
    assert_int_equal(tracker.runners[1].running, 20);
    assert_in_range(tracker.runners[0].by_entry[0], 5, 15);
    tracker_done(&tracker);
}

/* ---- pools ---- */

static void a_blocked_entry_waits_without_ticks(void **state)
{
    struct tracker tracker;

    make(&tracker, 2, 1000);
    tracker_want(&tracker, 0, 5);
    tracker_want(&tracker, 1, 2);
    assert_int_equal(tracker_next(&tracker), 0);
    tracker_block(&tracker, 0);
    tracker_not_started(&tracker, 0);
    assert_int_equal(start_all(&tracker), 2);
    assert_int_equal(tracker.entries[1].running, 2);
    assert_true(tracker_wait_ns(&tracker) == UINT64_MAX);
    tracker_unblock(&tracker, 0);
    assert_int_equal(start_all(&tracker), 5);
    tracker_done(&tracker);
}

static void pending_ones_count_as_running(void **state)
{
    struct tracker tracker;

    make(&tracker, 1, 1000);
    tracker_want(&tracker, 0, 2);
    assert_int_equal(tracker_next(&tracker), 0);
    assert_int_equal(tracker_next(&tracker), 0);
    assert_int_equal(tracker_next(&tracker), -1);
    tracker_started(&tracker, 0, 0);
    tracker_started(&tracker, 0, 0);
    assert_int_equal(tracker.pending, 0);
    assert_int_equal(tracker.running, 2);
    tracker_done(&tracker);
}

/* ---- ends ---- */

static void an_ended_entry_starts_nothing(void **state)
{
    struct tracker tracker;

    make(&tracker, 2, 1000);
    tracker_want(&tracker, 0, 2);
    tracker_want(&tracker, 1, 2);
    start_all(&tracker);
    tracker_end(&tracker, 0);
    assert_false(tracker_over(&tracker));
    assert_int_equal(tracker_wanted(&tracker), 2);
    tracker_completed(&tracker, 0, 0, false);
    assert_int_equal(start_all(&tracker), 0);
    tracker_end(&tracker, 1);
    assert_true(tracker_over(&tracker));
    assert_int_equal(tracker.running, 3);
    tracker_done(&tracker);
}

static void max_starts_ends_its_entry(void **state)
{
    struct tracker tracker;

    make(&tracker, 2, 1000);
    tracker.entries[0].max_starts = 1;
    tracker_want(&tracker, 0, 4);
    tracker_want(&tracker, 1, 1);
    assert_int_equal(start_all(&tracker), 2);
    assert_true(tracker.entries[0].ended);
    assert_false(tracker_over(&tracker));
    tracker_completed(&tracker, 0, 0, false);
    assert_int_equal(start_all(&tracker), 0);
    tracker_done(&tracker);
}

static void one_entry_may_end_all(void **state)
{
    struct tracker tracker;

    make(&tracker, 2, 1000);
    tracker.entries[0].max_starts = 1;
    tracker.entries[0].ends_all = true;
    tracker_want(&tracker, 0, 1);
    tracker_want(&tracker, 1, 3);
    assert_int_equal(start_all(&tracker), 4);
    assert_false(tracker_over(&tracker)); /* it still runs */
    tracker_completed(&tracker, 1, 0, false);
    assert_int_equal(start_all(&tracker), 1);
    tracker_completed(&tracker, 0, 0, false);
    assert_true(tracker_over(&tracker));
    tracker_done(&tracker);
}

static void iterations_are_exact(void **state)
{
    struct tracker tracker;

    assert_int_equal(tracker_init(&tracker, 2, 1e9, 25, true), 0);
    assert_int_equal(tracker_add_runner(&tracker, 0), 0);
    tracker_start(&tracker, START_NS);
    tracker_want(&tracker, 0, 10);
    tracker_want(&tracker, 1, 10);
    assert_int_equal(start_all(&tracker), 20);
    for (int i = 0; i < 5; i++) {
        assert_false(tracker_over(&tracker));
        tracker_completed(&tracker, 1, 0, false);
        assert_int_equal(start_all(&tracker), 1);
    }
    assert_true(tracker_over(&tracker));
    tracker_completed(&tracker, 0, 0, false);
    assert_int_equal(start_all(&tracker), 0);
    assert_int_equal(tracker.started, 25);
    tracker_done(&tracker);
}

/* ---- backoff ---- */

/* Everything fails at once, and every tenth of a millisecond somebody looks. */
static void what_fails_at_once_is_replaced_slowly(void **state)
{
    struct tracker tracker;

    make(&tracker, 1, 1000);
    tracker_want(&tracker, 0, 10);
    start_all(&tracker);
    for (int i = 0; i < 10000; i++) {
        tracker_advance(&tracker, START_NS + (uint64_t)i * NS_PER_MS / 10);
        while (tracker.running > 0) {
            tracker_completed(&tracker, 0, 0, true);
        }
        start_all(&tracker);
        assert_in_range(tracker.started, (uint64_t)i / 10, (uint64_t)i / 10 + 21);
    }
    assert_in_range(tracker.backed_off, 950, 1010);
    tracker_done(&tracker);
}

static void held_places_are_no_growth(void **state)
{
    struct tracker tracker;

    make(&tracker, 1, 1e6);
    tracker_want(&tracker, 0, 100);
    start_all(&tracker);
    for (int i = 0; i < 100; i++) {
        tracker_completed(&tracker, 0, 0, true);
    }
    assert_int_equal(start_all(&tracker), 10); /* what the backoff lets through at once */
    assert_int_equal(tracker.backed_off, 90);
    assert_int_equal(tracker_wait_ns(&tracker), 10 * NS_PER_MS);
    assert_int_equal(start_at(&tracker, 10 * NS_PER_MS), 10);
    tracker_want(&tracker, 0, 20);
    assert_int_equal(start_at(&tracker, 20 * NS_PER_MS), 0);
    assert_int_equal(tracker.held, 0);
    tracker_done(&tracker);
}

static void without_backoff_nothing_waits(void **state)
{
    struct tracker tracker;

    assert_int_equal(tracker_init(&tracker, 1, 1e6, 0, false), 0);
    assert_int_equal(tracker_add_runner(&tracker, 0), 0);
    tracker_start(&tracker, START_NS);
    tracker_want(&tracker, 0, 1);
    start_all(&tracker);
    for (int i = 0; i < 5000; i++) {
        tracker_completed(&tracker, 0, 0, true);
        assert_int_equal(start_all(&tracker), 1);
    }
    assert_int_equal(tracker.backed_off, 0);
    tracker_done(&tracker);
}

/* ---- directed from elsewhere ---- */

static void starts_are_allowed_in_portions(void **state)
{
    struct tracker tracker;

    make(&tracker, 1, 1e6);
    tracker_want(&tracker, 0, 10);
    tracker_allow(&tracker, 0, 4);
    assert_int_equal(start_all(&tracker), 4);
    tracker_completed(&tracker, 0, 0, false);
    assert_int_equal(start_all(&tracker), 0);
    assert_false(tracker_over(&tracker));
    tracker_allow(&tracker, 0, 6);
    assert_int_equal(start_at(&tracker, 10 * NS_PER_MS), 2);
    tracker_allow(&tracker, 0, INT64_MAX);
    assert_int_equal(start_at(&tracker, 20 * NS_PER_MS), 5);
    tracker_done(&tracker);
}

static void the_spawn_rate_may_change(void **state)
{
    struct tracker tracker;

    make(&tracker, 1, 100);
    tracker_want(&tracker, 0, 1000);
    assert_int_equal(start_all(&tracker), 1);
    tracker_set_spawn_rate(&tracker, 0);
    assert_int_equal(start_at(&tracker, 10 * NS_PER_S), 0);
    assert_int_equal(tracker_wait_ns(&tracker), UINT64_MAX);
    tracker_completed(&tracker, 0, 0, false);
    assert_int_equal(start_all(&tracker), 1); /* replacing is no growth */
    tracker_set_spawn_rate(&tracker, 1000);
    assert_int_equal(start_at(&tracker, 10 * NS_PER_S + 10 * NS_PER_MS), 10);
    tracker_done(&tracker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(growth_has_the_spawn_rate),
        cmocka_unit_test(a_default_burst_is_what_ten_milliseconds_bring),
        cmocka_unit_test(a_fraction_is_a_rate_too),
        cmocka_unit_test(a_late_tick_loses_nothing),
        cmocka_unit_test(tokens_do_not_pile_up_unused),
        cmocka_unit_test(replacing_costs_no_token),
        cmocka_unit_test(less_wanted_is_not_replaced),
        cmocka_unit_test(a_place_may_go_to_another_entry),
        cmocka_unit_test(limited_growth_is_shared),
        cmocka_unit_test(runners_limits_are_kept_and_shared),
        cmocka_unit_test(runners_share_the_work),
        cmocka_unit_test(a_blocked_entry_waits_without_ticks),
        cmocka_unit_test(pending_ones_count_as_running),
        cmocka_unit_test(an_ended_entry_starts_nothing),
        cmocka_unit_test(max_starts_ends_its_entry),
        cmocka_unit_test(one_entry_may_end_all),
        cmocka_unit_test(iterations_are_exact),
        cmocka_unit_test(what_fails_at_once_is_replaced_slowly),
        cmocka_unit_test(held_places_are_no_growth),
        cmocka_unit_test(without_backoff_nothing_waits),
        cmocka_unit_test(starts_are_allowed_in_portions),
        cmocka_unit_test(the_spawn_rate_may_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
