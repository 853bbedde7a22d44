/*
 * Design notes. A plain runner says what runs and asks for more; what it is given counts as running from then on. What
 * has ended in between is what ran less what it says: it tells of finished items, but not of journeys without one. It
 * may start as many as have ended, and more only by tokens, which come in at the rate that it holds. Targets are whole
 * numbers with the remainders spread, so there are no fractions to round.
 */
#include "controller/fleet_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <math.h>

#define WORK_MAX      10000 /* journeys in one answer */
#define FIRST_GRANT_S 0.1   /* what the first request may grow by */
#define LATE_S        1.0   /* tokens pile up for so long */
#define UNKNOWN_MAX   1000  /* items that it never had, each looked for among all that it has */

struct plain_work {
    struct work_lease *items;
    size_t count;
};

static int64_t *needs_of(struct fleet *fleet, struct fleet_runner *runner)
{
    int64_t *needs = arena_alloc(&fleet->arena, fleet->scenario->count * sizeof *needs);

    for (size_t i = 0; needs && i < fleet->scenario->count; i++) {
        const struct share *share = &fleet->shares.runners[runner->slot].shares[i];
        int64_t starts = shares_starts(&fleet->shares, (size_t)runner->slot, i);
        needs[i] = share->target > share->running ? share->target - share->running : 0;
        needs[i] = starts >= 0 && starts < needs[i] ? starts : needs[i];
        if (needs[i] > 0 && fleet->leases.of_entry[i]) {
            leases_stock(fleet->leases.of_entry[i], needs[i] < WORK_MAX ? needs[i] : WORK_MAX);
        }
    }
    return needs;
}

/* Starts one journey of an entry; false: there is no item for it. */
static bool give(struct fleet *fleet, struct fleet_runner *runner, size_t entry, struct plain_work *work)
{
    const struct scenario_entry *what = &fleet->scenario->entries[entry];
    struct share *share = &fleet->shares.runners[runner->slot].shares[entry];
    struct work_lease *out = &work->items[work->count];

    *out = (struct work_lease){.scenario_id = what->id,
                               .data_id = value_nil(),
                               .journey_spec = str_of(what->journey_spec),
                               .args = value_nil()};
    if (what->pool) {
        struct lease_item *item = leases_take(&fleet->leases, entry, &runner->holder, runner->asks);
        if (!item) {
            return false;
        }
        out->data_id = item->id;
        out->lease = item->lease;
        if (!fleet_item_value(fleet, item, &out->args)) {
            leases_return_done(&fleet->leases, &runner->holder, item->lease);
            return false;
        }
    }
    work->count++;
    shares_report(&fleet->shares, (size_t)runner->slot, entry, share->running + 1, share->started + 1,
                  share->completed);
    return true;
}

/* The entry of which the largest part is lacking. */
static int neediest(const struct fleet *fleet, const struct fleet_runner *runner, const int64_t *needs)
{
    int best = -1;
    double most = 0;

    for (size_t i = 0; i < fleet->scenario->count; i++) {
        const struct share *share = &fleet->shares.runners[runner->slot].shares[i];
        double part = needs[i] > 0 ? (double)needs[i] / (double)share->target : 0;
        if (part > most && !fleet->shares.entries[i].ended) {
            most = part;
            best = (int)i;
        }
    }
    return best;
}

static void fill(struct fleet *fleet, struct fleet_runner *runner, int64_t ended, int64_t room, struct plain_work *work)
{
    int64_t *needs = needs_of(fleet, runner), growth = (int64_t)fmin(runner->tokens, WORK_MAX);
    int64_t most = ended + growth < room ? ended + growth : room;
    int entry;

    most = most < WORK_MAX ? most : WORK_MAX;
    work->items = arena_alloc(&fleet->arena, (size_t)most * sizeof *work->items);
    if (!needs || !work->items) {
        return;
    }
    fleet->handed_bytes = 0;
    while ((int64_t)work->count < most && fleet->handed_bytes < FLEET_ANSWER_BYTES &&
           (entry = neediest(fleet, runner, needs)) >= 0) {
        needs[entry] = give(fleet, runner, (size_t)entry, work) ? needs[entry] - 1 : 0;
    }
    if ((int64_t)work->count > ended) {
        runner->tokens -= (double)((int64_t)work->count - ended);
    }
}

