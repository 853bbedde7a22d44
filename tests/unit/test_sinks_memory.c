/* What counts and what writes, when memory runs out: at every allocation in turn. */
#include "failmalloc.h"
#include "scratch.h"
#include "stats_messages.h"

#include "sinks/collector.h"
#include "sinks/console.h"
#include "sinks/live.h"
#include "sinks/recorder.h"
#include "sinks/report.h"
#include "sinks/summary.h"

static struct scratch scratch;

static int set_up(void **state)
{
    scratch_make(&scratch);
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(&scratch);
    return 0;
}

/* Runs `attempt` once for each allocation it makes, which fails, and a last time when none does. */
static void starve(void (*attempt)(void))
{
    bool failed = true;
    for (long n = 0; failed; n++) {
        failmalloc_start(n);
        attempt();
        failed = failmalloc_stop();
    }
}

static void make_totals(void)
{
    struct totals totals;
    int code = totals_init(&totals);
    assert_int_equal(code, failmalloc_hit ? MITE_ENOMEM : 0);
    if (code == 0) {
        totals_done(&totals);
    }
}

static void make_collector(void)
{
    struct collector_options options = {.dir = scratch.dir, .id = "a", .min_free_bytes = 1};
    struct collector *collector;
    struct mite_error error = {0};
    int code = collector_new(&options, &collector, &error);
    assert_int_equal(code, failmalloc_hit ? MITE_ENOMEM : 0);
    if (code == 0) {
        sink_free(collector_sink(collector));
    } else {
        assert_string_equal(error.text, "out of memory");
    }
    error_done(&error);
}

static void make_recorder(void)
{
    struct recorder *recorder;
    int code = recorder_new(scratch.dir, &recorder, NULL);
    assert_int_equal(code, failmalloc_hit ? MITE_ENOMEM : 0);
    if (code == 0) {
        sink_free(recorder_sink(recorder));
    }
}

static void make_live(void)
{
    struct totals totals = {0};
    struct live_options options = {.fd = STDERR_FILENO, .title = "a"};
    struct live *live;
    int code = live_new(&totals, &options, &live, NULL);
    assert_int_equal(code, failmalloc_hit ? MITE_ENOMEM : 0);
    if (code == 0) {
        live_free(live);
    }
}

static void parse_thresholds(void)
{
    struct thresholds thresholds = {0};
    int code = thresholds_parse_percentiles(&thresholds, "50:1", NULL);
    assert_int_equal(code, failmalloc_hit ? MITE_ENOMEM : 0);
}

static void send_some(struct sink *sink)
{
    send_request(sink, "__root__ :: pay", "GET", 200, 0.001);
    send_request(sink, "__root__ :: pay", "POST", 500, 1);
    send_txn(sink, "__root__ :: pay", true, 1000);
    send_txn(sink, "__root__", true, 1000);
    send_failure(sink, MESSAGE_EXCEPTION, "ValueError", "a.py:1:f", "no http://a:b@c/");
}

/* Every message is counted, whatever there is no room to tell about it. */
static void count(void)
{
    struct totals totals;
    struct buf text;
    buf_init(&text, 0);
    if (totals_init(&totals) != 0) {
        return;
    }
    send_some(&totals.sink);
    assert_int_equal(totals.requests, 2);
    assert_int_equal(totals.errors, 1);
    assert_int_equal(totals.journeys, 1);
    assert_int_equal(totals.latency.max_ns, 1000000000);
    struct summary summary = {.totals = &totals, .thresholds = &(struct thresholds){0}, .title = "a"};
    summary_write(&text, &summary);
    report_write(&text, &totals, summary.thresholds, true);
    buf_done(&text);
    totals_done(&totals);
}

/* A record is in the file, or counted as left out. */
static void collect(void)
{
    struct collector_options options = {.dir = scratch.dir, .min_free_bytes = 1, .json = true};
    struct collector *collector;
    struct collector_counts counts;
    if (collector_new(&options, &collector, NULL) != 0) {
        return;
    }
    send_some(collector_sink(collector));
    collector_raw(collector, STR("\x80"));
    collector_close(collector);
    collector_count(collector, &counts);
    assert_int_equal(counts.written + counts.left_out, 6);
    assert_true(counts.left_out == 0 || failmalloc_hit);
    sink_free(collector_sink(collector));
}

static void record(void)
{
    struct recorder *recorder;
    struct recorder_counts counts;
    struct message message = make_message(MESSAGE_DATA_CREATED, NULL);
    if (recorder_new(scratch.dir, &recorder, NULL) != 0) {
        return;
    }
    message.data = (struct message_data){STR("users"), value_int(1)};
    sink_message(recorder_sink(recorder), &message);
    recorder_count(recorder, &counts);
    assert_int_equal(counts.written, !failmalloc_hit);
    assert_int_equal(counts.failed, failmalloc_hit);
    message.data.name = STR("../x");
    sink_message(recorder_sink(recorder), &message);
    recorder_count(recorder, &counts);
    assert_int_equal(counts.refused, 1);
    sink_free(recorder_sink(recorder));
}

#define STARVES(name)                                                                                                  \
    static void test_##name(void **state)                                                                              \
    {                                                                                                                  \
        starve(name);                                                                                                  \
    }
STARVES(make_totals)
STARVES(make_collector)
STARVES(make_recorder)
STARVES(make_live)
STARVES(parse_thresholds)
STARVES(count)
STARVES(collect)
STARVES(record)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_make_totals),      cmocka_unit_test(test_make_collector),
        cmocka_unit_test(test_make_recorder),    cmocka_unit_test(test_make_live),
        cmocka_unit_test(test_parse_thresholds), cmocka_unit_test(test_count),
        cmocka_unit_test(test_collect),          cmocka_unit_test(test_record),
    };
    return cmocka_run_group_tests_name("sinks_memory", tests, set_up, tear_down);
}
