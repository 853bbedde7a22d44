/* Scenario, runner and controller when memory runs out, at each allocation in turn: a code, a sentence, no leak. */
#include "controller/controller.h"
#include "failmalloc.h"
#include "fake_journeys.h"
#include "runner/runner.h"

/* ---- scenario ---- */

static const struct value words[] = {{.type = VALUE_TEXT, .count = 3, .text = "ann"}};
static const struct value rows[] = {{.type = VALUE_LIST, .count = 1, .items = words},
                                    {.type = VALUE_LIST, .count = 1, .items = words}};

static int make_pool(void)
{
    struct value items = value_list(rows, 2);
    struct datapool *pool = NULL;
    int rc = datapool_recyclable_new(&items, &pool, NULL);

    if (rc == 0) {
        datapool_unref(pool);
        rc = datapool_iterable_new(&items, &pool, NULL);
    }
    if (rc == 0) {
        datapool_unref(pool);
    }
    return rc;
}

static int make_args(void)
{
    struct args *args = args_new(&rows[0]);
    int rc = args ? 0 : MITE_ENOMEM;

    args_unref(args);
    return rc;
}

static int make_config(void)
{
    struct config config;

    config_init(&config);
    int rc = config_add_text(&config, "url:http://127.0.0.1/", NULL);
    if (rc == 0) {
        rc = config_set(&config, STR("url"), &rows[0]);
    }
    assert_true(rc == 0 || config.version < 2);
    config_done(&config);
    return rc;
}

static int make_scenario(void)
{
    struct volume_model *model = NULL;
    struct scenario scenario;
    int rc = scenario_init(&scenario, "shop:scenario");

    for (int i = 0; i < 3 && rc == 0; i++) {
        rc = volume_constant_new(1, 5, &model, NULL);
        if (rc == 0 && (rc = scenario_add(&scenario, "shop:visit", NULL, model, NULL)) < 0) {
            volume_model_free(model); /* taken on success only */
        }
    }
    scenario_done(&scenario);
    return rc;
}

static int make_context(void)
{
    struct message_origin origin = {.journey = STR("shop:visit"), .scenario_data_id = words[0]};
    struct context *context = context_new(NULL, &origin);
    char name[200];

    if (!context) {
        return MITE_ENOMEM;
    }
    memset(name, 'n', sizeof name); /* long enough not to be recycled */
    struct transaction *transaction = transaction_begin(context, NULL, (struct str){name, sizeof name});
    int rc = transaction ? 0 : MITE_ENOMEM;
    if (transaction) {
        transaction_end(transaction, false);
    }
    transaction_unref(transaction);
    context_unref(context);
    return rc;
}

static void survives(int (*make)(void))
{
    bool failed = true;
    long n = 0;

    for (; failed; n++) {
        failmalloc_start(n);
        int rc = make();
        failed = failmalloc_stop();
        assert_int_equal(rc, failed ? MITE_ENOMEM : 0);
    }
    assert_true(n > 1);
}

static void parts_of_a_scenario(void **state)
{
    survives(make_pool);
    survives(make_args);
    survives(make_config);
    survives(make_scenario);
    survives(make_context);
}

/* ---- a run ---- */

struct bench {
    struct loop *loop;
    struct scenario scenario;
    struct fake_sink sink;
    struct fake_journeys journeys;
    struct controller *controller;
    struct runner *runner;
    int finished, completed;
};

static void bench_init(struct bench *bench)
{
    struct value items = value_list(rows, 2);
    struct volume_model *model;
    struct datapool *pool;

    *bench = (struct bench){0};
    assert_int_equal(loop_new(&bench->loop, NULL), 0);
    assert_int_equal(scenario_init(&bench->scenario, "shop:scenario"), 0);
    assert_int_equal(volume_constant_new(4, -1, &model, NULL), 0);
    assert_int_equal(datapool_recyclable_new(&items, &pool, NULL), 0);
    assert_int_equal(scenario_add(&bench->scenario, "shop:visit", pool, model, NULL), 0);
    fake_sink_init(&bench->sink);
    fake_journeys_init(&bench->journeys, bench->loop);
}

