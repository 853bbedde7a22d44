/* `mite collector`: every event of a socket to files. */
#include "cli/intake.h"
#include "python/api.h"

#include "base/clock.h"
#include "base/log.h"
#include "cli/exit.h"
#include "sinks/collector.h"

#include <signal.h>

#define FLUSH_NS NS_PER_S /* what a killed collector may lose */

struct state {
    struct component component;
    struct collector *collector;
    struct intake *intake;
    struct timer flush;
    bool flush_made;
    bool said_stopped;
};

static void on_message(void *arg, struct str bytes)
{
    struct state *state = arg;

    collector_raw(state->collector, bytes);
}

/* It goes on reading, so that others are not held up, and counts. */
static void say_if_stopped(struct state *state)
{
    const char *why = collector_stopped(state->collector);

    if (why && !state->said_stopped) {
        state->said_stopped = true;
        log_line(LOG_ERROR, "collector: writes no more to %s: %s", collector_dir(state->collector), why);
    }
}

static void on_flush(struct timer *timer)
{
    struct state *state = (struct state *)((char *)timer - offsetof(struct state, flush));

    collector_flush(state->collector);
    say_if_stopped(state);
}

static int open_collector(struct state *state, const struct options *options, struct mite_error *error)
{
    struct collector_options made = {
        .dir = options->collector_dir,
        .roll_after = (uint64_t)options->collector_roll,
        .json = options->collector_use_json,
        .max_bytes = options->collector_most_bytes > 0 ? (uint64_t)options->collector_most_bytes : UINT64_MAX,
    };
    int rc = 0;

    if (options->collector_filter) {
        rc = state->component.python->load_filter(options->collector_filter, &made.filter, &made.filter_arg, error);
    }
    return rc == 0 ? collector_new(&made, &state->collector, error) : rc;
}

static int open_all(struct state *state, const struct options *options, struct mite_error *error)
{
    const struct intake_options intake = {
        .option = "--collector-socket",
        .address = options->collector_socket,
        .message = on_message,
        .arg = state,
    };
    int rc = options->collector_filter ? component_python(&state->component, options, error) : 0;

    if (rc == 0) {
        rc = component_open(&state->component, "collector", options, 1, error);
    }
    if (rc == 0) {
        rc = open_collector(state, options, error);
    }
    return rc == 0 ? intake_open(&state->component, &intake, &state->intake, error) : rc;
}

static void say_goodbye(struct state *state)
{
    struct collector_counts counts;

    say_if_stopped(state);
    collector_count(state->collector, &counts);
    counts.left_out += intake_left_out(state->intake);
    component_say(&state->component, "%llu messages written, %llu filtered, %llu left out",
                  (unsigned long long)counts.written, (unsigned long long)counts.filtered,
                  (unsigned long long)counts.left_out);
}

static int run(struct state *state, struct mite_error *error)
{
    signal(SIGXFSZ, SIG_IGN); /* a file too large is a failed write, which the collector tells */
    timer_init(&state->flush, state->component.loop, on_flush);
    state->flush_made = true;
    timer_start(&state->flush, FLUSH_NS, FLUSH_NS);
    component_say(&state->component, "%s -> %s", intake_address(state->intake), collector_dir(state->collector));
    int rc = component_run(&state->component, intake_end, state->intake, error);
    collector_close(state->collector);
    say_goodbye(state);
    return rc;
}

int cmd_collector(const struct options *options)
{
    struct mite_error error = {0};
    struct state state = {.component = {.name = "collector"}};
    int code = open_all(&state, options, &error);

    if (code == 0) {
        code = run(&state, &error);
    }
    intake_close(state.intake);
    if (state.flush_made) {
        timer_close(&state.flush, NULL);
    }
    bool stopped = state.collector && collector_stopped(state.collector);
    if (state.collector) {
        sink_free(collector_sink(state.collector));
    }
    int status = component_close(&state.component, code, &error);
    return status == EXIT_GOOD && stopped ? EXIT_BROKE : status;
}
