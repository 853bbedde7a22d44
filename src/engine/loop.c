/*
 * Design notes, for libuv 1.44
 *
 * - uv_poll_start() only queues the watcher; epoll learns of it inside uv_run(). uv_close() calls back only inside
 *   uv_run(). uv_backend_timeout() is 0 as long as either is outstanding, so a turn repeats until it is not.
 * - uv_run(NOWAIT) with no referenced active handle does nothing at all, not even poll: a ready descriptor would stay
 *   ready and the host would call again and again. `prepare` stays active and referenced as long as the loop lives.
 * - Timers are no descriptor. Nested, a timerfd in the same epoll set stands for the next one. It is set only when the
 *   next deadline lies before the one it is set to: a deadline that moves back costs a turn too many, later, and a load
 *   generator's deadlines (timeouts of requests) move back all the time.
 * - timerfd_settime() clears an expiry, so that it is never read: one system call an expiry, not two.
 * - Deferred calls run in `prepare` (before the poll: what timers deferred) and in `check` (behind it: what watchers
 *   deferred). `idle` is active exactly as long as calls wait, and keeps the poll from waiting.
 */
#include "engine/loop.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Rounds of uv_run in one turn before the host gets its say. */
#define TURN_ROUNDS 8
/* Rounds that loop_free gives to deferred calls and closing handles that bring forth new ones. */
#define SETTLE_ROUNDS 1000
#define DEFER_MAX     (1u << 20)
#define NEVER_MS      UINT64_MAX

struct deferred {
    void (*fn)(void *arg);
    void *arg;
};

/* What a host needs: the timerfd and its poll. Freed when the poll has closed. */
struct nest {
    uv_poll_t poll;
    int timer_fd;
    uint64_t armed_ms; /* when the timerfd will fire, on the clock of uv_now(); NEVER_MS: it is not set */
    bool expired;      /* it has fired and must be set anew, or it stays readable */
};

struct loop {
    uv_loop_t uv;
    uv_idle_t idle;
    uv_prepare_t prepare;
    uv_check_t check;

    struct deferred *deferred; /* owned ring; capacity is a power of two */
    uint32_t deferred_capacity, deferred_first, deferred_count;

    const struct loop_host *host; /* borrowed; NULL alone */
    struct nest *nest;            /* owned; NULL alone */
    bool running;                 /* inside uv_run */
    bool turn_asked;
    uint64_t turns;
};

/* ---- deferred calls ---- */

static int deferred_grow(struct loop *loop)
{
    uint32_t capacity = loop->deferred_capacity ? 2 * loop->deferred_capacity : 64;

    if (capacity > DEFER_MAX) {
        return MITE_ELIMIT;
    }
    struct deferred *ring = malloc(capacity * sizeof *ring);
    if (!ring) {
        return MITE_ENOMEM;
    }
    for (uint32_t i = 0; i < loop->deferred_count; i++) {
        ring[i] = loop->deferred[(loop->deferred_first + i) & (loop->deferred_capacity - 1)];
    }
    free(loop->deferred);
    loop->deferred = ring;
    loop->deferred_capacity = capacity;
    loop->deferred_first = 0;
    return 0;
}

static void on_idle(uv_idle_t *idle)
{
}

int loop_defer(struct loop *loop, void (*fn)(void *arg), void *arg)
{
    if (loop->deferred_count == loop->deferred_capacity) {
        int rc = deferred_grow(loop);
        if (rc < 0) {
            return rc;
        }
    }
    uint32_t last = (loop->deferred_first + loop->deferred_count) & (loop->deferred_capacity - 1);
    loop->deferred[last] = (struct deferred){fn, arg};
    if (loop->deferred_count++ == 0) {
        uv_idle_start(&loop->idle, on_idle);
        loop_touch(loop);
    }
    return 0;
}

/* Runs the calls that wait now; those that they defer come in the next phase. */
static void run_deferred(struct loop *loop)
{
    for (uint32_t left = loop->deferred_count; left > 0; left--) {
        struct deferred call = loop->deferred[loop->deferred_first];
        loop->deferred_first = (loop->deferred_first + 1) & (loop->deferred_capacity - 1);
        loop->deferred_count--;
        call.fn(call.arg);
    }
    if (loop->deferred_count == 0) {
        uv_idle_stop(&loop->idle);
    }
}

