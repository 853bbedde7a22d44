/*
 * Runner: starts journeys, counts them, ends them. It is told what to start (work/link.h) and answers when each has
 * ended.
 *
 * A journey whose spec cannot be loaded while the load runs is an error in the figures: one `exception` message a
 * start, and it counts as failed.
 *
 * Life cycle: runner_new, runner_add_host and runner_set_id before the first start, then what its controller says;
 * runner_free when nothing runs any more.
 */
#pragma once

#include "engine/loop.h"
#include "runner/journey.h"
#include "work/link.h"

struct runner;

struct runner_options {
    const char *test;     /* borrowed: the scenario's name */
    int64_t max_journeys; /* 0: no limit */
};

struct runner_counts {
    int64_t running, started, completed; /* started = running + completed */
    int64_t failed, cancelled;           /* of those completed */
};

/* Loop, sink and controller are borrowed. */
int runner_new(struct loop *loop, const struct runner_options *options, struct sink *sink,
               const struct work_controller_ops *controller_ops, void *controller, struct runner **out,
               struct mite_error *error) PRIVATE_API(runner_new);
/* Borrowed. Asked in the order of adding: one that owns all specs comes last. */
void runner_add_host(struct runner *runner, struct journey_host *host) PRIVATE_API(runner_add_host);
void runner_set_id(struct runner *runner, int64_t runner_id) PRIVATE_API(runner_set_id);
extern const struct work_runner_ops runner_work_ops PRIVATE_API(runner_work_ops);

/* Loads a spec ahead of the load, so that a wrong one is found before it; so is a journey that needs arguments and will
 * have no datapool to get them from. */
int runner_preload(struct runner *runner, const char *spec, bool has_datapool, struct mite_error *error)
    PRIVATE_API(runner_preload);

/* Tells running journeys (context->should_stop) to come to their end. */
void runner_ask_stop(struct runner *runner) PRIVATE_API(runner_ask_stop);
/* Cancels what still runs. */
void runner_cancel_all(struct runner *runner) PRIVATE_API(runner_cancel_all);
/* Of those alone of which `which` says so, by scenario and data id. */
void runner_cancel_some(struct runner *runner, bool (*which)(void *arg, const struct message_origin *origin),
                        void *arg);
void runner_count(const struct runner *runner, struct runner_counts *out) PRIVATE_API(runner_count);

/* Journeys that still run are let go: nobody hears of their end. NULL is a no-op. */
void runner_free(struct runner *runner) PRIVATE_API(runner_free);
