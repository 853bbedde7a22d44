/* Controller, runner and fake journeys in one loop: what a whole run does, without a language. */
#include "controller/controller.h"
#include "fake_journeys.h"
#include "runner/runner.h"

struct bench {
    struct loop *loop;
    struct scenario scenario;
    struct fake_sink sink;
    struct fake_journeys journeys;
    struct controller *controller;
    struct runner *runner;
    int64_t max_journeys;
    int drained, finished, failed_entries, fatal_entries;
    char failure[512];
};

static void on_draining(void *arg)
{
    ((struct bench *)arg)->drained++;
}

static void on_finished(void *arg)
{
    ((struct bench *)arg)->finished++;
}

static void on_entry_failed(void *arg, const struct scenario_entry *entry, const struct mite_error *error, bool fatal)
{
    struct bench *bench = arg;

    bench->failed_entries++;
    bench->fatal_entries += fatal;
    snprintf(bench->failure, sizeof bench->failure, "%s", error->text);
}

static void bench_init(struct bench *bench)
{
    struct mite_error error = {0};

    *bench = (struct bench){0};
    assert_int_equal(loop_new(&bench->loop, &error), 0);
    assert_int_equal(scenario_init(&bench->scenario, "shop:scenario"), 0);
    fake_sink_init(&bench->sink);
    fake_journeys_init(&bench->journeys, bench->loop);
}

static void add_constant(struct bench *bench, const char *spec, struct datapool *pool, int64_t volume)
{
    struct mite_error error = {0};
    struct volume_model *model;

    assert_int_equal(volume_constant_new(volume, -1, &model, &error), 0);
    assert_int_equal(scenario_add(&bench->scenario, spec, pool, model, &error), 0);
}

static void add_model(struct bench *bench, const char *spec, struct volume_model *model)
{
    struct mite_error error = {0};

    assert_int_equal(scenario_add(&bench->scenario, spec, NULL, model, &error), 0);
}

static void bench_go(struct bench *bench, struct controller_options options)
{
    struct mite_error error = {0};
    struct controller_hooks hooks = {
        .draining = on_draining, .finished = on_finished, .entry_failed = on_entry_failed, .arg = bench};
    struct runner_options runner = {.test = bench->scenario.name, .max_journeys = bench->max_journeys};

    assert_int_equal(
        controller_new(bench->loop, &bench->scenario, &options, &bench->sink.sink, &hooks, &bench->controller, &error),
        0);
    assert_int_equal(runner_new(bench->loop, &runner, &bench->sink.sink, &controller_work_ops, bench->controller,
                                &bench->runner, &error),
                     0);
    runner_add_host(bench->runner, &bench->journeys.host);
    int64_t id = controller_add_runner(bench->controller, &runner_work_ops, bench->runner, bench->max_journeys, &error);
    assert_int_equal(id, 1);
    runner_set_id(bench->runner, id);
}

static void bench_done(struct bench *bench)
{
    struct mite_error error = {0};

    runner_free(bench->runner);
    controller_free(bench->controller);
    scenario_done(&bench->scenario);
    int rc = loop_free(bench->loop, &error);
    assert_string_equal(error.text, "");
    assert_int_equal(rc, 0);
    assert_int_equal(bench->journeys.loads, bench->journeys.unloads + bench->journeys.failed_loads);
}

static struct controller_counts counts_of(struct bench *bench)
{
    struct controller_counts counts;

    controller_count(bench->controller, &counts);
    return counts;
}

/* ---- models and pools that do as the test says ---- */

#define STOPS (-1)
#define FAILS (-2)

/* A value a window, the last one for ever; embedded in its test. */
struct script {
    struct volume_model base;
    const int64_t *values;
    size_t count, calls;
    int64_t next_s; /* windows must be contiguous */
};

static int script_at(struct volume_model *model, int64_t start_s, int64_t end_s, int64_t *wanted,
                     struct mite_error *error)
{
    struct script *script = (struct script *)model;
    size_t call = script->calls < script->count ? script->calls : script->count - 1;

