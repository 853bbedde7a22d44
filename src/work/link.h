/*
 * The link between controller and runner. In one process both sides call each other directly through these tables; over
 * ZeroMQ the same two tables are filled by the two ends of a socket.
 */
#pragma once

#include "scenario/args.h"
#include "scenario/config.h"

/* One journey to run. Borrowed for the call; the runner takes its own reference of args. */
struct work_item {
    int64_t scenario_id;
    struct value data_id; /* nil without a datapool */
    const char *journey_spec;
    struct args *args; /* NULL: none */
};

/* What a runner is to its controller. */
struct work_runner_ops {
    /* Start this now. 0: completed() comes in any case, later; a journey that cannot start ends as a failed one.
     * MITE_EAGAIN: the runner is full; MITE_ENOMEM, MITE_ELIMIT: it has no room. Then nothing follows. */
    int (*start)(void *runner, const struct work_item *item);
    /* Start nothing new any more; when the last journey has ended, say so with idle(), perhaps from inside this call.
     */
    void (*stop)(void *runner);
};

/* What a controller is to its runners. */
struct work_controller_ops {
    /* A journey has ended. `failed_at_once`: failed, within a millisecond of its start. May call start() in turn. */
    void (*completed)(void *controller, int64_t runner_id, int64_t scenario_id, const struct value *data_id,
                      bool failed_at_once);
    void (*idle)(void *controller, int64_t runner_id);
};