/* What runs by its word; returns how many journeys have ended. */
static int64_t take_running(struct fleet *fleet, struct fleet_runner *runner, const struct work_request *request)
{
    int64_t *running = arena_alloc(&fleet->arena, fleet->scenario->count * sizeof *running), all_ended = 0;

    if (!running) {
        return 0;
    }
    memset(running, 0, fleet->scenario->count * sizeof *running);
    for (size_t i = 0; i < request->running_count; i++) {
        int64_t id = request->running[i].scenario_id;
        if (id >= 1 && (size_t)id <= fleet->scenario->count && request->running[i].running > 0 &&
            request->running[i].running <= FLEET_COUNT_MAX) {
            running[id - 1] = request->running[i].running;
        }
    }
    for (size_t i = 0; i < fleet->scenario->count; i++) {
        const struct share *share = &fleet->shares.runners[runner->slot].shares[i];
        int64_t ended = share->running > running[i] ? share->running - running[i] : 0;
        int64_t unheard_of = running[i] > share->running ? running[i] - share->running : 0;
        shares_report(&fleet->shares, (size_t)runner->slot, i, running[i], share->started + unheard_of,
                      share->completed + ended);
        all_ended += ended;
    }
    return all_ended;
}

/* Returns the leases that were found, in the arena. */
static uint64_t *take_completed(struct fleet *fleet, struct fleet_runner *runner, const struct work_request *request,
                                size_t *count)
{
    uint64_t *leases = arena_alloc(&fleet->arena, request->completed_count * sizeof *leases);
    size_t unknown = 0;

    for (size_t i = 0; i < request->completed_count && unknown < UNKNOWN_MAX; i++) {
        const struct work_lease *done = &request->completed[i];
        if (done->scenario_id >= 1 && (size_t)done->scenario_id <= fleet->scenario->count) {
            uint64_t lease =
                leases_find(&fleet->leases, &runner->holder, (size_t)done->scenario_id - 1, &done->data_id);
            unknown += lease == 0;
            if (leases_return_done(&fleet->leases, &runner->holder, lease) && leases) {
                leases[(*count)++] = lease;
            }
        }
    }
    return leases;
}

/* One that an earlier controller has welcomed goes on under the id that it has. */
static struct fleet_runner *asker(struct fleet *fleet, struct str peer, int64_t id)
{
    struct fleet_runner *runner = fleet_find(fleet, id);

    if (!runner && id >= 1 && id < INT64_MAX / 2) {
        runner = fleet_greet(fleet, peer, true, id);
    }
    if (!runner || !runner->plain) {
        fleet_bad(fleet, peer, "fleet asker", "it asks for work in the name of another runner, or of none");
        return NULL;
    }
    return runner->slot >= 0 || fleet_join(fleet, runner) == 0 ? runner : NULL;
}

static void earn_tokens(struct fleet *fleet, struct fleet_runner *runner, uint64_t now_ns)
{
    double elapsed_s = runner->asks > 0 ? ns_to_s(now_ns - runner->heard_ns) : FIRST_GRANT_S;
    double rate = shares_rate(&fleet->shares, (size_t)runner->slot);

    runner->tokens = fmin(runner->tokens + rate * elapsed_s, fmax(1, rate * LATE_S));
    if (runner->asks == 0 && rate > 0) {
        runner->tokens = fmax(1, runner->tokens);
    }
}

/* Into the journal, what had items. */
static void exchange(struct fleet *fleet, const struct fleet_runner *runner, struct plain_work *work,
                     const uint64_t *done, size_t done_count)
{
    struct work_lease *leased = arena_alloc(&fleet->arena, work->count * sizeof *leased);
    size_t count = 0;

    for (size_t i = 0; leased && i < work->count; i++) {
        if (work->items[i].lease > 0) {
            leased[count++] = work->items[i];
        }
    }
    fleet_state_exchange(fleet, runner, runner->asks, leased, count, done, done_count, NULL, 0);
}

void fleet_ask(struct fleet *fleet, struct str peer, const struct work_request *request)
{
    struct fleet_runner *runner = asker(fleet, peer, request->runner_id);
    struct work_assignment assignment = {.stop = fleet->phase >= FLEET_DRAINING};
    struct plain_work work = {0};

    if (runner) {
        uint64_t now_ns = clock_now_ns();
        int64_t ended = take_running(fleet, runner, request);
        size_t done_count = 0;
        uint64_t *done = take_completed(fleet, runner, request, &done_count);
        fleet_check_pools(fleet);
        fleet_spread(fleet);
        earn_tokens(fleet, runner, now_ns);
        runner->heard_ns = now_ns;
        runner->asks++;
        if (fleet->phase == FLEET_RUNNING) {
            fill(fleet, runner, ended, request->max_work < 0 ? INT64_MAX : request->max_work, &work);
        }
        exchange(fleet, runner, &work, done, done_count);
        fleet_state_starts(fleet, runner);
        assignment.config = fleet_config(fleet, &runner->config_version, &assignment.config_count);
    }
    assignment.items = work.items;
    assignment.item_count = work.count;
    buf_clear(&fleet->out);
    work_write_assignment(&fleet->out, &assignment);
    fleet_answer(fleet, peer);
}
