/*
 * Design notes
 *
 * At a start the file is read, pools are brought to where they were, and the file is written anew. Runners that were
 * there are awaited as if they had just been heard; they are told that they are unknown, say hello, keep their ids and
 * leases, and send all that they have counted. A report comes from each until it is answered: the one before that in
 * which it introduces itself never was, and the items that were handed out for it are in stock again.
 *
 * An item is out under its newest lease alone, whatever older records say of it.
 */
#include "controller/fleet_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "stats/totals_delta.h"
#include "value/msgpack.h"

#include <stdlib.h>

#define BLOCK       1000 /* items that are brought back at once */
#define LEFT_COUNTS 5    /* of a record "left" */

/* An item of which the journal tells, and what became of it. */
struct remembered {
    uint64_t lease; /* 0: given back unused */
    uint64_t seq;
    int64_t runner;
    size_t entry;
    struct value id;
};

struct restart {
    struct fleet *fleet;
    struct map items;    /* [pool, data id] as msgpack → struct remembered, owned */
    struct map by_lease; /* those that are out, borrowed */
    struct arena ids;    /* what their ids point to */
    struct buf key;      /* scratch */
    int64_t *highest;    /* owned; of each pool: of items that were handed out */
    uint64_t last;       /* the newest lease */
    double wall_s;       /* when the clock started; 0: it had not */
    bool known;          /* there was something in the file */
};

/* ---- reading ---- */

static int broken(struct mite_error *error)
{
    return error_set(error, MITE_EPROTO, "--state: the file is none of a controller's; name another, or remove it");
}

static int no_memory(struct mite_error *error)
{
    return error_set(error, MITE_ENOMEM, "no memory for what --state tells");
}

static const struct value *at(const struct value *record, uint32_t index, enum value_type type)
{
    return record->count > index && record->items[index].type == type ? &record->items[index] : NULL;
}

/* A number that may not be negative; -1: there is none. */
static int64_t number_at(const struct value *record, uint32_t index)
{
    const struct value *number = at(record, index, VALUE_INT);

    return number && number->integer >= 0 ? number->integer : -1;
}

/* The index of an entry by its id; the number of entries where there is none. */
static size_t entry_at(const struct restart *restart, const struct value *record, uint32_t index)
{
    int64_t id = number_at(record, index);
    size_t count = restart->fleet->scenario->count;

    return id >= 1 && (size_t)id <= count ? (size_t)id - 1 : count;
}

/* NULL where that entry has none. */
static struct lease_pool *pool_at(const struct restart *restart, const struct value *record, uint32_t index)
{
    return restart->fleet->leases.of_entry[entry_at(restart, record, index)];
}

static struct fleet_runner *runner_at(const struct restart *restart, const struct value *record)
{
    return fleet_find(restart->fleet, number_at(record, 1));
}

static int read_header(struct restart *restart, const struct value *record, struct mite_error *error)
{
    struct fleet *fleet = restart->fleet;
    const struct value *format = at(record, 1, VALUE_INT), *test = at(record, 2, VALUE_TEXT),
                       *epoch = at(record, 3, VALUE_INT);

    if (restart->known || !format || !test || !epoch || format->integer != FLEET_STATE_FORMAT) {
        return broken(error);
    }
    if (!str_is(value_str(test), fleet->scenario->name)) {
        return error_set(error, MITE_EINVAL,
                         "--state: the file is that of a test of " STR_FMT ", not of %s; name another, or remove it",
                         STR_ARG(value_str(test)), fleet->scenario->name);
    }
    fleet->epoch = (uint64_t)epoch->integer;
    restart->known = true;
    return 0;
}

static int read_clock(struct restart *restart, const struct value *record, struct mite_error *error)
{
    restart->wall_s = value_number(&record->items[1], 0);
    return restart->wall_s > 0 ? 0 : broken(error);
}

/* ---- runners ---- */

