/*
 * The local controller: what a runner does by itself between two reports. It is a `struct controller` whose volume
 * models want what the orders say and whose datapools hold what the controller has lent, so that spawn rate, credits
 * and backoff are those of a test on one machine.
 *
 * Life cycle: local_new from the orders that introduce the entries, local_obey for those and all that follow,
 * local_tell for each report and local_told when its fate is known, local_stop, `finished`, local_free.
 */
#pragma once

#include "controller/controller.h"
#include "work/protocol.h"

struct local;

struct local_options {
    const struct work_runner_ops *runner_ops; /* borrowed */
    void *runner;                             /* borrowed */
    int64_t max_journeys;
    void (*finished)(void *arg); /* after local_stop: nothing runs any more; from the loop */
    /* Something has changed that the controller should hear of before the next report is due: items run low, or
     * journeys starve while items are here that have to go back first. From anywhere. */
    void (*urgent)(void *arg, bool starves);
    void *arg;
};

/* MITE_EPROTO: the entries' ids are not 1, 2, 3..., or one has no journey; MITE_EINVAL: no entries at all, or what one
 * names is no spec. */
int local_new(struct loop *loop, const struct work_orders *orders, const struct local_options *options,
              struct local **out, struct mite_error *error);
/* Whether it was made from the same entries. */
bool local_matches(const struct local *local, const struct work_orders *orders);
int local_obey(struct local *local, const struct work_orders *orders, struct mite_error *error);
/* Only what they say of items: they are too old to start anything by. */
int local_take(struct local *local, const struct work_orders *orders, struct mite_error *error);
/* Wants nothing, until the next orders; what runs goes on. */
void local_pause(struct local *local);
/* Starts nothing any more, and gives back the items that it has. */
void local_stop(struct local *local);

/* Fills in entries and leases, in the arena. MITE_ENOMEM, MITE_ELIMIT: then nothing counts as told. */
int local_tell(struct local *local, struct arena *arena, struct work_report *report);
void local_told(struct local *local, bool answered);

/* The runner's leases up to this one are no longer its own. */
void local_void(struct local *local, uint64_t up_to);
/* Whether journeys of an entry hold items, and whether the item with this id is no longer the runner's. */
bool local_holds(const struct local *local, int64_t scenario_id);
bool local_is_void(const struct local *local, int64_t scenario_id, const struct value *data_id);

/* What its runner has to call. */
void local_completed(struct local *local, int64_t scenario_id, const struct value *data_id, bool failed_at_once);
void local_idle(struct local *local);

/* The runner has been freed, or runs nothing. NULL is a no-op. */
void local_free(struct local *local);
