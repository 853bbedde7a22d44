/*
 * Design notes
 *
 * A worker that ended with what it may end with (0: the test is over; 1; 2: its options are wrong; 130) is not started
 * again. One that crashed, or that something killed, is, after a pause that doubles with each time; one that has run
 * well for a while begins anew. After the last try its slot is given up.
 *
 * One timer serves all pauses: it fires for the slot that is due first.
 */
#include "cli/workers.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/exit.h"
#include "engine/children.h"
#include "engine/signals.h"
#include "engine/timer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKERS_MAX    1024
#define COMMAND_MAX    ((size_t)4 << 20) /* bytes of a command line; the system allows less */
#define FIRST_PAUSE_NS NS_PER_S
#define TRIES          5
#define HEALTHY_NS     (60 * NS_PER_S) /* who ran so long has all tries again */
#define KILL_NS        (2 * NS_PER_S)  /* behind --graceful-stop */

struct worker_slot {
    uint64_t started_ns, due_ns; /* due 0: not waiting to be started again */
    unsigned crashes;
};

struct workers {
    const char *name;
    const struct options *options;
    struct loop *loop;
    struct children *children;
    struct timer pause, deadline;
    char **argv;
    size_t count;
    bool stopping;
    int status;
    struct worker_slot slots[WORKERS_MAX];
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
    struct buf words;
    char **argv = NULL;
    size_t count = 0, at = 0;

    buf_init(&words, COMMAND_MAX);
    if (read_command_line(&words) == 0 && buf_append(&words, more, strlen(more) + 1) == 0) {
        for (size_t i = 0; i < words.size; i++) {
            count += words.data[i] == '\0';
        }
        argv = malloc((count + 1) * sizeof *argv + words.size);
    }
    if (argv) {
        char *text = memcpy(argv + count + 1, words.data, words.size);
        for (size_t i = 0; i < count; i++) {
            argv[i] = text + at;
            at += strlen(argv[i]) + 1;
        }
        argv[count] = NULL;
    }
    buf_done(&words);
    return argv;
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
    workers->slots[slot].started_ns = clock_now_ns();
    workers->slots[slot].due_ns = 0;
    return children_start(workers->children, slot, workers->argv, NULL, error);
}

static bool is_waiting(const struct workers *workers)
{
    for (size_t i = 0; i < workers->count; i++) {
        if (workers->slots[i].due_ns > 0) {
            return true;
        }
    }
    return false;
}

static void end_when_done(struct workers *workers)
{
    if (children_running(workers->children) == 0 && !is_waiting(workers)) {
        loop_stop(workers->loop);
    }
}

static void set_pause(struct workers *workers)
{
    uint64_t first_ns = UINT64_MAX, now_ns = clock_now_ns();

    for (size_t i = 0; i < workers->count; i++) {
        uint64_t due_ns = workers->slots[i].due_ns;
        first_ns = due_ns > 0 && due_ns < first_ns ? due_ns : first_ns;
    }
    if (first_ns != UINT64_MAX) {
        timer_start(&workers->pause, first_ns > now_ns ? first_ns - now_ns : 0, 0);
    }
}

static void on_pause_over(struct timer *timer)
{
    struct workers *workers = (struct workers *)((char *)timer - offsetof(struct workers, pause));
    struct mite_error error = {0};
    uint64_t now_ns = clock_now_ns();

    for (size_t i = 0; i < workers->count; i++) {
        if (workers->slots[i].due_ns > 0 && workers->slots[i].due_ns <= now_ns && start(workers, i, &error) < 0) {
            fprintf(stderr, "%s: %s\n", workers->name, error.text);
            error_done(&error);
            workers->status = worse(workers->status, EXIT_BROKE);
        }
    }
    set_pause(workers);
    end_when_done(workers);
}

/* ---- ending ---- */

static void describe(const struct child_end *end, char *out, size_t size)
{
    if (end->signal) {
        snprintf(out, size, "was ended by signal %d (%s)", end->signal, strsignal(end->signal));
    } else {
        snprintf(out, size, "ended with status %d", end->status);
    }
}

static void on_ended(void *arg, const struct child_end *end)
{
    struct workers *workers = arg;
    struct worker_slot *slot = &workers->slots[end->slot];
    bool crashed = end->signal || end->status == EXIT_BROKE;
    uint64_t now_ns = clock_now_ns();
    char how[80];

    describe(end, how, sizeof how);
    slot->crashes = now_ns - slot->started_ns >= HEALTHY_NS ? 0 : slot->crashes;
    if (crashed && !workers->stopping && slot->crashes < TRIES) {
        uint64_t pause_ns = FIRST_PAUSE_NS << slot->crashes++;
        fprintf(stderr, "%s: worker %zu (process %d) %s: another one starts in %g s\n", workers->name, end->slot + 1,
                (int)end->pid, how, ns_to_s(pause_ns));
        slot->due_ns = now_ns + pause_ns;
        set_pause(workers);
        return;
    }
    if (crashed) {
        fprintf(stderr, "%s: worker %zu (process %d) %s\n", workers->name, end->slot + 1, (int)end->pid, how);
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
        for (size_t i = 0; i < workers->count; i++) {
            workers->slots[i].due_ns = 0;
        }
        timer_start(&workers->deadline, ns_from_s(workers->options->component_stop_s) + KILL_NS, 0);
    }
    children_signal(workers->children, number);
    end_when_done(workers);
}

/* ---- all of it ---- */

static int run(struct workers *workers, struct mite_error *error)
{
    int rc = children_new(workers->loop, workers->count, on_ended, workers, &workers->children, error);

    timer_init(&workers->pause, workers->loop, on_pause_over);
    timer_init(&workers->deadline, workers->loop, on_deadline);
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
    timer_close(&workers->pause, NULL);
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
        fprintf(stderr, "%s: %s\n", name, error.text);
        status = EXIT_BROKE;
    }
    error_done(&error);
    free(argv);
    free(workers);
    return status;
}
