/*
 * Time in a journey in C: sleeping, separations.
 */
#include "runner/native_visit.h"

#include "base/clock.h"

#include <stdlib.h>

static void on_timer(struct timer *timer)
{
    struct mite_context *ctx = (struct mite_context *)((char *)timer - offsetof(struct mite_context, timer));

    if (ctx->awaited == ctx->timed) { /* else that wait was left by force, and it waits for something else */
        ctx->timed_out = true;
        native_wake(ctx, ctx->awaited);
    }
}

bool native_wait_ns(struct mite_context *ctx, const void *what, uint64_t ns)
{
    if (!ctx->timer_made) {
        if (timer_init(&ctx->timer, ctx->native->loop, on_timer) < 0) {
            native_raise(ctx, "MemoryError", STR("MemoryError: no memory for a timer"));
        }
        ctx->timer_made = true;
    }
    timer_start(&ctx->timer, ns, 0);
    ctx->timed_out = false;
    ctx->timed = what;
    bool came = native_wait(ctx, what);
    timer_stop(&ctx->timer);
    return came && !ctx->timed_out;
}

void mite_sleep(struct mite_context *ctx, double seconds)
{
    native_wait_ns(ctx, &ctx->timer, ns_from_s(seconds));
}

bool mite_should_stop(struct mite_context *ctx)
{
    return ctx->context->should_stop;
}

/* ---- separations ---- */

struct mite_separation mite_separation_begin(struct mite_context *ctx, double mean, double plus_minus)
{
    double spread = plus_minus < 0 ? mean * 0.25 : plus_minus;
    double seconds = mean + spread * (2 * erand48(ctx->native->random) - 1);

    return (struct mite_separation){ctx, clock_now_ns() + ns_from_s(seconds)};
}

void mite_separation_end(struct mite_separation *separation)
{
    struct mite_context *ctx = separation->ctx;
    uint64_t now_ns = clock_now_ns();

    separation->ctx = NULL;
    if (ctx && !ctx->cancelled && now_ns < separation->end_ns) {
        native_wait_ns(ctx, &ctx->timer, separation->end_ns - now_ns);
    }
}
