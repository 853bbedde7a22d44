/* The fleet, with runners that the test plays. */
#include "fake_runners.h"

#include "stats/totals_delta.h"
#include "stats_messages.h"
#include "value/msgpack.h"

#include <math.h>

#define US(n) "mite1:runner-" #n

static void test_a_run(void **state)
{
    struct fake_fleet fake;
    struct fake_runner one = {0}, two = {0};

    fake_fleet_init(&fake);
    fake_add(&fake, "shop:buy", NULL, 5);
    fake_open(&fake, fake_fast);
    fake_join(&fake, &one, US(1));
    assert_false(fake.fleet->clock_started); /* hello alone is no runner yet */
    fake_report(&fake, &one);
    assert_true(str_is(one.entry.journey_spec, "shop:buy"));
    fake_run_until_started(&fake, &one);
    assert_int_equal(fake.nudges, 1); /* its target has changed */
    fake_report(&fake, &one);
    assert_int_equal(one.entry.target, 5);
    assert_int_equal(one.entry.starts_left, -1);
    assert_true(one.orders.spawn_rate == 1e6);
    assert_null(one.entry.journey_spec.p);

    fake_join(&fake, &two, US(2));
    fake_report(&fake, &two);
    fake_report(&fake, &one);
    assert_int_equal(one.entry.target + two.entry.target, 5);
    one.running = one.entry.target, one.started = 20, one.completed = 20 - one.running;
    two.running = two.entry.target, two.started = two.running;
    fake_report(&fake, &one);
    fake_report(&fake, &two);
    struct fleet_counts counts = fake_counts(&fake);
    assert_int_equal(counts.runners, 2);
    assert_int_equal(counts.journeys.running, 5);
    assert_int_equal(counts.journeys.started, 20 + two.started);

    fleet_stop(fake.fleet);
    while (fake.drained == 0) {
        fake_wait(&fake);
    }
    fake_report(&fake, &one);
    assert_true(one.orders.stop);
    assert_int_equal(one.entry.target, 0);
    one.running = 0;
    fake_report(&fake, &one);
    fake_tell(&fake, one.peer, &(struct work_request){.kind = WORK_BYE, .runner_id = one.id});
    assert_int_equal(fake.finished, 0);
    fake_tell(&fake, two.peer, &(struct work_request){.kind = WORK_BYE, .runner_id = two.id});
    while (fake.finished == 0) {
        fake_wait(&fake);
    }
    assert_true(fake.sink.by_kind[MESSAGE_CONTROLLER_REPORT] >= 1); /* one at the end, one a second before */
    fake_fleet_done(&fake);
}

static void test_repeated_and_late_reports(void **state)
{
    struct fake_fleet fake;
    struct fake_runner one = {0};
    struct buf first;

    fake_fleet_init(&fake);
    fake_add(&fake, "shop:buy", fake_pool(false, 20), 3);
    fake_open(&fake, fake_fast);
    fake_join(&fake, &one, US(1));
    fake_report(&fake, &one);
    fake_run_until_started(&fake, &one);
    fake_report(&fake, &one);
    assert_true(one.orders.item_count >= 3);

    struct work_report again = {.seq = one.seq, .runner_id = one.id, .epoch = one.epoch, .stats = value_nil()};
    buf_init(&first, 0);
    buf_str(&first, buf_view(&fake.last));
    fake_say_again(&fake, &one, &again);
    assert_true(str_equal(buf_view(&first), buf_view(&fake.last))); /* the same orders, and the same items */
    again.seq--;
    int answers = fake.answers;
    fake_say_again(&fake, &one, &again);
    assert_int_equal(fake.answers, answers); /* an older one changes nothing */
    buf_done(&first);

    again.seq = one.seq + 1;
    again.epoch++;
    fake_say_again(&fake, &one, &again);
    assert_false(one.orders.known);
    again.epoch--;
    struct fake_runner liar = one;
    liar.peer = US(2);
    fake_say_again(&fake, &liar, &again);
    assert_false(liar.orders.known); /* another's id */
    fake_fleet_done(&fake);
}

