/* The runner against a controller that only counts, with fake journeys. */
#include "fake_journeys.h"
#include "runner/runner.h"

struct bench {
    struct loop *loop;
    struct fake_sink sink;
    struct fake_journeys journeys;
    struct runner *runner;
    int completed, at_once, idle;
    int64_t last_scenario_id;
    char last_data_id[32];
    struct work_item *replacement; /* started from inside completed() */
};

static void on_completed(void *arg, int64_t runner_id, int64_t scenario_id, const struct value *data_id,
                         bool failed_at_once)
{
    struct bench *bench = arg;

    assert_int_equal(runner_id, 9);
    bench->completed++;
    bench->at_once += failed_at_once;
    bench->last_scenario_id = scenario_id;
    fake_copy(bench->last_data_id, sizeof bench->last_data_id, value_str(data_id));
    if (bench->replacement) {
        struct work_item *item = bench->replacement;
        bench->replacement = NULL;
        assert_int_equal(runner_work_ops.start(bench->runner, item), 0);
    }
}

static void on_idle(void *arg, int64_t runner_id)
{
    struct bench *bench = arg;

    assert_int_equal(runner_id, 9);
    bench->idle++;
}

static const struct work_controller_ops controller_ops = {.completed = on_completed, .idle = on_idle};

static void bench_init(struct bench *bench, int64_t max_journeys)
{
    struct mite_error error = {0};
    struct runner_options options = {.test = "shop:scenario", .max_journeys = max_journeys};

    *bench = (struct bench){0};
    assert_int_equal(loop_new(&bench->loop, &error), 0);
    fake_sink_init(&bench->sink);
    fake_journeys_init(&bench->journeys, bench->loop);
    assert_int_equal(
        runner_new(bench->loop, &options, &bench->sink.sink, &controller_ops, bench, &bench->runner, &error), 0);
    runner_set_id(bench->runner, 9);
}

static void bench_done(struct bench *bench)
{
    struct mite_error error = {0};

    runner_free(bench->runner);
    int rc = loop_free(bench->loop, &error);
    assert_string_equal(error.text, "");
    assert_int_equal(rc, 0);
}

static int start(struct bench *bench, const char *spec)
{
    struct work_item item = {.scenario_id = 2, .data_id = value_text(STR("bob")), .journey_spec = spec};

    return runner_work_ops.start(bench->runner, &item);
}

static struct runner_counts counts_of(struct bench *bench)
{
    struct runner_counts counts;

    runner_count(bench->runner, &counts);
    return counts;
}

static void a_journey_is_wrapped_in_its_root(void **state)
{
    struct bench bench;

    bench_init(&bench, 0);
    runner_add_host(bench.runner, &bench.journeys.host);
    assert_int_equal(start(&bench, "shop:visit"), 0);
    assert_int_equal(counts_of(&bench).running, 1);
    assert_int_equal(bench.completed, 0);
    FAKE_WAIT(bench.loop, bench.completed == 1);
    assert_int_equal(bench.sink.by_kind[MESSAGE_TXN], 1);
    assert_string_equal(bench.sink.last_path, "__root__");
    assert_int_equal(bench.sink.last_transaction_id, 1);
    assert_int_equal(bench.sink.last_origin.context_id, 1);
    assert_int_equal(bench.sink.last_origin.runner_id, 9);
    assert_int_equal(bench.sink.last_origin.scenario_id, 2);
    assert_false(bench.sink.last_txn.had_error);
    assert_int_equal(bench.last_scenario_id, 2);
    assert_string_equal(bench.last_data_id, "bob");
    assert_int_equal(start(&bench, "shop:visit"), 0);
    FAKE_WAIT(bench.loop, bench.completed == 2);
    assert_int_equal(bench.sink.last_origin.context_id, 2);
    assert_int_equal(bench.journeys.loads, 1);
    bench_done(&bench);
    assert_int_equal(bench.journeys.unloads, 1);
}

