/*
 * Design notes
 *
 * What is journaled is what no runner can tell: which items are out to whom, and were given back unused; who the
 * runners are; when the clock started; what runners that have gone had started and counted; what was steered. Records:
 *
 *     ["mite", 1, test, epoch]                      the first
 *     ["clock", wall seconds]
 *     ["runner", id, routing id, plain, came back, void up to]
 *                                                   it has joined, for the first time or again
 *     ["items", id, seq, [[entry, lease, data id]...], [done lease...], [unused lease...]]
 *     ["counted", id, [[started, completed, may have started]...], totals or nil]
 *     ["gone", id, for good, items lost]            after that
 *     ["config", key, value]  ["volume", entry, factor]  ["paused", bool]  ["stopped", bool]
 *
 * In a file that was written anew, at a start and when it has grown long, also:
 *
 *     ["left", [next id, seen, plain, came back, items lost], [[started, completed, started]...], totals or nil]
 *                                                   all that no other record speaks of any more
 *     ["mark", entry, highest data id, newest lease]
 *     ["back", entry, data id]                      given back unused, and in stock
 */
#include "controller/fleet_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "stats/totals_delta.h"
#include "value/msgpack.h"

#define RETRY_NS NS_PER_S

/* ---- records ---- */

static void begin(struct buf *out, uint32_t count, const char *kind)
{
    msgpack_write_list(out, count);
    msgpack_write_text(out, str_of(kind));
}

static void write_header(const struct fleet *fleet, struct buf *out)
{
    begin(out, 4, "mite");
    msgpack_write_int(out, FLEET_STATE_FORMAT);
    msgpack_write_text(out, str_of(fleet->scenario->name));
    msgpack_write_int(out, (int64_t)fleet->epoch);
}

static void write_clock(const struct fleet *fleet, struct buf *out)
{
    begin(out, 2, "clock");
    msgpack_write_float(out, clock_wall_at(fleet->start_ns));
}

static void write_runner(const struct fleet_runner *runner, struct buf *out)
{
    begin(out, 6, "runner");
    msgpack_write_int(out, runner->id);
    msgpack_write_bytes(out, str_of(runner->plain ? "" : runner->peer));
    msgpack_write_bool(out, runner->plain);
    msgpack_write_bool(out, runner->came_back);
    msgpack_write_int(out, (int64_t)runner->void_up_to);
}

static void write_totals(const struct totals *totals, struct buf *out)
{
    if (totals) {
        totals_write(out, totals);
    } else {
        msgpack_write_nil(out);
    }
}

static void write_past(struct share_past past, struct buf *out)
{
    msgpack_write_list(out, 3);
    msgpack_write_int(out, past.started);
    msgpack_write_int(out, past.completed);
    msgpack_write_int(out, past.starts_max);
}

static void write_counted(const struct fleet *fleet, const struct fleet_runner *runner, const struct totals *totals,
                          struct buf *out)
{
    begin(out, 4, "counted");
    msgpack_write_int(out, runner->id);
    msgpack_write_list(out, (uint32_t)fleet->scenario->count);
    for (size_t i = 0; i < fleet->scenario->count; i++) {
        write_past(runner->past[i], out);
    }
    write_totals(totals, out);
}

static void write_gone(const struct fleet_runner *runner, bool for_good, uint64_t items_lost, struct buf *out)
{
    begin(out, 4, "gone");
    msgpack_write_int(out, runner->id);
    msgpack_write_bool(out, for_good);
    msgpack_write_int(out, (int64_t)items_lost);
}

static void write_leases(const uint64_t *leases, size_t count, struct buf *out)
{
    msgpack_write_list(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        msgpack_write_int(out, (int64_t)leases[i]);
    }
}

static void write_lease(int64_t scenario_id, uint64_t lease, const struct value *data_id, struct buf *out)
{
    msgpack_write_list(out, 3);
    msgpack_write_int(out, scenario_id);
    msgpack_write_int(out, (int64_t)lease);
    msgpack_write(out, data_id);
}

static void write_config_entry(const struct fleet *fleet, struct str key, struct buf *out)
{
    begin(out, 3, "config");
    msgpack_write_text(out, key);
    msgpack_write(out, config_get(fleet->options.config, key));
}

static void write_volume(const struct fleet *fleet, size_t entry, struct buf *out)
{
    begin(out, 3, "volume");
    msgpack_write_int(out, (int64_t)entry + 1);
    msgpack_write_float(out, fleet->factors[entry]);
}

static void write_flag(const char *kind, bool flag, struct buf *out)
{
    begin(out, 2, kind);
    msgpack_write_bool(out, flag);
}

/* ---- as things happen ---- */

static bool is_on(const struct fleet *fleet)
{
    return fleet->journal.fd >= 0;
}

