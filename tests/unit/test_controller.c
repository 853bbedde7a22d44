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
    assert_int_equal(bench->journeys.loads - bench->journeys.unloads, 0);
}

static void runs_what_the_model_wants(void **state)
{
    struct bench bench;
    struct controller_counts counts;

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
    controller_count(bench.controller, &counts);
    assert_int_equal(counts.started, bench.journeys.started);
    assert_int_equal(counts.completed, bench.journeys.started);
    assert_int_equal(bench.sink.by_kind[MESSAGE_TXN], bench.journeys.started);
    assert_int_equal(bench.sink.failed_transactions, 0);
    assert_int_equal(bench.finished, 1);
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_what_the_model_wants),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