static void outcomes_are_told_apart(void **state)
{
    struct bench bench;

    bench_init(&bench, 0);
    runner_add_host(bench.runner, &bench.journeys.host);
    bench.journeys.outcome = JOURNEY_FAILED;
    bench.journeys.lasts_ns = 3 * NS_PER_MS;
    assert_int_equal(start(&bench, "shop:visit"), 0);
    FAKE_WAIT(bench.loop, bench.completed == 1);
    assert_int_equal(bench.at_once, 0);
    assert_int_equal(bench.sink.failed_transactions, 1);

    bench.journeys.lasts_ns = UINT64_MAX;
    assert_int_equal(start(&bench, "shop:visit"), 0);
    runner_cancel_all(bench.runner);
    FAKE_WAIT(bench.loop, bench.completed == 2);
    assert_int_equal(bench.sink.failed_transactions, 1);
    assert_int_equal(bench.at_once, 0);

    struct runner_counts counts = counts_of(&bench);
    assert_int_equal(counts.started, 2);
    assert_int_equal(counts.failed, 1);
    assert_int_equal(counts.cancelled, 1);
    assert_int_equal(counts.completed, 2);
    assert_int_equal(counts.running, 0);
    bench_done(&bench);
}

static void a_spec_that_does_not_load_is_an_exception_a_start(void **state)
{
    struct bench bench;

    bench_init(&bench, 0);
    runner_add_host(bench.runner, &bench.journeys.host);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(start(&bench, "missing:visit"), 0);
        assert_int_equal(bench.completed, i - 1); /* never from inside start */
        FAKE_WAIT(bench.loop, bench.completed == i);
        assert_int_equal(bench.sink.by_kind[MESSAGE_EXCEPTION], i);
        assert_int_equal(bench.sink.failed_transactions, i);
    }
    assert_string_equal(bench.sink.last_failure, "cannot load journey \"missing:visit\": no module \"missing\"");
    assert_string_equal(bench.sink.last_ex_type, "ImportError");
    assert_int_equal(bench.journeys.loads, 1);
    assert_true(bench.at_once > 0);
    assert_int_equal(counts_of(&bench).failed, 3);
    bench_done(&bench);
}

static void preload_says_why(void **state)
{
    struct mite_error error = {0};
    struct bench bench;

    bench_init(&bench, 0);
    assert_int_equal(runner_preload(bench.runner, "shop:visit", false, &error), MITE_ENOTFOUND);
    bench_done(&bench);

    bench_init(&bench, 0);
    runner_add_host(bench.runner, &bench.journeys.host);
    assert_int_equal(runner_preload(bench.runner, "shop:visit", false, &error), 0);
    assert_int_equal(runner_preload(bench.runner, "broken:visit", false, &error), MITE_EUSER);
    assert_non_null(strstr(error.text, "its module raised"));
    assert_string_equal(error.detail, "line 1\n");
    error_done(&error);
    assert_int_equal(runner_preload(bench.runner, "shop:visit", false, &error), 0);
    assert_int_equal(bench.journeys.loads, 2);
    bench_done(&bench);
}

static bool owns_broken(const char *spec)
{
    return strncmp(spec, "broken:", 7) == 0;
}

static void the_first_host_of_its_kind_is_asked(void **state)
{
    struct fake_journeys other;
    struct mite_error error = {0};
    struct bench bench;

    bench_init(&bench, 0);
    fake_journeys_init(&other, bench.loop);
    bench.journeys.host.owns = owns_broken;
    runner_add_host(bench.runner, &bench.journeys.host);
    assert_int_equal(runner_preload(bench.runner, "shop:visit", false, &error), MITE_ENOTFOUND); /* nobody's */
    error_done(&error);
    bench_done(&bench);

    bench_init(&bench, 0);
    bench.journeys.host.owns = owns_broken;
    runner_add_host(bench.runner, &bench.journeys.host);
    runner_add_host(bench.runner, &other.host);
    assert_int_equal(runner_preload(bench.runner, "missing:visit", false, &error), MITE_ENOTFOUND);
    assert_int_equal(bench.journeys.loads, 0);
    assert_int_equal(other.loads, 1);
    error_done(&error);
    assert_int_equal(runner_preload(bench.runner, "broken:visit", false, &error), MITE_EUSER);
    assert_int_equal(bench.journeys.loads, 1);
    assert_int_equal(other.loads, 1);
    error_done(&error);
    bench_done(&bench);
}

static void a_full_runner_hands_back(void **state)
{
    struct bench bench;

    bench_init(&bench, 2);
    runner_add_host(bench.runner, &bench.journeys.host);
    assert_int_equal(start(&bench, "shop:visit"), 0);
    assert_int_equal(start(&bench, "shop:visit"), 0);
    assert_int_equal(start(&bench, "shop:visit"), MITE_EAGAIN);
    FAKE_WAIT(bench.loop, bench.completed == 2);
    assert_int_equal(start(&bench, "shop:visit"), 0);
    FAKE_WAIT(bench.loop, bench.completed == 3);
    bench_done(&bench);
}

