#include "cli/run_fleet.h"

#include "base/clock.h"
#include "base/log.h"
#include "bus/sender.h"
#include "cli/run_workers.h"
#include "sinks/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FLUSH_NS NS_PER_S /* for our own last events */

bool run_has_fleet(const struct run *run)
{
    return run->kind == RUN_CONTROLLER || run->worker_count > 0;
}

/* ---- making ---- */

static int open_bus(struct run *run, struct mite_error *error)
{
    const struct options *options = run->options;
    struct bus_options bus = {.backend = BUS_ZMQ};
    int rc = 0;

    if (run->kind == RUN_CONTROLLER) { /* sockets of workers are in a directory that nobody else can enter */
        bus.curve = (struct curve_options){options->curve_key, options->curve_server_key, options->curve_allow};
        rc = bus_backend_parse(options->message_backend, &bus.backend, error);
    }

    return rc == 0 ? bus_open(run->loop, &bus, &run->bus, error) : rc;
}

static int make_sender(struct run *run, struct mite_error *error)
{
    const struct options *options = run->options;
    int rc = sender_new(run->bus, options->message_socket, false, (uint64_t)options->send_buffer, &run->sender, error);

    if (rc < 0) {
        return error_prefix(error, "--message-socket");
    }
    return fanout_add(&run->fanout, sender_sink(run->sender));
}

/* A port that is open to others and has no keys is worth a line. */
static void tell_address(const struct run *run)
{
    const char *address = fleet_address(run->fleet);

    log_line(LOG_INFO, "waiting for runners at %s", address);
    if (bus_address_open(address) && !run->options->curve_key) {
        log_line(LOG_WARNING, "%s is open to anyone who can reach it: mite keygen makes keys that close it", address);
    } else if (bus_address_open(address) && !run->options->curve_allow) {
        log_line(LOG_WARNING, "%s is open to anyone who has its public key: --curve-allow=DIR names who may connect",
                 address);
    }
}

int run_fleet_make(struct run *run, const struct controller_options *limits, const struct controller_hooks *hooks,
                   struct mite_error *error)
{
    const struct options *options = run->options;
    struct fleet_options fleet = {
        .scheduling = *limits,
        .runner_timeout_s = options->runner_timeout_s,
        .report_interval_s = options->report_interval_s,
        .max_runners = (size_t)options->max_runners,
        .state_file = run->kind == RUN_CONTROLLER ? options->state_file : NULL,
        .quiet = run->worker_count > 0,
        .config = &run->config,
    };
    int rc = open_bus(run, error);

    if (rc == 0) {
        rc = run->worker_count > 0 ? run_workers_open(run, run->worker_count, error) : make_sender(run, error);
    }
    if (rc == 0) {
        rc = fleet_new(run->loop, run->bus, &run->scenario, &fleet, &run->totals, &run->fanout.sink, hooks, &run->fleet,
                       error);
    }
    if (rc == 0 && run->workers) {
        return fleet_bind(run->fleet, run_workers_controller_socket(run->workers), error);
    }
    if (rc == 0 && (rc = fleet_bind(run->fleet, options->controller_socket, error)) < 0) {
        return error_prefix(error, "--controller-socket");
    }
    return rc;
}

/* ---- running ---- */

int run_fleet_start(struct run *run, struct mite_error *error)
{
    if (run->workers) {
        return run_workers_start(run, error);
    }
    tell_address(run);
    return 0;
}

const char *run_fleet_note(const struct run *run)
{
    struct fleet_counts counts;

    fleet_count(run->fleet, &counts);
    return counts.runners > 0              ? NULL
           : counts.journeys.clock_started ? "no runner is left: waiting for one"
                                           : "waiting for a runner";
}

static void on_flushed(void *arg)
{
    loop_stop(((struct run *)arg)->loop);
}

bool run_fleet_flushed(struct run *run)
{
    struct sender_counts counts;

    if (run->workers) {
        run_workers_finish(run);
        return false;
    }
    if (!run->sender) {
        return true;
    }
    sender_count(run->sender, &counts);
    if (counts.queued == 0 || counts.sent == 0) { /* nobody has ever taken any */
        return true;
    }
    timer_start(&run->grace, FLUSH_NS, 0);
    sender_when_flushed(run->sender, on_flushed, run);
    return false;
}

/* ---- the end ---- */

static void add_dropped(void *arg, struct str type, uint64_t count)
{
    struct buf *text = arg;

    buf_printf(text, "%s%" PRIu64 " " STR_FMT, text->size ? ", " : "", count, STR_ARG(type));
}

void run_fleet_count(struct run *run)
{
    fleet_count(run->fleet, &run->fleet_counts);
    run->http_counts.aborted = run->fleet_counts.aborted;
    buf_init(&run->dropped, 4096);
    fleet_each_dropped(run->fleet, add_dropped, &run->dropped);
}

void run_fleet_end(struct run *run)
{
    struct sender_counts sent = {0};

    if (run->fleet) {
        run_fleet_count(run);
    }
    run_workers_end(run);
    fleet_free(run->fleet);
    run->fleet = NULL;
    if (run->sender) {
        sender_count(run->sender, &sent);
        sink_free(sender_sink(run->sender));
        run->sender = NULL;
    }
    if (run->bus && sent.queued > 0) {
        bus_abandon(run->bus); /* nobody takes our events: they are not waited for */
    }
}

void run_fleet_close(struct run *run)
{
    bus_close(run->bus);
    run->bus = NULL;
    run_workers_close(run);
}

static void add_count(const char *what, uint64_t count, void (*add)(void *arg, const char *line), void *arg)
{
    char line[200];

    if (count > 0) {
        snprintf(line, sizeof line, "%s: %" PRIu64, what, count);
        add(arg, line);
    }
}

void run_fleet_notes(const struct run *run, void (*add)(void *arg, const char *line), void *arg)
{
    const struct fleet_counts *counts = &run->fleet_counts;
    char line[300];

    if (run->kind == RUN_CONTROLLER && counts->runners_seen == 0) {
        add(arg, "no runner came: mite runner --controller-socket=ADDRESS makes one, on any machine");
    }
    if (counts->runners_lost > 0) {
        snprintf(
            line, sizeof line,
            "runners lost, of %zu: %zu; others did their work, what they counted after their last reports is missing",
            counts->runners_seen, counts->runners_lost);
        add(arg, line);
    }
    add_count("of those, not heard of since the controller was started again: nothing that they counted is here",
              counts->runners_unheard, add, arg);
    if (counts->runners_back > 0) {
        snprintf(line, sizeof line, "runners lost for a while, of %zu: %zu; others did their work until they were back",
                 counts->runners_seen, counts->runners_back);
        add(arg, line);
    }
    add_count("runners that report no statistics (theirs are with stats and the collector)", counts->runners_plain, add,
              arg);
    add_count("datapool items lost with runners", counts->items_lost, add, arg);
    if (run->dropped.size > 0) {
        snprintf(line, sizeof line, "events that runners had to drop (the figures here are exact): %.200s",
                 run->dropped.data);
        add(arg, line);
    }
    add_count("messages to the controller that made no sense", counts->bad_messages, add, arg);
}