/* Frees the record. */
static void append(struct fleet *fleet, struct buf *record)
{
    struct mite_error error = {0};

    if (record->failed) {
        fleet->stale = true;
    } else if (!fleet->journal.failed && journal_append(&fleet->journal, buf_view(record), &error) < 0) {
        log_once(LOG_ERROR, "fleet journal", "%s: a controller that is started again now begins anew", error.text);
        error_done(&error);
        fleet->retry_ns = clock_now_ns() + RETRY_NS;
    }
    buf_done(record);
}

void fleet_state_began(struct fleet *fleet)
{
    struct buf record;

    if (is_on(fleet)) {
        buf_init(&record, 0);
        write_clock(fleet, &record);
        append(fleet, &record);
    }
}

void fleet_state_joined(struct fleet *fleet, const struct fleet_runner *runner)
{
    struct buf record;

    if (is_on(fleet)) {
        buf_init(&record, 0);
        write_runner(runner, &record);
        append(fleet, &record);
    }
}

void fleet_state_gone(struct fleet *fleet, const struct fleet_runner *runner, bool for_good, uint64_t items_lost)
{
    struct buf record;

    if (is_on(fleet)) {
        buf_init(&record, 0);
        write_counted(fleet, runner, runner->own, &record);
        write_gone(runner, for_good, items_lost, &record);
        append(fleet, &record);
    }
}

void fleet_state_exchange(struct fleet *fleet, const struct fleet_runner *runner, uint64_t seq,
                          const struct work_lease *handed, size_t handed_count, const uint64_t *done, size_t done_count,
                          const uint64_t *unused, size_t unused_count)
{
    struct buf record;

    if (!is_on(fleet) || handed_count + done_count + unused_count == 0) {
        return;
    }
    buf_init(&record, 0);
    begin(&record, 6, "items");
    msgpack_write_int(&record, runner->id);
    msgpack_write_int(&record, (int64_t)seq);
    msgpack_write_list(&record, (uint32_t)handed_count);
    for (size_t i = 0; i < handed_count; i++) {
        write_lease(handed[i].scenario_id, handed[i].lease, &handed[i].data_id, &record);
    }
    write_leases(done, done_count, &record);
    write_leases(unused, unused_count, &record);
    append(fleet, &record);
}

static struct share_past past_of(const struct fleet *fleet, const struct fleet_runner *runner, size_t entry)
{
    return runner->slot >= 0 ? shares_past(&fleet->shares, (size_t)runner->slot, entry) : runner->past[entry];
}

void fleet_state_starts(struct fleet *fleet, struct fleet_runner *runner)
{
    bool changed = false;
    struct buf record;

    for (size_t i = 0; is_on(fleet) && i < fleet->scenario->count; i++) {
        struct share_past now = past_of(fleet, runner, i), before = runner->past[i];
        runner->past[i] = now;
        changed |=
            shares_limited(&fleet->shares, i) && (now.started != before.started || now.starts_max != before.starts_max);
    }
    if (changed) {
        buf_init(&record, 0);
        write_counted(fleet, runner, NULL, &record);
        append(fleet, &record);
    }
}

void fleet_state_config(struct fleet *fleet, struct str key)
{
    struct buf record;

    if (is_on(fleet)) {
        buf_init(&record, 0);
        write_config_entry(fleet, key, &record);
        append(fleet, &record);
    }
}

void fleet_state_volume(struct fleet *fleet, size_t entry)
{
    struct buf record;

    if (is_on(fleet)) {
        buf_init(&record, 0);
        write_volume(fleet, entry, &record);
        append(fleet, &record);
    }
}

void fleet_state_flag(struct fleet *fleet, const char *kind, bool flag)
{
    struct buf record;

    if (is_on(fleet)) {
        buf_init(&record, 0);
        write_flag(kind, flag, &record);
        append(fleet, &record);
    }
}

/* ---- all anew ---- */

static void write_steered(const struct fleet *fleet, struct buf *out)
{
    struct map_entry *at;
    uint32_t index = 0;

    while ((at = map_next(&fleet->options.config->entries, &index))) {
        if (((const struct config_entry *)at->value)->version > fleet->first_config) {
            write_config_entry(fleet, at->key, out);
        }
    }
    for (size_t i = 0; i < fleet->scenario->count; i++) {
        if (fleet->factors[i] != 1) {
            write_volume(fleet, i, out);
        }
    }
    write_flag("paused", fleet->shares.paused, out);
    write_flag("stopped", fleet->stopped, out);
}

/* Of an entry: what all have had but those that have a record of their own, which tells it or will. */
static struct share_past past_of_left(const struct fleet *fleet, size_t entry)
{
    struct share_past past = {fleet->shares.entries[entry].started, fleet->shares.entries[entry].completed, 0};

    for (size_t i = 0; i < fleet->runner_count; i++) {
        struct share_past other = past_of(fleet, fleet->runners[i], entry);
        past.started -= other.started;
        past.completed -= other.completed;
    }
    past.starts_max = past.started;
    return past;
}