    assert_int_equal(start_s, script->next_s);
    assert_int_equal(end_s, start_s + 1);
    script->next_s = end_s;
    script->calls++;
    if (script->values[call] == STOPS) {
        return MITE_EEND;
    }
    if (script->values[call] == FAILS) {
        return error_set(error, MITE_EUSER, "ValueError: no figure");
    }
    *wanted = script->values[call] <= -10 ? -3 : script->values[call];
    return 0;
}

static void script_free(struct volume_model *model)
{
}

static const struct volume_model_ops script_ops = {.at = script_at, .free = script_free};

#define SCRIPT(...)                                                                                                    \
    {                                                                                                                  \
        .base = {.ops = &script_ops, .duration_s = -1, .max_starts = -1}, .values = (const int64_t[]){__VA_ARGS__},    \
        .count = sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)                                              \
    }

/* Answers when the test says; embedded in its test. */
struct slow_pool {
    struct datapool base;
    datapool_checkout_done *out_done;
    datapool_checkin_done *in_done; /* of the last checkin, when `slow_in` */
    void *out_arg, *in_arg;
    bool slow_in;
    int asked, checked_in;
};

static void slow_checkout(struct datapool *base, datapool_checkout_done *done, void *arg)
{
    struct slow_pool *pool = (struct slow_pool *)base;

    pool->asked++;
    pool->out_done = done;
    pool->out_arg = arg;
}

static void slow_checkin(struct datapool *base, const struct value *id, datapool_checkin_done *done, void *arg)
{
    struct slow_pool *pool = (struct slow_pool *)base;

    assert_int_equal(id->integer, 7);
    pool->checked_in++;
    if (pool->slow_in) {
        pool->in_done = done;
        pool->in_arg = arg;
    } else {
        done(arg);
    }
}

static void slow_free(struct datapool *base)
{
}

static void slow_answer(struct slow_pool *pool, int code)
{
    struct datapool_item item = {.id = value_int(7)};
    struct mite_error error = {.text = "TypeError: checkout() broke"};
    struct value list = value_list(NULL, 0);

    item.args = code == 0 ? args_new(&list) : NULL;
    pool->out_done(pool->out_arg, code, code == 0 ? &item : NULL, code < 0 ? &error : NULL);
}

static const struct datapool_ops slow_ops = {.checkout = slow_checkout, .checkin = slow_checkin, .free = slow_free};

#define SLOW_POOL                                                                                                      \
    {                                                                                                                  \
        .base = {.ops = &slow_ops, .refs = 1 }                                                                         \
    }

/* Items without arguments. */
static const struct value *rows(void)
{
    static struct value made[200];

    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        made[i] = value_list(NULL, 0);
    }
    return made;
}

static struct datapool *iterable(uint32_t count)
{
    struct mite_error error = {0};
    struct value items = value_list(rows(), count);
    struct datapool *pool;

    assert_int_equal(datapool_iterable_new(&items, &pool, &error), 0);
    return pool;
}

static struct datapool *recyclable(uint32_t count)
{
    struct mite_error error = {0};
    struct value items = value_list(rows(), count);
    struct datapool *pool;

    assert_int_equal(datapool_recyclable_new(&items, &pool, &error), 0);
    return pool;
}

/* ---- the course of a run ---- */

static void runs_what_the_model_wants(void **state)
{
    struct bench bench;

    bench_init(&bench);
    bench.journeys.lasts_ns = 2 * NS_PER_MS;
    add_constant(&bench, "shop:visit", NULL, 7);
    bench_go(&bench, (struct controller_options){.failure_backoff = true});
    FAKE_WAIT(bench.loop, bench.journeys.started > 200);
    assert_int_equal(bench.journeys.running, 7);
    assert_int_equal(bench.journeys.most_running, 7);
    controller_stop(bench.controller);
    FAKE_WAIT(bench.loop, bench.finished);
    assert_int_equal(bench.drained, 1);
    assert_int_equal(bench.journeys.running, 0);
    assert_int_equal(counts_of(&bench).started, bench.journeys.started);
    assert_int_equal(counts_of(&bench).completed, bench.journeys.started);
    assert_int_equal(bench.sink.by_kind[MESSAGE_TXN], bench.journeys.started);
    assert_int_equal(bench.sink.failed_transactions, 0);
    assert_int_equal(bench.finished, 1);
    bench_done(&bench);
}

