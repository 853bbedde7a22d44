/*
 * Calls of a journey that have to block, in a thread. The journey waits until its call has returned, whatever happens:
 * what the call works on may lie on the journey's stack.
 */
#include "runner/native_visit.h"

#include "base/clock.h"
#include "base/log.h"

/* What calls get to return when the host closes: by then their journeys were cancelled a while ago. */
#define CLOSE_GRACE_NS (1 * NS_PER_S)

static void on_done(struct blocking_job *job)
{
    struct mite_context *ctx = (struct mite_context *)((char *)job - offsetof(struct mite_context, job));

    native_wake(ctx, job);
}

struct starting {
    struct mite_context *ctx;
    struct mite_error error;
    int rc;
};

static void start_now(void *arg)
{
    struct starting *starting = arg;
    struct native *native = starting->ctx->native;

    if (native->closing) { /* nobody would wait for the thread */
        starting->rc = error_set(&starting->error, MITE_ECANCELLED, "the run is over");
        return;
    }
    starting->rc = native->blocking ? 0 : blocking_new(native->loop, 0, &native->blocking, &starting->error);
    if (starting->rc == 0) {
        starting->rc = blocking_start(native->blocking, &starting->ctx->job, &starting->error);
    }
}

void mite_blocking_named(struct mite_context *ctx, const char *name, void (*fn)(void *arg), void *arg)
{
    native_need(ctx, (void *)fn, "mite_blocking", "its function");

    int64_t transaction = mite_transaction_begin(ctx, name);
    struct starting starting = {.ctx = ctx};

    if (ctx->cancelled && !fiber_unwinding(ctx->fiber)) {
        fiber_exit();
    }
    ctx->job = (struct blocking_job){.fn = fn, .arg = arg, .done = on_done, .owner = ctx->context};
    fiber_call(start_now, &starting);
    if (starting.rc < 0) {
        native_fail(ctx, "BlockingError", "%s: %s", name, starting.error.text);
    }
    ctx->firm = true;
    native_wait(ctx, &ctx->job);
    ctx->firm = false;
    mite_transaction_end(ctx, transaction);
}

/* The thread works on what is the journey's: only what a blocking call can have no part in is taken back. */
static void let_go(struct mite_context *ctx)
{
    struct context *context = context_ref(ctx->context);

    struct str label = message_transaction_label(context->current->path);

    args_ref(ctx->given);
    log_line(LOG_WARNING, "journey \"%s\" was cut off in \"" STR_FMT "\": its blocking call does not return",
             context->journey_name, STR_ARG(label));
    native_leave(ctx);
    native_sockets_end(ctx);
    native_session_free(ctx);
    native_end_transactions(ctx, NULL, false);
    if (ctx->timer_made) {
        timer_close(&ctx->timer, NULL);
    }
    context->host = NULL;
    ctx->ended(ctx->ended_arg, context, JOURNEY_CANCELLED);
}

bool native_blocking_close(struct native *native)
{
    struct mite_context *ctx, *next;
    bool stuck = blocking_free(native->blocking, CLOSE_GRACE_NS) > 0, all = true;

    native->blocking = NULL;
    for (ctx = TAILQ_FIRST(&native->running); ctx; ctx = next) {
        next = TAILQ_NEXT(ctx, link);
        if (stuck && ctx->firm && ctx->job.began_ns && !ctx->job.ended_ns) {
            let_go(ctx);
            all = false;
        }
        ctx->firm = false;
    }
    return all;
}
