/*
 * Design notes
 *
 * What is journaled is what no runner can tell: which items are out to whom, and were given back unused; who the
 * runners are; when the clock started; what runners that have gone had started and counted; what was steered. Records:
 *
 *     ["mite", 1, test, epoch]                      the first
 *     ["clock", wall seconds]
 *     ["runner", id, routing id, plain]
 *     ["items", id, seq, [[entry, lease, data id]...], [done lease...], [unused lease...]]
 *     ["mark", entry, highest data id, newest lease]
 *     ["gone", id, [[started, completed]...], totals or nil]
 *     ["config", key, value]  ["volume", entry, factor]  ["paused", bool]
 */
#include "controller/fleet_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "stats/totals_delta.h"
#include "value/msgpack.h"

#include <stdlib.h>

/* ---- writing ---- */

static void append(struct fleet *fleet, const struct buf *record)
{
    struct mite_error error = {0};
    int rc = record->failed ? error_set(&error, MITE_ENOMEM, "no memory for a record of %s", fleet->journal.path)
                            : journal_append(&fleet->journal, buf_view(record), &error);

    if (rc < 0 && !fleet->journal.failed) {
        fleet->journal.failed = true;
        log_line(LOG_ERROR, "%s: a controller that is started again would not know all", error.text);
    }
    error_done(&error);
}

static void begin(struct buf *record, uint32_t count, const char *kind)
{
    buf_init(record, 0);
    msgpack_write_list(record, count);
    msgpack_write_text(record, str_of(kind));
}

static void end(struct fleet *fleet, struct buf *record)
{
    append(fleet, record);
    buf_done(record);
}

static bool is_on(const struct fleet *fleet)
{
    return fleet->journal.fd >= 0;
}

void fleet_state_write_header(struct fleet *fleet, struct buf *out)
{
    msgpack_write_list(out, 4);
    msgpack_write_text(out, STR("mite"));
    msgpack_write_int(out, FLEET_STATE_FORMAT);
    msgpack_write_text(out, str_of(fleet->scenario->name));
    msgpack_write_int(out, (int64_t)fleet->epoch);
}

void fleet_state_began(struct fleet *fleet)
{
    struct buf record;

    if (is_on(fleet)) {
        begin(&record, 2, "clock");
        msgpack_write_float(&record, clock_wall_at(fleet->start_ns));
        end(fleet, &record);
    }
}

void fleet_state_joined(struct fleet *fleet, const struct fleet_runner *runner)
{
    struct buf record;

    if (is_on(fleet)) {
        begin(&record, 4, "runner");
        msgpack_write_int(&record, runner->id);
        msgpack_write_bytes(&record, str_of(runner->plain ? "" : runner->peer));
        msgpack_write_bool(&record, runner->plain);
        end(fleet, &record);
    }
}

void fleet_state_gone(struct fleet *fleet, const struct fleet_runner *runner)
{
    struct buf record;

    if (!is_on(fleet) || runner->slot < 0) {
        return;
    }
    begin(&record, 4, "gone");
    msgpack_write_int(&record, runner->id);
    msgpack_write_list(&record, (uint32_t)fleet->scenario->count);
    for (size_t i = 0; i < fleet->scenario->count; i++) {
        const struct share *share = &fleet->shares.runners[runner->slot].shares[i];
        msgpack_write_list(&record, 2);
        msgpack_write_int(&record, share->started);
        msgpack_write_int(&record, share->completed);
    }
    if (runner->own) {
        totals_write(&record, runner->own);
    } else {
        msgpack_write_nil(&record);
    }
    end(fleet, &record);
}

void fleet_state_write_leases(struct buf *out, const uint64_t *leases, size_t count)
{
    msgpack_write_list(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        msgpack_write_int(out, (int64_t)leases[i]);
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
    begin(&record, 6, "items");
    msgpack_write_int(&record, runner->id);
    msgpack_write_int(&record, (int64_t)seq);
    msgpack_write_list(&record, (uint32_t)handed_count);
    for (size_t i = 0; i < handed_count; i++) {
        msgpack_write_list(&record, 3);
        msgpack_write_int(&record, handed[i].scenario_id);
        msgpack_write_int(&record, (int64_t)handed[i].lease);
        msgpack_write(&record, &handed[i].data_id);
    }
    fleet_state_write_leases(&record, done, done_count);
    fleet_state_write_leases(&record, unused, unused_count);
    end(fleet, &record);
}

void fleet_state_steered(struct fleet *fleet, const char *what, struct str key, double number)
{
    const struct value *value = fleet->options.config ? config_get(fleet->options.config, key) : NULL;
    struct buf record;

    if (!is_on(fleet)) {
        return;
    }
    begin(&record, 3, what);
    if (strcmp(what, "config") == 0) {
        msgpack_write_text(&record, key);
        msgpack_write(&record, value ? value : &(struct value){.type = VALUE_NIL});
    } else {
        msgpack_write_text(&record, key);
        msgpack_write_float(&record, number);
    }
    end(fleet, &record);
}

/* ---- figures ---- */

int fleet_state_own(struct fleet_runner *runner, struct mite_error *error)
{
    if (!runner->own) {
        runner->own = malloc(sizeof *runner->own);
        if (!runner->own || totals_init(runner->own) < 0) {
            free(runner->own);
            runner->own = NULL;
            return error_set(error, MITE_ENOMEM, "no memory for what a runner has counted");
        }
    }
    return 0;
}

int fleet_state_count(struct fleet *fleet, struct fleet_runner *runner, const struct value *stats,
                      struct mite_error *error)
{
    int rc = is_on(fleet) ? fleet_state_own(runner, error) : 0;

    rc = rc == 0 ? totals_read(fleet->totals, stats, error) : rc;
    return rc == 0 && runner->own ? totals_read(runner->own, stats, error) : rc;
}

void fleet_state_recount(struct fleet *fleet, struct fleet_runner *runner)
{
    for (size_t entry = 0; runner->started_before && entry < fleet->scenario->count; entry++) {
        shares_add_started(&fleet->shares, entry, -runner->started_before[entry]);
        runner->started_before[entry] = 0;
    }
    if (!runner->own) {
        return;
    }
    totals_clear(runner->own);
    totals_clear(fleet->totals);
    for (size_t i = 0; i < fleet->runner_count; i++) {
        if (fleet->runners[i]->own) {
            totals_add(fleet->totals, fleet->runners[i]->own);
        }
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
