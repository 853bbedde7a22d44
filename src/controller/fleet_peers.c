#include "controller/fleet_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "value/msgpack.h"

#include <inttypes.h>
#include <stdlib.h>

#define HIGHEST_SKIP_MAX INT64_C(100000000) /* a mark that is believed */
#define TYPES_MAX        64                 /* of dropped events */

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

void fleet_answer(struct fleet *fleet, struct str peer)
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
    fleet_answer(fleet, peer);
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

    runner->config_version = 0;
    message.config = fleet_config(fleet, &runner->config_version, &message.config_count);
    buf_clear(&fleet->out);
    work_write_welcome(&fleet->out, &message);
    fleet_answer(fleet, peer);
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
    welcome(fleet, peer, runner);
}

static void bye(struct fleet *fleet, struct str peer, int64_t id)
{
    struct fleet_runner *runner = fleet_find(fleet, id);

    if (runner && !runner->plain && !str_equal(peer, str_of(runner->peer))) {
        fleet_bad(fleet, peer, "fleet bye", "it says bye in the name of another runner");
    } else if (runner && runner->state == RUNNER_GREETED) {
        fleet_forget(fleet, runner);
    } else if (runner && runner->state == RUNNER_LIVE) {
        fleet_leave(fleet, runner);
    }
    answer_nothing(fleet, peer);
}

/* ---- reports ---- */

static uint64_t *count_in(struct map *map, struct str type)
{
    uint64_t *count = map_get(map, type);

    if (!count && map->live_count < TYPES_MAX && (count = calloc(1, sizeof *count)) &&
        map_set(map, type, count, NULL) < 0) {
        free(count);
        count = NULL;
    }
    return count;
}

/* By how much a count has grown that a runner reports since its process began. */
static uint64_t growth(uint64_t *before, uint64_t count)
{
    uint64_t more = count > *before && count <= FLEET_COUNT_MAX ? count - *before : 0;

    *before += more;
    return more;
}

static void take_dropped(struct fleet *fleet, struct fleet_runner *runner, const struct work_report *report)
{
    for (size_t i = 0; i < report->dropped_count; i++) {
        uint64_t *before = count_in(&runner->dropped, report->dropped[i].type);
        uint64_t *all = count_in(&fleet->dropped, report->dropped[i].type);
        if (before && all) {
            *all += growth(before, report->dropped[i].count);
        }
    }
    fleet->aborted += growth(&runner->aborted, report->aborted);
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
        runner->max_journeys = introduction->max_journeys;
    }
}

/* False when it makes no sense. */
static bool take_entry(struct fleet *fleet, struct fleet_runner *runner, const struct work_entry_report *report)
{
    size_t entry = (size_t)(report->scenario_id - 1);

    if (entry >= fleet->scenario->count || report->started < report->completed || report->started > FLEET_COUNT_MAX ||
        report->running > FLEET_COUNT_MAX) {
        return false;
    }
    struct lease_pool *pool = fleet->leases.of_entry[entry];
    if (runner->introduced && pool && pool->pool->kind == DATAPOOL_ONCE && report->highest_id < HIGHEST_SKIP_MAX) {
        leases_skip(pool, report->highest_id);
    }
    shares_report(&fleet->shares, (size_t)runner->slot, entry, report->running, report->started, report->completed);
    return true;
}

static void take_entries(struct fleet *fleet, struct fleet_runner *runner, const struct work_report *report)
{
    bool good = true;

    for (size_t i = 0; i < report->entry_count; i++) {
        good = take_entry(fleet, runner, &report->entries[i]) && good;
    }
    if (!good) {
        fleet_bad(fleet, str_of(runner->peer), "fleet entry", "a report on an entry that makes no sense");
    }
}

static void take_report(struct fleet *fleet, struct fleet_runner *runner, const struct work_report *report)
{
    char name[160];

    fleet_take_stats(fleet, runner, report);
    runner->counted_ns = runner->heard_ns;
    take_entries(fleet, runner, report);
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
    if (report->trouble.n > 0) { /* many may have the same */
        log_once(LOG_WARNING, report->trouble.p, "runner %s: " STR_FMT, fleet_runner_name(runner, name, sizeof name),
                 STR_ARG(report->trouble));
    }
}

/* Who is unknown here says hello again. */
static void answer_unknown(struct fleet *fleet, struct str peer, uint64_t seq)
{
    struct work_orders orders = {.seq = seq, .known = false};

    buf_clear(&fleet->out);
    work_write_orders(&fleet->out, &orders);
    fleet_answer(fleet, peer);
}

/* Whom we know by the journal alone has to say all from the start. The report before that it sent in vain: what was
 * handed out for it never arrived. */
static bool must_start_over(struct fleet *fleet, struct fleet_runner *runner, const struct work_report *report)
{
    if (!runner->awaited) {
        return false;
    }
    if (!report->introduction || report->seq <= runner->seq) {
        return true;
    }
    runner->awaited = false;
    if (leases_take_back(&fleet->leases, &runner->holder, report->seq - 1) > 0) {
        fleet->stale = true;
    }
    return false;
}

static bool has_joined(struct fleet *fleet, struct fleet_runner *runner, const struct work_report *report)
{
    take_introduction(runner, report->introduction);
    return fleet_expect_stats(fleet, runner, report) == 0 && (runner->slot >= 0 || fleet_join(fleet, runner) == 0);
}

/* Without memory for them it gets none, and asks again. */
static void send_orders(struct fleet *fleet, struct fleet_runner *runner, const struct work_report *report)
{
    fleet_write_orders(fleet, runner);
    runner->nudged = false;
    if (runner->answer.size == 0) {
        log_once(LOG_ERROR, "fleet orders", "no memory for a runner's orders: it will ask again");
        leases_take_back(&fleet->leases, &runner->holder, runner->seq);
        fleet->handed_count = 0;
    }
    fleet_state_exchange(fleet, runner, runner->seq, fleet->handed, fleet->handed_count, report->done,
                         report->done_count, report->unused, report->unused_count);
    fleet_state_starts(fleet, runner);
    if (runner->answer.size > 0) {
        runner->void_told = true;
        fleet->send(fleet, str_of(runner->peer), buf_view(&runner->answer));
    }
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
    if (must_start_over(fleet, runner, report)) {
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
    if (!has_joined(fleet, runner, report)) {
        log_once(LOG_ERROR, "fleet report", "no memory for a runner's report: it will ask again");
        return;
    }
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
    send_orders(fleet, runner, report);
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
