/*
 * Controller: decides who runs how much. Once a second (--max-loop-delay) it asks the volume models for the next
 * window; in between it keeps the number of running journeys at what they want: a journey that ends is replaced at
 * once, growth is limited to --spawn-rate, exactly, and replacing does not count as growth.
 *
 * Life cycle: controller_new, controller_add_runner (the scenario's clock starts with the first, after
 * --delay-start-seconds), controller_stop or the models' own end, `finished` when every journey has ended,
 * controller_free.
 *
 * tracker.h holds the arithmetic without a loop: what is wanted, allowed, running; it is tested by itself.
 */
#pragma once

#include "bus/sink.h"
#include "engine/loop.h"
#include "scenario/scenario.h"
#include "work/link.h"

struct controller;

struct controller_options {
    double spawn_rate;       /* journeys a second; 1000 when 0 */
    double max_loop_delay_s; /* length of a window; 1 when 0 */
    double delay_start_s;
    double duration_s;    /* 0: as the models say */
    int64_t iterations;   /* journeys started in the whole run; 0: no limit */
    bool failure_backoff; /* journeys that fail within 1 ms are replaced no faster than 1,000 a second */
};

struct controller_counts {
    int64_t wanted, running, started, completed; /* journeys over all entries */
    int64_t backed_off;                          /* replacements that had to wait for the failure backoff */
    uint64_t elapsed_ns;                         /* since the scenario's clock started */
    bool clock_started;
};

struct controller_entry_counts {
    int64_t wanted, running, started, completed;
};

/* Called from the loop, except for entry_failed: that may come from inside a pool's answer. Each may be NULL. */
struct controller_hooks {
    /* Nothing starts any more, journeys still run: time to start the clock of a grace. At most once, before finished.
     */
    void (*draining)(void *arg);
    void (*finished)(void *arg); /* the run is over: models ended or stopped, no journey runs; once */
    /* A model or pool failed: its entry has ended, the others go on. `fatal` when nothing had been started yet. */
    void (*entry_failed)(void *arg, const struct scenario_entry *entry, const struct mite_error *error, bool fatal);
    void *arg;
};

/* Scenario and sink (for controller_report, one a second and one at the end; NULL: nobody wants them) are borrowed.
 * MITE_EINVAL: the scenario has no journeys. */
int controller_new(struct loop *loop, const struct scenario *scenario, const struct controller_options *options,
                   struct sink *reports, const struct controller_hooks *hooks, struct controller **out,
                   struct mite_error *error) PRIVATE_API(controller_new);
/* At any time, also while a pool has not answered: an item that comes later is checked in. NULL is a no-op. */
void controller_free(struct controller *controller) PRIVATE_API(controller_free);

/* Returns the runner's id, from 1; negative: a code. max_journeys 0: no limit. */
int64_t controller_add_runner(struct controller *controller, const struct work_runner_ops *ops, void *runner,
                              int64_t max_journeys, struct mite_error *error) PRIVATE_API(controller_add_runner);
extern const struct work_controller_ops controller_work_ops PRIVATE_API(controller_work_ops);

/* For a run that is directed from elsewhere. Asks the models again now, without a new window, and the pools that had
 * nothing. */
void controller_refresh(struct controller *controller);
/* From now on; 0: it does not grow. */
void controller_set_spawn_rate(struct controller *controller, double spawn_rate);
/* Entry `index` may start journeys until it has started so many in all; INT64_MAX: no limit. */
void controller_allow_starts(struct controller *controller, size_t index, int64_t allowed);
void controller_count_entry(const struct controller *controller, size_t index, struct controller_entry_counts *out);

/* Start nothing new; finished() follows when what runs has ended. Twice does nothing. */
void controller_stop(struct controller *controller) PRIVATE_API(controller_stop);
void controller_count(const struct controller *controller, struct controller_counts *out) PRIVATE_API(controller_count);
