#include "controller/fleet_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "stats/totals_delta.h"
#include "value/msgpack.h"

#include <inttypes.h>
#include <stdlib.h>

#define HIGHEST_SKIP_MAX INT64_C(100000000) /* a mark that is believed */

void fleet_bad(struct fleet *fleet, struct str peer, const char *kind, const char *sentence)
{
    char name[2 * FLEET_PEER_MAX + 1];
    size_t n = 0;

    for (size_t i = 0; i < peer.n && n + 4 < sizeof name; i++) { /* routing ids may be any bytes */
        unsigned char c = (unsigned char)peer.p[i];
        n += (size_t)snprintf(name + n, sizeof name - n, c > ' ' && c < 0x7f ? "%c" : "\\%02x", c);
    }
    name[n] = '\0';
    fleet->bad_messages++;
    log_once(LOG_WARNING, kind, "a message from %s is passed over: %s", name, sentence);
}

static void answer(struct fleet *fleet, struct str peer)
{
    if (!fleet->out.failed) {
        fleet->send(fleet, peer, buf_view(&fleet->out));
    }
}

/* Whom nothing can be said, but who waits for an answer. */
static void answer_nothing(struct fleet *fleet, struct str peer)
{
    buf_clear(&fleet->out);
    msgpack_write_nil(&fleet->out);
    answer(fleet, peer);
}

/* ---- hello and bye ---- */

static bool speaks_ours(struct str peer)
{
    size_t n = strlen(WORK_ROUTING_PREFIX);

    return peer.n > n && peer.n <= FLEET_PEER_MAX && memcmp(peer.p, WORK_ROUTING_PREFIX, n) == 0 &&
           !memchr(peer.p, '\0', peer.n);
}

static void welcome(struct fleet *fleet, struct str peer, struct fleet_runner *runner)
{
    struct work_offer offer = {
        .epoch = fleet->epoch, .timeout_s = ns_to_s(fleet->timeout_ns), .interval_s = ns_to_s(fleet->interval_ns)};
    struct work_welcome message = {
        .runner_id = runner->id, .test = str_of(fleet->scenario->name), .offer = runner->plain ? NULL : &offer};

    message.config = fleet_config(fleet, 0, &message.config_count);
    runner->config_version = fleet->options.config ? fleet->options.config->version : 0;
    buf_clear(&fleet->out);
    work_write_welcome(&fleet->out, &message);
    answer(fleet, peer);
}

static void hello(struct fleet *fleet, struct str peer)
{
    bool ours = speaks_ours(peer);
    struct fleet_runner *runner = ours ? fleet_find_peer(fleet, peer) : NULL;

    if (!runner) {
        runner = fleet_greet(fleet, peer, !ours, 0);
    }
    if (!runner) {
        answer_nothing(fleet, peer);
        return;
    }
    runner->heard_ns = clock_now_ns();
    runner->awaited = false;
    if (runner->state > RUNNER_LIVE) {
        runner->state = RUNNER_GREETED;
    }
    welcome(fleet, peer, runner);
}

static void bye(struct fleet *fleet, struct str peer, int64_t id)
{
    struct fleet_runner *runner = fleet_find(fleet, id);

    if (runner && !runner->plain && !str_equal(peer, str_of(runner->peer))) {
        fleet_bad(fleet, peer, "fleet bye", "it says bye in the name of another runner");
    } else if (runner && runner->state <= RUNNER_LIVE) {
        fleet_leave(fleet, runner, RUNNER_GONE);
    }
    answer_nothing(fleet, peer);
}

/* ---- reports ---- */

static uint64_t *count_in(struct map *map, struct str type)
{
    uint64_t *count = map_get(map, type);

    if (!count && map->live_count < 2 * 32 && (count = calloc(1, sizeof *count)) &&
        map_set(map, type, count, NULL) < 0) {
        free(count);
        count = NULL;
    }
    return count;
}

/* What was dropped since the last report is added to what all have dropped. */
static void take_dropped(struct fleet *fleet, struct fleet_runner *runner, const struct work_report *report)
{
    for (size_t i = 0; i < report->dropped_count; i++) {
        uint64_t *before = count_in(&runner->dropped, report->dropped[i].type);
        uint64_t *all = count_in(&fleet->dropped, report->dropped[i].type);
        if (before && all && report->dropped[i].count > *before) {
            *all += report->dropped[i].count - *before;
            *before = report->dropped[i].count;
        }
    }
    if (report->aborted > runner->aborted) {
        fleet->aborted += report->aborted - runner->aborted;
        runner->aborted = report->aborted;
    }
}

static void take_stats(struct fleet *fleet, struct fleet_runner *runner, const struct work_report *report)
{
    struct mite_error error = {0};

    if (report->stats.type == VALUE_NIL) {
        return;
    }
    if (report->stats_from_start && runner->counted) {
        fleet_bad(fleet, str_of(runner->peer), "fleet stats twice", "it sends again what is counted already");
        return;
    }
    if (report->stats_from_start) {
        fleet_state_recount(fleet, runner);
    }
    if (fleet_state_count(fleet, runner, &report->stats, &error) < 0) {
        fleet_bad(fleet, str_of(runner->peer), "fleet stats", error.text);
        error_done(&error);
        return;
    }
    if (report->stats_from_start && fleet->resumed) {
        totals_take_over(fleet->totals, fleet->start_ns);
    }
    runner->counted = true;
}

static void take_introduction(struct fleet_runner *runner, const struct work_introduction *introduction)
{
    runner->introduced = introduction != NULL;
    if (introduction) {
        free(runner->host);
        free(runner->version);
        runner->host = str_copy(introduction->host);
        runner->version = str_copy(introduction->version);
        runner->pid = introduction->pid;
    }
}

