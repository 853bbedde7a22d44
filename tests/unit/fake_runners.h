/*
 * A fleet without a socket, and runners that are played by the test: requests go in by fleet_received(), what the fleet
 * sends is kept.
 */
#pragma once

#include "base/clock.h"
#include "controller/fleet_internal.h"
#include "fake_journeys.h"

#include <poll.h>

struct fake_fleet {
    struct loop *loop;
    struct scenario scenario;
    struct fake_sink sink;
    struct totals totals;
    struct config config;
    struct fleet *fleet;
    struct arena arena; /* of the last answer */
    struct buf last;    /* what was sent last, nudges apart */
    char last_peer[80];
    int answers, nudges, drained, finished, failed_entries;
    char failure[512];
};

static int fake_send(struct fleet *fleet, struct str peer, struct str body)
{
    struct fake_fleet *fake = fleet->send_arg;
    struct work_orders orders;
    struct arena arena;

    arena_init(&arena, 0);
    bool wish = work_read_orders(&arena, body, &orders, NULL) == MITE_EAGAIN;
    arena_done(&arena);
    if (wish) {
        fake->nudges++;
        return 0;
    }
    buf_clear(&fake->last);
    buf_str(&fake->last, body);
    snprintf(fake->last_peer, sizeof fake->last_peer, STR_FMT, STR_ARG(peer));
    fake->answers++;
    return 0;
}

static void fake_draining(void *arg)
{
    ((struct fake_fleet *)arg)->drained++;
}

static void fake_finished(void *arg)
{
    ((struct fake_fleet *)arg)->finished++;
}

static void fake_failed(void *arg, const struct scenario_entry *entry, const struct mite_error *error, bool fatal)
{
    struct fake_fleet *fake = arg;

    fake->failed_entries++;
    snprintf(fake->failure, sizeof fake->failure, "%s", error->text);
}

/* Of fleets. In the second, runners are to be lost. */
static const struct fleet_options fake_fast = {.scheduling = {.spawn_rate = 1e6}};
static const struct fleet_options fake_impatient = {.scheduling = {.spawn_rate = 1e6}, .runner_timeout_s = 0.05};

static inline void fake_fleet_init(struct fake_fleet *fake)
{
    struct mite_error error = {0};

    *fake = (struct fake_fleet){0};
    assert_int_equal(loop_new(&fake->loop, &error), 0);
    assert_int_equal(scenario_init(&fake->scenario, "shop:scenario"), 0);
    assert_int_equal(totals_init(&fake->totals), 0);
    config_init(&fake->config);
    fake_sink_init(&fake->sink);
    arena_init(&fake->arena, 0);
    buf_init(&fake->last, 0);
}

/* Of up to 64 items without data. */
static inline struct datapool *fake_pool(bool recycles, int count)
{
    struct value data = value_list(NULL, 0), items[64];
    struct datapool *pool;

    for (int i = 0; i < count; i++) {
        items[i] = data;
    }
    struct value list = value_list(items, (uint32_t)count);
    assert_int_equal((recycles ? datapool_recyclable_new : datapool_iterable_new)(&list, &pool, NULL), 0);
    return pool;
}

static inline void fake_add(struct fake_fleet *fake, const char *spec, struct datapool *pool, int64_t volume)
{
    struct mite_error error = {0};
    struct volume_model *model;

    assert_int_equal(volume_constant_new(volume, -1, &model, &error), 0);
    assert_int_equal(scenario_add(&fake->scenario, spec, pool, model, &error), 0);
}

static inline void fake_open(struct fake_fleet *fake, struct fleet_options options)
{
    struct controller_hooks hooks = {
        .draining = fake_draining, .finished = fake_finished, .entry_failed = fake_failed, .arg = fake};
    struct mite_error error = {0};

    options.config = &fake->config;
    assert_int_equal(fleet_new(fake->loop, NULL, &fake->scenario, &options, &fake->totals, &fake->sink.sink, &hooks,
                               &fake->fleet, &error),
                     0);
    fake->fleet->send = fake_send;
    fake->fleet->send_arg = fake;
}

static inline void fake_fleet_done(struct fake_fleet *fake)
{
    struct mite_error error = {0};

    fleet_free(fake->fleet);
    assert_int_equal(loop_free(fake->loop, &error), 0);
    scenario_done(&fake->scenario);
    totals_done(&fake->totals);
    config_done(&fake->config);
    arena_done(&fake->arena);
    buf_done(&fake->last);
}

