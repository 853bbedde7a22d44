/*
 * Design notes
 *
 * The parent does not run journeys, but has loaded them once, so that a wrong spec costs no load and C is compiled
 * before all workers need it at once.
 *
 * The end of the load is not the end of the events: workers send what they hold before they exit, so the parent waits
 * for their exits and then for silence on the socket.
 */
#include "cli/run_workers.h"

#include "base/clock.h"
#include "base/log.h"
#include "bus/peek.h"
#include "cli/command_line.h"
#include "cli/complain.h"
#include "cli/intake.h"
#include "cli/restarts.h"
#include "cli/socket_dir.h"
#include "cli/workers.h"
#include "engine/children.h"
#include "value/msgpack.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_NS   NS_PER_S                      /* for workers to end by themselves once the load is over */
#define KILL_NS   (5 * NS_PER_S)                /* and when they have been asked to */
#define ARENA_MAX (4 * (size_t)BUS_MESSAGE_MAX) /* of an event that was read */

struct run_workers {
    struct run *run;
    size_t count;
    struct socket_dir dir;
    struct component component; /* what intake.h needs: borrowed parts of the run */
    struct intake *intake;
    struct children *children;
    char **environment; /* owned, in one piece */
    struct restarts restarts;
    struct timer patience;
    bool patience_made, finishing, drained;
    bool asked;          /* to end, by a signal */
    struct fanout sinks; /* of events: those of the run, but for the totals */
    struct arena arena;
    char **argvs[]; /* owned, each in one piece; by slot */
};

int run_workers_wanted(const struct run *run, size_t *out, struct mite_error *error)
{
    const struct options *options = run->options;
    size_t count = 1;
    int rc = run->kind == RUN_SCENARIO || run->kind == RUN_JOURNEY ? workers_parse(options->workers, &count, error) : 0;

    if (rc == 0 && count > 1 && options->debugging) {
        rc = error_set(error, MITE_EINVAL, "--debugging needs the terminal for one process: leave --workers out");
    }
    if (rc == 0 && options->runner_max_journeys > 0 && (int64_t)count > options->runner_max_journeys) {
        count = (size_t)options->runner_max_journeys;
    }
    if (rc == 0) {
        *out = count > 1 ? count : 0;
    }
    return rc;
}

const char *run_workers_controller_socket(const struct run_workers *workers)
{
    return workers->dir.controller;
}

/* ---- events ---- */

/* Whether somebody besides the collector wants to know: requests and transactions, most of all, are counted already. */
static bool is_looked_at(const struct run *run, enum message_kind kind)
{
    switch (kind) {
    case MESSAGE_EXCEPTION:
    case MESSAGE_ERROR:
    case MESSAGE_DATA_CREATED:
    case MESSAGE_PURGE_DATA:
    case MESSAGE_DEBUG_CONSOLE:
        return true;
    default:
        return run->processors.count > 0 || log_enabled(LOG_DEBUG);
    }
}

/* Collectors keep the bytes as they are; everybody else wants messages. */
static void on_event(void *arg, struct str bytes)
{
    struct run_workers *workers = arg;
    struct run *run = workers->run;
    struct message message = {0};
    struct message_origin origin;
    struct value map;
    size_t used;

    if (run->collector) {
        collector_raw(run->collector, bytes);
    }
    if (!is_looked_at(run, message_kind_of(peek_type(bytes)))) {
        return;
    }
    arena_reset(&workers->arena);
    if (msgpack_read(&workers->arena, bytes, &used, &map, NULL) < 0) {
        return;
    }
    struct field *fields = arena_alloc(&workers->arena, map.count * sizeof *fields);
    if (fields && message_from_value(&workers->arena, &message, &origin, fields, &map, NULL) == 0) {
        sink_message(&workers->sinks.sink, &message);
    }
}

static void choose_sinks(struct run_workers *workers)
{
    struct run *run = workers->run;

    fanout_init(&workers->sinks);
    for (size_t i = 0; i < run->fanout.count; i++) {
        struct sink *sink = run->fanout.sinks[i];
        if (sink != &run->totals.sink && (!run->collector || sink != collector_sink(run->collector))) {
            fanout_add(&workers->sinks, sink);
        }
    }
}

/* What workers are to send: the figures come another way, and what journeys record or say to people comes always. */
static const char *events_wanted(const struct run *run)
{
    if (run->collector || run->processors.count > 0 || (run->processors.message_log && log_enabled(LOG_DEBUG))) {
        return "all";
    }
    return run->processors.message_log ? "errors" : "none";
}

