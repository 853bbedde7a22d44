/*
 * Design notes
 *
 * - A start asks the pool, and the pool's answer, at once or later, starts the journey; an end waits until the item is
 *   in again. Each is an errand to the pool. Errands are recycled; one that is out when the controller is freed is
 *   orphaned, and gives back the item that it may still get.
 * - A journey counts as running until its item is in: who takes its place finds the item, and the run does not end over
 *   the heads of checkins.
 * - starts_dispatch() does not nest: what a pool answers while it runs is seen by its own loop, so a thousand failing
 *   checkouts are no recursion.
 */
#include "base/clock.h"
#include "controller/internal.h"

#include <stdlib.h>

/* ---- starting ---- */

/* Not now, and not before the next window. */
static void not_started(struct controller *controller, size_t entry)
{
    tracker_block(&controller->tracker, entry);
    tracker_not_started(&controller->tracker, entry);
}

/* Starts a journey of a pending entry; false when no runner takes it. */
static bool start(struct controller *controller, size_t entry, const struct datapool_item *item)
{
    struct tracker *tracker = &controller->tracker;
    struct work_item work = {
        .scenario_id = entry_at(controller, entry)->id,
        .data_id = item->id,
        .journey_spec = entry_at(controller, entry)->journey_spec,
        .args = item->args,
    };
    int index = tracker->entries[entry].ended ? -1 : tracker_pick_runner(tracker, entry);

    if (index < 0 || controller->runners[index].ops->start(controller->runners[index].runner, &work) < 0) {
        return false;
    }
    tracker_started(tracker, entry, (size_t)index);
    return true;
}

static void not_checked_out(struct controller *controller, size_t entry, int code, const struct mite_error *error)
{
    if (code == MITE_EEND) {
        tracker_end(&controller->tracker, entry);
    } else if (code != MITE_EAGAIN && code != MITE_ECANCELLED) {
        controller_entry_failed(controller, entry, error);
    }
    not_started(controller, entry);
}

/* ---- errands ---- */

/* NULL without memory. */
static struct errand *errand_new(struct controller *controller, size_t entry)
{
    struct errand *errand = LIST_FIRST(&controller->spares);

    if (errand) {
        LIST_REMOVE(errand, link);
    } else if (!(errand = malloc(sizeof *errand))) {
        return NULL;
    }
    *errand = (struct errand){
        .controller = controller, .pool = datapool_ref(entry_at(controller, entry)->pool), .entry = entry};
    LIST_INSERT_HEAD(&controller->errands, errand, link);
    return errand;
}

/* Returns the controller that it ran for, NULL when that is gone. */
static struct controller *errand_done(struct errand *errand)
{
    struct controller *controller = errand->controller;

    datapool_unref(errand->pool);
    if (controller) {
        LIST_REMOVE(errand, link);
        LIST_INSERT_HEAD(&controller->spares, errand, link);
    } else {
        free(errand);
    }
    return controller;
}

/* An item that nobody could use is in again. */
static void given_back(void *arg)
{
    struct errand *errand = arg;
    size_t entry = errand->entry;
    struct controller *controller = errand_done(errand);

    if (controller) {
        not_started(controller, entry);
        starts_dispatch(controller);
        controller_look_soon(controller);
    }
}

/* A pool's answer. */
static void checked_out(void *arg, int code, const struct datapool_item *item, const struct mite_error *error)
{
    struct errand *errand = arg;
    struct controller *controller = errand->controller;

    if (code == 0) {
        bool started = controller && start(controller, errand->entry, item);
        args_unref(item->args);
        if (!started) {
            errand->pool->ops->checkin(errand->pool, &item->id, given_back, errand);
            return;
        }
    } else if (controller) {
        not_checked_out(controller, errand->entry, code, error);
    }
    if (errand_done(errand)) {
        starts_dispatch(controller);
        controller_look_soon(controller);
    }
}

static void check_out(struct controller *controller, size_t entry)
{
    struct datapool *pool = entry_at(controller, entry)->pool;
    struct errand *errand = pool ? errand_new(controller, entry) : NULL;

    if (errand) {
        pool->ops->checkout(pool, checked_out, errand);
    } else if (pool || !start(controller, entry, &(struct datapool_item){.id = value_nil()})) {
        not_started(controller, entry);
    }
}

void starts_dispatch(struct controller *controller)
{
    int entry;

    if (controller->dispatching || controller->phase != PHASE_RUNNING) {
        return;
    }
    controller->dispatching = true;
    while ((entry = tracker_next(&controller->tracker)) >= 0) {
        check_out(controller, (size_t)entry);
    }
    controller->dispatching = false;
}

/* ---- what runners say ---- */

/* Whoever waits for an item of this pool may ask again. */
static void unblock(struct controller *controller, const struct datapool *pool)
{
    for (size_t i = 0; i < controller->scenario->count; i++) {
        if (entry_at(controller, i)->pool == pool) {
            tracker_unblock(&controller->tracker, i);
        }
    }
}

static void journey_over(struct controller *controller, size_t entry, size_t runner, bool failed_at_once)
{
    if (failed_at_once) {
        tracker_advance(&controller->tracker, clock_now_ns());
    }
    tracker_completed(&controller->tracker, entry, runner, failed_at_once);
    starts_dispatch(controller);
    controller_look_soon(controller);
}

static void checked_in(void *arg)
{
    struct errand *errand = arg, was = *errand;
    struct controller *controller = errand_done(errand);

    if (controller) {
        unblock(controller, was.pool);
        journey_over(controller, was.entry, was.runner, was.failed_at_once);
    }
}

static void checked_in_unheard(void *arg)
{
}

static void completed(void *arg, int64_t runner_id, int64_t scenario_id, const struct value *data_id,
                      bool failed_at_once)
{
    struct controller *controller = arg;
    size_t entry = (size_t)scenario_id - 1, runner = (size_t)runner_id - 1;
    struct datapool *pool = entry_at(controller, entry)->pool;
    struct errand *errand = pool ? errand_new(controller, entry) : NULL;

    if (errand) {
        errand->runner = runner;
        errand->failed_at_once = failed_at_once;
        pool->ops->checkin(pool, data_id, checked_in, errand);
        return;
    }
    if (pool) { /* no memory for the errand: the item goes back all the same */
        pool->ops->checkin(pool, data_id, checked_in_unheard, NULL);
    }
    journey_over(controller, entry, runner, failed_at_once);
}

static void idle(void *arg, int64_t runner_id)
{
    struct controller *controller = arg;

    controller->runners[runner_id - 1].idle = true;
    controller_look_soon(controller);
}

const struct work_controller_ops controller_work_ops = {.completed = completed, .idle = idle};

/* ---- end ---- */

void starts_release(struct controller *controller)
{
    struct errand *errand;

    while ((errand = LIST_FIRST(&controller->errands))) {
        LIST_REMOVE(errand, link);
        errand->controller = NULL;
    }
    while ((errand = LIST_FIRST(&controller->spares))) {
        LIST_REMOVE(errand, link);
        free(errand);
    }
}