static int read_runner(struct restart *restart, const struct value *record, struct mite_error *error)
{
    struct fleet *fleet = restart->fleet;
    const struct value *peer = at(record, 2, VALUE_BYTES), *plain = at(record, 3, VALUE_BOOL),
                       *came_back = at(record, 4, VALUE_BOOL);
    struct fleet_runner *runner = runner_at(restart, record);

    if (number_at(record, 1) < 1 || !peer || !plain || !came_back || number_at(record, 5) < 0 ||
        value_str(peer).n > FLEET_PEER_MAX) {
        return broken(error);
    }
    if (!runner && !(runner = fleet_add(fleet, value_str(peer), plain->boolean, number_at(record, 1)))) {
        return no_memory(error);
    }
    fleet_set_live(fleet, runner);
    runner->awaited = true;
    runner->void_up_to = (uint64_t)number_at(record, 5);
    if (came_back->boolean && !runner->came_back) {
        runner->came_back = true;
        fleet->runners_back++;
    }
    return 0;
}

/* [[started, completed, may have started]...] */
static int read_past(const struct restart *restart, const struct value *record, uint32_t index, struct share_past *out,
                     struct mite_error *error)
{
    const struct value *counts = at(record, index, VALUE_LIST);

    if (!counts || counts->count != restart->fleet->scenario->count) {
        return broken(error);
    }
    for (uint32_t i = 0; i < counts->count; i++) {
        const struct value *pair = at(counts, i, VALUE_LIST);
        if (!pair || number_at(pair, 0) < 0 || number_at(pair, 1) < 0 || number_at(pair, 2) < number_at(pair, 0)) {
            return broken(error);
        }
        out[i] = (struct share_past){number_at(pair, 0), number_at(pair, 1), number_at(pair, 2)};
    }
    return 0;
}

/* None: what was told before is so still. */
static int read_figures(struct totals **figures, const struct value *value, struct mite_error *error)
{
    if (value->type == VALUE_NIL) {
        return 0;
    }
    int rc = fleet_make_figures(figures, error);
    if (rc < 0) {
        return rc;
    }
    totals_clear(*figures);
    return totals_read(*figures, value, error);
}

static int read_counted(struct restart *restart, const struct value *record, struct mite_error *error)
{
    struct fleet_runner *runner = runner_at(restart, record);

    if (!runner || record->count != 4) {
        return broken(error);
    }
    int rc = read_past(restart, record, 2, runner->past, error);
    return rc == 0 ? read_figures(&runner->own, &record->items[3], error) : rc;
}

static void add_past(struct fleet *fleet, const struct share_past *past)
{
    for (size_t i = 0; i < fleet->scenario->count; i++) {
        shares_add_past(&fleet->shares, i, &past[i]);
    }
}

/* ---- items ---- */

static struct str lease_key(const uint64_t *lease)
{
    return (struct str){(const char *)lease, sizeof *lease};
}

/* What a runner has under a lease that it gives back; NULL: what it says is not so. */
static struct remembered *held_by(const struct restart *restart, const struct fleet_runner *runner, int64_t lease)
{
    uint64_t number = lease > 0 ? (uint64_t)lease : 0;
    struct remembered *item = map_get(&restart->by_lease, lease_key(&number));

    return item && item->runner == runner->id ? item : NULL;
}

static int64_t *highest_of(const struct restart *restart, const struct lease_pool *pool)
{
    return &restart->highest[pool - restart->fleet->leases.pools];
}

/* Entries may share a pool. Valid until the next one. */
static struct str item_key(struct restart *restart, const struct lease_pool *pool, const struct value *id)
{
    buf_clear(&restart->key);
    msgpack_write_int(&restart->key, pool - restart->fleet->leases.pools);
    msgpack_write(&restart->key, id);
    return buf_view(&restart->key);
}

static void not_out(struct restart *restart, struct remembered *item)
{
    map_remove(&restart->by_lease, lease_key(&item->lease));
    item->lease = 0;
}

static void forget_item(struct restart *restart, struct remembered *item)
{
    not_out(restart, item);
    free(map_remove(&restart->items, item_key(restart, restart->fleet->leases.of_entry[item->entry], &item->id)));
}

/* What is known of an item so far, or a place for it; NULL without memory. */
static struct remembered *remember(struct restart *restart, size_t entry, const struct value *id)
{
    struct str key = item_key(restart, restart->fleet->leases.of_entry[entry], id);
    struct remembered *item = restart->key.failed ? NULL : map_get(&restart->items, key);

    if (item) {
        not_out(restart, item);
        return item;
    }
    item = restart->key.failed ? NULL : calloc(1, sizeof *item);
    if (!item || value_copy(&restart->ids, id, &item->id) < 0 || map_set(&restart->items, key, item, NULL) < 0) {
        free(item);
        return NULL;
    }
    item->entry = entry;
    return item;
}