static void asks_for_contiguous_windows(void **state)
{
    struct script script = SCRIPT(2, 3, STOPS);
    struct bench bench;

    bench_init(&bench);
    bench.journeys.lasts_ns = 10 * NS_PER_MS;
    add_model(&bench, "shop:visit", &script.base);
    bench_go(&bench, (struct controller_options){.delay_start_s = 0.1});
    uint64_t begun_ns = clock_now_ns();
    assert_int_equal(script.calls, 0);
    assert_false(counts_of(&bench).clock_started);
    FAKE_WAIT(bench.loop, script.calls == 1);
    assert_true(clock_now_ns() - begun_ns >= 100 * NS_PER_MS);
    assert_int_equal(counts_of(&bench).wanted, 2);
    FAKE_WAIT(bench.loop, script.calls == 2);
    assert_int_equal(counts_of(&bench).wanted, 3);
    assert_int_equal(bench.journeys.running, 3);
    FAKE_WAIT(bench.loop, bench.finished);
    assert_int_equal(script.calls, 3);
    assert_true(counts_of(&bench).elapsed_ns >= 2 * NS_PER_S);
    assert_int_equal(bench.sink.by_kind[MESSAGE_CONTROLLER_REPORT], 3); /* each second, and at the end */
    assert_int_equal(bench.sink.last_required, 0);
    assert_int_equal(bench.sink.last_actual, 0);
    assert_int_equal(bench.sink.last_runners, 1);
    bench_done(&bench);
}

static void a_journey_that_outlives_its_model_drains(void **state)
{
    struct script script = SCRIPT(2, STOPS);
    struct bench bench;

    bench_init(&bench);
    bench.journeys.lasts_ns = UINT64_MAX;
    add_model(&bench, "shop:visit", &script.base);
    bench_go(&bench, (struct controller_options){0});
    FAKE_WAIT(bench.loop, bench.drained);
    assert_int_equal(bench.journeys.running, 2);
    FAKE_WAIT(bench.loop, bench.sink.by_kind[MESSAGE_CONTROLLER_REPORT] == 2); /* reports go on */
    assert_int_equal(bench.sink.last_actual, 2);
    assert_int_equal(bench.finished, 0);
    runner_cancel_all(bench.runner);
    FAKE_WAIT(bench.loop, bench.finished);
    assert_int_equal(bench.drained, 1);
    bench_done(&bench);
}

static void stopped_before_it_started(void **state)
{
    struct script script = SCRIPT(2);
    struct bench bench;

    bench_init(&bench);
    add_model(&bench, "shop:visit", &script.base);
    bench_go(&bench, (struct controller_options){.delay_start_s = 1000});
    controller_stop(bench.controller);
    controller_stop(bench.controller);
    FAKE_WAIT(bench.loop, bench.finished);
    assert_int_equal(script.calls, 0);
    assert_int_equal(bench.drained, 0);
    assert_int_equal(bench.sink.by_kind[MESSAGE_CONTROLLER_REPORT], 0);
    assert_int_equal(controller_add_runner(bench.controller, &runner_work_ops, bench.runner, 0, NULL), MITE_ECANCELLED);
    bench_done(&bench);
}

static void duration_ends_the_run(void **state)
{
    struct bench bench;

    bench_init(&bench);
    bench.journeys.lasts_ns = 5 * NS_PER_MS;
    add_constant(&bench, "shop:visit", NULL, 3);
    bench_go(&bench, (struct controller_options){.duration_s = 0.2});
    FAKE_WAIT(bench.loop, bench.finished);
    assert_in_range(counts_of(&bench).elapsed_ns, 200 * NS_PER_MS, 2 * NS_PER_S);
    bench_done(&bench);
}

static void iterations_end_the_run(void **state)
{
    struct bench bench;

    bench_init(&bench);
    add_constant(&bench, "shop:visit", NULL, 3);
    add_constant(&bench, "shop:pay", NULL, 4);
    bench_go(&bench, (struct controller_options){.iterations = 123});
    FAKE_WAIT(bench.loop, bench.finished);
    assert_int_equal(bench.journeys.started, 123);
    assert_int_equal(bench.journeys.most_running, 7);
    bench_done(&bench);
}

