/*
 * Design notes
 *
 * The controller of the Python program decides of every start: we ask at every completion, and at least every
 * --max-loop-delay, one request at a time. A request is no report: to repeat one that was answered would return its
 * items twice. So after a broken connection we say hello anew, as another runner: the old one's journeys are cancelled,
 * and what it had to return goes with it. Only a silence, long as that may be, is answered by repeating.
 */
#include "base/clock.h"
#include "worker/internal.h"

#include <stdlib.h>

#define ANSWER_PATIENCE_NS (10 * NS_PER_S)
#define RETRY_NS           NS_PER_S  /* what there was no memory for */
#define LEAST_PAUSE_NS     NS_PER_MS /* between an answer and the next request; less than that are no items worth */
#define LOOK_NS            (20 * NS_PER_MS) /* how often we look whether a former controller's journeys have ended */
#define LOOKS              100              /* and how many times: one that swallows its cancellation holds up nobody */

/* What a journey was given, where it needs memory: its arguments hold it. */
struct plain_args {
    struct value_args base; /* first member */
    struct arena arena;     /* of the list and of the item's id */
};

/* ---- items ---- */

static void args_released(struct args *args)
{
    struct plain_args *given = (struct plain_args *)args;

    arena_done(&given->arena);
    free(given);
}

static const struct args_ops plain_ops = {.host = args_value_host, .to_value = args_value_copy, .free = args_released};

/* *id gets the item's, in memory that lives as long as the arguments. NULL without memory. */
static struct args *hold_item(const struct work_lease *item, struct value *id)
{
    struct plain_args *given = calloc(1, sizeof *given);

    if (!given) {
        return NULL;
    }
    given->base.args = (struct args){.ops = &plain_ops, .refs = 1};
    arena_init(&given->arena, 0);
    struct value list = item->args.type == VALUE_LIST ? item->args : value_list(NULL, 0);
    if (value_copy(&given->arena, &list, &given->base.list) < 0 || value_copy(&given->arena, &item->data_id, id) < 0) {
        args_unref(&given->base.args);
        return NULL;
    }
    return &given->base.args;
}

/* ---- counts ---- */

/* NULL: none of that id can be, or there is no memory. */
static int64_t *running_of(struct plain *plain, int64_t scenario_id)
{
    if (scenario_id > WORK_ENTRIES_MAX) {
        return NULL;
    }
    if ((size_t)scenario_id > plain->running_count) {
        int64_t *longer = realloc(plain->running, (size_t)scenario_id * sizeof *longer);
        if (!longer) {
            return NULL;
        }
        plain->running = longer;
        while (plain->running_count < (size_t)scenario_id) {
            plain->running[plain->running_count++] = 0;
        }
    }
    return &plain->running[scenario_id - 1];
}

/* An item goes back, with the next request. */
static void give_back(struct worker *worker, int64_t scenario_id, const struct value *data_id)
{
    struct plain *plain = &worker->plain;
    struct work_lease lease = {.scenario_id = scenario_id, .args = value_nil()};

    if (data_id->type == VALUE_NIL) {
        return;
    }
    if (plain->lease_count == plain->lease_capacity) {
        size_t capacity = plain->lease_capacity ? 2 * plain->lease_capacity : 64;
        struct work_lease *longer = realloc(plain->leases, capacity * sizeof *longer);
        if (!longer) {
            worker_say(worker, LOG_ERROR, "no memory to give an item back to its datapool");
            return;
        }
        plain->leases = longer;
        plain->lease_capacity = capacity;
    }
    if (value_copy(&plain->completed, data_id, &lease.data_id) < 0) {
        worker_say(worker, LOG_ERROR, "no memory to give an item back to its datapool");
        return;
    }
    plain->leases[plain->lease_count++] = lease;
}

