/*
 * Controller, runner and fake journeys in one loop. Each test program includes this once: bench_init, add_constant,
 * bench_go, the test, bench_done.
 */
#pragma once

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
    assert_int_equal(bench->journeys.loads, bench->journeys.unloads + bench->journeys.failed_loads);
}

static struct controller_counts counts_of(struct bench *bench)
{
    struct controller_counts counts;

    controller_count(bench->controller, &counts);
    return counts;
}