static void a_oneshot_may_end_the_scenario(void **state)
{
    struct script once = SCRIPT(1);
    struct bench bench;

    once.base.max_starts = 1;
    once.base.stops_scenario = true;
    bench_init(&bench);
    bench.journeys.lasts_ns = 20 * NS_PER_MS;
    add_model(&bench, "shop:once", &once.base);
    add_constant(&bench, "shop:visit", NULL, 2);
    bench_go(&bench, (struct controller_options){0});
    FAKE_WAIT(bench.loop, bench.finished);
    assert_in_range(bench.journeys.started, 3, 5);
    bench_done(&bench);
}

static void growth_keeps_to_the_spawn_rate(void **state)
{
    struct bench bench;

    bench_init(&bench);
    bench.journeys.lasts_ns = 5 * NS_PER_MS; /* short ones: replacing must not count */
    add_constant(&bench, "shop:visit", NULL, 10000);
    bench_go(&bench, (struct controller_options){.spawn_rate = 200});
    FAKE_WAIT(bench.loop, counts_of(&bench).elapsed_ns > 500 * NS_PER_MS);
    double elapsed_s = ns_to_s(counts_of(&bench).elapsed_ns);
    assert_in_range(bench.journeys.most_running, 20, (int)(200 * elapsed_s) + 3);
    controller_stop(bench.controller);
    FAKE_WAIT(bench.loop, bench.finished);
    bench_done(&bench);
}

static void runner_max_journeys_is_kept(void **state)
{
    struct bench bench;

    bench_init(&bench);
    bench.max_journeys = 4;
    add_constant(&bench, "shop:visit", NULL, 10);
    bench_go(&bench, (struct controller_options){.iterations = 200});
    FAKE_WAIT(bench.loop, bench.finished);
    assert_int_equal(bench.journeys.most_running, 4);
    assert_int_equal(bench.journeys.started, 200);
    bench_done(&bench);
}

/* ---- datapools ---- */

static void a_used_up_pool_ends_its_journey(void **state)
{
    struct bench bench;

    bench_init(&bench);
    add_constant(&bench, "shop:create", iterable(137), 10);
    bench_go(&bench, (struct controller_options){0});
    FAKE_WAIT(bench.loop, bench.finished);
    assert_int_equal(bench.journeys.started, 137);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(bench.journeys.data_ids[i], i + 1);
    }
    assert_int_equal(bench.failed_entries, 0);
    bench_done(&bench);
}

static void a_small_pool_limits_what_runs(void **state)
{
    struct datapool *pool = recyclable(3);
    struct bench bench;

    bench_init(&bench);
    add_constant(&bench, "shop:visit", datapool_ref(pool), 10);
    bench_go(&bench, (struct controller_options){.iterations = 500});
    FAKE_WAIT(bench.loop, bench.finished);
    assert_int_equal(bench.journeys.started, 500);
    assert_int_equal(bench.journeys.most_running, 3);
    assert_int_equal(bench.journeys.data_ids[0], 0);
    assert_int_equal(bench.journeys.data_ids[1], 1);
    assert_int_equal(bench.journeys.data_ids[2], 2);
    assert_int_equal(bench.journeys.data_ids[3], 0);
    bench_done(&bench);
    datapool_unref(pool);
}

static void entries_may_share_a_pool(void **state)
{
    struct datapool *pool = recyclable(1);
    struct bench bench;

    bench_init(&bench);
    add_constant(&bench, "shop:visit", datapool_ref(pool), 1);
    add_constant(&bench, "shop:pay", pool, 1);
    bench_go(&bench, (struct controller_options){.iterations = 50});
    FAKE_WAIT(bench.loop, bench.finished);
    assert_int_equal(bench.journeys.started, 50);
    assert_int_equal(bench.journeys.most_running, 1);
    bench_done(&bench);
}

static void a_pool_may_answer_later(void **state)
{
    struct slow_pool pool = SLOW_POOL;
    struct bench bench;

    bench_init(&bench);
    add_constant(&bench, "shop:visit", &pool.base, 1);
    bench_go(&bench, (struct controller_options){.iterations = 2});
    FAKE_WAIT(bench.loop, pool.asked == 1);
    slow_answer(&pool, 0);
    assert_int_equal(bench.journeys.running, 1);
    FAKE_WAIT(bench.loop, pool.asked == 2);
    assert_int_equal(pool.checked_in, 1);
    slow_answer(&pool, 0);
    FAKE_WAIT(bench.loop, bench.finished);
    assert_int_equal(pool.checked_in, 2);
    bench_done(&bench);
    assert_int_equal(pool.base.refs, 0);
}