static void completed_may_start_the_next(void **state)
{
    struct work_item item = {.scenario_id = 4, .data_id = value_int(1), .journey_spec = "shop:visit"};
    struct bench bench;

    bench_init(&bench, 1);
    runner_add_host(bench.runner, &bench.journeys.host);
    bench.replacement = &item;
    assert_int_equal(start(&bench, "shop:visit"), 0);
    FAKE_WAIT(bench.loop, bench.completed == 2);
    assert_int_equal(bench.last_scenario_id, 4);
    assert_int_equal(bench.journeys.most_running, 1);
    bench_done(&bench);
}

static void idle_when_the_last_has_ended(void **state)
{
    struct bench bench;

    bench_init(&bench, 0);
    runner_add_host(bench.runner, &bench.journeys.host);
    bench.journeys.lasts_ns = UINT64_MAX;
    assert_int_equal(start(&bench, "shop:visit"), 0);
    assert_int_equal(start(&bench, "shop:visit"), 0);
    runner_work_ops.stop(bench.runner);
    runner_work_ops.stop(bench.runner);
    assert_int_equal(bench.idle, 0);
    fake_end_all(&bench.journeys);
    FAKE_WAIT(bench.loop, bench.idle);
    assert_int_equal(bench.completed, 2);
    assert_int_equal(bench.idle, 1);
    bench_done(&bench);

    bench_init(&bench, 0);
    runner_work_ops.stop(bench.runner);
    assert_int_equal(bench.idle, 1);
    bench_done(&bench);
}

static void asked_to_stop_contexts_know(void **state)
{
    struct bench bench;

    bench_init(&bench, 0);
    runner_add_host(bench.runner, &bench.journeys.host);
    bench.journeys.lasts_ns = UINT64_MAX;
    assert_int_equal(start(&bench, "shop:visit"), 0);
    struct context *context = context_ref(LIST_FIRST(&bench.journeys.list)->context);
    assert_false(context->should_stop);
    runner_ask_stop(bench.runner);
    assert_true(context->should_stop);
    fake_end_all(&bench.journeys);
    FAKE_WAIT(bench.loop, bench.completed == 1);

    /* Whoever kept it may still send, as long as there is somebody to hear it. */
    struct message message = {.kind = MESSAGE_OTHER, .type = STR("late")};
    context_send(context, NULL, &message);
    assert_int_equal(bench.sink.by_kind[MESSAGE_OTHER], 1);
    bench_done(&bench);
    context_send(context, NULL, &message);
    assert_int_equal(bench.sink.by_kind[MESSAGE_OTHER], 1);
    context_unref(context);
}

static void those_that_never_end_are_let_go(void **state)
{
    struct bench bench;
    struct mite_error error = {0};

    bench_init(&bench, 0);
    runner_add_host(bench.runner, &bench.journeys.host);
    bench.journeys.lasts_ns = UINT64_MAX;
    assert_int_equal(start(&bench, "shop:visit"), 0);
    assert_int_equal(start(&bench, "missing:visit"), 0); /* its end is deferred */
    runner_free(bench.runner);
    fake_end_all(&bench.journeys);
    FAKE_WAIT(bench.loop, bench.journeys.running == 0);
    assert_int_equal(loop_free(bench.loop, &error), 0);
    assert_int_equal(bench.completed, 0);
    assert_int_equal(bench.sink.by_kind[MESSAGE_TXN], 0);
    runner_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_journey_is_wrapped_in_its_root),
        cmocka_unit_test(outcomes_are_told_apart),
        cmocka_unit_test(a_spec_that_does_not_load_is_an_exception_a_start),
        cmocka_unit_test(preload_says_why),
        cmocka_unit_test(the_first_host_of_its_kind_is_asked),
        cmocka_unit_test(a_full_runner_hands_back),
        cmocka_unit_test(completed_may_start_the_next),
        cmocka_unit_test(idle_when_the_last_has_ended),
        cmocka_unit_test(asked_to_stop_contexts_know),
        cmocka_unit_test(those_that_never_end_are_let_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
