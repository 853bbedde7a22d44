/*
 * Notices that the loop is blocked. A heartbeat (a timer on the loop) counts; a timer signal in the main thread compares.
 * When the count has not moved for `limit_ns`, the handler calls blocked(arg, blocked_ns), in signal context: it may only
 * do what a signal handler may (the Python plugin asks the interpreter to run a handler of its own at the next byte code;
 * that one names the journey and its line). It is called again every limit_ns as long as the loop stays blocked.
 * Once the loop moves again recovered(arg, blocked_ns) is called on it.
 *
 * watchdog_pause()/watchdog_resume() bracket what may block: a debugger, for one. One a process.
 */
#pragma once

#include "engine/loop.h"

struct watchdog_hooks {
    void (*blocked)(void *arg, uint64_t blocked_ns);
    void (*recovered)(void *arg, uint64_t blocked_ns);
    void *arg;
};

int watchdog_start(struct loop *loop, uint64_t limit_ns, const struct watchdog_hooks *hooks, struct mite_error *error)
    PRIVATE_API(watchdog_start);
void watchdog_set_hooks(const struct watchdog_hooks *hooks) PRIVATE_API(watchdog_set_hooks); /* copied */
void watchdog_pause(void) PRIVATE_API(watchdog_pause);
void watchdog_resume(void) PRIVATE_API(watchdog_resume);
void watchdog_stop(void) PRIVATE_API(watchdog_stop);