/* Who takes a journey's place finds its item, and the run waits for the last one. */
static void a_checkin_may_take_its_time(void **state)
{
    struct slow_pool pool = SLOW_POOL;
    struct bench bench;

    pool.slow_in = true;
    bench_init(&bench);
    add_constant(&bench, "shop:visit", &pool.base, 1);
    bench_go(&bench, (struct controller_options){.iterations = 2});
    for (int i = 1; i <= 2; i++) {
        FAKE_WAIT(bench.loop, pool.asked == i);
        slow_answer(&pool, 0);
        FAKE_WAIT(bench.loop, pool.checked_in == i);
        assert_int_equal(bench.journeys.running, 0);
        assert_int_equal(counts_of(&bench).running, 1);
        fake_turn(bench.loop);
        assert_int_equal(pool.asked, i);
        assert_int_equal(bench.finished, 0);
        pool.in_done(pool.in_arg);
    }
    FAKE_WAIT(bench.loop, bench.finished);
    assert_int_equal(counts_of(&bench).completed, 2);
    bench_done(&bench);
}

static void a_checkin_may_outlive_the_run(void **state)
{
    struct slow_pool pool = SLOW_POOL;
    struct bench bench;

    pool.slow_in = true;
    bench_init(&bench);
    add_constant(&bench, "shop:visit", &pool.base, 1);
    bench_go(&bench, (struct controller_options){0});
    FAKE_WAIT(bench.loop, pool.asked == 1);
    slow_answer(&pool, 0);
    FAKE_WAIT(bench.loop, pool.checked_in == 1);
    bench_done(&bench);
    pool.in_done(pool.in_arg);
    assert_int_equal(pool.base.refs, 0);
}

static void an_item_that_comes_after_the_stop_goes_back(void **state)
{
    struct slow_pool pool = SLOW_POOL;
    struct bench bench;

    bench_init(&bench);
    add_constant(&bench, "shop:visit", &pool.base, 1);
    bench_go(&bench, (struct controller_options){0});
    FAKE_WAIT(bench.loop, pool.asked == 1);
    controller_stop(bench.controller);
    FAKE_WAIT(bench.loop, bench.drained);
    slow_answer(&pool, 0);
    assert_int_equal(pool.checked_in, 1);
    FAKE_WAIT(bench.loop, bench.finished);
    assert_int_equal(bench.journeys.started, 0);
    bench_done(&bench);
}

static void an_item_that_comes_after_the_end_goes_back(void **state)
{
    struct slow_pool pool = SLOW_POOL;
    struct bench bench;

    bench_init(&bench);
    add_constant(&bench, "shop:visit", &pool.base, 1);
    bench_go(&bench, (struct controller_options){0});
    FAKE_WAIT(bench.loop, pool.asked == 1);
    bench_done(&bench);
    assert_int_equal(pool.base.refs, 1);
    slow_answer(&pool, 0);
    assert_int_equal(pool.checked_in, 1);
    assert_int_equal(pool.base.refs, 0);
}

/* ---- failures ---- */

static void a_model_that_fails_at_first_is_fatal(void **state)
{
    struct script fails = SCRIPT(FAILS);
    struct bench bench;

    bench_init(&bench);
    add_model(&bench, "shop:visit", &fails.base);
    bench_go(&bench, (struct controller_options){0});
    FAKE_WAIT(bench.loop, bench.finished);
    assert_int_equal(bench.fatal_entries, 1);
    assert_string_equal(bench.failure, "ValueError: no figure");
    bench_done(&bench);
}

