#include "engine/timer.h"

#include "base/clock.h"

static void on_timer(uv_timer_t *handle)
{
    struct timer *timer = handle->data;

    timer->fire(timer);
}

static void on_closed(uv_handle_t *handle)
{
    struct timer *timer = handle->data;

    timer->closed(timer);
}

static uint64_t ms_up(uint64_t ns)
{
    return ns / NS_PER_MS + (ns % NS_PER_MS != 0);
}

int timer_init(struct timer *timer, struct loop *loop, void (*fire)(struct timer *timer))
{
    timer->loop = loop;
    timer->fire = fire;
    timer->closed = NULL;
    timer->handle.data = timer;
    return uv_timer_init(loop_uv(loop), &timer->handle) < 0 ? MITE_EINVAL : 0;
}

/* libuv counts from the start of its current iteration, which nested may lie far back: from now means from now. */
static uint64_t timeout_ms(struct timer *timer, uint64_t after_ns)
{
    uint64_t now_ns = clock_now_ns(), loop_ms = uv_now(loop_uv(timer->loop));
    uint64_t due_ns = ns_add(now_ns, after_ns);

    return after_ns == 0 || ms_up(due_ns) < loop_ms ? 0 : ms_up(due_ns) - loop_ms;
}

void timer_start(struct timer *timer, uint64_t after_ns, uint64_t repeat_ns)
{
    uint64_t after_ms = timeout_ms(timer, after_ns);

    uv_timer_start(&timer->handle, on_timer, after_ms, ms_up(repeat_ns));
    loop_touch_timer(timer->loop, uv_now(loop_uv(timer->loop)) + after_ms);
}

void timer_stop(struct timer *timer)
{
    uv_timer_stop(&timer->handle);
}

void timer_close(struct timer *timer, void (*closed)(struct timer *timer))
{
    if (uv_is_closing((uv_handle_t *)&timer->handle)) {
        return;
    }
    timer->closed = closed;
    uv_close((uv_handle_t *)&timer->handle, closed ? on_closed : NULL);
    loop_touch(timer->loop);
}