static void take_entry(struct fleet *fleet, struct fleet_runner *runner, const struct work_entry_report *report)
{
    size_t entry = (size_t)(report->scenario_id - 1);

    if (report->scenario_id < 1 || entry >= fleet->scenario->count || report->running < 0 || report->completed < 0 ||
        report->started < report->completed || report->started > FLEET_COUNT_MAX || report->running > FLEET_COUNT_MAX) {
        fleet_bad(fleet, str_of(runner->peer), "fleet entry", "a report on an entry that makes no sense");
        return;
    }
    struct lease_pool *pool = fleet->leases.of_entry[entry];
    if (runner->introduced && pool && pool->pool->kind == DATAPOOL_ONCE && report->highest_id < HIGHEST_SKIP_MAX) {
        leases_skip(pool, report->highest_id);
    }
    shares_report(&fleet->shares, (size_t)runner->slot, entry, report->running, report->started, report->completed);
}

static void take_report(struct fleet *fleet, struct fleet_runner *runner, const struct work_report *report)
{
    char name[160];

    take_stats(fleet, runner, report);
    for (size_t i = 0; i < report->entry_count; i++) {
        take_entry(fleet, runner, &report->entries[i]);
    }
    for (size_t i = 0; i < report->done_count; i++) {
        leases_return_done(&fleet->leases, &runner->holder, report->done[i]);
    }
    for (size_t i = 0; i < report->unused_count; i++) {
        leases_return_unused(&fleet->leases, &runner->holder, report->unused[i]);
    }
    take_dropped(fleet, runner, report);
    runner->queued = report->queued;
    runner->cpu = report->cpu;
    if (report->leaving) {
        shares_retire(&fleet->shares, (size_t)runner->slot);
    }
    runner->idle_ns = !report->idle ? 0 : runner->idle_ns ? runner->idle_ns : runner->heard_ns;
    if (report->trouble.n > 0) {
        log_line(LOG_WARNING, "runner %s: " STR_FMT, fleet_runner_name(runner, name, sizeof name),
                 STR_ARG(report->trouble));
    }
}

/* Who is unknown here says hello again. */
static void answer_unknown(struct fleet *fleet, struct str peer, uint64_t seq)
{
    struct work_orders orders = {.seq = seq, .known = false};

    buf_clear(&fleet->out);
    work_write_orders(&fleet->out, &orders);
    answer(fleet, peer);
}

static bool ready_for(struct fleet *fleet, struct fleet_runner *runner, const struct work_report *report)
{
    int64_t max_journeys = report->introduction ? report->introduction->max_journeys : 0;

    if (runner->slot >= 0) {
        return true;
    }
    take_introduction(runner, report->introduction);
    return fleet_join(fleet, runner, max_journeys) == 0;
}

static void report_in(struct fleet *fleet, struct str peer, const struct work_report *report)
{
    struct fleet_runner *runner = fleet_find(fleet, report->runner_id);

    if (!runner || runner->plain || !str_equal(peer, str_of(runner->peer)) || report->epoch != fleet->epoch) {
        answer_unknown(fleet, peer, report->seq);
        return;
    }
    if (runner->state == RUNNER_LOST && runner->dies_ns) {
        return; /* from beyond the grave */
    }
    runner->heard_ns = clock_now_ns();
    if (runner->awaited) { /* of an earlier controller: what it has counted is to come from the start */
        leases_take_back(&fleet->leases, &runner->holder, report->seq);
        answer_unknown(fleet, peer, report->seq);
        return;
    }
    if (report->seq < runner->seq) {
        return; /* it has had its answer, or waits for that to a later one */
    }
    bool again = report->seq == runner->seq;
    if (again && runner->answer.size > 0) {
        fleet->send(fleet, peer, buf_view(&runner->answer));
        return;
    }
    if (!ready_for(fleet, runner, report)) {
        return;
    }
    take_introduction(runner, report->introduction);
    runner->seq = report->seq;
    runner->nudged = true; /* it is about to be told */
    if (!again) {
        take_report(fleet, runner, report);
    }
    if (!runner->introduced) { /* it has loaded what it is to run */
        fleet_clock(fleet);
    }
    fleet_check_pools(fleet);
    fleet_spread(fleet);
    fleet_write_orders(fleet, runner);
    runner->nudged = false;
    runner->void_up_to = 0;
    fleet_state_exchange(fleet, runner, runner->seq, fleet->handed, fleet->handed_count, report->done,
                         report->done_count, report->unused, report->unused_count);
    if (runner->answer.failed || runner->answer.size == 0) {
        log_once(LOG_ERROR, "fleet orders", "no memory for a runner's orders: it will ask again");
        buf_clear(&runner->answer);
    } else {
        fleet->send(fleet, peer, buf_view(&runner->answer));
    }
}

/* ---- all of them ---- */

void fleet_received(void *arg, struct str peer, struct str body)
{
    struct fleet *fleet = arg;
    struct work_request request;
    struct mite_error error = {0};

    arena_reset(&fleet->arena);
    if (work_read_request(&fleet->arena, body, &request, &error) < 0) {
        fleet_bad(fleet, peer, "fleet message", error.text);
        error_done(&error);
        answer_nothing(fleet, peer);
        return;
    }
    switch (request.kind) {
    case WORK_HELLO:
        hello(fleet, peer);
        break;
    case WORK_ASK:
        fleet_ask(fleet, peer, &request);
        break;
    case WORK_BYE:
        bye(fleet, peer, request.runner_id);
        break;
    case WORK_REPORT:
        report_in(fleet, peer, &request.report);
        break;
    case WORK_CONTROL:
        fleet_control(fleet, peer, &request);
        break;
    }
    fleet_look_soon(fleet);
}
