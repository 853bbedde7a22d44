/* The fleet, with runners that are given their work request by request. */
#include "fake_runners.h"

static struct work_assignment ask(struct fake_fleet *fake, int64_t id, int64_t running, const struct work_lease *done,
                                  size_t done_count, int64_t max_work)
{
    struct work_running now = {1, running};
    struct work_request request = {.kind = WORK_ASK,
                                   .runner_id = id,
                                   .running = &now,
                                   .running_count = 1,
                                   .completed = done,
                                   .completed_count = done_count,
                                   .max_work = max_work};
    struct work_assignment assignment;

    fake_tell(fake, "plain", &request);
    arena_reset(&fake->arena);
    assert_int_equal(work_read_assignment(&fake->arena, buf_view(&fake->last), &assignment, NULL), 0);
    return assignment;
}

static void test_plain_runner(void **state)
{
    struct fake_fleet fake;

    fake_fleet_init(&fake);
    fake_add(&fake, "shop:buy", fake_pool(true, 3), 5);
    fake_open(&fake, fake_fast);
    struct work_welcome welcome = fake_hello(&fake, "plain");
    assert_null(welcome.offer);
    assert_true(str_is(welcome.test, "shop:scenario"));
    assert_int_equal(ask(&fake, welcome.runner_id, 0, NULL, 0, -1).item_count, 0);
    fake_run_until_started(&fake, NULL);
    assert_int_equal(ask(&fake, welcome.runner_id, 0, NULL, 0, 1).item_count, 1);
    struct work_assignment work = ask(&fake, welcome.runner_id, 1, NULL, 0, -1);
    assert_int_equal(work.item_count, 2); /* the pool has no more */
    struct work_lease done = work.items[0];
    assert_true(str_is(done.journey_spec, "shop:buy"));
    assert_int_equal(done.args.type, VALUE_LIST);
    work = ask(&fake, welcome.runner_id, 2, &(struct work_lease){.scenario_id = 1, .data_id = value_int(1)}, 1, -1);
    assert_int_equal(work.item_count, 1);
    assert_int_equal(work.items[0].data_id.integer, 1); /* it is free again */
    work = ask(&fake, welcome.runner_id, 3, &(struct work_lease){.scenario_id = 1, .data_id = value_int(77)}, 1, -1);
    assert_int_equal(work.item_count, 0); /* it never had that one */

    fleet_stop(fake.fleet);
    while (fake.drained == 0) {
        fake_wait(&fake);
    }
    assert_true(ask(&fake, welcome.runner_id, 3, NULL, 0, 0).stop);
    fake_tell(&fake, "plain", &(struct work_request){.kind = WORK_BYE, .runner_id = welcome.runner_id});
    assert_int_equal(fake.last.size, 1); /* nil */
    while (fake.finished == 0) {
        fake_wait(&fake);
    }
    assert_int_equal(fake_counts(&fake).journeys.started, 4);
    fake_fleet_done(&fake);
}

static void test_plain_lost_and_back(void **state)
{
    struct fake_fleet fake;

    fake_fleet_init(&fake);
    fake_add(&fake, "shop:buy", NULL, 5);
    fake_open(&fake, fake_impatient);
    struct work_welcome welcome = fake_hello(&fake, "plain");
    ask(&fake, welcome.runner_id, 0, NULL, 0, -1);
    fake_run_until_started(&fake, NULL);
    assert_int_equal(ask(&fake, welcome.runner_id, 0, NULL, 0, -1).item_count, 5);
    fake_wait_until_lost(&fake, 1);
    assert_int_equal(ask(&fake, welcome.runner_id, 3, NULL, 0, 0).item_count, 0); /* two have ended meanwhile */
    struct fleet_counts counts = fake_counts(&fake);
    assert_int_equal(counts.runners_lost, 0);
    assert_int_equal(counts.runners_back, 1);
    assert_int_equal(counts.journeys.started, 5);
    assert_int_equal(counts.journeys.completed, 2);
    assert_int_equal(counts.journeys.running, 3);
    fake_fleet_done(&fake);
}

#define SPAWN_RATE 50

static double grown_since(uint64_t began_ns)
{
    return SPAWN_RATE * ns_to_s(clock_now_ns() - began_ns);
}

static void test_growth_of_a_plain_runner(void **state)
{
    struct fake_fleet fake;

    fake_fleet_init(&fake);
    fake_add(&fake, "shop:buy", NULL, 100);
    fake_open(&fake, (struct fleet_options){.scheduling = {.spawn_rate = SPAWN_RATE}});
    struct work_welcome welcome = fake_hello(&fake, "plain");
    uint64_t began_ns = clock_now_ns();
    assert_int_equal(ask(&fake, welcome.runner_id, 0, NULL, 0, -1).item_count, 0);
    fake_run_until_started(&fake, NULL);
    size_t first = ask(&fake, welcome.runner_id, 0, NULL, 0, -1).item_count;
    assert_true((double)first <= 6 + grown_since(began_ns));
    began_ns = clock_now_ns();
    size_t next = ask(&fake, welcome.runner_id, 0, NULL, 0, -1).item_count;
    assert_true(next >= first && (double)(next - first) <= 1 + grown_since(began_ns)); /* what has ended is replaced */
    fake_fleet_done(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_runner),
        cmocka_unit_test(test_plain_lost_and_back),
        cmocka_unit_test(test_growth_of_a_plain_runner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
