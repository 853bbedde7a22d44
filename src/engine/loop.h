/*
 * The event loop of a process: libuv, alone or inside another loop.
 *
 * Alone, loop_run() is uv_run(). Nested, a host (the asyncio loop of the Python plugin) owns the process's waiting: it
 * watches loop_fd() and calls loop_turn() whenever that is readable. What happens on the uv loop outside a turn (a timer
 * started, a watcher added, a handle closed) takes effect only inside uv_run, so whoever does such a thing calls
 * loop_touch(); the host is then asked once, through its `schedule_turn`, for a turn soon. The wrappers of this folder
 * (timer.h, signals.h) and src/http call it themselves.
 *
 * Life cycle: loop_init, (loop_set_host), loop_run until loop_stop, then close every handle, then loop_close, which
 * runs what is left of closing handles and fails when one was forgotten. One thread only.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct loop;

/* A loop that runs ours inside its own. All functions get `arg`. */
struct loop_host {
    /* Ask for one loop_turn() soon, not from inside this call. Called at most once until that turn has begun. */
    void (*schedule_turn)(void *arg);
    /* Run until stop() is called: what loop_run() does when there is a host. Returns 0 or a code. */
    int (*run)(void *arg, struct mite_error *error);
    void (*stop)(void *arg);
    void *arg;
};

int loop_new(struct loop **out, struct mite_error *error) PRIVATE_API(loop_new);

/* Closes and frees. MITE_EINVAL when handles are still open: the sentence names their types. The loop is freed all the
 * same. NULL is a no-op. */
int loop_free(struct loop *loop, struct mite_error *error) PRIVATE_API(loop_free);

uv_loop_t *loop_uv(struct loop *loop) PRIVATE_API(loop_uv);

/* Runs until loop_stop(). */
int loop_run(struct loop *loop, struct mite_error *error) PRIVATE_API(loop_run);
void loop_stop(struct loop *loop) PRIVATE_API(loop_stop);

/* Calls fn(arg) from the loop, after what is running now; in order of the calls. */
int loop_defer(struct loop *loop, void (*fn)(void *arg), void *arg) PRIVATE_API(loop_defer);

/* Nested running. The host is borrowed and must outlive the loop or be replaced by NULL before it goes. While there is a
 * host, one referenced handle (the poll of a timerfd) lives: without one uv_run(NOWAIT) would not poll at all. */
int loop_set_host(struct loop *loop, const struct loop_host *host, struct mite_error *error) PRIVATE_API(loop_set_host);
int loop_fd(struct loop *loop) PRIVATE_API(loop_fd); /* readable when a turn is due */
void loop_turn(struct loop *loop) PRIVATE_API(loop_turn);
void loop_touch(struct loop *loop) PRIVATE_API(loop_touch); /* cheap; no-op without host or inside a turn */

/* Time of the current iteration, and of right now. */
uint64_t loop_now_ns(struct loop *loop) PRIVATE_API(loop_now_ns);
