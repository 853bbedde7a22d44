/*
 * Design notes
 *
 * How many items a runner holds. Of a pool that recycles, and is not so large that handing it all out makes no sense,
 * each has its part of all of it, by its part of the work: so every item is used in its turn, and nobody asks for one.
 * Of other pools it has what it will use until its next report: what it lacks, twice what it used of late and a few
 * more. Where a pool has no more to give, what is left is divided, and the last ones are for who starts them now; nor
 * may one runner have more than its part of such a pool, or it would have all again as soon as it gives them back.
 */
#include "controller/fleet_internal.h"

#include "base/log.h"

#include <stdlib.h>

#define TURNS_MAX 20000 /* items of a pool that runners take turns among */
#define AHEAD_MAX 10000
#define BLOCK_MAX 20000 /* items in one message */

#define ITEM_BYTES_MAX ((size_t)32 << 20) /* with what is there already, below what a socket takes */

static bool takes_turns(const struct lease_pool *pool)
{
    return pool->pool->kind == DATAPOOL_RECYCLES && pool->pool->count <= TURNS_MAX;
}

/* Of one that is awaited nothing runs as far as is known. */
static int64_t unused_of(const struct fleet *fleet, const struct fleet_runner *runner, size_t entry)
{
    int64_t running = runner->slot >= 0 ? fleet->shares.runners[runner->slot].shares[entry].running : 0;
    int64_t held = runner->holder.by_entry[entry];

    return held > running ? held - running : 0;
}

int64_t fleet_unused(const struct fleet *fleet, const struct lease_pool *pool)
{
    int64_t unused = 0;

    for (size_t entry = 0; entry < fleet->scenario->count; entry++) {
        for (size_t i = 0; fleet->leases.of_entry[entry] == pool && i < fleet->runner_count; i++) {
            unused += unused_of(fleet, fleet->runners[i], entry);
        }
    }
    return unused;
}

/* The part of a pool that is an entry's, where several use it. */
static int64_t part_of_pool(const struct fleet *fleet, const struct lease_pool *pool, size_t entry)
{
    int64_t all = 0, before = 0, mine = fleet->shares.entries[entry].wanted;

    for (size_t i = 0; i < fleet->scenario->count; i++) {
        if (fleet->leases.of_entry[i] == pool) {
            before += i < entry ? fleet->shares.entries[i].wanted : 0;
            all += fleet->shares.entries[i].wanted;
        }
    }
    if (all == 0) {
        return 0;
    }
    __extension__ typedef __int128 wide;
    return (int64_t)((wide)pool->pool->count * (before + mine) / all - (wide)pool->pool->count * before / all);
}

int64_t fleet_most_items(const struct fleet *fleet, const struct fleet_runner *runner, size_t entry)
{
    int64_t size = fleet->leases.of_entry[entry]->size;
    int64_t part = size > 0 ? shares_part(&fleet->shares, (size_t)runner->slot, entry, size) : INT64_MAX;

    return part > 0 ? part : 1;
}

static int64_t hold_ahead(const struct fleet *fleet, const struct fleet_runner *runner, const struct lease_pool *pool,
                          size_t entry, int64_t used)
{
    size_t slot = (size_t)runner->slot;
    const struct share *share = &fleet->shares.runners[slot].shares[entry];
    int64_t lacks = share->target > share->running ? share->target - share->running : 0;
    int64_t hold = lacks + 2 * used + share->target / 4 + 1;

    if (share->target == 0) {
        return 0;
    }
    if (pool->dry || pool->over) {
        int64_t left = pool->in_stock + fleet_unused(fleet, pool);
        int64_t part = shares_part(&fleet->shares, slot, entry, left);
        if (lacks > 0 && part == 0 && left > 0) {
            part = 1;
        } else if (lacks == 0 && used == 0 && left < 2 * (int64_t)fleet->shares.runner_count) {
            part = 0;
        }
        hold = part < hold ? part : hold;
    }
    int64_t most = fleet_most_items(fleet, runner, entry) - share->running;
    hold = hold < most ? hold : most > 0 ? most : 0;
    return hold < AHEAD_MAX ? hold : AHEAD_MAX;
}

bool fleet_item_value(struct fleet *fleet, const struct lease_item *item, struct value *out)
{
    struct mite_error error = {0};
    size_t before = fleet->arena.used_bytes;
    int rc = 0;

    *out = value_nil();
    if (item->args) {
        rc = item->args->ops->to_value(item->args, &fleet->arena, out, &error);
    }
    size_t bytes = fleet->arena.used_bytes - before;
    if (rc == 0 && bytes > ITEM_BYTES_MAX) {
        rc = error_set(&error, MITE_ELIMIT, "an item of the datapool of %s takes %zu bytes: %zu can be sent",
                       fleet->scenario->entries[item->entry].journey_spec, bytes, ITEM_BYTES_MAX);
    }
    fleet->handed_bytes += bytes;
    if (rc < 0) {
        fleet_entry_failed(fleet, item->entry, &error);
        error_done(&error);
    }
    return rc == 0;
}

