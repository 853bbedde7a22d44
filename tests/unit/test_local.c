/* The local controller: targets, limits and items as orders say, with journeys of the test's own. */
#include "fake_journeys.h"
#include "runner/runner.h"
#include "worker/local.h"

struct fixture {
    struct loop *loop;
    struct fake_sink sink;
    struct fake_journeys journeys;
    struct runner *runner;
    struct local *local;
    struct arena arena;
    struct work_report report;
    int finished, low, starving;
};

static void on_completed(void *arg, int64_t runner_id, int64_t scenario_id, const struct value *data_id,
                         bool failed_at_once)
{
    local_completed(((struct fixture *)arg)->local, scenario_id, data_id, failed_at_once);
}

static void on_idle(void *arg, int64_t runner_id)
{
    local_idle(((struct fixture *)arg)->local);
}

static const struct work_controller_ops ops = {.completed = on_completed, .idle = on_idle};

static void on_finished(void *arg)
{
    ((struct fixture *)arg)->finished++;
}

static void on_urgent(void *arg, bool starves)
{
    *(starves ? &((struct fixture *)arg)->starving : &((struct fixture *)arg)->low) += 1;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct runner_options options = {.test = "t"};

    assert_int_equal(loop_new(&f->loop, NULL), 0);
    fake_sink_init(&f->sink);
    fake_journeys_init(&f->journeys, f->loop);
    arena_init(&f->arena, 0);
    assert_int_equal(runner_new(f->loop, &options, &f->sink.sink, &ops, f, &f->runner, NULL), 0);
    runner_add_host(f->runner, &f->journeys.host);
    runner_set_id(f->runner, 77); /* what the controller elsewhere calls it is not what the local one does */
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    local_pause(f->local);
    runner_cancel_all(f->runner);
    FAKE_WAIT(f->loop, f->journeys.running == 0);
    runner_free(f->runner);
    local_free(f->local);
    assert_int_equal(loop_free(f->loop, NULL), 0);
    arena_done(&f->arena);
    free(f);
    return 0;
}

static int make_local(struct fixture *f, const struct work_orders *orders, struct mite_error *error)
{
    struct local_options options = {
        .runner_ops = &runner_work_ops, .runner = f->runner, .finished = on_finished, .urgent = on_urgent, .arg = f};

    return local_new(f->loop, orders, &options, &f->local, error);
}

static void begin(struct fixture *f, const struct work_orders *orders)
{
    struct mite_error error = {0};

    assert_int_equal(make_local(f, orders, &error), 0);
    assert_int_equal(local_obey(f->local, orders, &error), 0);
}

static void obey(struct fixture *f, const struct work_orders *orders)
{
    assert_int_equal(local_obey(f->local, orders, NULL), 0);
}

static void tell(struct fixture *f)
{
    arena_reset(&f->arena);
    f->report = (struct work_report){0};
    assert_int_equal(local_tell(f->local, &f->arena, &f->report), 0);
}

#define ENTRY(id, wanted, ...)                                                                                         \
    {                                                                                                                  \
        .scenario_id = id, .target = wanted, .starts_left = -1, .journey_spec = STR("shop:visit"), ##__VA_ARGS__       \
    }
#define RECYCLED(most) .has_pool = true, .recycles = true, .hold = most
#define USED_UP(most)  .has_pool = true, .hold = most
#define ORDERS(list, ...)                                                                                              \
    {                                                                                                                  \
        .entries = list, .entry_count = sizeof list / sizeof *list, .spawn_rate = 1e6, ##__VA_ARGS__                   \
    }
#define ITEMS(list) .items = list, .item_count = sizeof list / sizeof *list
#define ITEM(lease_id, data)                                                                                           \
    {                                                                                                                  \
        .scenario_id = 1, .lease = lease_id, .data_id = value_int(data)                                                \
    }