void loop_run_deferred(struct loop *loop)
{
    if (loop->deferred_count > 0) {
        run_deferred(loop);
    }
}

static void on_prepare(uv_prepare_t *prepare)
{
    run_deferred(prepare->data);
}

static void on_check(uv_check_t *check)
{
    run_deferred(check->data);
}

/* ---- life ---- */

int loop_new(struct loop **out, struct mite_error *error)
{
    struct loop *loop = calloc(1, sizeof *loop);

    if (!loop) {
        return error_set(error, MITE_ENOMEM, "no memory for the event loop");
    }
    int rc = uv_loop_init(&loop->uv);
    if (rc < 0) {
        free(loop);
        return error_errno(error, -rc, "cannot create the event loop");
    }
    loop->uv.data = loop;
    uv_idle_init(&loop->uv, &loop->idle);
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_check_init(&loop->uv, &loop->check);
    loop->prepare.data = loop->check.data = loop;
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_check_start(&loop->check, on_check);
    *out = loop;
    return 0;
}

/* Lets deferred calls and closing handles come to their end. */
static void settle(struct loop *loop)
{
    loop->running = true;
    for (int i = 0; i < SETTLE_ROUNDS && uv_backend_timeout(&loop->uv) == 0; i++) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
}

struct open_handles {
    char names[256];
    size_t length;
};

static void close_open(uv_handle_t *handle, void *arg)
{
    struct open_handles *open = arg;

    if (uv_is_closing(handle)) {
        return;
    }
    int n = snprintf(open->names + open->length, sizeof open->names - open->length, "%s%s", open->length ? ", " : "",
                     uv_handle_type_name(uv_handle_get_type(handle)));
    if (n > 0 && open->length + (size_t)n < sizeof open->names) {
        open->length += (size_t)n;
    }
    open->names[open->length] = 0;
    uv_close(handle, NULL);
}

int loop_free(struct loop *loop, struct mite_error *error)
{
    struct open_handles open = {.length = 0};

    if (!loop) {
        return 0;
    }
    loop_set_host(loop, NULL, NULL);
    settle(loop);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    do {
        uv_walk(&loop->uv, close_open, &open);
        uv_run(&loop->uv, UV_RUN_DEFAULT);
    } while (uv_loop_close(&loop->uv) == UV_EBUSY);
    free(loop->deferred);
    free(loop);
    return open.length ? error_set(error, MITE_EINVAL, "the event loop ended with handles still open: %s", open.names)
                       : 0;
}

uv_loop_t *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

int loop_run(struct loop *loop, struct mite_error *error)
{
    if (loop->host) {
        return loop->host->run(loop->host->arg, error);
    }
    loop->running = true;
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    loop->running = false;
    return 0;
}

void loop_stop(struct loop *loop)
{
    if (loop->host) {
        loop->host->stop(loop->host->arg);
    } else {
        uv_stop(&loop->uv);
    }
}

uint64_t loop_now_ns(struct loop *loop)
{
    if (!loop->running) {
        uv_update_time(&loop->uv);
    }
    return uv_now(&loop->uv) * NS_PER_MS;
}

uint64_t loop_turns(const struct loop *loop)
{
    return loop->turns;
}

/* ---- nested ---- */

static void nest_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void nest_close(struct nest *nest)
{
    uv_close((uv_handle_t *)&nest->poll, nest_closed);
    close(nest->timer_fd);
}

static void on_expired(uv_poll_t *poll, int status, int events)
{
    struct nest *nest = poll->data;

    nest->expired = true;
    nest->armed_ms = NEVER_MS;
}

