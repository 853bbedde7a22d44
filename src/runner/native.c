/*
 * Design notes
 *
 * - A journey begins by a deferred call, so that `ended` never comes from inside start(). From then on its fiber is
 *   resumed by what it waits for: a timer, a request, a socket, a thread.
 * - A visit waits for one thing at a time. What wakes it may come late (the visit was cancelled), so native_wake()
 *   looks whether it waits for that at all.
 * - Deferred calls get the host, never a visit: it may be gone, or another journey's, when they come.
 * - Cancelling unwinds the fiber from a deferred call, for it may be asked for from inside a fiber. What does not wait
 *   then, or waits firmly, sees the mark when it begins to wait.
 */
#include "runner/native_visit.h"

#include "base/clock.h"
#include "engine/watchdog.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

_Static_assert(sizeof(struct mite_value) == sizeof(struct value), "values cross as they are");
_Static_assert(sizeof(struct mite_field) == sizeof(struct pair), "fields cross as pairs");
_Static_assert(offsetof(struct mite_value, as) == offsetof(struct value, text), "values cross as they are");
_Static_assert((int)MITE_TYPE_UINT == VALUE_UINT && (int)MITE_TYPE_MAP == VALUE_MAP, "types are numbered alike");

struct journey {
    const struct mite_entry *entry;
};

/* ---- waiting ---- */

/* What runs meanwhile is this journey's doing. It may be over behind it. */
static void resume(struct mite_context *ctx)
{
    context_set_running(ctx->context);
    fiber_resume(ctx->fiber);
    context_set_running(NULL);
}

static void unwind(struct mite_context *ctx)
{
    ctx->awaited = NULL;
    context_set_running(ctx->context);
    fiber_unwind(ctx->fiber);
    context_set_running(NULL);
}

static _Noreturn void misused(const char *text)
{
    (void)!write(STDERR_FILENO, text, strlen(text));
    abort();
}

void native_must_run(const struct mite_context *ctx)
{
    if (!ctx->fiber) {
        misused("mite: a function that mite_defer() calls must not wait or fail: its journey is over\n");
    }
    if (ctx->fiber != fiber_current()) {
        misused("mite: a journey's context was used outside of it, as in what mite_blocking() calls\n");
    }
}

/* In a child of the user's: what it does is in nobody's figures, and the loop is the parent's, unless it makes its own.
 */
static bool forked;

static void note_fork(void)
{
    forked = true;
}

static void must_be_parent(void)
{
    if (forked) {
        misused("mite: a process that a journey forked must end by itself (exec, _exit), not go on as one of mite's\n");
    }
}

bool native_wait(struct mite_context *ctx, const void *what)
{
    native_must_run(ctx);
    must_be_parent();
    bool unwinding = fiber_unwinding(ctx->fiber);

    if (!ctx->firm && ctx->cancelled && !unwinding) {
        fiber_exit();
    }
    if (!ctx->firm && unwinding && ctx->native->closing) {
        return false;
    }
    ctx->awaited = what;
    fiber_park();

    bool came = !ctx->awaited;
    ctx->awaited = NULL;
    return came;
}

void native_wake(struct mite_context *ctx, const void *what)
{
    if (ctx->awaited == what) {
        ctx->awaited = NULL;
        resume(ctx);
    }
}

/* ---- a visit ---- */

static struct mite_context *visit_take(struct native *native)
{
    struct mite_context *ctx = TAILQ_FIRST(&native->spares);

    if (ctx) {
        TAILQ_REMOVE(&native->spares, ctx, link);
    } else if ((ctx = calloc(1, sizeof *ctx))) {
        ctx->native = native;
        arena_init(&ctx->arena, 0);
        ctx->memory = &ctx->arena;
        arena_init(&ctx->session.arenas[0], 0);
        arena_init(&ctx->session.arenas[1], 0);
    }
    return ctx;
}

static void visit_free(struct mite_context *ctx)
{
    arena_done(&ctx->arena);
    arena_done(&ctx->session.arenas[0]);
    arena_done(&ctx->session.arenas[1]);
    free(ctx);
}

void native_leave(struct mite_context *ctx)
{
    TAILQ_REMOVE(&ctx->native->running, ctx, link);
    if (ctx->unwind_asked) {
        TAILQ_REMOVE(&ctx->native->cancelled, ctx, cancel_link);
        ctx->unwind_asked = false;
    }
}

/* On the loop's stack, with all of the journey's code behind. In the queue of the running ones. */
static void visit_end(struct mite_context *ctx)
{
    struct native *native = ctx->native;
    struct context *context = ctx->context;
    enum journey_outcome outcome = ctx->failed ? JOURNEY_FAILED : ctx->cancelled ? JOURNEY_CANCELLED : JOURNEY_OK;

    must_be_parent();
    native_run_deferred(ctx);
    must_be_parent();
    native_http_end(ctx);
    native_sockets_end(ctx);
    if (ctx->timer_made) {
        timer_stop(&ctx->timer);
    }
    native_end_transactions(ctx, NULL, false);
    native_scratches_end(ctx);
    arena_reset(&ctx->arena);
    context->host = NULL;
    native_leave(ctx);
    TAILQ_INSERT_HEAD(&native->spares, ctx, link);
    ctx->ended(ctx->ended_arg, context, outcome);
}