static int read_handed(struct restart *restart, const struct fleet_runner *runner, uint64_t seq,
                       const struct value *handed, struct mite_error *error)
{
    const struct lease_pool *pool = handed ? pool_at(restart, handed, 0) : NULL;

    if (!pool || handed->count != 3 || number_at(handed, 1) < 1) {
        return broken(error);
    }
    const struct value *id = &handed->items[2];
    size_t entry = entry_at(restart, handed, 0);
    struct remembered *item = remember(restart, entry, id);
    if (!item) {
        return no_memory(error);
    }
    uint64_t lease = (uint64_t)number_at(handed, 1);
    if (map_get(&restart->by_lease, lease_key(&lease))) { /* no two items have the same */
        return broken(error);
    }
    if (map_set(&restart->by_lease, lease_key(&lease), item, NULL) < 0) {
        return no_memory(error);
    }
    item->lease = lease;
    item->seq = seq;
    item->runner = runner->id;
    item->entry = entry;
    restart->last = item->lease > restart->last ? item->lease : restart->last;
    if (id->type == VALUE_INT && id->integer > *highest_of(restart, pool)) {
        *highest_of(restart, pool) = id->integer;
    }
    return 0;
}

static int read_items(struct restart *restart, const struct value *record, struct mite_error *error)
{
    struct fleet_runner *runner = runner_at(restart, record);
    int64_t seq = number_at(record, 2);
    const struct value *handed = at(record, 3, VALUE_LIST), *done = at(record, 4, VALUE_LIST),
                       *unused = at(record, 5, VALUE_LIST);
    struct remembered *item;
    int rc = 0;

    if (!runner || seq < 0 || !handed || !done || !unused) {
        return broken(error);
    }
    runner->seq = (uint64_t)seq > runner->seq ? (uint64_t)seq : runner->seq;
    runner->asks = runner->plain ? runner->seq : 0;
    for (uint32_t i = 0; i < done->count; i++) {
        if ((item = held_by(restart, runner, number_at(done, i)))) {
            forget_item(restart, item);
        }
    }
    /* Before what went out: that may be an item which came back with this very report. */
    for (uint32_t i = 0; i < unused->count; i++) {
        if ((item = held_by(restart, runner, number_at(unused, i)))) {
            not_out(restart, item);
        }
    }
    for (uint32_t i = 0; rc == 0 && i < handed->count; i++) {
        rc = read_handed(restart, runner, (uint64_t)seq, at(handed, i, VALUE_LIST), error);
    }
    return rc;
}

static int read_mark(struct restart *restart, const struct value *record, struct mite_error *error)
{
    const struct lease_pool *pool = pool_at(restart, record, 1);
    const struct value *highest = at(record, 2, VALUE_INT);

    if (!pool || !highest || number_at(record, 3) < 0) {
        return broken(error);
    }
    uint64_t last = (uint64_t)number_at(record, 3);
    restart->last = last > restart->last ? last : restart->last;
    if (highest->integer > *highest_of(restart, pool)) {
        *highest_of(restart, pool) = highest->integer;
    }
    return 0;
}

static int read_back(struct restart *restart, const struct value *record, struct mite_error *error)
{
    if (!pool_at(restart, record, 1) || record->count != 3) {
        return broken(error);
    }
    return remember(restart, entry_at(restart, record, 1), &record->items[2]) ? 0 : no_memory(error);
}

/* ---- runners that have gone ---- */

/* What a runner that has gone held is lost with it, or has been checked in. */
static void drop_items_of(struct restart *restart, int64_t runner)
{
    struct map_entry *entry;
    uint32_t index = 0;

    while ((entry = map_next(&restart->items, &index))) {
        struct remembered *item = entry->value;
        if (item->lease > 0 && item->runner == runner) {
            forget_item(restart, item);
        }
    }
}

static int read_gone(struct restart *restart, const struct value *record, struct mite_error *error)
{
    struct fleet *fleet = restart->fleet;
    struct fleet_runner *runner = runner_at(restart, record);
    const struct value *for_good = at(record, 2, VALUE_BOOL);

    if (!runner || runner->state != RUNNER_LIVE || !for_good || number_at(record, 3) < 0) {
        return broken(error);
    }
    fleet->leases.lost += (uint64_t)number_at(record, 3);
    drop_items_of(restart, runner->id);
    if (for_good->boolean) {
        add_past(fleet, runner->past);
        fleet_forget(fleet, runner);
    } else {
        fleet_set_lost(fleet, runner);
        runner->void_up_to = restart->last > runner->void_up_to ? restart->last : runner->void_up_to;
    }
    return 0;
}