/* Items of a runner that dies go to others, never to two. */
static void test_items_of_the_dead(void **state)
{
    struct fake_fleet fake;
    struct fake_runner one = {0}, two = {0};
    int64_t seen[4] = {0};

    fake_fleet_init(&fake);
    fake_add(&fake, "shop:buy", fake_pool(true, 4), 4);
    fake_open(&fake, fake_impatient);
    fake_join(&fake, &one, US(1));
    fake_report(&fake, &one);
    fake_run_until_started(&fake, &one);
    fake_report(&fake, &one);
    assert_int_equal(one.entry.hold, 4);
    assert_true(one.entry.recycles);
    assert_int_equal(one.held_count, 4);

    fake_join(&fake, &two, US(2));
    fake_report(&fake, &two);
    fake_report(&fake, &two);
    assert_int_equal(two.entry.hold, 2);
    assert_int_equal(two.held_count, 0); /* the first still has them */
    fake_wait_until_lost(&fake, 1);      /* both have been silent, the first for longer */
    fake_report(&fake, &two);
    while (two.held_count < 4) {
        fake_report(&fake, &two);
        fake_wait(&fake);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(seen[two.ids[i]]++, 0);
    }
    assert_int_equal(fake_counts(&fake).items_lost, 0);

    fake_report(&fake, &one); /* the dead one is back: its items are not its own any more */
    assert_true(one.orders.void_up_to >= one.held[3]);
    assert_int_equal(one.orders.item_count, 0);
    one.done[one.done_count++] = one.held[0];
    fake_report(&fake, &one);
    fake_report(&fake, &two);
    assert_int_equal(fake.fleet->leases.pools[0].out, 4);
    fake_fleet_done(&fake);
}

static void test_lost_items_are_counted(void **state)
{
    struct fake_fleet fake;
    struct fake_runner one = {0}, two = {0};

    fake_fleet_init(&fake);
    fake_add(&fake, "shop:buy", fake_pool(false, 10), 2);
    fake_open(&fake, fake_impatient);
    fake_join(&fake, &one, US(1));
    fake_report(&fake, &one);
    fake_run_until_started(&fake, &one);
    fake_report(&fake, &one);
    size_t had = one.held_count;
    assert_true(had >= 2 && had < 10);
    one.unused[one.unused_count++] = one.held[had - 1]; /* one comes back in time */
    one.running = 1, one.started = 1;
    fake_report(&fake, &one);
    size_t lost = (size_t)fake.fleet->leases.pools[0].out;
    fake_wait_until_lost(&fake, 1);
    assert_int_equal(fake_counts(&fake).items_lost, lost);

    fake_join(&fake, &two, US(2));
    size_t used = 0;
    for (int i = 0; i < 100 && !fake.drained; i++) {
        fake_report(&fake, &two);
        for (; two.held_count > 0; used++) {
            two.done[two.done_count++] = two.held[--two.held_count];
            two.started++;
            two.completed++;
        }
        uv_run(loop_uv(fake.loop), UV_RUN_NOWAIT);
    }
    assert_int_equal(used, 10 - lost); /* the others once each, and the entry ends */
    assert_true(shares_over(&fake.fleet->shares));
    fake_fleet_done(&fake);
}

/* What a runner says runs is of its own items, not of another's. */
static void test_unused_items(void **state)
{
    struct fake_fleet fake;
    struct fake_runner one = {0}, liar = {0};

    fake_fleet_init(&fake);
    fake_add(&fake, "shop:buy", fake_pool(false, 10), 2);
    fake_open(&fake, fake_fast);
    fake_join(&fake, &one, US(1));
    fake_report(&fake, &one);
    fake_run_until_started(&fake, &one);
    fake_report(&fake, &one);
    assert_true(one.held_count >= 2);
    one.running = one.started = 1;
    fake_report(&fake, &one);
    int64_t unused = fleet_unused(fake.fleet, &fake.fleet->leases.pools[0]);
    assert_int_equal(unused, one.held_count - 1);
    fake_join(&fake, &liar, US(2));
    liar.running = liar.started = 1000;
    fake_report(&fake, &liar);
    assert_int_equal(fleet_unused(fake.fleet, &fake.fleet->leases.pools[0]), unused);
    fake_fleet_done(&fake);
}

