/* The final summary and the report against golden texts, narrow and wide. */
#include "scratch.h"
#include "stats_messages.h"

#include "base/clock.h"
#include "sinks/report.h"
#include "sinks/summary.h"

static uint64_t fake_now;

static uint64_t fake_clock(void)
{
    return fake_now;
}

struct fixture {
    struct totals totals;
    struct thresholds thresholds;
    struct summary summary;
    struct buf text, expected;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_int_equal(totals_init(&f->totals), 0);
    f->totals.clock = fake_clock;
    totals_start(&f->totals);
    assert_int_equal(thresholds_parse_percentiles(&f->thresholds, "50:100,90:0,99.9:20", NULL), 0);
    f->summary = (struct summary){.totals = &f->totals, .thresholds = &f->thresholds, .title = "shop:scenario"};
    buf_init(&f->text, 0);
    buf_init(&f->expected, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    totals_done(&f->totals);
    buf_done(&f->text);
    buf_done(&f->expected);
    free(f);
    return 0;
}

/* Ten seconds in which a shop was not well. */
static void run(struct fixture *f)
{
    struct sink *sink = &f->totals.sink;
    for (int i = 0; i < 1000; i++) {
        send_request(sink, "__root__ :: pay :: a step with a name that is rather long", i % 3 ? "GET" : "POST",
                     i % 50 ? 200 : 503, 0.0005 + i * 0.00003);
        send_txn(sink, "__root__ :: pay :: card", false, 1000000 + (uint64_t)i * 100000);
        send_txn(sink, "__root__ :: pay", i % 100 == 0, 2000000 + (uint64_t)i * 100000);
        send_txn(sink, "__root__", i % 100 == 0, 2500000 + (uint64_t)i * 100000);
        fake_now += NS_PER_S / 100;
    }
    send_request(sink, NULL, "GET", 200, 0.0015);
    for (int i = 0; i < 10; i++) {
        send_failure(sink, MESSAGE_EXCEPTION, "AcurlError", "/srv/tests/shop.py:20:buy",
                     "acurl.AcurlError: curl failed with code 7 could not connect to "
                     "http://ann:secret@127.0.0.1:8000/basket: Connection refused");
    }
    send_failure(sink, MESSAGE_ERROR, "MiteError", "/srv/tests/shop.py:31:buy", "mite.exceptions.MiteError: no stock");
    totals_stop(&f->totals);
}

static void assert_golden(struct fixture *f, const char *name)
{
    read_golden(&f->expected, name);
    assert_string_equal(buf_view(&f->text).p, buf_view(&f->expected).p);
}

static void test_narrow(void **state)
{
    static const char *const notes[] = {"3 journeys waited for the failure backoff"};
    struct fixture *f = *state;
    run(f);
    f->summary.aborted = 7;
    f->summary.notes = notes;
    f->summary.note_count = 1;
    assert_int_equal(summary_write(&f->text, &f->summary), 2);
    assert_golden(f, "summary.txt");
}

static void test_wide(void **state)
{
    struct fixture *f = *state;
    run(f);
    f->summary.width = 150;
    f->summary.thresholds = NULL;
    assert_int_equal(summary_write(&f->text, &f->summary), 0);
    assert_golden(f, "summary-wide.txt");
}

static void test_nothing_happened(void **state)
{
    struct fixture *f = *state;
    totals_stop(&f->totals);
    assert_int_equal(summary_write(&f->text, &f->summary), 0);
    assert_string_equal(buf_view(&f->text).p,
                        "\nshop:scenario\n\n0 requests, 0 errors, 0 journeys in 0.0 s, 0 bytes received\n");
}

static void test_last_line_is_plain(void **state)
{
    struct fixture *f = *state;
    run(f);
    summary_last_line(&f->text, &f->totals);
    assert_string_equal(buf_view(&f->text).p,
                        "1001 requests, 11 errors, 1000 journeys in 10.0 s, 100100 bytes received\n");
}

static void test_what_files_lost(void **state)
{
    struct fixture *f = *state;
    struct scratch scratch;
    struct collector *collector;
    struct recorder *recorder;
    scratch_make(&scratch);
    struct collector_options options = {.dir = scratch.dir, .max_bytes = 1, .min_free_bytes = 1};
    assert_int_equal(collector_new(&options, &collector, NULL), 0);
    assert_int_equal(recorder_new(scratch.dir, &recorder, NULL), 0);
    send_txn(collector_sink(collector), "__root__", false, 0);
    struct message message = make_message(MESSAGE_DATA_CREATED, NULL);
    message.data = (struct message_data){STR("../x"), value_int(1)};
    sink_message(recorder_sink(recorder), &message);
    f->summary.width = 200;
    f->summary.collector = collector;
    f->summary.recorder = recorder;
    summary_write(&f->text, &f->summary);
    assert_non_null(strstr(f->text.data, "1 message refused: the name \"../x\" leaves the directory\n"));
    assert_non_null(strstr(f->text.data, "1 message left out of "));
    assert_non_null(strstr(f->text.data, ": it reached its limit of 1 B\n"));
    sink_free(collector_sink(collector));
    sink_free(recorder_sink(recorder));
    scratch_remove(&scratch);
}

static void test_many_kinds_of_error(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 30; i++) {
        char type[32];
        snprintf(type, sizeof type, "Error%d", i);
        send_failure(&f->totals.sink, MESSAGE_ERROR, type, "a.py:1:f", "x");
    }
    summary_write(&f->text, &f->summary);
    assert_non_null(strstr(f->text.data, "  and 10 errors of 10 further kinds\n"));
}

static void test_report(void **state)
{
    struct fixture *f = *state;
    run(f);
    report_write(&f->text, &f->totals, &f->thresholds, false);
    assert_golden(f, "report.txt");
}

static void test_report_without_requests(void **state)
{
    struct fixture *f = *state;
    report_write(&f->text, &f->totals, &f->thresholds, false);
    assert_golden(f, "report-empty.txt");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_narrow),           TEST(test_wide),
        TEST(test_nothing_happened), TEST(test_last_line_is_plain),
        TEST(test_what_files_lost),  TEST(test_many_kinds_of_error),
        TEST(test_report),           TEST(test_report_without_requests),
    };
    return cmocka_run_group_tests_name("summary", tests, NULL, NULL);
}