static int read_left(struct restart *restart, const struct value *record, struct mite_error *error)
{
    struct fleet *fleet = restart->fleet;
    const struct value *counts = at(record, 1, VALUE_LIST);
    struct share_past *past = calloc(fleet->scenario->count, sizeof *past);
    int rc = past ? 0 : no_memory(error);

    if (rc == 0 && (record->count != 4 || !counts || counts->count != LEFT_COUNTS)) {
        rc = broken(error);
    }
    for (uint32_t i = 0; rc == 0 && i < LEFT_COUNTS; i++) {
        rc = number_at(counts, i) < 0 ? broken(error) : 0;
    }
    rc = rc == 0 ? read_past(restart, record, 2, past, error) : rc;
    rc = rc == 0 ? read_figures(&fleet->left, &record->items[3], error) : rc;
    if (rc == 0) {
        fleet->next_id = number_at(counts, 0);
        fleet->runners_seen += (size_t)number_at(counts, 1);
        fleet->runners_plain += (size_t)number_at(counts, 2);
        fleet->runners_back += (size_t)number_at(counts, 3);
        fleet->leases.lost += (uint64_t)number_at(counts, 4);
        add_past(fleet, past);
    }
    free(past);
    return rc;
}

/* ---- steering ---- */

static int read_config(struct restart *restart, const struct value *record, struct mite_error *error)
{
    const struct value *key = at(record, 1, VALUE_TEXT);

    if (!key || record->count != 3) {
        return broken(error);
    }
    return config_set(restart->fleet->options.config, value_str(key), &record->items[2]) < 0 ? no_memory(error) : 0;
}

static int read_volume(struct restart *restart, const struct value *record, struct mite_error *error)
{
    size_t entry = entry_at(restart, record, 1);
    double factor = record->count == 3 ? value_number(&record->items[2], -1) : -1;

    if (entry == restart->fleet->scenario->count || factor < 0) {
        return broken(error);
    }
    restart->fleet->factors[entry] = factor;
    return 0;
}

static int read_paused(struct restart *restart, const struct value *record, struct mite_error *error)
{
    const struct value *flag = at(record, 1, VALUE_BOOL);

    shares_pause(&restart->fleet->shares, flag && flag->boolean);
    return flag ? 0 : broken(error);
}

static int read_stopped(struct restart *restart, const struct value *record, struct mite_error *error)
{
    const struct value *flag = at(record, 1, VALUE_BOOL);

    restart->fleet->stopped = flag && flag->boolean;
    return flag ? 0 : broken(error);
}

static int read_record(void *arg, const struct value *record, struct str bytes, struct mite_error *error)
{
    static const struct {
        const char *kind;
        int (*read)(struct restart *restart, const struct value *record, struct mite_error *error);
    } kinds[] = {
        {"mite", read_header},     {"clock", read_clock},   {"runner", read_runner}, {"counted", read_counted},
        {"gone", read_gone},       {"left", read_left},     {"items", read_items},   {"mark", read_mark},
        {"back", read_back},       {"config", read_config}, {"volume", read_volume}, {"paused", read_paused},
        {"stopped", read_stopped},
    };
    struct restart *restart = arg;
    struct str kind = record->type == VALUE_LIST && record->count > 1 ? value_str(&record->items[0]) : STR_NONE;

    for (size_t i = 0; kind.p && i < sizeof kinds / sizeof *kinds; i++) {
        if (str_is(kind, kinds[i].kind) && (restart->known || i == 0)) {
            return kinds[i].read(restart, record, error);
        }
    }
    return broken(error);
}

/* ---- bringing back ---- */

/* Out again, in stock again, or gone: those that were handed out and did not come back unused have been used. */
static void place(struct restart *restart, struct lease_pool *pool, struct lease_item *item)
{
    struct leases *leases = &restart->fleet->leases;
    const struct remembered *known = map_get(&restart->items, item_key(restart, pool, &item->id));
    struct fleet_runner *runner = known && known->lease > 0 ? fleet_find(restart->fleet, known->runner) : NULL;

    if (runner) {
        leases_restore(leases, item, known->entry, &runner->holder, known->lease, known->seq);
    } else if (!known && pool->pool->kind == DATAPOOL_ONCE) {
        leases_drop(pool, item);
    }
}

