#include "sinks/console.h"

#include "base/clock.h"
#include "base/log.h"
#include "stats/mask.h"
#include "value/json.h"

#define SHOWN_PERCENTS 5
#define WINDOW_MIN_NS  (10 * NS_PER_MS) /* for its rate: the clock of totals is no finer */

void console_init(struct console *console, struct totals *totals, bool journey_logging, bool hide_constant_logs)
{
    *console = (struct console){
        .totals = totals, .journey_logging = journey_logging, .hide_constant_logs = hide_constant_logs};
}

static void print_total(const struct totals *totals, const struct progress *progress)
{
    log_line(LOG_INFO, "Total> #Reqs:%llu #Errs:%llu running:%lld started:%lld", (unsigned long long)totals->requests,
             (unsigned long long)totals->errors, (long long)progress->running, (long long)progress->started);
}

/* `requests`: those of the window that tell its rate. */
static void print_window(const struct totals *totals, const struct progress *progress, double requests)
{
    static const double percents[SHOWN_PERCENTS] = {25, 50, 75, 90, 99};
    const struct totals_window *window = &totals->window;
    uint64_t at[SHOWN_PERCENTS], length_ns = totals_window_ns(totals);
    hist_percentiles(&window->latency, percents, SHOWN_PERCENTS, at);
    log_line(LOG_INFO,
             "Last 2 Secs> #Reqs:%llu #Errs:%llu Req/S:%.1f min:%.6f 25%%:%.6f 50%%:%.6f 75%%:%.6f 90%%:%.6f 99%%:%.6f "
             "99.9%%:%.6f max:%.6f running:%lld started:%lld",
             (unsigned long long)window->requests, (unsigned long long)window->errors,
             requests / ns_to_s(length_ns > WINDOW_MIN_NS ? length_ns : WINDOW_MIN_NS),
             ns_to_s(hist_min(&window->latency)), ns_to_s(at[0]), ns_to_s(at[1]), ns_to_s(at[2]), ns_to_s(at[3]),
             ns_to_s(at[4]), ns_to_s(hist_percentile(&window->latency, 99.9)), ns_to_s(window->latency.max_ns),
             (long long)progress->running, (long long)progress->started);
}

static void print_journeys(const struct totals *totals)
{
    for (size_t i = 0; i < groups_count(&totals->journey_groups); i++) {
        const struct journey_group *journey = groups_at(&totals->journey_groups, i);
        if (journey->errors > 0) {
            struct str name = group_name(&journey->key, 0);
            log_line(LOG_INFO, "Journey> " STR_FMT " #Journeys:%llu #Errs:%llu", STR_ARG(name),
                     (unsigned long long)journey->ended, (unsigned long long)journey->errors);
        }
    }
}

static void print(struct console *console, const struct progress *progress, double requests)
{
    struct totals *totals = console->totals;
    if (!console->hide_constant_logs) {
        print_total(totals, progress);
        print_window(totals, progress, requests);
        if (console->journey_logging) {
            print_journeys(totals);
        }
    }
    totals_next_window(totals);
}

void console_print(struct console *console, const struct progress *progress)
{
    print(console, progress, (double)console->totals->window.requests);
}

void console_finish(struct console *console, const struct progress *progress)
{
    const struct totals_window *window = &console->totals->window;
    if (window->requests > 0 || window->errors > 0) {
        print(console, progress, (double)window->requests - progress->early);
    }
}

/* The stack trace of any message: in its struct for an exception, else among its fields. */
static struct str stacktrace_of(const struct message *message)
{
    if (message->kind == MESSAGE_EXCEPTION || message->kind == MESSAGE_ERROR) {
        if (message->failure.stacktrace.p) {
            return message->failure.stacktrace;
        }
    }
    for (size_t i = 0; i < message->field_count; i++) {
        if (str_is(message->fields[i].key, "stacktrace")) {
            return value_str(&message->fields[i].value);
        }
    }
    return STR_NONE;
}

static struct str without_newlines(struct str text)
{
    while (text.n > 0 && text.p[text.n - 1] == '\n') {
        text.n--;
    }
    return text;
}

/* What tells an error from others of another kind: in the summary the same three do. */
static void append_kind(struct buf *out, const struct message *message)
{
    struct str label = message_transaction_label(message->transaction);
    bool known = message->kind == MESSAGE_EXCEPTION || message->kind == MESSAGE_ERROR;
    struct str type = known && message->failure.ex_type.p ? message->failure.ex_type : message->type;
    buf_str(out, type);
    if (known && message->failure.location.n > 0) {
        buf_printf(out, " at " STR_FMT, STR_ARG(message->failure.location));
    }
    if (label.n > 0) {
        buf_printf(out, " in \"" STR_FMT "\"", STR_ARG(label));
    }
}

/* The kind, the message, the trace: a person reads the first line and knows whether to read on. */
static void log_trace(const struct message *message, struct str trace)
{
    struct buf kind, plain, masked;
    buf_init(&kind, 0);
    buf_init(&plain, 0);
    buf_init(&masked, 0);
    append_kind(&kind, message);
    buf_str(&plain, buf_view(&kind));
    if (message->kind == MESSAGE_EXCEPTION || message->kind == MESSAGE_ERROR) {
        struct str text = without_newlines(message->failure.message);
        buf_printf(&plain, ": " STR_FMT, STR_ARG(text));
    }
    buf_printf(&plain, "\n" STR_FMT, STR_ARG(without_newlines(trace)));
    mask_secrets(&masked, buf_view(&plain));
    if (!kind.failed && !masked.failed) {
        log_once(LOG_WARNING, kind.data, "%s", masked.data);
    }
    buf_done(&kind);
    buf_done(&plain);
    buf_done(&masked);
}

static void log_whole(const struct message *message)
{
    struct arena arena;
    struct buf json, masked;
    struct value map;
    arena_init(&arena, 0);
    buf_init(&json, 0);
    buf_init(&masked, 0);
    if (message_to_value(&arena, message, &map) == 0) {
        json_write(&json, &map);
        mask_secrets(&masked, buf_view(&json));
        log_line(LOG_DEBUG, "%s", buf_view(&masked).p);
    }
    buf_done(&masked);
    buf_done(&json);
    arena_done(&arena);
}

static void message_log_message(struct sink *sink, const struct message *message)
{
    struct str trace = stacktrace_of(message);
    if (trace.n > 0 && log_enabled(LOG_WARNING)) {
        log_trace(message, trace);
    }
    if (log_enabled(LOG_DEBUG)) {
        log_whole(message);
    }
}

struct sink *message_log(void)
{
    static const struct sink_ops all = {.name = "message log", .message = message_log_message};
    static const struct sink_ops failures = {
        .name = "message log", .message = message_log_message, .skips = SINK_SKIPS_FIGURES};
    static struct sink sink;
    sink.ops = log_enabled(LOG_DEBUG) ? &all : &failures;
    return &sink;
}

static void debug_message(struct sink *sink, const struct message *message)
{
    if (message->kind == MESSAGE_DEBUG_CONSOLE) {
        log_line(LOG_INFO, STR_FMT, STR_ARG(message->text.text));
    }
}

struct sink *debug_message_log(void)
{
    static const struct sink_ops ops = {
        .name = "debug messages", .message = debug_message, .skips = SINK_SKIPS_FIGURES};
    static struct sink sink = {&ops};
    return &sink;
}