/* ---- starting ---- */

static int start(struct run_workers *workers, size_t slot, struct mite_error *error)
{
    restarts_started(&workers->restarts, slot);
    return children_start(workers->children, slot, workers->argvs[slot], workers->environment, error);
}

/* Each has its part of --runner-max-journeys. */
static char **command_of(const struct run_workers *workers, size_t slot)
{
    const struct options *options = workers->run->options;
    int64_t most = options->runner_max_journeys, count = (int64_t)workers->count;
    struct command_line line;

    command_line_init(&line);
    command_line_program(&line);
    command_line_add(&line, "runner");
    command_line_printf(&line, "--controller-socket=%s", workers->dir.controller);
    command_line_printf(&line, "--message-socket=%s", workers->dir.events);
    command_line_printf(&line, "--events=%s", events_wanted(workers->run));
    command_line_add(&line, "--workers=1");
    command_line_printf(&line, "--runner-max-journeys=%lld",
                        (long long)(most > 0 ? most / count + ((int64_t)slot < most % count) : 0));
    command_line_options(&line, options, OPTIONS_COMMON | OPTIONS_HTTP | OPTIONS_COMPILE);
    command_line_option(&line, options, "exclude-working-directory");
    command_line_option(&line, options, "memory-tracing");
    command_line_option(&line, options, "fiber-stack");
    return command_line_take(&line);
}

/* Who ends now is not missed. */
static bool is_over(const struct run *run)
{
    return run->draining || run->finished;
}

static void stop_for_good(struct run_workers *workers, int status)
{
    struct run *run = workers->run;

    run->status = run->status ? run->status : status;
    run_cancel(run);
}

static void on_restart(void *arg, size_t slot)
{
    struct run_workers *workers = arg;
    struct mite_error error = {0};

    if (!is_over(workers->run) && start(workers, slot, &error) < 0) {
        complain("mite", &error);
        error_done(&error);
        stop_for_good(workers, EXIT_BROKE);
    }
}

/* ---- ending ---- */

static void on_drained(void *arg)
{
    struct run_workers *workers = arg;

    workers->drained = true;
    loop_stop(workers->run->loop);
}

static void finish_when_done(struct run_workers *workers)
{
    if (workers->finishing && !workers->drained && children_running(workers->children) == 0) {
        workers->finishing = false;
        timer_stop(&workers->patience);
        intake_stop(workers->intake, on_drained, workers);
    }
}

static void replace(struct run_workers *workers, size_t slot, const char *how)
{
    if (restarts_plan(&workers->restarts, slot) > 0) {
        log_line(LOG_ERROR, "worker %zu %s: another takes its place", slot + 1, how);
    } else {
        log_line(LOG_ERROR, "worker %zu %s again: it is given up after %d times", slot + 1, how, RESTARTS_TRIES);
    }
}

/* A crash is an exception among the figures, as in one process. Whose it was the worker has said. */
static void count_crash(struct run *run, size_t slot, const char *how)
{
    struct message_origin nobody = {.test = str_of(run->scenario.name), .runner_id = 1, .journey = STR("?")};
    char text[200];
    int n = snprintf(text, sizeof text, "worker %zu %s", slot + 1, how);
    struct message message = {
        .kind = MESSAGE_EXCEPTION,
        .type = message_type_of(MESSAGE_EXCEPTION),
        .time = clock_wall_s(),
        .origin = &nobody,
        .failure = {.message = {text, (size_t)n}, .ex_type = STR("Crash"), .location = STR("?"), .stacktrace = STR("")},
    };

    sink_message(&run->fanout.sink, &message);
}

/* Who was killed from outside is a lost runner; who crashed by itself breaks the run, although the others carry on. */
static void on_ended(void *arg, const struct child_end *end)
{
    struct run_workers *workers = arg;
    struct run *run = workers->run;
    bool killed = end->signal == SIGKILL || end->signal == SIGTERM, crashed = !killed && workers_crashed(end);
    char how[WORKERS_END_SIZE];

    workers_describe(end, how);
    if (crashed) {
        run->status = run->status ? run->status : EXIT_BROKE;
        count_crash(run, end->slot, how);
    }
    if (!run->finished) {
        fleet_died(run->fleet, end->pid);
    }
    if (!is_over(run) && (crashed || killed)) {
        replace(workers, end->slot, how);
    } else if (crashed || (!is_over(run) && end->status == EXIT_GOOD)) {
        log_line(LOG_ERROR, "worker %zu %s", end->slot + 1, how);
    }
    bool any_left = children_running(workers->children) > 0 || restarts_waiting(&workers->restarts);
    if (!is_over(run) && (end->status == EXIT_USAGE || !any_left)) {
        stop_for_good(workers, end->status == EXIT_USAGE ? EXIT_USAGE : EXIT_BROKE);
    }
    finish_when_done(workers);
}