static void on_fiber_ended(void *arg)
{
    struct mite_context *ctx = arg;

    ctx->fiber = NULL;
    context_set_running(NULL);
    visit_end(ctx);
}

static void run_journey(void *arg)
{
    struct mite_context *ctx = arg;
    void (*journey)(struct mite_context *) = (void (*)(struct mite_context *))ctx->entry->function;

    journey(ctx);
    ctx->cancelled = false; /* it was over anyway */
}

/* Moves it from the starting to the running ones. */
static void begin(struct mite_context *ctx)
{
    struct native *native = ctx->native;

    TAILQ_REMOVE(&native->starting, ctx, link);
    TAILQ_INSERT_TAIL(&native->running, ctx, link);
    if (ctx->wrong) {
        native_report(ctx, "TypeError", str_of(ctx->wrong));
        ctx->failed = true;
    } else if (!ctx->cancelled) {
        ctx->fiber = fiber_new(native->fibers, run_journey, on_fiber_ended, ctx);
        if (ctx->fiber) {
            resume(ctx);
            return;
        }
        native_report(ctx, "MemoryError", STR("MemoryError: no memory for a fiber"));
        ctx->failed = true;
    }
    visit_end(ctx);
}

/* Those that start meanwhile come in the next turn. */
static void begin_all(void *arg)
{
    struct native *native = arg;
    struct mite_context *ctx, *last = TAILQ_LAST(&native->starting, visit_queue);

    native->start_asked = false;
    while (last && (ctx = TAILQ_FIRST(&native->starting))) {
        last = ctx == last ? NULL : last;
        begin(ctx);
    }
}

static void convert_args(struct mite_context *ctx, const struct args *args)
{
    struct mite_error error = {0};

    if (args->ops->to_value(args, &ctx->arena, &ctx->args, &error) < 0) {
        error_prefix(&error, "TypeError");
        ctx->wrong = arena_str(&ctx->arena, str_of(error.text)).p;
        ctx->wrong = ctx->wrong ? ctx->wrong : "TypeError: the arguments are no values";
    }
    error_done(&error);
}

/* Arguments as a list of values, borrowed where they are that already. */
static void take_args(struct mite_context *ctx, struct args *args)
{
    const struct value *list = args ? args_value(args) : NULL;

    ctx->wrong = NULL;
    ctx->given = args;
    ctx->args = list ? *list : value_list(NULL, 0);
    if (args && !list) {
        convert_args(ctx, args);
    }
}

static void start(struct journey_host *host, struct journey *journey, struct context *context, struct args *args,
                  void (*ended)(void *arg, struct context *context, enum journey_outcome outcome), void *arg)
{
    struct native *native = (struct native *)host;
    struct mite_context *ctx = visit_take(native);

    if (!ctx || (!native->start_asked && loop_defer(native->loop, begin_all, native) < 0)) {
        if (ctx) {
            TAILQ_INSERT_HEAD(&native->spares, ctx, link);
        }
        ended(arg, context, JOURNEY_FAILED); /* no memory to wait with */
        return;
    }
    native->start_asked = true;
    ctx->context = context;
    ctx->entry = journey->entry;
    ctx->file = NULL;
    ctx->awaited = NULL;
    ctx->not_connected = NULL;
    ctx->cancelled = ctx->failed = ctx->firm = false;
    ctx->ended = ended;
    ctx->ended_arg = arg;
    context->host = ctx;
    TAILQ_INSERT_TAIL(&native->starting, ctx, link);
    take_args(ctx, args);
}

/* ---- cancelling ---- */

/* One at a time, for each may cancel others. */
static void unwind_cancelled(void *arg)
{
    struct native *native = arg;
    struct mite_context *ctx;

    native->cancel_asked = false;
    while ((ctx = TAILQ_FIRST(&native->cancelled))) {
        TAILQ_REMOVE(&native->cancelled, ctx, cancel_link);
        ctx->unwind_asked = false;
        if (ctx->awaited && !ctx->firm && !fiber_unwinding(ctx->fiber)) {
            unwind(ctx);
        }
    }
}

static void cancel(struct journey_host *host, struct context *context)
{
    struct native *native = (struct native *)host;
    struct mite_context *ctx = context->host;

    if (!ctx) {
        return;
    }
    ctx->cancelled = true;
    if (!ctx->unwind_asked) {
        TAILQ_INSERT_TAIL(&native->cancelled, ctx, cancel_link);
        ctx->unwind_asked = true;
    }
    if (!native->cancel_asked && loop_defer(native->loop, unwind_cancelled, native) == 0) {
        native->cancel_asked = true;
    }
}