static void a_target_is_reached_kept_and_left(void **state)
{
    struct work_entry_orders entries[] = {ENTRY(1, 3), ENTRY(2, 2)};
    struct work_orders orders = ORDERS(entries);
    struct fixture *f = *state;

    f->journeys.lasts_ns = NS_PER_MS;
    begin(f, &orders);
    FAKE_WAIT(f->loop, f->journeys.started > 50);
    assert_int_equal(f->journeys.most_running, 5);
    f->journeys.lasts_ns = UINT64_MAX;
    FAKE_WAIT(f->loop, f->journeys.running == 5);
    entries[0].target = 4;
    obey(f, &orders);
    FAKE_WAIT(f->loop, f->journeys.running == 6);
    tell(f);
    assert_int_equal(f->report.entry_count, 2);
    assert_int_equal(f->report.entries[0].running, 4);
    assert_int_equal(f->report.entries[0].started + f->report.entries[1].started, f->journeys.started);
    assert_int_equal(f->report.entries[1].completed, f->report.entries[1].started - 2);
    local_pause(f->local);
    fake_end_all(&f->journeys);
    FAKE_WAIT(f->loop, f->journeys.running == 0);
    int started = f->journeys.started;
    obey(f, &orders);
    FAKE_WAIT(f->loop, f->journeys.running == 6);
    assert_int_equal(f->journeys.started, started + 6);
    assert_int_equal(f->sink.by_kind[MESSAGE_CONTROLLER_REPORT], 0);
}

/* A window is a second: what is ordered does not wait for the next. */
static void orders_take_effect_at_once(void **state)
{
    struct work_entry_orders entries[] = {ENTRY(1, 1)};
    struct work_orders orders = ORDERS(entries);
    struct fixture *f = *state;

    f->journeys.lasts_ns = UINT64_MAX;
    begin(f, &orders);
    FAKE_WAIT(f->loop, f->journeys.running == 1);
    entries[0].target = 8;
    obey(f, &orders);
    assert_int_equal(f->journeys.running, 8);
}

static void starts_are_counted_from_what_was_reported(void **state)
{
    struct work_entry_orders entries[] = {ENTRY(1, 5)};
    struct work_orders orders = ORDERS(entries);
    struct fixture *f = *state;

    f->journeys.lasts_ns = NS_PER_MS;
    entries[0].starts_left = 3;
    begin(f, &orders);
    FAKE_WAIT(f->loop, f->journeys.started == 3 && f->journeys.running == 0);
    tell(f);
    assert_int_equal(f->report.entries[0].started, 3);
    entries[0].starts_left = 2;
    obey(f, &orders);
    obey(f, &orders); /* twice is once: nothing has been reported in between */
    FAKE_WAIT(f->loop, f->journeys.started == 5 && f->journeys.running == 0);
    for (int i = 0; i < 20; i++) {
        uv_run(loop_uv(f->loop), UV_RUN_NOWAIT);
    }
    assert_int_equal(f->journeys.started, 5);
}

static void items_are_used_and_asked_for(void **state)
{
    struct work_entry_orders entries[] = {ENTRY(1, 2, USED_UP(4))};
    struct work_lease items[] = {ITEM(1, 0), ITEM(2, 1), ITEM(3, 2), ITEM(4, 3)};
    struct work_orders orders = ORDERS(entries, ITEMS(items));
    struct fixture *f = *state;

    f->journeys.lasts_ns = NS_PER_MS;
    begin(f, &orders);
    FAKE_WAIT(f->loop, f->journeys.started == 4 && f->journeys.running == 0);
    assert_true(f->low > 0);
    assert_true(local_holds(f->local, 1));
    tell(f);
    assert_int_equal(f->report.done_count, 4);
    assert_int_equal(f->report.entries[0].wants, 2);
    assert_int_equal(f->report.entries[0].highest_id, 3);
    local_told(f->local, true);
    items[0].lease = 9;
    orders.item_count = 1;
    obey(f, &orders); /* who waited for one starts */
    assert_int_equal(f->journeys.started, 5);
}

/* Also when a report has been made since the item was given out. */
static void what_others_wait_for_is_urgent_to_give_back(void **state)
{
    struct work_entry_orders entries[] = {ENTRY(1, 2, USED_UP(1))};
    const struct work_lease items[] = {ITEM(1, 1)}, next = ITEM(2, 1);
    struct work_orders orders = ORDERS(entries, ITEMS(items));
    struct fixture *f = *state;

    f->journeys.lasts_ns = UINT64_MAX;
    begin(f, &orders);
    FAKE_WAIT(f->loop, f->journeys.running == 1);
    tell(f);
    local_told(f->local, true);
    fake_end_all(&f->journeys);
    FAKE_WAIT(f->loop, f->journeys.running == 0);
    assert_int_equal(f->starving, 1);
    tell(f);
    assert_int_equal(f->report.done_count, 1);
    local_told(f->local, true);
    entries[0].target = 1;
    f->journeys.lasts_ns = UINT64_MAX;
    orders.items = &next;
    obey(f, &orders);
    entries[0].target = 0;
    orders.item_count = 0;
    obey(f, &orders);
    fake_end_all(&f->journeys);
    FAKE_WAIT(f->loop, f->journeys.running == 0);
    assert_int_equal(f->starving, 1); /* nobody waits for that one */
}