static void test_iterations(void **state)
{
    struct fake_fleet fake;
    struct fake_runner runners[2] = {0};

    fake_fleet_init(&fake);
    fake_add(&fake, "shop:buy", NULL, 4);
    struct fleet_options options = fake_fast;
    options.scheduling.iterations = 23;
    fake_open(&fake, options);
    fake_join(&fake, &runners[0], US(1));
    fake_join(&fake, &runners[1], US(2));
    fake_report(&fake, &runners[0]);
    fake_report(&fake, &runners[1]);
    fake_run_until_started(&fake, &runners[0]);
    for (int i = 0; i < 100 && !shares_over(&fake.fleet->shares); i++) {
        struct fake_runner *runner = &runners[i % 2];
        fake_report(&fake, runner);
        runner->started += runner->entry.starts_left;
        runner->completed = runner->started;
    }
    assert_int_equal(fake_counts(&fake).journeys.started, 23);
    fake_fleet_done(&fake);
}

static void test_statistics_once(void **state)
{
    struct fake_fleet fake;
    struct fake_runner one = {0};
    struct totals fresh;
    struct buf bytes;
    size_t used;

    fake_fleet_init(&fake);
    fake_add(&fake, "shop:buy", NULL, 4);
    fake_open(&fake, fake_fast);
    fake_join(&fake, &one, US(1));
    assert_int_equal(totals_init(&fresh), 0);
    buf_init(&bytes, 0);
    send_request(&fresh.sink, "__root__ :: pay", "GET", 200, 0.001);
    totals_write(&bytes, &fresh);

    struct work_dropped dropped[] = {{STR("txn"), 3}};
    struct work_report report = {.seq = 1,
                                 .runner_id = one.id,
                                 .epoch = one.epoch,
                                 .stats_from_start = true,
                                 .dropped = dropped,
                                 .dropped_count = 1,
                                 .aborted = 2};
    struct arena arena;
    arena_init(&arena, 0);
    assert_int_equal(msgpack_read(&arena, buf_view(&bytes), &used, &report.stats, NULL), 0);
    fake_say_again(&fake, &one, &report);
    fake_say_again(&fake, &one, &report);
    assert_int_equal(fake.totals.requests, 1);
    report.seq++;
    dropped[0].count = 5;
    fake_say_again(&fake, &one, &report); /* all from the start again: counted already */
    assert_int_equal(fake.totals.requests, 1);
    assert_int_equal(fake_counts(&fake).aborted, 2);
    assert_int_equal(fake_counts(&fake).bad_messages, 1);
    assert_int_equal(*(uint64_t *)map_get(&fake.fleet->dropped, STR("txn")), 5);
    report.seq++;
    report.stats_from_start = false;
    fake_say_again(&fake, &one, &report);
    assert_int_equal(fake.totals.requests, 2);
    arena_done(&arena);
    buf_done(&bytes);
    totals_done(&fresh);
    fake_fleet_done(&fake);
}

/* Ten requests of a report that reaches over the beginning of a window. */
static void test_early_requests(void **state)
{
    struct fake_fleet fake;
    struct fake_runner one = {0};
    struct totals fresh;
    struct buf bytes;
    struct arena arena;
    size_t used;

    fake_fleet_init(&fake);
    fake_add(&fake, "shop:buy", NULL, 4);
    fake_open(&fake, fake_fast);
    fake_join(&fake, &one, US(1));
    fake_report(&fake, &one);
    assert_int_equal(totals_init(&fresh), 0);
    buf_init(&bytes, 0);
    arena_init(&arena, 0);
    for (int i = 0; i < 10; i++) {
        send_request(&fresh.sink, "__root__ :: pay", "GET", 200, 0.001);
    }
    totals_write(&bytes, &fresh);
    struct work_report report = {.seq = 2, .runner_id = one.id, .epoch = one.epoch};
    assert_int_equal(msgpack_read(&arena, buf_view(&bytes), &used, &report.stats, NULL), 0);

    uint64_t now_ns = clock_now_ns(), length_ns = 10 * NS_PER_S; /* so that what this test takes is next to nothing */
    fake.fleet->runners[0]->counted_ns = now_ns - length_ns;
    fake.totals.window.start_ns = now_ns - length_ns / 5;
    fake_say_again(&fake, &one, &report);
    assert_true(fabs(fleet_early_requests(fake.fleet) - 8) < 0.5);
    report.seq = 3;
    fake_say_again(&fake, &one, &report); /* all of these are of the window */
    assert_true(fabs(fleet_early_requests(fake.fleet) - 8) < 0.5);
    assert_int_equal(fake.totals.window.requests, 20);
    totals_next_window(&fake.totals);
    assert_true(fleet_early_requests(fake.fleet) == 0);
    arena_done(&arena);
    buf_done(&bytes);
    totals_done(&fresh);
    fake_fleet_done(&fake);
}

