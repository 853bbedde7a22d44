/*
 * The event loop of a process: libuv, alone or inside another loop.
 *
 * Alone, loop_run() is uv_run(). Nested, a host (the asyncio loop of the Python plugin) owns the process's waiting: it
 * watches loop_fd() and calls loop_turn() whenever that is readable. What happens on the uv loop outside a turn (a
 * timer started, a watcher added, a handle closed) takes effect only inside uv_run, so whoever does such a thing calls
 * loop_touch(); the host is then asked once, through its `schedule_turn`, for a turn soon. The wrappers of this folder
 * (timer.h, signals.h) and src/http call it themselves.
 *
 * Life cycle: loop_new, (loop_set_host), loop_run until loop_stop, then close every handle, then loop_free, which
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

/*
 * Runs what is left of deferred calls and closing handles, then closes and frees. MITE_EINVAL when handles are still
 * open: the sentence names their types, and they are closed without a callback. The loop is freed all the same. NULL is
 * a no-op.
 */
int loop_free(struct loop *loop, struct mite_error *error) PRIVATE_API(loop_free);

uv_loop_t *loop_uv(struct loop *loop) PRIVATE_API(loop_uv);

/* Runs until loop_stop(), also when there is nothing to wait for. */
int loop_run(struct loop *loop, struct mite_error *error) PRIVATE_API(loop_run);
void loop_stop(struct loop *loop) PRIVATE_API(loop_stop);

/* Calls fn(arg) from the loop, after what is running now; in order of the calls. 0, MITE_ENOMEM or MITE_ELIMIT (a
 * million calls wait). */
int loop_defer(struct loop *loop, void (*fn)(void *arg), void *arg) PRIVATE_API(loop_defer);

/* Runs those calls now: for a watcher at the end of its callback. What was touched is still in the cache then, and what
 * one journey has given back serves the next. */
void loop_run_deferred(struct loop *loop);
/*
 * Nested running. The host is borrowed and must outlive the loop or be replaced by NULL before it goes. While there is
 * a host, one referenced handle (the poll of a timerfd) lives: libuv's own timers are not in loop_fd().
 */
int loop_set_host(struct loop *loop, const struct loop_host *host, struct mite_error *error) PRIVATE_API(loop_set_host);
int loop_fd(struct loop *loop) PRIVATE_API(loop_fd); /* readable when a turn is due */
void loop_turn(struct loop *loop) PRIVATE_API(loop_turn);
/* For the host: the turn that it was asked for; nothing when another turn came first. */
void loop_turn_asked(struct loop *loop) PRIVATE_API(loop_turn_asked);
/* For the host, from inside schedule_turn(): it could not ask. The turn then comes by loop_fd(), a little later. */
void loop_turn_later(struct loop *loop) PRIVATE_API(loop_turn_later);
void loop_touch(struct loop *loop) PRIVATE_API(loop_touch); /* cheap; no-op without host or inside a turn */
/* The same for a timer that is due at `deadline_ms` of uv_now(): no-op when the loop wakes before that anyway. */
void loop_touch_timer(struct loop *loop, uint64_t deadline_ms) PRIVATE_API(loop_touch_timer);

/* Turns so far, and the milliseconds of the current iteration as nanoseconds: for deadlines. Measure with
 * clock_now_ns(). */
uint64_t loop_turns(const struct loop *loop) PRIVATE_API(loop_turns);
uint64_t loop_now_ns(struct loop *loop) PRIVATE_API(loop_now_ns);
