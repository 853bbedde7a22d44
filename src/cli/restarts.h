/*
 * Restarts: when a worker that crashed is started again. After a pause that doubles with each crash in its slot, and
 * not for ever; one that has run well for a minute has all its tries again.
 *
 * Life cycle: restarts_init, restarts_started with each start, restarts_plan after a crash, then `start` from the loop;
 * restarts_close before the loop goes. Its owner's memory must live until the loop is freed.
 */
#pragma once

#include "engine/timer.h"

#define RESTARTS_TRIES 5 /* for a slot */

struct restart_slot {
    uint64_t started_ns, due_ns; /* due 0: it does not wait to be started again */
    unsigned crashes;
};

struct restarts {
    struct timer timer;         /* first member; fires for the slot that is due first */
    struct restart_slot *slots; /* owned */
    size_t count;               /* 0: was not made */
    void (*start)(void *arg, size_t slot);
    void *arg;
};

/* MITE_ENOMEM. */
int restarts_init(struct restarts *restarts, struct loop *loop, size_t count, void (*start)(void *arg, size_t slot),
                  void *arg);
void restarts_started(struct restarts *restarts, size_t slot);
/* How long it will take; 0: it was the last try, nothing follows. */
uint64_t restarts_plan(struct restarts *restarts, size_t slot);
bool restarts_waiting(const struct restarts *restarts); /* for any slot */
void restarts_forget(struct restarts *restarts);        /* all that were planned */
void restarts_close(struct restarts *restarts);
