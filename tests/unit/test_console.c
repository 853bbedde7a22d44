/* What a run prints on stderr: the two-second lines and the message log. */
#include "scratch.h"
#include "stats_messages.h"

#include "base/clock.h"
#include "base/log.h"
#include "sinks/console.h"

#include <fcntl.h>

static uint64_t fake_now;

static uint64_t fake_clock(void)
{
    return fake_now;
}

struct fixture {
    struct totals totals;
    struct console console;
    struct progress progress;
    int stderr_was;
    FILE *file; /* stands in for stderr */
    struct buf lines;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_int_equal(totals_init(&f->totals), 0);
    f->totals.clock = fake_clock;
    totals_start(&f->totals);
    f->progress = (struct progress){.running = 5, .started = 42};
    buf_init(&f->lines, 0);
    f->file = tmpfile();
    f->stderr_was = dup(STDERR_FILENO);
    dup2(fileno(f->file), STDERR_FILENO);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    dup2(f->stderr_was, STDERR_FILENO);
    close(f->stderr_was);
    fclose(f->file);
    log_set_level(LOG_INFO);
    totals_done(&f->totals);
    buf_done(&f->lines);
    free(f);
    return 0;
}

/* The lines so far, without the time in front of each. */
static const char *lines(struct fixture *f)
{
    char line[4096];
    buf_clear(&f->lines);
    rewind(f->file);
    while (fgets(line, sizeof line, f->file)) {
        bool timed = line[0] >= '0' && line[0] <= '9' && strlen(line) > 24;
        buf_text(&f->lines, timed ? line + 24 : line);
    }
    return buf_view(&f->lines).p;
}

static void test_two_second_lines(void **state)
{
    struct fixture *f = *state;
    console_init(&f->console, &f->totals, false, false);
    for (int i = 1; i <= 100; i++) {
        send_request(&f->totals.sink, NULL, "GET", 200, i / 1000.0);
    }
    send_failure(&f->totals.sink, MESSAGE_ERROR, "MiteError", "a.py:1:f", "x");
    fake_now += 2 * NS_PER_S;
    console_print(&f->console, &f->progress);
    fake_now += 2 * NS_PER_S;
    console_print(&f->console, &f->progress);
    assert_string_equal(lines(f),
                        "INFO Total> #Reqs:100 #Errs:1 running:5 started:42\n"
                        "INFO Last 2 Secs> #Reqs:100 #Errs:1 Req/S:50.0 min:0.001000 25%:0.024994 50%:0.049988 "
                        "75%:0.075006 90%:0.090014 99%:0.098992 99.9%:0.100000 max:0.100000 running:5 started:42\n"
                        "INFO Total> #Reqs:100 #Errs:1 running:5 started:42\n"
                        "INFO Last 2 Secs> #Reqs:0 #Errs:0 Req/S:0.0 min:0.000000 25%:0.000000 50%:0.000000 "
                        "75%:0.000000 90%:0.000000 99%:0.000000 99.9%:0.000000 max:0.000000 running:5 started:42\n");
}

static void test_last_window_is_shown(void **state)
{
    struct fixture *f = *state;
    console_init(&f->console, &f->totals, false, false);
    console_finish(&f->console, &f->progress);
    assert_string_equal(lines(f), "");
    send_request(&f->totals.sink, NULL, "GET", 200, 0.25);
    fake_now += NS_PER_S / 2;
    console_finish(&f->console, &f->progress);
    assert_non_null(strstr(lines(f), "Last 2 Secs> #Reqs:1 #Errs:0 Req/S:2.0 min:0.250000 "));
}

/* Reports of a fleet come a little late: what was made before a window is none of its rate, but is in its count. */
static void test_rate_of_a_short_window(void **state)
{
    struct fixture *f = *state;
    console_init(&f->console, &f->totals, false, false);
    for (int i = 0; i < 25; i++) {
        send_request(&f->totals.sink, NULL, "GET", 200, 0.25);
    }
    f->progress.early = 20;
    fake_now += NS_PER_S / 20;
    console_finish(&f->console, &f->progress);
    assert_non_null(strstr(lines(f), "Last 2 Secs> #Reqs:25 #Errs:0 Req/S:100.0 min:0.250000 "));
}

static void test_journey_logging(void **state)
{
    struct fixture *f = *state;
    console_init(&f->console, &f->totals, true, false);
    send_txn(&f->totals.sink, "__root__", true, 1000);
    send_failure(&f->totals.sink, MESSAGE_ERROR, "MiteError", "a.py:1:f", "x");
    console_print(&f->console, &f->progress);
    assert_non_null(strstr(lines(f), "\nINFO Journey> shop:buy #Journeys:1 #Errs:1\n"));
}

static void test_hidden(void **state)
{
    struct fixture *f = *state;
    console_init(&f->console, &f->totals, true, true);
    send_request(&f->totals.sink, NULL, "GET", 200, 0.25);
    console_print(&f->console, &f->progress);
    assert_string_equal(lines(f), "");
    assert_int_equal(f->totals.window.requests, 0);
}

static void send_trace(const char *type, const char *trace)
{
    struct message message = make_message(MESSAGE_EXCEPTION, "__root__ :: pay");
    message.failure = (struct message_failure){.message = STR("OnceError: no"),
                                               .ex_type = str_of(type),
                                               .location = STR("a.py:3:f"),
                                               .stacktrace = str_of(trace)};
    sink_message(message_log(), &message);
}

static void test_a_kind_is_logged_once(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 1000; i++) {
        send_trace("OnceError", "  a.py:3 http://ann:secret@127.0.0.1/\n");
    }
    send_failure(message_log(), MESSAGE_ERROR, "MiteError", "a.py:1:f", "without a stack trace");
    assert_string_equal(lines(f), "WARNING OnceError at a.py:3:f in \"pay\": OnceError: no\n"
                                  "  a.py:3 http://***:***@127.0.0.1/\n");
    log_flush_repeats();
    assert_non_null(strstr(lines(f), "WARNING OnceError at a.py:3:f in \"pay\" (999 more like it)\n"));
}

static void test_everything_at_debug(void **state)
{
    struct fixture *f = *state;
    log_set_level(LOG_DEBUG);
    send_txn(message_log(), "__root__ :: pay", false, 0);
    assert_string_equal(lines(f),
                        "DEBUG {\"start_time\": 1700000000.0, \"end_time\": 1700000001.0, \"had_error\": false, "
                        "\"type\": \"txn\", \"time\": 1700000000.5, \"test\": \"shop:scenario\", \"runner_id\": 1, "
                        "\"journey\": \"shop:buy\", \"context_id\": 7, \"scenario_id\": 1, \"scenario_data_id\": null, "
                        "\"transaction\": \"__root__ :: pay\", \"transaction_id\": 1}\n");
}

static void test_debug_console_message(void **state)
{
    struct fixture *f = *state;
    struct message message = make_message(MESSAGE_DEBUG_CONSOLE, NULL);
    message.text.text = STR("hello");
    sink_message(debug_message_log(), &message);
    send_txn(debug_message_log(), "__root__", false, 0);
    assert_string_equal(lines(f), "INFO hello\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_two_second_lines),      TEST(test_last_window_is_shown),
        TEST(test_journey_logging),       TEST(test_hidden),
        TEST(test_a_kind_is_logged_once), TEST(test_everything_at_debug),
        TEST(test_debug_console_message), TEST(test_rate_of_a_short_window),
    };
    return cmocka_run_group_tests_name("console", tests, NULL, NULL);
}
