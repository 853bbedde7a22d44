/*
 * Design notes
 *
 * At a start the file is read and written anew as it is, less what "items" records say of items that are in again; then
 * pools are brought to where they were. Runners that were there are awaited as if they had just been heard; they are
 * told that they are unknown, say hello, keep their ids and leases, and send all that they have counted. Who repeats
 * the report that items were handed out for never had the answer: those items are in stock again.
 */
#include "controller/fleet_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "stats/totals_delta.h"
#include "value/msgpack.h"

#include <stdlib.h>

/* An item that is out, or was given back unused, as the journal tells. */
struct remembered {
    uint64_t lease, seq;
    int64_t runner;
    size_t entry;
    struct value id;
    bool back; /* given back unused */
};

struct restart {
    struct fleet *fleet;
    struct buf kept;   /* records that go into the new file as they are */
    struct map items;  /* lease → struct remembered, owned */
    struct arena ids;  /* what their ids point to */
    int64_t *highest;  /* owned; of each entry: of items that were handed out */
    size_t back_count; /* of items: given back unused */
    uint64_t last;     /* the newest lease */
    double wall_s;     /* when the clock started; 0: it had not */
    bool known;        /* there was something in the file */
};

/* ---- reading ---- */

static struct str lease_key(const uint64_t *lease)
{
    return (struct str){(const char *)lease, sizeof *lease};
}

static int broken(const struct restart *restart, struct mite_error *error)
{
    return error_set(error, MITE_EPROTO, "--state: the file is none of a controller's; name another, or remove it");
}

static const struct value *at(const struct value *record, uint32_t index, enum value_type type)
{
    return record->count > index && record->items[index].type == type ? &record->items[index] : NULL;
}

