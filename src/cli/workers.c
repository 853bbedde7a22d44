#include "cli/workers.h"

#include "base/buf.h"
#include "base/clock.h"
#include "cli/command_line.h"
#include "cli/complain.h"
#include "cli/exit.h"
#include "cli/restarts.h"
#include "engine/signals.h"
#include "engine/timer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKERS_MAX 1024
#define KILL_NS     (2 * NS_PER_S) /* behind --graceful-stop */

struct workers {
    const char *name;
    const struct options *options;
    struct loop *loop;
    struct children *children;
    struct restarts restarts;
    struct timer deadline;
    char **argv;
    size_t count;
    bool stopping;
    int status;
};

int workers_parse(const char *text, size_t *out, struct mite_error *error)
{
    long long count;

    if (strcmp(text, "auto") == 0) {
        *out = uv_available_parallelism();
        return 0;
    }
    if (!str_to_int64(text, &count) || count < 1 || count > WORKERS_MAX) {
        return error_set(error, MITE_EINVAL, "--workers=%s: a number from 1 to %d, or auto, is expected", text,
                         WORKERS_MAX);
    }
    *out = (size_t)count;
    return 0;
}

/* ---- the command line ---- */

static int read_command_line(struct buf *out)
{
    char chunk[4096];
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;

    while (fd >= 0 && ((n = read(fd, chunk, sizeof chunk)) > 0 || (n < 0 && errno == EINTR))) {
        buf_append(out, chunk, n > 0 ? (size_t)n : 0);
    }
    if (fd >= 0) {
        close(fd);
    }
    return n == 0 && !out->failed ? 0 : -1;
}

char **workers_command_line(const char *more)
{
    struct command_line line;

    command_line_init(&line);
    if (read_command_line(&line.words) < 0) {
        buf_done(&line.words);
        return NULL;
    }
    command_line_add(&line, more);
    return command_line_take(&line);
}

/* ---- starting ---- */

/* The one that applies first. */
static int worse(int a, int b)
{
    static const int order[] = {EXIT_USAGE, EXIT_BROKE, EXIT_SIGNALLED, EXIT_FAILED};

    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        if (a == order[i] || b == order[i]) {
            return order[i];
        }
    }
    return EXIT_GOOD;
}

static int start(struct workers *workers, size_t slot, struct mite_error *error)
{
    restarts_started(&workers->restarts, slot);
    return children_start(workers->children, slot, workers->argv, NULL, error);
}

static void end_when_done(struct workers *workers)
{
    if (children_running(workers->children) == 0 && !restarts_waiting(&workers->restarts)) {
        loop_stop(workers->loop);
    }
}

static void on_restart(void *arg, size_t slot)
{
    struct workers *workers = arg;
    struct mite_error error = {0};

    if (start(workers, slot, &error) < 0) {
        complain(workers->name, &error);
        error_done(&error);
        workers->status = worse(workers->status, EXIT_BROKE);
        end_when_done(workers);
    }
}

/* ---- ending ---- */

bool workers_crashed(const struct child_end *end)
{
    return end->signal || (end->status != EXIT_GOOD && end->status != EXIT_FAILED && end->status != EXIT_USAGE &&
                           end->status != EXIT_SIGNALLED);
}

void workers_describe(const struct child_end *end, char out[WORKERS_END_SIZE])
{
    if (end->signal) {
        snprintf(out, WORKERS_END_SIZE, "(process %d) was ended by signal %d (%s)", (int)end->pid, end->signal,
                 strsignal(end->signal));
    } else {
        snprintf(out, WORKERS_END_SIZE, "(process %d) ended with status %d", (int)end->pid, end->status);
    }
}

static void on_ended(void *arg, const struct child_end *end)
{
    struct workers *workers = arg;
    bool crashed = workers_crashed(end);
    uint64_t pause_ns = crashed && !workers->stopping ? restarts_plan(&workers->restarts, end->slot) : 0;
    char how[WORKERS_END_SIZE];

    workers_describe(end, how);
    if (pause_ns > 0) {
        fprintf(stderr, "%s: worker %zu %s: another one starts in %g s\n", workers->name, end->slot + 1, how,
                ns_to_s(pause_ns));
        return;
    }
    if (crashed) {
        fprintf(stderr, "%s: worker %zu %s\n", workers->name, end->slot + 1, how);
    }
    workers->status = worse(workers->status, crashed ? EXIT_BROKE : end->status);
    end_when_done(workers);
}

static void on_deadline(struct timer *timer)
{
    struct workers *workers = (struct workers *)((char *)timer - offsetof(struct workers, deadline));

    children_signal(workers->children, SIGKILL);
}

static void on_signal(void *arg, int number, int count)
{
    struct workers *workers = arg;

    if (count == 1) {
        workers->stopping = true;
        restarts_forget(&workers->restarts);
        timer_start(&workers->deadline, ns_from_s(workers->options->component_stop_s) + KILL_NS, 0);
    }
    children_signal(workers->children, number);
    end_when_done(workers);
}

/* ---- all of it ---- */

static int run(struct workers *workers, struct mite_error *error)
{
    int rc = children_new(workers->loop, workers->count, on_ended, workers, &workers->children, error);

    timer_init(&workers->deadline, workers->loop, on_deadline);
    if (rc == 0 && (rc = restarts_init(&workers->restarts, workers->loop, workers->count, on_restart, workers)) < 0) {
        error_set(error, rc, "no memory for %zu workers", workers->count);
    }
    if (rc == 0) {
        rc = signals_start(workers->loop, on_signal, workers, error);
    }
    for (size_t i = 0; rc == 0 && i < workers->count; i++) {
        rc = start(workers, i, error);
    }
    if (rc == 0) {
        fprintf(stderr, "%s: %zu workers\n", workers->name, workers->count);
        rc = loop_run(workers->loop, error);
    }
    signals_stop();
    children_free(workers->children);
    restarts_close(&workers->restarts);
    timer_close(&workers->deadline, NULL);
    return rc;
}

int workers_run(const char *name, const struct options *options, size_t count)
{
    struct mite_error error = {0};
    struct workers *workers = calloc(1, sizeof *workers);
    char **argv = workers_command_line("--workers=1");
    int rc = MITE_ENOMEM, status = EXIT_BROKE;

    if (!workers || !argv) {
        error_set(&error, rc, "no memory for %zu workers", count);
    } else {
        workers->name = name;
        workers->options = options;
        workers->argv = argv;
        workers->count = count;
        rc = loop_new(&workers->loop, &error);
    }
    if (rc == 0) {
        rc = run(workers, &error);
        loop_free(workers->loop, NULL);
        status = workers->status;
    }
    if (rc < 0) {
        complain(name, &error);
        status = EXIT_BROKE;
    }
    error_done(&error);
    free(argv);
    free(workers);
    return status;
}
