/*
 * Timers on the loop, in nanoseconds (libuv rounds to milliseconds: up, so that nothing fires early). Embedded in their
 * owner; timer_close() may be called at any time, the memory must live until `closed` was called or, with closed NULL,
 * until the loop is freed.
 */
#pragma once

#include "engine/loop.h"

struct timer {
    uv_timer_t handle;
    struct loop *loop;
    void (*fire)(struct timer *timer);
    void (*closed)(struct timer *timer);
};

int timer_init(struct timer *timer, struct loop *loop, void (*fire)(struct timer *timer)) PRIVATE_API(timer_init);
void timer_start(struct timer *timer, uint64_t after_ns, uint64_t repeat_ns) PRIVATE_API(timer_start);
void timer_stop(struct timer *timer) PRIVATE_API(timer_stop);
void timer_close(struct timer *timer, void (*closed)(struct timer *timer)) PRIVATE_API(timer_close);