/* ---- coming and going ---- */

static void test_lost_and_back(void **state)
{
    struct fake_fleet fake;
    struct fake_runner one = {.max_journeys = 4};

    fake_fleet_init(&fake);
    fake_add(&fake, "shop:buy", NULL, 9);
    fake_open(&fake, fake_impatient);
    fake_join(&fake, &one, US(1));
    fake_report(&fake, &one);
    fake_run_until_started(&fake, &one);
    one.running = 4, one.started = 20, one.completed = 16;
    fake_report(&fake, &one);
    for (int times = 1; times <= 2; times++) {
        fake_wait_until_lost(&fake, 1);
        assert_int_equal(fake_counts(&fake).journeys.running, 0);
        one.started++, one.completed++;
        fake_report(&fake, &one);
        assert_int_equal(one.entry.target, 4); /* no more than it takes */
        struct fleet_counts counts = fake_counts(&fake);
        assert_int_equal(counts.runners_lost, 0);
        assert_int_equal(counts.runners_back, 1);
        assert_int_equal(counts.runners_seen, 1);
        assert_int_equal(counts.journeys.running, 4);
        assert_int_equal(counts.journeys.started, 20 + times); /* once each */
        assert_int_equal(counts.journeys.completed, 16 + times);
    }
    fake_fleet_done(&fake);
}

/* It may have gone by another connection than its last report. */
static void test_late_report_of_one_that_has_left(void **state)
{
    struct fake_fleet fake;
    struct fake_runner one = {0};

    fake_fleet_init(&fake);
    fake_add(&fake, "shop:buy", NULL, 4);
    fake_open(&fake, fake_fast);
    fake_join(&fake, &one, US(1));
    fake_report(&fake, &one);
    one.started = one.completed = 3;
    fake_report(&fake, &one);
    fake_tell(&fake, one.peer, &(struct work_request){.kind = WORK_BYE, .runner_id = one.id});
    assert_int_equal(fake.fleet->runner_count, 0); /* nobody has to remember it */
    one.seq--;
    fake_report(&fake, &one);
    assert_false(one.orders.known);
    fake_tell(&fake, one.peer, &(struct work_request){.kind = WORK_BYE, .runner_id = one.id});
    struct fleet_counts counts = fake_counts(&fake);
    assert_int_equal(counts.runners, 0);
    assert_int_equal(counts.runners_seen, 1);
    assert_int_equal(counts.journeys.started, 3);
    fake_hello(&fake, "plain");
    fake_tell(&fake, "plain", &(struct work_request){.kind = WORK_BYE, .runner_id = 2});
    assert_int_equal(fake.fleet->runner_count, 0);
    fake_fleet_done(&fake);
}

/* Who did not listen itself has heard nobody: they are not silent for that. */
static void test_held_up(void **state)
{
    struct fake_fleet fake;
    struct fake_runner one = {0};

    fake_fleet_init(&fake);
    fake_add(&fake, "shop:buy", NULL, 4);
    fake_open(&fake, (struct fleet_options){0});
    fake_join(&fake, &one, US(1));
    fake_report(&fake, &one);
    uint64_t now_ns = clock_now_ns();
    fleet_lose_silent(fake.fleet, now_ns);
    fleet_lose_silent(fake.fleet, now_ns + 60 * NS_PER_S);
    assert_int_equal(fake_counts(&fake).runners, 1);
    for (uint64_t s = 61; s < 75; s++) {
        fleet_lose_silent(fake.fleet, now_ns + s * NS_PER_S);
    }
    assert_int_equal(fake_counts(&fake).runners_lost, 1);
    fake_fleet_done(&fake);
}

/* ---- large things ---- */

static struct datapool *pool_of_large(uint32_t count, size_t bytes)
{
    char *text = malloc(bytes);
    struct value args[1] = {value_text((struct str){memset(text, 'x', bytes), bytes})}, items[64];
    struct datapool *pool;