/* The first `count` have been sent; what they pointed to goes when all have. */
static void forget_returned(struct plain *plain, size_t count)
{
    plain->lease_count -= count;
    if (plain->lease_count > 0) {
        memmove(plain->leases, plain->leases + count, plain->lease_count * sizeof *plain->leases);
    } else {
        arena_reset(&plain->completed);
    }
}

/* ---- asking ---- */

static int64_t most_work(const struct worker *worker)
{
    int64_t most = worker->options.max_journeys;

    if (worker->plain.stopping || worker->draining) {
        return 0;
    }
    return most == 0 ? -1 : most > worker->plain.total ? most - worker->plain.total : 0;
}

static void ask(struct worker *worker)
{
    struct plain *plain = &worker->plain;
    struct work_running *running = calloc(plain->running_count + 1, sizeof *running);
    size_t count = plain->lease_count < WORK_ITEMS_MAX ? plain->lease_count : WORK_ITEMS_MAX;
    struct work_request request = {.kind = WORK_ASK,
                                   .runner_id = worker->runner_id,
                                   .running = running,
                                   .completed = plain->leases,
                                   .completed_count = count,
                                   .max_work = most_work(worker)};

    for (size_t i = 0; running && i < plain->running_count; i++) {
        if (plain->running[i] > 0) {
            running[request.running_count++] =
                (struct work_running){.scenario_id = (int64_t)i + 1, .running = plain->running[i]};
        }
    }
    buf_clear(&worker->out);
    work_write_request(&worker->out, &request);
    worker->out.failed |= !running; /* without it all would seem to have ended */
    free(running);
    if (worker_send(worker, ANSWER_PATIENCE_NS) < 0) {
        worker_say(worker, LOG_ERROR, "no memory for a request to the controller");
        timer_start(&plain->due.timer, RETRY_NS, 0);
        return;
    }
    plain->ended = false;
    plain->last = (plain->stopping || worker->draining) && plain->total == 0;
    plain->asked_ns = clock_now_ns();
    forget_returned(plain, count);
}

static void schedule_next(struct worker *worker)
{
    struct plain *plain = &worker->plain;
    double delay_s = worker->options.max_loop_delay_s;
    bool soon = plain->ended || plain->lease_count > 0 || ((plain->stopping || worker->draining) && plain->total == 0);
    uint64_t wait_ns = soon ? LEAST_PAUSE_NS : ns_from_s(delay_s > 0 ? delay_s : 1);
    uint64_t least_ns = ns_from_s(worker->options.min_loop_delay_s);
    uint64_t passed_ns = clock_now_ns() - plain->asked_ns;

    wait_ns = wait_ns > least_ns ? wait_ns : least_ns;
    timer_start(&plain->due.timer, wait_ns > passed_ns ? wait_ns - passed_ns : 0, 0);
}

static void on_due(struct timer *timer)
{
    struct worker *worker = worker_of(timer);

    if (worker->phase != WORKER_PLAIN || link_waits(worker->link)) {
        return;
    }
    if (worker->held.size > 0) {
        return; /* worker_prepared() goes on */
    }
    if (worker_running(worker) > 0 && (worker->dialect.local || worker->plain.looks > 0)) {
        worker->plain.looks -= worker->plain.looks > 0;
        timer_start(timer, LOOK_NS, 0);
        return;
    }
    worker->plain.looks = 0;
    dialect_forget(worker);
    ask(worker);
}

/* ---- work ---- */

static void start(struct worker *worker, const struct work_lease *item)
{
    int64_t *running = running_of(&worker->plain, item->scenario_id);
    struct value id = value_nil();
    struct args *args = NULL;
    int rc = running ? 0 : MITE_ENOMEM;

    if (rc == 0 && (item->args.type != VALUE_NIL || item->data_id.type != VALUE_NIL)) {
        args = hold_item(item, &id);
        rc = args ? 0 : MITE_ENOMEM;
    }
    if (rc == 0) {
        struct work_item work = {
            .scenario_id = item->scenario_id, .data_id = id, .journey_spec = item->journey_spec.p, .args = args};
        rc = runner_work_ops.start(worker->runner, &work);
    }
    args_unref(args);
    if (rc == 0) {
        ++*running;
        worker->plain.total++;
    } else {
        give_back(worker, item->scenario_id, &item->data_id);
    }
}

