/*
 * Calls that have to block: a few threads run them, and the loop hears when they have ended. These are the only threads
 * of ours, and their one queue holds our only lock.
 *
 * Jobs are embedded in their owners and start in the order in which they were asked for. Threads begin when there is
 * work for them, up to the number given, and stay. They take no signals but those of their own crashes.
 *
 * Life cycle: blocking_new, blocking_start and `done` for each job, blocking_free. All functions but blocking_owner()
 * belong to the thread of the loop. A job's memory, and what its `arg` points to, must live until `done`: a call that
 * runs cannot be called off.
 */
#pragma once

#include "engine/loop.h"

#include <sys/queue.h>

#define BLOCKING_THREADS 4

struct blocking;

struct blocking_job {
    void (*fn)(void *arg); /* runs in one of the threads */
    void *arg;
    void (*done)(struct blocking_job *job); /* on the loop, exactly once; may free the job and start others */
    const void *owner;                      /* for blocking_owner(); may be NULL */
    /* On the clock of clock_now_ns(): until it began it waited for a thread, since it ended for the loop. */
    uint64_t asked_ns, began_ns, ended_ns;
    STAILQ_ENTRY(blocking_job) link; /* blocking.c's */
};

/* `threads` at most; 0: BLOCKING_THREADS. The loop is borrowed. */
int blocking_new(struct loop *loop, unsigned threads, struct blocking **out, struct mite_error *error)
    PRIVATE_API(blocking_new);

/* The caller has filled fn, arg, done and owner. MITE_EIO when not a single thread can be made: then no `done`. */
int blocking_start(struct blocking *blocking, struct blocking_job *job, struct mite_error *error)
    PRIVATE_API(blocking_start);

/*
 * Ends the threads. Jobs that have not begun never will; those that run get `grace_ns`. No `done` is called any more.
 * Returns how many still run: these are let go, and their memory must stay as it is until the process ends. The handle
 * on the loop closes with the loop's next turn. NULL is a no-op.
 */
unsigned blocking_free(struct blocking *blocking, uint64_t grace_ns) PRIVATE_API(blocking_free);

/* The owner of the job that this thread runs; NULL in other threads. Signal-safe. */
const void *blocking_owner(void) PRIVATE_API(blocking_owner);