/* Room for one more item of the orders that are being made; NULL without memory. */
static struct work_lease *next_item(struct fleet *fleet)
{
    if (fleet->handed_count == fleet->handed_room) {
        size_t room = fleet->handed_room ? 2 * fleet->handed_room : 64;
        struct work_lease *handed = realloc(fleet->handed, room * sizeof *handed);
        if (!handed) {
            return NULL;
        }
        fleet->handed = handed;
        fleet->handed_room = room;
    }
    return &fleet->handed[fleet->handed_count];
}

/* As many as there are. */
static void hand_out(struct fleet *fleet, struct fleet_runner *runner, size_t entry, int64_t lacks)
{
    struct work_lease *out;
    struct lease_item *item;

    leases_stock(fleet->leases.of_entry[entry], lacks);
    for (; lacks > 0 && fleet->handed_count < BLOCK_MAX && fleet->handed_bytes < FLEET_ANSWER_BYTES &&
           (out = next_item(fleet));
         lacks--) {
        item = leases_take(&fleet->leases, entry, &runner->holder, runner->seq);
        if (!item) {
            break;
        }
        *out = (struct work_lease){
            .scenario_id = fleet->scenario->entries[entry].id, .lease = item->lease, .data_id = item->id};
        if (!fleet_item_value(fleet, item, &out->args)) {
            leases_return_done(&fleet->leases, &runner->holder, item->lease);
            return;
        }
        fleet->handed_count++;
    }
}

static void order_entry(struct fleet *fleet, struct fleet_runner *runner, size_t entry, struct work_entry_orders *out)
{
    const struct scenario_entry *what = &fleet->scenario->entries[entry];
    struct lease_pool *pool = fleet->leases.of_entry[entry];
    const struct share *share = &fleet->shares.runners[runner->slot].shares[entry];
    int64_t used = share->completed - share->was_completed, held = runner->holder.by_entry[entry];
    bool draining = fleet->phase >= FLEET_DRAINING;

    *out = (struct work_entry_orders){
        .scenario_id = what->id,
        .target = draining ? 0 : share->target,
        .starts_left = shares_starts(&fleet->shares, (size_t)runner->slot, entry),
        .has_pool = pool != NULL,
        .recycles = pool && takes_turns(pool),
        .journey_spec = runner->introduced ? str_of(what->journey_spec) : STR_NONE,
    };
    if (!pool || draining || fleet->shares.entries[entry].ended || runner->idle_ns) { /* idle: it says bye next */
        return;
    }
    if (out->recycles) {
        out->hold = shares_part(&fleet->shares, (size_t)runner->slot, entry, part_of_pool(fleet, pool, entry));
    } else {
        out->hold = hold_ahead(fleet, runner, pool, entry, used);
        held -= share->running;
    }
    if (out->hold > held && fleet->phase == FLEET_RUNNING) {
        hand_out(fleet, runner, entry, out->hold - held);
    }
}

const struct pair *fleet_config(struct fleet *fleet, uint64_t *known, size_t *count)
{
    const struct config *config = fleet->options.config;
    struct map_entry *at;
    uint32_t index = 0;

    *count = 0;
    if (config->version <= *known) {
        return NULL;
    }
    struct pair *pairs = arena_alloc(&fleet->arena, config->entries.live_count * sizeof *pairs);
    if (!pairs) {
        return NULL; /* later, then */
    }
    while ((at = map_next(&config->entries, &index))) {
        const struct config_entry *entry = at->value;
        if (entry->version > *known) {
            pairs[(*count)++] = (struct pair){value_text(at->key), entry->value};
        }
    }
    *known = config->version;
    return pairs;
}

void fleet_write_orders(struct fleet *fleet, struct fleet_runner *runner)
{
    size_t count = fleet->scenario->count;
    struct work_entry_orders *entries = arena_alloc(&fleet->arena, count * sizeof *entries);
    struct work_orders orders = {
        .seq = runner->seq,
        .known = true,
        .void_up_to = runner->introduced || !runner->void_told ? runner->void_up_to : 0,
        .failure_backoff = fleet->options.scheduling.failure_backoff,
        .stop = fleet->phase >= FLEET_DRAINING,
        .cancel = fleet->cancelled,
    };

    uint64_t known = runner->introduced ? 0 : runner->config_version;

    buf_clear(&runner->answer);
    fleet->handed_count = fleet->handed_bytes = 0;
    if (!entries) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        order_entry(fleet, runner, i, &entries[i]);
    }
    orders.entries = entries;
    orders.entry_count = count;
    orders.items = fleet->handed;
    orders.item_count = fleet->handed_count;
    orders.spawn_rate = shares_rate(&fleet->shares, (size_t)runner->slot);
    orders.config = fleet_config(fleet, &known, &orders.config_count);
    work_write_orders(&runner->answer, &orders);
    if (runner->answer.failed) {
        buf_clear(&runner->answer);
    } else {
        runner->config_version = known;
    }
}