static void a_model_that_fails_later_ends_its_own_journey(void **state)
{
    struct script fails = SCRIPT(1, -10);
    struct bench bench;

    bench_init(&bench);
    bench.journeys.lasts_ns = 10 * NS_PER_MS;
    add_model(&bench, "shop:visit", &fails.base);
    add_constant(&bench, "shop:pay", NULL, 2);
    bench_go(&bench, (struct controller_options){0});
    FAKE_WAIT(bench.loop, bench.failed_entries);
    assert_int_equal(bench.fatal_entries, 0);
    assert_string_equal(
        bench.failure, "the volume model of journey \"shop:visit\" wants -3 journeys at once from second 1 on: it must "
                       "be 0 or more");
    assert_int_equal(counts_of(&bench).wanted, 2);
    assert_int_equal(bench.finished, 0);
    controller_stop(bench.controller);
    FAKE_WAIT(bench.loop, bench.finished);
    bench_done(&bench);
}

static void a_pool_that_fails_ends_its_journey(void **state)
{
    struct slow_pool pool = SLOW_POOL;
    struct bench bench;

    bench_init(&bench);
    add_constant(&bench, "shop:visit", &pool.base, 1);
    bench_go(&bench, (struct controller_options){0});
    FAKE_WAIT(bench.loop, pool.asked == 1);
    slow_answer(&pool, MITE_EUSER);
    assert_int_equal(bench.fatal_entries, 1);
    assert_string_equal(bench.failure, "TypeError: checkout() broke");
    FAKE_WAIT(bench.loop, bench.finished);
    bench_done(&bench);
}

/* How many: test_tracker.c, on a clock of its own. */
static void what_fails_at_once_is_held_back(void **state)
{
    struct bench bench;

    bench_init(&bench);
    add_constant(&bench, "missing:visit", NULL, 50);
    bench_go(&bench, (struct controller_options){.failure_backoff = true});
    FAKE_WAIT(bench.loop, counts_of(&bench).backed_off > 0);
    FAKE_WAIT(bench.loop, bench.sink.by_kind[MESSAGE_EXCEPTION] > 100);
    controller_stop(bench.controller);
    FAKE_WAIT(bench.loop, bench.finished);
    assert_int_equal(bench.sink.failed_transactions, bench.sink.by_kind[MESSAGE_EXCEPTION]);
    assert_int_equal(counts_of(&bench).completed, bench.sink.by_kind[MESSAGE_EXCEPTION]);
    bench_done(&bench);
}

static void an_empty_scenario_is_refused(void **state)
{
    struct mite_error error = {0};
    struct controller_options options = {0};
    struct controller_hooks hooks = {0};
    struct controller *controller;
    struct bench bench;

    bench_init(&bench);
    assert_int_equal(
        controller_new(bench.loop, &bench.scenario, &options, &bench.sink.sink, &hooks, &controller, &error),
        MITE_EINVAL);
    assert_string_equal(error.text, "scenario \"shop:scenario\" has no journeys");
    controller_free(NULL);
    scenario_done(&bench.scenario);
    assert_int_equal(loop_free(bench.loop, &error), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_what_the_model_wants),
        cmocka_unit_test(asks_for_contiguous_windows),
        cmocka_unit_test(a_journey_that_outlives_its_model_drains),
        cmocka_unit_test(stopped_before_it_started),
        cmocka_unit_test(duration_ends_the_run),
        cmocka_unit_test(iterations_end_the_run),
        cmocka_unit_test(a_oneshot_may_end_the_scenario),
        cmocka_unit_test(growth_keeps_to_the_spawn_rate),
        cmocka_unit_test(runner_max_journeys_is_kept),
        cmocka_unit_test(a_used_up_pool_ends_its_journey),
        cmocka_unit_test(a_small_pool_limits_what_runs),
        cmocka_unit_test(entries_may_share_a_pool),
        cmocka_unit_test(a_pool_may_answer_later),
        cmocka_unit_test(a_checkin_may_take_its_time),
        cmocka_unit_test(a_checkin_may_outlive_the_run),
        cmocka_unit_test(an_item_that_comes_after_the_stop_goes_back),
        cmocka_unit_test(an_item_that_comes_after_the_end_goes_back),
        cmocka_unit_test(a_model_that_fails_at_first_is_fatal),
        cmocka_unit_test(a_model_that_fails_later_ends_its_own_journey),
        cmocka_unit_test(a_pool_that_fails_ends_its_journey),
        cmocka_unit_test(what_fails_at_once_is_held_back),
        cmocka_unit_test(an_empty_scenario_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
