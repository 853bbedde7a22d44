/* A worker's first orders without memory, each allocation failing in its turn: they alone tell what to run, so that
 * what they find no memory for is asked for again. */
#include "failmalloc.h"

#include "base/log.h"
#include "bus_fixture.h"
#include "fake_journeys.h"
#include "worker/internal.h"

struct stage {
    struct bus_fixture bus;
    struct config config;
    struct totals totals;
    struct fake_journeys journeys;
    struct runner *runner;
    struct worker *worker;
    bool unready; /* journeys are put off */
    struct buf orders;
};

static void on_say(void *arg, enum log_level level, const char *text)
{
}

static int on_prepare(void *arg, const char *spec, bool has_datapool)
{
    return ((struct stage *)arg)->unready ? MITE_EAGAIN : 0;
}

static void on_describe(void *arg, struct arena *arena, struct work_report *report)
{
}

static void on_over(void *arg)
{
}

/* Its hello has been answered, its first report is under way. */
static void join(struct stage *stage)
{
    struct worker_options options = {.bus = stage->bus.bus,
                                     .address = "tcp://127.0.0.1:1",
                                     .name = WORK_ROUTING_PREFIX "1",
                                     .host = "here",
                                     .version = "1",
                                     .fresh = &stage->totals,
                                     .config = &stage->config};
    struct worker_hooks hooks = {
        .say = on_say, .prepare = on_prepare, .describe = on_describe, .over = on_over, .arg = stage};
    struct work_offer offer = {.epoch = 7, .timeout_s = 10, .interval_s = 1};

    assert_int_equal(worker_new(stage->bus.loop, &options, &hooks, &stage->worker, NULL), 0);
    struct runner_options runner = {.test = worker_test(stage->worker)};
    assert_int_equal(runner_new(stage->bus.loop, &runner, &stage->totals.sink, &worker_controller_ops, stage->worker,
                                &stage->runner, NULL),
                     0);
    runner_add_host(stage->runner, &stage->journeys.host);
    worker_start(stage->worker, stage->runner);
    link_answered(stage->worker->link);
    dialect_begin(stage->worker, &offer);
    assert_true(link_waits(stage->worker->link));
}

static void leave(struct stage *stage)
{
    runner_free(stage->runner);
    worker_free(stage->worker);
    fake_end_all(&stage->journeys);
    uv_run(loop_uv(stage->bus.loop), UV_RUN_NOWAIT);
}

static void receive(struct stage *stage)
{
    arena_reset(&stage->worker->arena);
    dialect_received(stage->worker, buf_view(&stage->orders));
}

static void write_orders(struct buf *out)
{
    struct value items[] = {value_int(1), value_int(2)};
    struct work_lease leases[] = {{.scenario_id = 1, .lease = 1, .data_id = items[0], .args = value_list(items, 1)},
                                  {.scenario_id = 1, .lease = 2, .data_id = items[1], .args = value_list(items, 2)}};
    struct pair config = {value_text(STR("key")), value_text(STR("text"))};
    struct work_entry_orders entries[] = {{.scenario_id = 1,
                                           .target = 2,
                                           .starts_left = -1,
                                           .hold = 2,
                                           .has_pool = true,
                                           .recycles = true,
                                           .journey_spec = STR("shop:buy")},
                                          {.scenario_id = 2, .starts_left = -1, .journey_spec = STR("shop:sell")}};
    struct work_orders orders = {.seq = 1,
                                 .known = true,
                                 .entries = entries,
                                 .entry_count = 2,
                                 .items = leases,
                                 .item_count = 2,
                                 .spawn_rate = 1e6,
                                 .config = &config,
                                 .config_count = 1};

    work_write_orders(out, &orders);
    assert_false(out->failed);
}

/* What the worker would report: it has both entries, and the items that the first one wants. */
static void assert_obeyed(const struct worker *worker)
{
    struct work_report report = {0};
    struct arena arena;

    assert_non_null(worker->dialect.local);
    assert_false(link_waits(worker->link));
    arena_init(&arena, 0);
    assert_int_equal(local_tell(worker->dialect.local, &arena, &report), 0);
    assert_int_equal(report.entry_count, 2);
    assert_int_equal(report.entries[0].highest_id, 2);
    arena_done(&arena);
}

/* `unready`: the journeys have to be prepared first, and the orders are held meanwhile. */
static void first_orders(struct stage *stage, bool unready)
{
    bool failed = true;

    for (long n = 0; failed; n++) {
        join(stage);
        stage->unready = unready;
        failmalloc_start(n);
        receive(stage);
        failed = failmalloc_stop();
        if (link_waits(stage->worker->link)) {
            assert_true(failed);
            receive(stage);
        }
        stage->unready = false;
        worker_prepared(stage->worker);
        assert_obeyed(stage->worker);
        leave(stage);
    }
}

static void first_orders_are_asked_for_again(void **state)
{
    first_orders(*state, false);
}

static void first_orders_that_cannot_be_held_are_asked_for_again(void **state)
{
    first_orders(*state, true);
}

static int set_up(void **state)
{
    static struct stage stage;

    stage = (struct stage){0};
    bus_fixture_open(&stage.bus);
    config_init(&stage.config);
    assert_int_equal(totals_init(&stage.totals), 0);
    fake_journeys_init(&stage.journeys, stage.bus.loop);
    buf_init(&stage.orders, 0);
    write_orders(&stage.orders);
    log_set_level(LOG_CRITICAL);
    *state = &stage;
    return 0;
}

static int tear_down(void **state)
{
    struct stage *stage = *state;

    log_set_level(LOG_INFO);
    buf_done(&stage->orders);
    totals_done(&stage->totals);
    config_done(&stage->config);
    bus_fixture_close(&stage->bus);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(first_orders_are_asked_for_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(first_orders_that_cannot_be_held_are_asked_for_again, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
