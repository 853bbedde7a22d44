/*
 * Design notes
 *
 * The handler may run in any thread and at any moment: it takes a number in `count`, leaves the signal's number in that
 * slot and writes to an eventfd that the loop watches. The loop delivers slot by slot and stops at one that is still
 * empty: its handler has taken the number and not yet written, and its write to the eventfd is still to come.
 */
#include "engine/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Nobody presses Ctrl-C more often; what comes beyond is counted and not delivered. */
#define SLOTS 64

static atomic_int count;
static atomic_int slots[SLOTS];
static atomic_int wake_fd = -1;

enum { INTERRUPT, TERMINATE, HANGUP, HEEDED };
static const int heeded[HEEDED] = {[INTERRUPT] = SIGINT, [TERMINATE] = SIGTERM, [HANGUP] = SIGHUP};

struct watch {
    uv_poll_t poll;
    struct loop *loop; /* borrowed */
    int fd;
    int delivered;
    void (*on_signal)(void *arg, int number, int count);
    void *arg;
    struct sigaction old[HEEDED], old_pipe;
};

static struct watch *current; /* owned; NULL when stopped */

static void on_arrival(int number)
{
    int saved_errno = errno, slot = atomic_fetch_add(&count, 1), fd = atomic_load(&wake_fd);
    uint64_t one = 1;

    if (slot < SLOTS) {
        atomic_store(&slots[slot], number);
    }
    if (fd >= 0 && write(fd, &one, sizeof one) < 0) {
        /* The counter of the eventfd is full: it is readable, which is all that was wanted. */
    }
    errno = saved_errno;
}

static void deliver(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    uint64_t arrivals;

    if (read(watch->fd, &arrivals, sizeof arrivals) < 0) {
        return;
    }
    while (watch == current && watch->delivered < SLOTS) {
        int number = atomic_load(&slots[watch->delivered]);
        if (number == 0) {
            return;
        }
        watch->delivered++;
        watch->on_signal(watch->arg, number, watch->delivered);
    }
}

static void watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void watch_close(struct watch *watch)
{
    uv_close((uv_handle_t *)&watch->poll, watch_closed);
    close(watch->fd);
    loop_touch(watch->loop);
}

static int watch_open(struct loop *loop, struct watch **out, struct mite_error *error)
{
    struct watch *watch = calloc(1, sizeof *watch);

    if (!watch) {
        return error_set(error, MITE_ENOMEM, "no memory to watch for signals");
    }
    watch->loop = loop;
    watch->poll.data = watch;
    watch->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (watch->fd < 0) {
        int failed = errno;
        free(watch);
        return error_errno(error, failed, "cannot create an event descriptor");
    }
    int rc = uv_poll_init(loop_uv(loop), &watch->poll, watch->fd);
    if (rc < 0) {
        close(watch->fd);
        free(watch);
        return error_errno(error, -rc, "cannot watch for signals");
    }
    rc = uv_poll_start(&watch->poll, UV_READABLE, deliver);
    if (rc < 0) {
        watch_close(watch);
        return error_errno(error, -rc, "cannot watch for signals");
    }
    *out = watch;
    return 0;
}

int signals_start(struct loop *loop, void (*on_signal)(void *arg, int number, int count), void *arg,
                  struct mite_error *error)
{
    struct sigaction action = {.sa_handler = on_arrival, .sa_flags = SA_RESTART | SA_ONSTACK};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct watch *watch = NULL;

    if (current) {
        return error_set(error, MITE_EINVAL, "signals are watched already");
    }
    int rc = watch_open(loop, &watch, error);
    if (!watch) {
        return rc;
    }
    watch->on_signal = on_signal;
    watch->arg = arg;
    current = watch;
    atomic_store(&count, 0);
    for (int i = 0; i < SLOTS; i++) {
        atomic_store(&slots[i], 0);
    }
    atomic_store(&wake_fd, watch->fd);
    for (size_t i = 0; i < HEEDED; i++) {
        sigaddset(&action.sa_mask, heeded[i]);
    }
    for (size_t i = 0; i < HEEDED; i++) {
        sigaction(heeded[i], &action, &watch->old[i]);
    }
    if (watch->old[HANGUP].sa_handler == SIG_IGN) { /* nohup */
        sigaction(SIGHUP, &watch->old[HANGUP], NULL);
    }
    sigaction(SIGPIPE, &ignore, &watch->old_pipe);
    loop_touch(loop);
    return 0;
}

void signals_stop(void)
{
    struct watch *watch = current;

    if (!watch) {
        return;
    }
    for (size_t i = 0; i < HEEDED; i++) {
        sigaction(heeded[i], &watch->old[i], NULL);
    }
    sigaction(SIGPIPE, &watch->old_pipe, NULL);
    atomic_store(&wake_fd, -1);
    current = NULL;
    watch_close(watch);
}

int signals_count(void)
{
    return atomic_load(&count);
}