/* All that a pool which recycles has; of one that gives each once, what had been handed out. */
static int bring_back(struct restart *restart, struct lease_pool *pool, struct mite_error *error)
{
    int64_t highest = *highest_of(restart, pool);
    int64_t left = pool->pool->kind == DATAPOOL_RECYCLES ? pool->pool->count : highest;

    while (left > 0 && !pool->dry && !pool->over) {
        int64_t before = pool->in_stock;
        struct lease_item *item = TAILQ_LAST(&pool->stock, lease_items), *next;
        leases_stock(pool, before + (left < BLOCK ? left : BLOCK));
        if (pool->in_stock == before && !pool->dry && !pool->over) {
            return no_memory(error);
        }
        left -= pool->in_stock - before;
        for (item = item ? TAILQ_NEXT(item, link) : TAILQ_FIRST(&pool->stock); item; item = next) {
            next = TAILQ_NEXT(item, link);
            place(restart, pool, item);
        }
    }
    pool->highest_id = highest > pool->highest_id ? highest : pool->highest_id;
    return 0;
}

static int restore_items(struct restart *restart, struct mite_error *error)
{
    struct leases *leases = &restart->fleet->leases;
    int rc = 0;

    for (size_t i = 0; rc == 0 && restart->last > 0 && i < leases->pool_count; i++) {
        if (leases->pools[i].pool->kind != DATAPOOL_OWN) {
            rc = bring_back(restart, &leases->pools[i], error);
        } else {
            log_line(LOG_WARNING, "--state: which items of a datapool of your own class are out is known to it alone");
        }
    }
    leases->last = restart->last > leases->last ? restart->last : leases->last;
    return rc;
}

static void restore_figures(struct fleet *fleet)
{
    if (fleet->left) {
        totals_add(fleet->totals, fleet->left);
    }
    for (size_t i = 0; i < fleet->runner_count; i++) {
        add_past(fleet, fleet->runners[i]->past);
        if (fleet->runners[i]->own) {
            totals_add(fleet->totals, fleet->runners[i]->own);
        }
    }
}

/* The clock has gone on; on a machine that was started since, from before its own time. */
static void restore_clock(struct fleet *fleet, double wall_s)
{
    uint64_t now_ns = clock_now_ns();

    if (wall_s > 0) {
        fleet->start_ns = now_ns - ns_from_s(clock_wall_s() - wall_s);
        fleet->begin_ns = now_ns;
        fleet->clock_started = true;
        fleet->phase = FLEET_RUNNING;
        fleet->resumed = true;
        fleet->next_report_ns = now_ns;
    }
}

static int go_on(struct restart *restart, struct mite_error *error)
{
    struct fleet *fleet = restart->fleet;
    int rc = restore_items(restart, error);

    if (rc < 0) {
        return rc;
    }
    restore_figures(fleet);
    restore_clock(fleet, restart->wall_s);
    if (fleet->stopped) {
        shares_end_all(&fleet->shares);
    }
    log_line(LOG_INFO, "going on with what %s tells: %zu runners, %u items", fleet->journal.path, fleet->runner_count,
             restart->by_lease.live_count);
    return 0;
}

int fleet_state_open(struct fleet *fleet, struct mite_error *error)
{
    struct restart restart = {.fleet = fleet};

    if (!fleet->options.state_file) {
        return 0;
    }
    restart.highest = calloc(fleet->leases.pool_count + 1, sizeof *restart.highest);
    map_init(&restart.items);
    map_init(&restart.by_lease);
    arena_init(&restart.ids, 0);
    buf_init(&restart.key, 0);
    int rc = restart.highest ? journal_open(&fleet->journal, fleet->options.state_file, read_record, &restart, error)
                             : no_memory(error);
    rc = rc == 0 && restart.known ? go_on(&restart, error) : rc;
    rc = rc == 0 ? fleet_state_rewrite(fleet, error) : rc;
    map_done(&restart.items, free);
    map_done(&restart.by_lease, NULL);
    arena_done(&restart.ids);
    buf_done(&restart.key);
    free(restart.highest);
    return rc;
}