/* ---- specs ---- */

static int load(struct journey_host *host, const char *spec, struct journey **out, struct mite_error *error)
{
    struct native *native = (struct native *)host;
    const struct mite_entry *entry = NULL;
    int rc = loader_find(native->options.loader, MITE_ENTRY_JOURNEY, spec, &entry, error);

    if (rc < 0) {
        return rc;
    }
    struct journey *journey = malloc(sizeof *journey);
    if (!journey) {
        return error_set(error, MITE_ENOMEM, "no memory to load journey \"%s\"", spec);
    }
    journey->entry = entry;
    *out = journey;
    return 0;
}

static void unload(struct journey_host *host, struct journey *journey)
{
    free(journey);
}

/* ---- life ---- */

/* Processes that start together must not draw alike. */
static void seed(unsigned short random[3])
{
    uint64_t bits;

    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != sizeof bits) {
        bits = clock_now_ns() * (uint64_t)getpid();
    }
    memcpy(random, &bits, 3 * sizeof *random);
}

int native_new(const struct native_options *options, struct native **out, struct mite_error *error)
{
    static bool watched;
    struct native *native = calloc(1, sizeof *native);

    if (!native) {
        return error_set(error, MITE_ENOMEM, "no memory for journeys in C");
    }
    native->options = *options;
    native->host = (struct journey_host){
        .name = "C", .owns = loader_owns, .load = load, .unload = unload, .start = start, .cancel = cancel};
    TAILQ_INIT(&native->starting);
    TAILQ_INIT(&native->running);
    TAILQ_INIT(&native->spares);
    TAILQ_INIT(&native->cancelled);
    buf_init(&native->scratch, 0);
    seed(native->random);
    watched = watched || pthread_atfork(NULL, NULL, note_fork) == 0;
    forked = false;
    *out = native;
    return 0;
}

int native_open(struct native *native, struct loop *loop, struct mite_error *error)
{
    int rc = fiber_pool_new(native->options.stack_bytes, &native->fibers, error);

    if (rc == 0) {
        native->loop = loop;
    }
    return rc;
}

/* What waits in a clean-up is woken, until it has come through. */
static void end_running(struct mite_context *ctx)
{
    ctx->cancelled = true;
    if (fiber_unwinding(ctx->fiber)) {
        resume(ctx); /* native_wait() gives up */
    } else {
        unwind(ctx);
    }
}

static void on_timer_closed(struct timer *timer)
{
    visit_free((struct mite_context *)((char *)timer - offsetof(struct mite_context, timer)));
}

/* False when some visits were let go, for a thread works on what is theirs. */
static bool end_visits(struct native *native)
{
    struct mite_context *ctx, *next;

    watchdog_beat();
    bool all = native_blocking_close(native);
    watchdog_beat();
    for (ctx = TAILQ_FIRST(&native->running); ctx; ctx = next) {
        next = TAILQ_NEXT(ctx, link);
        while (ctx->fiber) {
            end_running(ctx);
        }
        watchdog_beat();
    }
    while ((ctx = TAILQ_FIRST(&native->starting))) {
        ctx->cancelled = true;
        begin(ctx);
    }
    return all;
}

/* Stacks that threads whose calls do not return work on, until the process ends. */
static struct fiber_pool *worked_on __attribute__((used));

void native_close(struct native *native)
{
    struct mite_context *ctx;

    if (!native || !native->loop) {
        return;
    }
    native->closing = true;
    bool all = end_visits(native);
    while ((ctx = TAILQ_FIRST(&native->spares))) {
        TAILQ_REMOVE(&native->spares, ctx, link);
        native_session_free(ctx);
        if (ctx->timer_made) {
            timer_close(&ctx->timer, on_timer_closed);
        } else {
            visit_free(ctx);
        }
    }
    native_http_close(native);
    native_scratches_close(native);
    native_sockets_close(native);
    if (all) {
        fiber_pool_free(native->fibers);
    } else {
        worked_on = native->fibers;
    }
    native->fibers = NULL;
    native->loop = NULL;
}

void native_free(struct native *native)
{
    if (native) {
        buf_done(&native->scratch);
        free(native);
    }
}

struct journey_host *native_journey_host(struct native *native)
{
    return &native->host;
}

void native_last_call(const struct native *native, const struct context *context, char *out, size_t size)
{
    const struct mite_context *ctx;

    out[0] = '\0';
    TAILQ_FOREACH(ctx, &native->running, link)
    {
        if (ctx->context == context && ctx->file) {
            snprintf(out, size, "%s:%d:%s", ctx->file, ctx->line, ctx->entry->name);
            return;
        }
    }
}

struct context *native_running(void)
{
    const struct fiber *fiber = fiber_current();

    return fiber ? ((struct mite_context *)fiber_arg(fiber))->context : NULL;
}