static void what_is_too_old_brings_items_and_starts_nothing(void **state)
{
    struct work_entry_orders entries[] = {ENTRY(1, 2, RECYCLED(2))};
    const struct work_lease items[] = {ITEM(1, 1), ITEM(2, 2)};
    struct work_orders orders = ORDERS(entries, ITEMS(items));
    struct fixture *f = *state;

    f->journeys.lasts_ns = UINT64_MAX;
    assert_int_equal(make_local(f, &orders, NULL), 0);
    assert_int_equal(local_take(f->local, &orders, NULL), 0);
    for (int i = 0; i < 5; i++) {
        uv_run(loop_uv(f->loop), UV_RUN_NOWAIT);
    }
    assert_int_equal(f->journeys.started, 0);
    tell(f);
    assert_int_equal(f->report.done_count + f->report.unused_count, 0);
    orders.item_count = 0;
    obey(f, &orders);
    FAKE_WAIT(f->loop, f->journeys.running == 2);
}

static void stopping_gives_items_back_and_is_told_when_it_is_done(void **state)
{
    struct work_entry_orders entries[] = {ENTRY(1, 1, RECYCLED(2))};
    const struct work_lease items[] = {ITEM(1, 1), ITEM(2, 2)};
    struct work_orders orders = ORDERS(entries, ITEMS(items));
    struct fixture *f = *state;

    f->journeys.lasts_ns = UINT64_MAX;
    begin(f, &orders);
    FAKE_WAIT(f->loop, f->journeys.running == 1);
    local_stop(f->local);
    orders.item_count = 0;
    obey(f, &orders); /* what the controller orders meanwhile changes nothing */
    for (int i = 0; i < 5; i++) {
        uv_run(loop_uv(f->loop), UV_RUN_NOWAIT);
    }
    assert_int_equal(f->finished, 0);
    tell(f);
    assert_int_equal(f->report.unused_count, 1);
    assert_int_equal(f->report.unused[0], 2);
    local_told(f->local, true);
    fake_end_all(&f->journeys);
    FAKE_WAIT(f->loop, f->finished == 1);
    tell(f);
    assert_int_equal(f->report.done_count, 1);
    assert_int_equal(f->report.done[0], 1);
    assert_int_equal(f->report.entries[0].running, 0);
}

static void orders_that_make_no_sense_are_refused(void **state)
{
    struct work_entry_orders good[] = {ENTRY(1, 1)}, gap[] = {ENTRY(2, 1)}, unnamed[] = {{.scenario_id = 1}};
    struct work_orders orders = ORDERS(gap);
    struct mite_error error = {0};
    struct fixture *f = *state;

    assert_int_equal(make_local(f, &orders, &error), MITE_EPROTO);
    orders.entries = unnamed;
    assert_int_equal(make_local(f, &orders, &error), MITE_EPROTO);
    orders.entry_count = 0;
    assert_int_equal(make_local(f, &orders, &error), MITE_EINVAL);
    assert_null(f->local);

    const struct work_lease item = {.scenario_id = 1, .lease = 1};
    orders = (struct work_orders)ORDERS(good);
    begin(f, &orders);
    assert_true(local_matches(f->local, &orders));
    orders.items = &item;
    orders.item_count = 1;
    assert_int_equal(local_obey(f->local, &orders, &error), MITE_EPROTO);
    good[0].has_pool = true;
    assert_false(local_matches(f->local, &orders));
    assert_int_equal(local_obey(f->local, &orders, &error), MITE_EPROTO);
    good[0] = (struct work_entry_orders)ENTRY(1, 1);
    good[0].journey_spec = STR("other:visit");
    assert_false(local_matches(f->local, &orders));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_target_is_reached_kept_and_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(orders_take_effect_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(starts_are_counted_from_what_was_reported, set_up, tear_down),
        cmocka_unit_test_setup_teardown(items_are_used_and_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_others_wait_for_is_urgent_to_give_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_too_old_brings_items_and_starts_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopping_gives_items_back_and_is_told_when_it_is_done, set_up, tear_down),
        cmocka_unit_test_setup_teardown(orders_that_make_no_sense_are_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
