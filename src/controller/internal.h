/*
 * The controller from inside, shared by its two files alone: controller.c does what the clock says, starts.c what pools
 * and runners say.
 */
#pragma once

#include "controller/controller.h"
#include "controller/tracker.h"
#include "controller/windows.h"
#include "engine/timer.h"

#include <sys/queue.h>

struct attached_runner {
    const struct work_runner_ops *ops;
    void *runner; /* borrowed */
    bool idle;
};

/* A checkout or a checkin under way. */
struct errand {
    struct controller *controller; /* NULL once it is gone */
    struct datapool *pool;         /* counted */
    size_t entry;
    size_t runner; /* of a checkin: where the journey ran, and how it ended */
    bool failed_at_once;
    LIST_ENTRY(errand) link;
};

LIST_HEAD(errand_list, errand);

enum phase {
    PHASE_NEW, /* no runner yet, or in the delay */
    PHASE_RUNNING,
    PHASE_DRAINING, /* nothing starts any more */
    PHASE_FINISHED,
};

struct controller {
    struct timer timer;
    const struct scenario *scenario;
    struct controller_options options;
    struct controller_hooks hooks;
    struct sink *reports;
    struct tracker tracker;
    struct attached_runner *runners; /* owned; same order as the tracker's */
    size_t runner_count;
    struct errand_list errands, spares;
    struct message_count *required, *actual; /* owned; room for every entry */
    enum phase phase;
    bool dispatching, clock_started;
    uint64_t wake_ns;          /* what the timer is set to; UINT64_MAX: nothing */
    uint64_t start_ns, end_ns; /* of the scenario's clock; end 0: it has not finished */
    struct windows windows;
    uint64_t next_report_ns;
};

static inline const struct scenario_entry *entry_at(const struct controller *controller, size_t entry)
{
    return &controller->scenario->entries[entry];
}

/* controller.c. After whatever happened between two looks at the clock: what it made due must not wait for the next. */
void controller_look_soon(struct controller *controller);
/* A model or pool failed: its entry has ended. */
void controller_entry_failed(struct controller *controller, size_t entry, const struct mite_error *error);

/* starts.c. Starts whatever the tracker allows. */
void starts_dispatch(struct controller *controller);
/* Lets go of what is under way at pools. */
void starts_release(struct controller *controller);