static int nest_open(struct loop *loop, struct nest **out, struct mite_error *error)
{
    struct nest *nest = calloc(1, sizeof *nest);

    if (!nest) {
        return error_set(error, MITE_ENOMEM, "no memory for the event loop");
    }
    nest->armed_ms = NEVER_MS;
    nest->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (nest->timer_fd < 0) {
        int failed = errno;
        free(nest);
        return error_errno(error, failed, "cannot create a timer descriptor");
    }
    int rc = uv_poll_init(&loop->uv, &nest->poll, nest->timer_fd);
    if (rc < 0) {
        close(nest->timer_fd);
        free(nest);
        return error_errno(error, -rc, "cannot watch a timer descriptor");
    }
    nest->poll.data = nest;
    rc = uv_poll_start(&nest->poll, UV_READABLE, on_expired);
    if (rc < 0) {
        nest_close(nest);
        return error_errno(error, -rc, "cannot watch a timer descriptor");
    }
    *out = nest;
    return 0;
}

int loop_set_host(struct loop *loop, const struct loop_host *host, struct mite_error *error)
{
    struct nest *nest = NULL;

    if (host) {
        int rc = nest_open(loop, &nest, error);
        if (rc < 0) {
            return rc;
        }
    }
    if (loop->nest) {
        nest_close(loop->nest);
    }
    loop->nest = nest;
    loop->host = host;
    loop->turn_asked = false;
    loop_touch(loop);
    return 0;
}

int loop_fd(struct loop *loop)
{
    return uv_backend_fd(&loop->uv);
}

static void ask_for_turn(struct loop *loop)
{
    if (!loop->turn_asked) {
        loop->turn_asked = true;
        loop->host->schedule_turn(loop->host->arg);
    }
}

void loop_touch(struct loop *loop)
{
    if (loop->host && !loop->running) {
        ask_for_turn(loop);
    }
}

void loop_touch_timer(struct loop *loop, uint64_t deadline_ms)
{
    if (loop->host && !loop->running && deadline_ms < loop->nest->armed_ms) {
        ask_for_turn(loop);
    }
}

/* Sets the timerfd to wake the host for the next timer, `timeout_ms` (-1: there is none) after uv_now(). */
static void arm(struct loop *loop, int timeout_ms)
{
    struct nest *nest = loop->nest;
    uint64_t deadline_ms = timeout_ms < 0 ? NEVER_MS : uv_now(&loop->uv) + (uint64_t)timeout_ms;
    struct itimerspec spec = {0};

    if (deadline_ms >= nest->armed_ms && !nest->expired) {
        return;
    }
    if (deadline_ms != NEVER_MS) {
        /* The clock of uv_now() may be a coarse one and lag: a moment that has passed would fire at once, find nothing
         * due, and so on until that clock follows. */
        uint64_t at_ns = deadline_ms * NS_PER_MS, soonest_ns = clock_now_ns() + NS_PER_MS / 4;
        if (at_ns < soonest_ns) {
            at_ns = soonest_ns;
        }
        spec.it_value.tv_sec = (time_t)(at_ns / NS_PER_S);
        spec.it_value.tv_nsec = (long)(at_ns % NS_PER_S);
    }
    timerfd_settime(nest->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
    nest->armed_ms = deadline_ms;
    nest->expired = false;
}

void loop_turn(struct loop *loop)
{
    int timeout_ms, rounds = TURN_ROUNDS;

    if (loop->running) {
        return; /* uv_run does not nest; the turn that is running sees whatever this one would */
    }
    loop->turn_asked = false;
    loop->running = true;
    loop->turns++;
    do {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
        timeout_ms = uv_backend_timeout(&loop->uv);
    } while (timeout_ms == 0 && --rounds > 0);
    loop->running = false;
    if (!loop->host) {
        return;
    }
    if (timeout_ms == 0) {
        ask_for_turn(loop);
    } else {
        arm(loop, timeout_ms);
    }
}

void loop_turn_later(struct loop *loop)
{
    const struct itimerspec soon = {.it_value.tv_nsec = NS_PER_MS};

    loop->turn_asked = false;
    timerfd_settime(loop->nest->timer_fd, 0, &soon, NULL);
    loop->nest->armed_ms = uv_now(&loop->uv);
}

void loop_turn_asked(struct loop *loop)
{
    if (loop->turn_asked) {
        loop_turn(loop);
    }
}