/* One turn of the loop, a millisecond apart from the next. */
static inline void fake_wait(struct fake_fleet *fake)
{
    poll(NULL, 0, 1);
    uv_run(loop_uv(fake->loop), UV_RUN_NOWAIT);
}

/* ---- what a runner says ---- */

static inline void fake_tell(struct fake_fleet *fake, const char *peer, const struct work_request *request)
{
    struct buf bytes;

    buf_init(&bytes, 0);
    work_write_request(&bytes, request);
    assert_false(bytes.failed);
    fleet_received(fake->fleet, str_of(peer), buf_view(&bytes));
    buf_done(&bytes);
}

static inline struct work_welcome fake_hello(struct fake_fleet *fake, const char *peer)
{
    struct work_welcome welcome;

    fake_tell(fake, peer, &(struct work_request){.kind = WORK_HELLO});
    arena_reset(&fake->arena);
    assert_int_equal(work_read_welcome(&fake->arena, buf_view(&fake->last), &welcome, NULL), 0);
    assert_string_equal(fake->last_peer, peer);
    return welcome;
}

/* A runner of ours, played: it starts what it is told at once, in zero time. */
struct fake_runner {
    const char *peer;
    int64_t id, running, started, completed, max_journeys;
    uint64_t epoch, seq;
    uint64_t held[64], done[64], unused[64];
    int64_t ids[64];
    size_t held_count, done_count, unused_count;
    struct work_orders orders;
    struct work_entry_orders entry;
};

static inline void fake_join(struct fake_fleet *fake, struct fake_runner *runner, const char *peer)
{
    struct work_welcome welcome = fake_hello(fake, peer);

    assert_non_null(welcome.offer);
    runner->peer = peer;
    runner->id = welcome.runner_id;
    runner->epoch = welcome.offer->epoch;
}

static inline void fake_say_again(struct fake_fleet *fake, struct fake_runner *runner, const struct work_report *report)
{
    struct work_request request = {.kind = WORK_REPORT, .report = *report};
    int answers = fake->answers;

    fake_tell(fake, runner->peer, &request);
    if (fake->answers == answers) {
        runner->orders = (struct work_orders){0};
        return;
    }
    arena_reset(&fake->arena);
    assert_int_equal(work_read_orders(&fake->arena, buf_view(&fake->last), &runner->orders, NULL), 0);
    if (runner->orders.known) {
        runner->entry = runner->orders.entries[0];
        for (size_t i = 0; i < runner->orders.item_count && runner->held_count < 64; i++) {
            runner->ids[runner->held_count] = runner->orders.items[i].data_id.integer;
            runner->held[runner->held_count++] = runner->orders.items[i].lease;
        }
    }
}

/* Of the first entry alone. */
static inline void fake_report(struct fake_fleet *fake, struct fake_runner *runner)
{
    struct work_introduction introduction = {
        .host = STR("web-7"), .version = STR("3"), .pid = 7, .max_journeys = runner->max_journeys};
    struct work_entry_report entry = {.scenario_id = 1,
                                      .running = runner->running,
                                      .started = runner->started,
                                      .completed = runner->completed,
                                      .highest_id = -1};
    struct work_report report = {
        .seq = ++runner->seq,
        .runner_id = runner->id,
        .epoch = runner->epoch,
        .introduction = runner->seq == 1 ? &introduction : NULL,
        .entries = &entry,
        .entry_count = 1,
        .done = runner->done,
        .done_count = runner->done_count,
        .unused = runner->unused,
        .unused_count = runner->unused_count,
        .stats = value_nil(),
        .idle = runner->orders.stop && runner->running == 0,
    };

    fake_say_again(fake, runner, &report);
    runner->done_count = runner->unused_count = 0;
}

/* The clock starts once a runner has had its first orders and says so. */
static inline void fake_run_until_started(struct fake_fleet *fake, struct fake_runner *runner)
{
    if (runner) {
        fake_report(fake, runner);
    }
    while (!fake->fleet->clock_started) {
        fake_wait(fake);
    }
}

/* ---- what the fleet counts ---- */

static inline struct fleet_counts fake_counts(const struct fake_fleet *fake)
{
    struct fleet_counts counts;

    fleet_count(fake->fleet, &counts);
    return counts;
}

static inline void fake_wait_until_lost(struct fake_fleet *fake, size_t lost)
{
    while (fake_counts(fake).runners_lost < lost) {
        fake_wait(fake);
    }
}
