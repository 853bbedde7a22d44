/*
 * Whose code runs: what a crash is put down to, and who is named when the loop is blocked. The same for a test on this
 * machine and for a runner.
 */
#pragma once

#include "engine/crash.h"
#include "engine/watchdog.h"

/* For crash_set_who(): reads, in the signal handler. */
void culprit_of_crash(void *arg, struct crash_who *out);

/* How long the loop may be blocked when the process should end. Embedded in its owner; read in signal handlers. */
struct patience {
    volatile uint64_t deadline_ns; /* when all must be over, graces included; 0: nothing ends it yet */
    volatile bool stopping;        /* the loop knows that it is to end */
    bool asked_to_stop;            /* by a signal that the loop could not take yet */
    uint64_t stop_ns;              /* what the end may take, from that signal on */
};

/* A journey in C that blocks the loop is named; after a second Ctrl-C the process is given up for it. So it is for
 * whatever blocks the loop when the process should have ended for good. `patience` is borrowed. */
struct watchdog_hooks culprit_hooks(struct patience *patience);
/* For python_options: a journey in Python (NULL: other code) blocks the loop at this place. */
void culprit_blocks(void *arg, const char *journey, const char *location, uint64_t blocked_ns);