static void write_left(const struct fleet *fleet, struct buf *out)
{
    size_t seen = fleet->runners_seen, plain = fleet->runners_plain, back = fleet->runners_back;

    for (size_t i = 0; i < fleet->runner_count; i++) {
        const struct fleet_runner *runner = fleet->runners[i];
        seen -= runner->had_work;
        plain -= runner->had_work && runner->plain;
        back -= runner->came_back;
    }
    begin(out, 4, "left");
    msgpack_write_list(out, 5);
    msgpack_write_int(out, fleet->next_id);
    msgpack_write_int(out, (int64_t)seen);
    msgpack_write_int(out, (int64_t)plain);
    msgpack_write_int(out, (int64_t)back);
    msgpack_write_int(out, (int64_t)fleet->leases.lost);
    msgpack_write_list(out, (uint32_t)fleet->scenario->count);
    for (size_t i = 0; i < fleet->scenario->count; i++) {
        write_past(past_of_left(fleet, i), out);
    }
    write_totals(fleet->left, out);
}

static void write_known(const struct fleet *fleet, const struct fleet_runner *runner, struct buf *out)
{
    if (!runner->had_work) {
        return;
    }
    write_runner(runner, out);
    /* Whoever is here tells its figures again. */
    write_counted(fleet, runner, runner->slot < 0 ? runner->own : NULL, out);
    if (runner->state == RUNNER_LOST) {
        write_gone(runner, false, 0, out);
    }
}

static void write_held(const struct fleet *fleet, const struct fleet_runner *runner, struct buf *out)
{
    const struct lease_item *item;

    TAILQ_FOREACH(item, &runner->holder.items, link)
    {
        begin(out, 6, "items");
        msgpack_write_int(out, runner->id);
        msgpack_write_int(out, (int64_t)item->seq);
        msgpack_write_list(out, 1);
        write_lease(fleet->scenario->entries[item->entry].id, item->lease, &item->id, out);
        msgpack_write_list(out, 0);
        msgpack_write_list(out, 0);
    }
}

/* Only where each item is given once does it matter which have been out. */
static void write_back(const struct fleet *fleet, size_t entry, struct buf *out)
{
    const struct lease_pool *pool = fleet->leases.of_entry[entry];
    const struct lease_item *item;

    begin(out, 4, "mark");
    msgpack_write_int(out, (int64_t)entry + 1);
    msgpack_write_int(out, pool->highest_id);
    msgpack_write_int(out, (int64_t)fleet->leases.last);
    TAILQ_FOREACH(item, &pool->stock, link)
    {
        if (pool->pool->kind == DATAPOOL_ONCE && item->id.integer <= pool->highest_id) {
            begin(out, 3, "back");
            msgpack_write_int(out, (int64_t)entry + 1);
            msgpack_write(out, &item->id);
        }
    }
}

static void write_all(const struct fleet *fleet, struct buf *out)
{
    write_header(fleet, out);
    if (fleet->clock_started) {
        write_clock(fleet, out);
    }
    write_steered(fleet, out);
    write_left(fleet, out);
    for (size_t i = 0; i < fleet->runner_count; i++) {
        write_known(fleet, fleet->runners[i], out);
    }
    for (size_t i = 0; i < fleet->scenario->count; i++) {
        if (fleet->leases.of_entry[i]) {
            write_back(fleet, i, out);
        }
    }
    for (size_t i = 0; i < fleet->runner_count; i++) {
        write_held(fleet, fleet->runners[i], out);
    }
}

int fleet_state_rewrite(struct fleet *fleet, struct mite_error *error)
{
    struct buf all;

    buf_init(&all, 0);
    write_all(fleet, &all);
    int rc = all.failed ? error_set(error, MITE_ENOMEM, "no memory to write %s", fleet->journal.path)
                        : journal_rewrite(&fleet->journal, buf_view(&all), error);
    buf_done(&all);
    return rc;
}

void fleet_state_look(struct fleet *fleet, uint64_t now_ns)
{
    const struct journal *journal = &fleet->journal;
    bool due = journal->failed || fleet->stale || journal->size > journal->long_at, heals = journal->failed;
    struct mite_error error = {0};

    if (!is_on(fleet) || !due || now_ns < fleet->retry_ns) {
        return;
    }
    if (fleet_state_rewrite(fleet, &error) < 0) {
        log_once(LOG_ERROR, "fleet journal anew", "%s: it is tried again", error.text);
        error_done(&error);
        fleet->retry_ns = now_ns + RETRY_NS;
        return;
    }
    fleet->stale = false;
    if (heals) {
        log_once(LOG_WARNING, "fleet journal heals", "%s is whole again", journal->path);
    }
}

void fleet_state_close(struct fleet *fleet)
{
    if (fleet->phase >= FLEET_DRAINING) {
        journal_remove(&fleet->journal); /* the test is over: nobody is to go on with it */
    } else {
        journal_close(&fleet->journal);
    }
}
