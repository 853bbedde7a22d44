/* Controller, runner and fake journeys in one loop: the course of a whole run, without a language. */
#include "controller_stage.h"

/* ---- models that do as the test says ---- */

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
    *wanted = script->values[call];
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

static void add_model(struct bench *bench, const char *spec, struct volume_model *model)
{
    struct mite_error error = {0};

    assert_int_equal(scenario_add(&bench->scenario, spec, NULL, model, &error), 0);
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
    struct script fails = SCRIPT(1, -3);
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
        cmocka_unit_test(a_model_that_fails_at_first_is_fatal),
        cmocka_unit_test(a_model_that_fails_later_ends_its_own_journey),
        cmocka_unit_test(what_fails_at_once_is_held_back),
        cmocka_unit_test(an_empty_scenario_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