static void take_work(struct worker *worker, const struct work_assignment *work)
{
    for (size_t i = 0; i < work->item_count; i++) {
        const struct work_lease *item = &work->items[i];
        if (worker->draining || most_work(worker) == 0) {
            give_back(worker, item->scenario_id, &item->data_id);
        } else {
            start(worker, item);
        }
    }
}

static bool may_run(struct worker *worker, const struct work_assignment *work)
{
    for (size_t i = 0; i < work->item_count; i++) {
        if (!worker_may_run(worker, work->items[i].journey_spec, work->items[i].args.type != VALUE_NIL)) {
            return false;
        }
    }
    return true;
}

void plain_received(struct worker *worker, struct str body)
{
    struct plain *plain = &worker->plain;
    struct mite_error error = {0};
    struct work_assignment work;

    if (work_read_assignment(&worker->arena, body, &work, &error) < 0) {
        worker_unexpected(worker, body, &error);
        return;
    }
    link_answered(worker->link);
    worker_heard(worker);
    if (!may_run(worker, &work)) {
        if (!worker_hold(worker, body)) {
            schedule_next(worker);
        }
        return;
    }
    worker_set_config(worker, work.config, work.config_count);
    take_work(worker, &work);
    if (work.stop && !plain->stopping) {
        plain->stopping = true;
        runner_ask_stop(worker->runner);
    }
    if (plain->last && plain->total == 0 && plain->lease_count == 0) {
        worker_say_bye(worker);
    } else {
        schedule_next(worker);
    }
}

/* ---- the runner ---- */

void plain_completed(struct worker *worker, int64_t scenario_id, const struct value *data_id)
{
    struct plain *plain = &worker->plain;
    int64_t *running = running_of(plain, scenario_id);

    if (!running || *running == 0) { /* from orders of our dialect; it took long to end */
        return;
    }
    --*running;
    plain->total--;
    plain->ended = true;
    if (worker->phase != WORKER_PLAIN || plain->looks > 0) { /* a controller that is gone gave it */
        if (worker->held.size > 0 && plain->total == 0) {
            timer_start(&worker->dialect.due.timer, 0, 0);
        }
        return;
    }
    give_back(worker, scenario_id, data_id);
    if (!link_waits(worker->link)) {
        schedule_next(worker);
    }
}

/* ---- life ---- */

void plain_begin(struct worker *worker)
{
    worker->phase = WORKER_PLAIN;
    worker->plain.stopping = worker->plain.last = false;
    forget_returned(&worker->plain, worker->plain.lease_count);
    worker->plain.looks = worker_running(worker) > 0 ? LOOKS : 0;
    if (worker->dialect.local) {
        local_pause(worker->dialect.local);
    }
    runner_cancel_all(worker->runner);
    timer_start(&worker->plain.due.timer, 0, 0);
}

void plain_disconnected(struct worker *worker)
{
    if (worker->held.size > 0) {
        buf_clear(&worker->held);
    }
    timer_stop(&worker->plain.due.timer);
    worker_say_hello(worker);
    worker_end_alone(worker);
}

void plain_drain(struct worker *worker)
{
    if (!link_waits(worker->link)) {
        schedule_next(worker);
    }
}

int plain_init(struct worker *worker)
{
    arena_init(&worker->plain.completed, 0);
    return worker_timer_init(worker, &worker->plain.due, on_due);
}

void plain_done(struct worker *worker)
{
    arena_done(&worker->plain.completed);
    free(worker->plain.running);
    free(worker->plain.leases);
}