static void on_patience_over(struct timer *timer)
{
    struct run_workers *workers = (struct run_workers *)((char *)timer - offsetof(struct run_workers, patience));

    if (!workers->asked) {
        workers->asked = true;
        children_signal(workers->children, SIGTERM);
        timer_start(&workers->patience, KILL_NS, 0);
        return;
    }
    log_line(LOG_WARNING, "workers that have not ended within %g s are killed", ns_to_s(EXIT_NS + KILL_NS));
    children_signal(workers->children, SIGKILL);
}

void run_workers_finish(struct run *run)
{
    struct run_workers *workers = run->workers;

    workers->finishing = true;
    timer_start(&workers->patience, EXIT_NS, 0);
    finish_when_done(workers);
}

/* ---- life ---- */

static int make_commands(struct run_workers *workers, struct mite_error *error)
{
    workers->environment = command_line_environment("MITE_WORKER=1");
    for (size_t i = 0; i < workers->count; i++) {
        workers->argvs[i] = command_of(workers, i);
        if (!workers->argvs[i] || !workers->environment) {
            return error_set(error, MITE_ENOMEM, "no memory for %zu workers", workers->count);
        }
    }
    return 0;
}

int run_workers_open(struct run *run, size_t count, struct mite_error *error)
{
    struct run_workers *workers = calloc(1, sizeof *workers + count * sizeof workers->argvs[0]);
    struct intake_options intake = {.option = "--workers", .binds = true, .message = on_event, .arg = workers};

    if (!workers) {
        return error_set(error, MITE_ENOMEM, "no memory for %zu workers", count);
    }
    run->workers = workers;
    workers->run = run;
    workers->count = count;
    workers->component =
        (struct component){.name = "workers", .options = run->options, .loop = run->loop, .bus = run->bus};
    arena_init(&workers->arena, ARENA_MAX);
    choose_sinks(workers);
    int rc = socket_dir_make(&workers->dir, error);
    if (rc == 0) {
        intake.address = workers->dir.events;
        rc = intake_open(&workers->component, &intake, &workers->intake, error);
    }
    if (rc == 0) {
        rc = make_commands(workers, error);
    }
    if (rc == 0) {
        rc = children_new(run->loop, count, on_ended, workers, &workers->children, error);
    }
    if (rc == 0 && (rc = restarts_init(&workers->restarts, run->loop, count, on_restart, workers)) < 0) {
        error_set(error, rc, "no memory for %zu workers", count);
    }
    if (rc == 0) {
        timer_init(&workers->patience, run->loop, on_patience_over);
        workers->patience_made = true;
    }
    return rc;
}

int run_workers_start(struct run *run, struct mite_error *error)
{
    int rc = 0;

    log_line(LOG_INFO, "%zu workers", run->workers->count);
    for (size_t i = 0; rc == 0 && i < run->workers->count; i++) {
        rc = start(run->workers, i, error);
    }
    return rc;
}

void run_workers_end(struct run *run)
{
    struct run_workers *workers = run->workers;

    if (!workers) {
        return;
    }
    children_free(workers->children);
    workers->children = NULL;
    intake_close(workers->intake);
    workers->intake = NULL;
    restarts_close(&workers->restarts);
    if (workers->patience_made) {
        timer_close(&workers->patience, NULL);
    }
}

void run_workers_remove_files(const struct run_workers *workers)
{
    socket_dir_remove(&workers->dir);
}

void run_workers_close(struct run *run)
{
    struct run_workers *workers = run->workers;

    if (!workers) {
        return;
    }
    socket_dir_remove(&workers->dir);
    socket_dir_done(&workers->dir);
    for (size_t i = 0; i < workers->count; i++) {
        free(workers->argvs[i]);
    }
    free(workers->environment);
    arena_done(&workers->arena);
    free(workers);
    run->workers = NULL;
}