    for (uint32_t i = 0; i < count; i++) {
        items[i] = value_list(args, 1);
    }
    struct value list = value_list(items, count);
    assert_int_equal(datapool_recyclable_new(&list, &pool, NULL), 0);
    free(text);
    return pool;
}

/* No answer becomes longer than a socket takes. */
static void test_large_items(void **state)
{
    struct fake_fleet fake;
    struct fake_runner one = {0};

    fake_fleet_init(&fake);
    fake_add(&fake, "shop:buy", pool_of_large(40, 1 << 20), 40);
    fake_open(&fake, fake_fast);
    fake_join(&fake, &one, US(1));
    fake_report(&fake, &one);
    fake_run_until_started(&fake, &one);
    for (int i = 0; i < 3; i++) {
        fake_report(&fake, &one);
        assert_in_range(one.orders.item_count, 1, 17);
        assert_true(fake.last.size < BUS_MESSAGE_MAX / 2);
    }
    assert_int_equal(one.held_count, 40);
    fake_fleet_done(&fake);
}

static void test_an_item_that_is_too_large(void **state)
{
    struct fake_fleet fake;
    struct fake_runner one = {0};

    fake_fleet_init(&fake);
    fake_add(&fake, "shop:buy", pool_of_large(1, 40 << 20), 1);
    fake_open(&fake, fake_fast);
    fake_join(&fake, &one, US(1));
    fake_report(&fake, &one);
    fake_run_until_started(&fake, &one);
    fake_report(&fake, &one);
    assert_int_equal(fake.failed_entries, 1);
    assert_non_null(strstr(fake.failure, "can be sent"));
    assert_int_equal(one.held_count, 0);
    fake_fleet_done(&fake);
}

/* ---- nonsense ---- */

static void test_nonsense(void **state)
{
    struct fake_fleet fake;
    struct fake_runner one = {0};

    fake_fleet_init(&fake);
    fake_add(&fake, "shop:buy", NULL, 4);
    fake_open(&fake, (struct fleet_options){.max_runners = 2});
    fleet_received(fake.fleet, STR("\0\x01garbage"), STR("\xc1"));
    fleet_received(fake.fleet, STR("x"), STR(""));
    fleet_received(fake.fleet, STR("x"), STR("\x92\x07\xc0"));
    assert_int_equal(fake.answers, 3); /* who waits for an answer gets one */
    assert_int_equal(fake_counts(&fake).bad_messages, 3);
    fake_join(&fake, &one, US(1));
    struct work_entry_report nine = {.scenario_id = 9, .running = 1, .started = 1, .highest_id = -1};
    struct work_entry_report entries[] = {nine, nine, nine};
    struct pair pair = {value_text(STR("counts")), value_int(3)};
    struct work_report report = {.seq = 1,
                                 .runner_id = one.id,
                                 .epoch = one.epoch,
                                 .entries = entries,
                                 .entry_count = 3, /* one bad message all the same */
                                 .stats = value_map(&pair, 1)};
    fake_say_again(&fake, &one, &report);
    assert_true(one.orders.known);
    assert_int_equal(fake_counts(&fake).bad_messages, 5);
    assert_int_equal(fake_counts(&fake).journeys.running, 0);
    fake_tell(
        &fake, "plain",
        &(struct work_request){.kind = WORK_ASK, .runner_id = one.id}); /* a plain request in the name of one of ours */
    assert_int_equal(fake_counts(&fake).bad_messages, 6);
    fake_hello(&fake, "a");
    fake_tell(&fake, "b", &(struct work_request){.kind = WORK_HELLO});
    assert_int_equal(fake.last.size, 1); /* no room for a third */
    fake_fleet_done(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_run),
        cmocka_unit_test(test_repeated_and_late_reports),
        cmocka_unit_test(test_items_of_the_dead),
        cmocka_unit_test(test_lost_items_are_counted),
        cmocka_unit_test(test_unused_items),
        cmocka_unit_test(test_iterations),
        cmocka_unit_test(test_statistics_once),
        cmocka_unit_test(test_early_requests),
        cmocka_unit_test(test_lost_and_back),
        cmocka_unit_test(test_late_report_of_one_that_has_left),
        cmocka_unit_test(test_held_up),
        cmocka_unit_test(test_large_items),
        cmocka_unit_test(test_an_item_that_is_too_large),
        cmocka_unit_test(test_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