static int read_header(struct restart *restart, const struct value *record, struct mite_error *error)
{
    struct fleet *fleet = restart->fleet;
    const struct value *format = at(record, 1, VALUE_INT), *test = at(record, 2, VALUE_TEXT),
                       *epoch = at(record, 3, VALUE_INT);

    if (!format || !test || !epoch || format->integer != FLEET_STATE_FORMAT) {
        return broken(restart, error);
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

static int read_runner(struct restart *restart, const struct value *record, struct mite_error *error)
{
    const struct value *id = at(record, 1, VALUE_INT), *peer = at(record, 2, VALUE_BYTES),
                       *plain = at(record, 3, VALUE_BOOL);

    if (!id || !peer || !plain || id->integer < 1 || value_str(peer).n > FLEET_PEER_MAX) {
        return broken(restart, error);
    }
    struct fleet_runner *runner = fleet_find(restart->fleet, id->integer);
    if (!runner) {
        runner = fleet_greet(restart->fleet, value_str(peer), plain->boolean, id->integer);
    }
    if (!runner) {
        return error_set(error, MITE_ENOMEM, "no memory for what --state tells");
    }
    runner->state = RUNNER_LIVE;
    runner->awaited = true;
    return 0;
}

static int read_handed(struct restart *restart, int64_t runner, uint64_t seq, const struct value *handed,
                       struct mite_error *error)
{
    const struct value *entry = at(handed, 0, VALUE_INT), *lease = at(handed, 1, VALUE_INT);
    struct remembered *item = calloc(1, sizeof *item);

    if (!item) {
        return error_set(error, MITE_ENOMEM, "no memory for what --state tells");
    }
    if (!entry || !lease || handed->count != 3 || entry->integer < 1 ||
        (size_t)entry->integer > restart->fleet->scenario->count || lease->integer < 1) {
        free(item);
        return broken(restart, error);
    }
    *item = (struct remembered){
        .lease = (uint64_t)lease->integer, .seq = seq, .runner = runner, .entry = (size_t)entry->integer - 1};
    void *old = NULL;
    if (value_copy(&restart->ids, &handed->items[2], &item->id) < 0 ||
        map_set(&restart->items, lease_key(&item->lease), item, &old) < 0) {
        free(item);
        return error_set(error, MITE_ENOMEM, "no memory for what --state tells");
    }
    free(old);
    restart->last = item->lease > restart->last ? item->lease : restart->last;
    if (item->id.type == VALUE_INT && item->id.integer > restart->highest[item->entry]) {
        restart->highest[item->entry] = item->id.integer;
    }
    return 0;
}

/* An item that was in again and has gone out once more is remembered by its newest lease alone. */
static void forget_older(struct restart *restart, const struct remembered *newest)
{
    struct map_entry *entry;
    uint32_t index = 0;

    while (restart->back_count > 0 && (entry = map_next(&restart->items, &index))) {
        struct remembered *item = entry->value;
        uint64_t lease = item->lease;
        if (item->back && item->entry == newest->entry && value_equal(&item->id, &newest->id)) {
            free(map_remove(&restart->items, lease_key(&lease)));
            restart->back_count--;
            return;
        }
    }
}

static int read_items(struct restart *restart, const struct value *record, struct mite_error *error)
{
    const struct value *id = at(record, 1, VALUE_INT), *seq = at(record, 2, VALUE_INT),
                       *handed = at(record, 3, VALUE_LIST), *done = at(record, 4, VALUE_LIST),
                       *unused = at(record, 5, VALUE_LIST);
    struct fleet_runner *runner = id ? fleet_find(restart->fleet, id->integer) : NULL;
    int rc = 0;

    if (!runner || !seq || !handed || !done || !unused) {
        return broken(restart, error);
    }
    uint64_t told = (uint64_t)seq->integer;
    runner->seq = told > runner->seq ? told : runner->seq;
    runner->asks = runner->plain ? runner->seq : 0;
    for (uint32_t i = 0; i < done->count; i++) {
        uint64_t lease = (uint64_t)done->items[i].integer;
        free(map_remove(&restart->items, lease_key(&lease)));
    }
    /* Before what went out: that may be an item which came back with this very report. */
    for (uint32_t i = 0; i < unused->count; i++) {
        uint64_t lease = (uint64_t)unused->items[i].integer;
        struct remembered *item = map_get(&restart->items, lease_key(&lease));
        if (item && !item->back) {
            item->back = true;
            restart->back_count++;
        }
    }
    for (uint32_t i = 0; rc == 0 && i < handed->count; i++) {
        rc = handed->items[i].type == VALUE_LIST ? read_handed(restart, runner->id, told, &handed->items[i], error)
                                                 : broken(restart, error);
        if (rc == 0) {
            uint64_t lease = (uint64_t)handed->items[i].items[1].integer;
            forget_older(restart, map_get(&restart->items, lease_key(&lease)));
        }
    }
    return rc;
}

static int read_mark(struct restart *restart, const struct value *record, struct mite_error *error)
{
    const struct value *entry = at(record, 1, VALUE_INT), *highest = at(record, 2, VALUE_INT),
                       *last = at(record, 3, VALUE_INT);

    if (!entry || !highest || !last || entry->integer < 1 || (size_t)entry->integer > restart->fleet->scenario->count) {
        return broken(restart, error);
    }
    int64_t *mark = &restart->highest[entry->integer - 1];
    *mark = highest->integer > *mark ? highest->integer : *mark;
    restart->last = (uint64_t)last->integer > restart->last ? (uint64_t)last->integer : restart->last;
    return 0;
}

static int count_own(struct fleet_runner *runner, const struct value *totals, struct mite_error *error)
{
    int rc = fleet_state_own(runner, error);

    if (rc == 0) {
        totals_clear(runner->own);
    }
    return rc == 0 && totals->type != VALUE_NIL ? totals_read(runner->own, totals, error) : rc;
}

/* What it held is lost with it, or was checked in. */
static void drop_items_of(struct restart *restart, int64_t runner)
{
    struct map_entry *entry;
    uint32_t index = 0;

    while ((entry = map_next(&restart->items, &index))) {
        struct remembered *item = entry->value;
        if (item->runner == runner && !item->back) {
            uint64_t lease = item->lease;
            free(map_remove(&restart->items, lease_key(&lease)));
        }
    }
}

static int read_gone(struct restart *restart, const struct value *record, struct mite_error *error)
{
    struct fleet *fleet = restart->fleet;
    const struct value *id = at(record, 1, VALUE_INT), *counts = at(record, 2, VALUE_LIST);
    struct fleet_runner *runner = id ? fleet_find(fleet, id->integer) : NULL;

    if (!runner || !counts || counts->count != fleet->scenario->count || record->count != 4) {
        return broken(restart, error);
    }
    runner->state = RUNNER_LOST;
    runner->awaited = true; /* it may come back */
    free(runner->started_before);
    runner->started_before = calloc(counts->count + 1, sizeof *runner->started_before);
    for (uint32_t i = 0; runner->started_before && i < counts->count; i++) {
        const struct value *pair = &counts->items[i],
                           *started = pair->type == VALUE_LIST ? at(pair, 0, VALUE_INT) : NULL;
        runner->started_before[i] = started ? started->integer : 0;
    }
    drop_items_of(restart, runner->id);
    return count_own(runner, &record->items[3], error);
}

static int read_steered(struct restart *restart, const struct value *record, const char *what, struct mite_error *error)
{
    struct fleet *fleet = restart->fleet;
    const struct value *key = at(record, 1, VALUE_TEXT);

    if (!key || record->count != 3) {
        return broken(restart, error);
    }
    double number = value_number(&record->items[2], 0);
    if (strcmp(what, "config") == 0) {
        return fleet->options.config && config_set(fleet->options.config, value_str(key), &record->items[2]) < 0
                   ? error_set(error, MITE_ENOMEM, "no memory for what --state tells")
                   : 0;
    }
    if (strcmp(what, "paused") == 0) {
        shares_pause(&fleet->shares, number > 0);
        return 0;
    }
    for (size_t i = 0; i < fleet->scenario->count; i++) {
        if (str_is(value_str(key), fleet->scenario->entries[i].journey_spec)) {
            fleet->factors[i] = number;
        }
    }
    return 0;
}

static int read_record(void *arg, const struct value *record, struct str bytes, struct mite_error *error)
{
    struct restart *restart = arg;
    struct str kind = record->type == VALUE_LIST && record->count > 1 ? value_str(&record->items[0]) : STR_NONE;
    int rc = broken(restart, error);

    if (!kind.p || str_is(kind, "mite") == restart->known) {
        return rc;
    }
    error_done(error);
    bool items = str_is(kind, "items") || str_is(kind, "mark");
    if (str_is(kind, "mite")) {
        rc = read_header(restart, record, error);
    } else if (str_is(kind, "clock")) {
        restart->wall_s = value_number(&record->items[1], 0);
        rc = 0;
    } else if (str_is(kind, "runner")) {
        rc = read_runner(restart, record, error);
    } else if (str_is(kind, "mark")) {
        rc = read_mark(restart, record, error);
    } else if (items) {
        rc = read_items(restart, record, error);
    } else if (str_is(kind, "gone")) {
        rc = read_gone(restart, record, error);
    } else if (str_is(kind, "config") || str_is(kind, "paused") || str_is(kind, "volume")) {
        const char *what = str_is(kind, "config") ? "config" : str_is(kind, "paused") ? "paused" : "volume";
        rc = read_steered(restart, record, what, error);
    }
    if (rc == 0 && !items) {
        buf_str(&restart->kept, bytes);
    }
    return rc;
}

/* ---- bringing back ---- */

/* All that a pool which recycles has; of one that gives each once, what had been handed out. */
static void bring_back(struct restart *restart, size_t entry)
{
    struct lease_pool *pool = restart->fleet->leases.of_entry[entry];
    int64_t highest = restart->highest[entry];

    if (!pool || restart->last == 0) {
        return;
    }
    if (pool->pool->kind == DATAPOOL_OWN) {
        log_line(
            LOG_WARNING,
            "--state: the datapool of %s is of a class of your own: which of its items are out is known to it alone",
            restart->fleet->scenario->entries[entry].journey_spec);
        return;
    }
    int64_t wanted = pool->pool->kind == DATAPOOL_RECYCLES ? pool->pool->count - pool->out : highest;
    while (pool->in_stock + pool->out < wanted && !pool->dry && !pool->over) {
        int64_t before = pool->in_stock;
        leases_stock(pool, pool->in_stock + 1000 < wanted ? pool->in_stock + 1000 : wanted);
        if (pool->in_stock == before) {
            break;
        }
    }
}

static void restore_item(struct restart *restart, const struct remembered *item)
{
    struct fleet *fleet = restart->fleet;
    struct fleet_runner *runner = fleet_find(fleet, item->runner);

    if (!item->back && runner && fleet->leases.of_entry[item->entry]) {
        leases_restore(&fleet->leases, item->entry, &runner->holder, &item->id, item->lease, item->seq);
    }
}

static bool was_given_back(const struct restart *restart, size_t entry, const struct value *id)
{
    struct map_entry *at_item;
    uint32_t index = 0;

    while ((at_item = map_next(&restart->items, &index))) {
        const struct remembered *item = at_item->value;
        if (item->back && restart->fleet->leases.of_entry[item->entry] == restart->fleet->leases.of_entry[entry] &&
            value_equal(&item->id, id)) {
            return true;
        }
    }
    return false;
}

/* What is in stock now was handed out and did not come back unused: it has been used. */
static void drop_used(struct restart *restart, size_t entry)
{
    struct lease_pool *pool = restart->fleet->leases.of_entry[entry];
    struct lease_item *item, *next;

    if (!pool || pool->pool->kind != DATAPOOL_ONCE) {
        return;
    }
    for (item = TAILQ_FIRST(&pool->stock); item; item = next) {
        next = TAILQ_NEXT(item, link);
        if (item->id.type == VALUE_INT && item->id.integer <= restart->highest[entry] &&
            !was_given_back(restart, entry, &item->id)) {
            leases_drop(pool, item);
        }
    }
    pool->highest_id = restart->highest[entry] > pool->highest_id ? restart->highest[entry] : pool->highest_id;
}

/* Entries that share a pool have its highest id in common. */
static void share_highest(struct restart *restart)
{
    struct lease_pool **pools = restart->fleet->leases.of_entry;

    for (size_t i = 0; i < restart->fleet->scenario->count; i++) {
        for (size_t j = 0; j < restart->fleet->scenario->count; j++) {
            if (pools[i] && pools[i] == pools[j] && restart->highest[j] > restart->highest[i]) {
                restart->highest[i] = restart->highest[j];
            }
        }
    }
}

static void restore_items(struct restart *restart)
{
    struct fleet *fleet = restart->fleet;
    struct map_entry *entry;
    uint32_t index = 0;

    share_highest(restart);
    for (size_t i = 0; i < fleet->scenario->count; i++) {
        bring_back(restart, i);
    }
    while ((entry = map_next(&restart->items, &index))) {
        restore_item(restart, entry->value);
    }
    for (size_t i = 0; i < fleet->scenario->count; i++) {
        drop_used(restart, i);
    }
    fleet->leases.last = restart->last > fleet->leases.last ? restart->last : fleet->leases.last;
}

static void write_marks(const struct restart *restart, struct buf *out)
{
    for (size_t i = 0; i < restart->fleet->scenario->count; i++) {
        msgpack_write_list(out, 4);
        msgpack_write_text(out, STR("mark"));
        msgpack_write_int(out, (int64_t)i + 1);
        msgpack_write_int(out, restart->highest[i]);
        msgpack_write_int(out, (int64_t)restart->last);
    }
}

static void write_item(const struct remembered *item, struct buf *out)
{
    msgpack_write_list(out, 6);
    msgpack_write_text(out, STR("items"));
    msgpack_write_int(out, item->runner);
    msgpack_write_int(out, (int64_t)item->seq);
    msgpack_write_list(out, 1);
    msgpack_write_list(out, 3);
    msgpack_write_int(out, (int64_t)item->entry + 1);
    msgpack_write_int(out, (int64_t)item->lease);
    msgpack_write(out, &item->id);
    msgpack_write_list(out, 0);
    fleet_state_write_leases(out, &item->lease, item->back);
}

/* What the new file says of items: those that are out, or were given back unused. */
static void write_items(const struct restart *restart, struct buf *out)
{
    struct map_entry *entry;
    uint32_t index = 0;

    write_marks(restart, out);
    while ((entry = map_next(&restart->items, &index))) {
        write_item(entry->value, out);
    }
}

static void restore_counts(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->runner_count; i++) {
        struct fleet_runner *runner = fleet->runners[i];
        for (size_t entry = 0; runner->started_before && entry < fleet->scenario->count; entry++) {
            shares_add_started(&fleet->shares, entry, runner->started_before[entry]);
        }
        if (runner->own) {
            totals_add(fleet->totals, runner->own);
        }
    }
}

static void restore_clock(struct fleet *fleet, double wall_s)
{
    double elapsed_s = clock_wall_s() - wall_s;

    if (wall_s > 0 && elapsed_s >= 0) {
        uint64_t now_ns = clock_now_ns(), elapsed_ns = ns_from_s(elapsed_s);
        fleet->start_ns = elapsed_ns < now_ns ? now_ns - elapsed_ns : 0;
        fleet->begin_ns = now_ns;
        fleet->clock_started = true;
        fleet->phase = FLEET_RUNNING;
        fleet->resumed = true;
        fleet->next_report_ns = now_ns;
    }
}

static int start_again(struct restart *restart, struct mite_error *error)
{
    struct fleet *fleet = restart->fleet;

    if (!restart->known) {
        fleet_state_write_header(fleet, &restart->kept);
    } else {
        restore_items(restart);
        restore_counts(fleet);
        restore_clock(fleet, restart->wall_s);
        write_items(restart, &restart->kept);
        log_line(LOG_INFO, "going on with what %s tells: %zu runners, %u items", fleet->journal.path,
                 fleet->runner_count, restart->items.live_count);
    }
    return restart->kept.failed ? error_set(error, MITE_ENOMEM, "no memory for what --state tells")
                                : journal_rewrite(&fleet->journal, buf_view(&restart->kept), error);
}

int fleet_state_open(struct fleet *fleet, struct mite_error *error)
{
    struct restart restart = {.fleet = fleet, .highest = calloc(fleet->scenario->count + 1, sizeof *restart.highest)};

    fleet->journal.fd = -1;
    if (!fleet->options.state_file) {
        free(restart.highest);
        return 0;
    }
    buf_init(&restart.kept, 0);
    map_init(&restart.items);
    arena_init(&restart.ids, 0);
    int rc = restart.highest ? journal_open(&fleet->journal, fleet->options.state_file, read_record, &restart, error)
                             : error_set(error, MITE_ENOMEM, "no memory for --state");
    rc = rc == 0 ? start_again(&restart, error) : rc;
    buf_done(&restart.kept);
    map_done(&restart.items, free);
    arena_done(&restart.ids);
    free(restart.highest);
    return rc;
}