static void bench_done(struct bench *bench)
{
    runner_free(bench->runner);
    controller_free(bench->controller);
    scenario_done(&bench->scenario);
    assert_int_equal(loop_free(bench->loop, NULL), 0);
}

static void on_finished(void *arg)
{
    ((struct bench *)arg)->finished++;
}

static int make_engine(struct bench *bench)
{
    struct controller_hooks hooks = {.finished = on_finished, .arg = bench};
    struct controller_options options = {.iterations = 20};
    struct runner_options runner = {.test = "shop:scenario"};
    int rc =
        controller_new(bench->loop, &bench->scenario, &options, &bench->sink.sink, &hooks, &bench->controller, NULL);

    if (rc == 0) {
        rc = runner_new(bench->loop, &runner, &bench->sink.sink, &controller_work_ops, bench->controller,
                        &bench->runner, NULL);
    }
    if (rc == 0) {
        int64_t id = controller_add_runner(bench->controller, &runner_work_ops, bench->runner, 0, NULL);
        rc = id < 0 ? (int)id : 0;
    }
    if (rc == 0) {
        runner_add_host(bench->runner, &bench->journeys.host);
        runner_set_id(bench->runner, 1);
    }
    return rc;
}

static void runner_and_controller_are_made_or_not(void **state)
{
    bool failed = true;

    for (long n = 0; failed; n++) {
        struct bench bench;
        bench_init(&bench);
        failmalloc_start(n);
        int rc = make_engine(&bench);
        failed = failmalloc_stop();
        assert_int_equal(rc, failed ? MITE_ENOMEM : 0);
        bench_done(&bench);
    }
}

static void on_completed(void *arg, int64_t runner_id, int64_t scenario_id, const struct value *data_id,
                         bool failed_at_once)
{
    ((struct bench *)arg)->completed++;
}

static void on_idle(void *arg, int64_t runner_id)
{
}

/* Either the journey starts and ends, or start() says that it did not. */
static void a_start_is_whole_or_nothing(void **state)
{
    static const struct work_controller_ops ops = {.completed = on_completed, .idle = on_idle};
    struct runner_options options = {.test = "shop:scenario"};
    struct work_item item = {.scenario_id = 1, .data_id = words[0], .journey_spec = "missing:visit"};
    bool failed = true;

    for (long n = 0; failed; n++) {
        struct bench bench;
        bench_init(&bench);
        assert_int_equal(runner_new(bench.loop, &options, &bench.sink.sink, &ops, &bench, &bench.runner, NULL), 0);
        runner_add_host(bench.runner, &bench.journeys.host);
        failmalloc_start(n);
        int rc = runner_work_ops.start(bench.runner, &item);
        failed = failmalloc_stop();
        assert_int_equal(rc, failed ? MITE_ENOMEM : 0);
        if (rc == 0) {
            FAKE_WAIT(bench.loop, bench.completed);
        }
        assert_int_equal(bench.sink.by_kind[MESSAGE_TXN], rc == 0);
        bench_done(&bench);
    }
}

/* A start for which there was no memory is made up for in the next window. */
static void a_run_goes_on_when_memory_is_back(void **state)
{
    struct bench bench;

    bench_init(&bench);
    assert_int_equal(make_engine(&bench), 0);
    failmalloc_start(0);
    fake_turn(bench.loop);
    assert_true(failmalloc_stop());
    assert_int_equal(bench.journeys.started, 0);
    FAKE_WAIT(bench.loop, bench.finished);
    assert_int_equal(bench.journeys.started, 20);
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_a_scenario),
        cmocka_unit_test(runner_and_controller_are_made_or_not),
        cmocka_unit_test(a_start_is_whole_or_nothing),
        cmocka_unit_test(a_run_goes_on_when_memory_is_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
