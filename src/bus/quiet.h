/*
 * Finds out when nothing comes any more, so that what is on its way is taken in before a socket is closed. Who sends
 * without a pause is left after a second.
 *
 * Life cycle: quiet_init, quiet_wait once, timer_close() of its timer. Embedded in its owner, who is freed in the
 * timer's `closed`.
 */
#pragma once

#include "engine/timer.h"

struct quiet {
    struct timer timer;       /* first: its callback gets a pointer to it */
    const uint64_t *received; /* borrowed: its owner counts */
    uint64_t before;          /* at the last look */
    unsigned looks;           /* one after another that saw nothing new */
    uint64_t start_ns;
    void (*done)(void *arg);
    void *arg;
};

void quiet_init(struct quiet *quiet, struct loop *loop);

/* Calls done(arg) from the loop, once. */
void quiet_wait(struct quiet *quiet, const uint64_t *received, void (*done)(void *arg), void *arg);
