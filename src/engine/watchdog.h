/*
 * Notices that the loop is blocked. A heartbeat (a timer on the loop) keeps pushing a timer signal of the main thread
 * into the future. When it has not done so for `limit_ns`, the signal comes and its handler calls blocked(arg,
 * blocked_ns), in signal context: it may only do what a signal handler may. It is called again every limit_ns as long
 * as the loop stays blocked. Once the loop moves again recovered(arg, blocked_ns) is called on it.
 *
 * Who blocks it only the host of the journeys can tell: its probe is called in signal context before the hook (that of
 * the Python plugin asks the interpreter to run a handler at the next byte code, which names the journey and its line).
 *
 * blocked_ns counts from the last heartbeat (eight of them make one limit_ns).
 *
 * watchdog_pause()/watchdog_resume() bracket what may block, a debugger for one, and nest; before that block nothing is
 * reported. Started, paused and stopped in the main thread. One a process.
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
/* Copied; NULL: none, here as in watchdog_start. */
void watchdog_set_hooks(const struct watchdog_hooks *hooks) PRIVATE_API(watchdog_set_hooks);
/* One probe, kept over start and stop; NULL takes it back. `arg` is borrowed. */
void watchdog_set_probe(void (*probe)(void *arg, uint64_t blocked_ns), void *arg) PRIVATE_API(watchdog_set_probe);
/* Whether there is one: safe anywhere. */
bool watchdog_probed(void);
/* What runs beside the loop, at the end of a run, gets on: counts as a heartbeat. */
void watchdog_beat(void);
void watchdog_pause(void) PRIVATE_API(watchdog_pause);
void watchdog_resume(void) PRIVATE_API(watchdog_resume);
void watchdog_stop(void) PRIVATE_API(watchdog_stop);
