/* The fleet without memory, each allocation failing in its turn, and on files that are broken: nothing breaks, and no
 * item has two holders. */
#include "failmalloc.h"
#include "fake_runners.h"

#include "base/log.h"
#include "scratch.h"
#include "stats/totals_delta.h"
#include "value/msgpack.h"

#define PEER "mite1:runner"

static void renew_pools(struct fake_fleet *fake)
{
    for (size_t i = 0; i < fake->scenario.count; i++) {
        datapool_unref(fake->scenario.entries[i].pool);
        fake->scenario.entries[i].pool = fake_pool(i == 0, 20);
    }
}

static void add_entries(struct fake_fleet *fake)
{
    fake_add(fake, "shop:buy", fake_pool(true, 20), 4);
    fake_add(fake, "shop:sell", fake_pool(false, 20), 4);
}

/* ---- messages ---- */

static int keep(struct fleet *fleet, struct str peer, struct str body)
{
    struct fake_fleet *fake = fleet->send_arg;

    assert_true(body.n <= fake->last.capacity);
    memcpy(fake->last.data, body.p, body.n);
    fake->last.size = body.n;
    return 0;
}

static void write_report(struct buf *out, struct fake_fleet *fake, int64_t id, const struct value *stats)
{
    struct work_introduction introduction = {.host = STR("web-7"), .version = STR("3"), .pid = 7};
    struct work_dropped dropped = {STR("txn"), 3};
    struct work_request request = {.kind = WORK_REPORT,
                                   .report = {.seq = 2,
                                              .runner_id = id,
                                              .epoch = fake->fleet->epoch,
                                              .introduction = &introduction,
                                              .dropped = &dropped,
                                              .dropped_count = 1,
                                              .stats = *stats,
                                              .stats_from_start = stats->type != VALUE_NIL}};

    buf_clear(out);
    work_write_request(out, &request);
    assert_false(out->failed);
}

/* It is told again what it said without memory, and then answers as if nothing had been. */
static void test_messages(void **state)
{
    struct fake_fleet fake;
    struct work_orders orders;
    struct value none = value_nil();
    struct buf report;
    bool failed = true;

    fake_fleet_init(&fake);
    add_entries(&fake);
    buf_init(&report, 0);
    for (long n = 0; failed; n++) {
        struct fake_runner runner = {0};
        renew_pools(&fake);
        fake_open(&fake, (struct fleet_options){.scheduling = {.spawn_rate = 1e6}});
        fake_join(&fake, &runner, PEER);
        fake_report(&fake, &runner);
        fake.fleet->begin_ns = 1;
        fleet_look_soon(fake.fleet);
        while (fake.fleet->shares.entries[1].wanted == 0) {
            fake_wait(&fake);
        }
        buf_reserve(&fake.last, 1 << 16);
        fake.fleet->send = keep;
        write_report(&report, &fake, runner.id, &none);
        failmalloc_start(n);
        fleet_received(fake.fleet, STR(PEER), buf_view(&report));
        failed = failmalloc_stop();

        fleet_received(fake.fleet, STR(PEER), buf_view(&report));
        arena_reset(&fake.arena);
        assert_int_equal(work_read_orders(&fake.arena, buf_view(&fake.last), &orders, NULL), 0);
        assert_true(orders.known);
        int64_t out = fake.fleet->leases.pools[0].out + fake.fleet->leases.pools[1].out;
        assert_int_equal(out, orders.item_count); /* what it was not told of is out to nobody */
        fleet_free(fake.fleet);
        uv_run(loop_uv(fake.loop), UV_RUN_NOWAIT);
    }
    fake.fleet = NULL;
    buf_done(&report);
    fake_fleet_done(&fake);
}

/* ---- a restart ---- */

/* A file with one of each record. */
static void write_state(struct fake_fleet *fake, const struct fleet_options *options, struct buf *out)
{
    struct fake_runner one = {0}, two = {0};

    fake_open(fake, *options);
    fake_join(fake, &one, PEER);
    fake_join(fake, &two, PEER "2");
    fake_report(fake, &one);
    fake_report(fake, &two);
    fake_report(fake, &one);
    while (fake->fleet->shares.entries[1].wanted == 0) {
        fake_wait(fake);
    }
    fake_report(fake, &one);
    fake_report(fake, &two);
    one.unused[one.unused_count++] = one.held[0];
    fake_report(fake, &one);
    fake->fleet->runners[1]->heard_ns = 1;
    fleet_lose_silent(fake->fleet, clock_now_ns());
    assert_int_equal(fake->fleet->runners_lost, 1);
    fleet_set_factor(fake->fleet, 1, 2);
    fleet_state_volume(fake->fleet, 1);
    assert_int_equal(fleet_state_rewrite(fake->fleet, NULL), 0);
    fleet_free(fake->fleet);
    read_whole(out, options->state_file);
}

static void put_state(const char *path, const struct buf *bytes)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes->data, 1, bytes->size, file), bytes->size);
    assert_int_equal(fclose(file), 0);
}

static struct fleet_options open_state(struct fake_fleet *fake, const char *path, struct buf *bytes)
{
    struct fleet_options options = {.scheduling = {.spawn_rate = 1e6}, .state_file = path};

    fake_fleet_init(fake);
    add_entries(fake);
    buf_init(bytes, 0);
    write_state(fake, &options, bytes);
    options.config = &fake->config;
    return options;
}

/* What three requests come to. */
static struct value three_requests(struct arena *arena)
{
    struct totals totals;
    struct buf bytes;
    struct value stats;
    size_t used;
    const struct message request = {.kind = MESSAGE_HTTP_METRICS, .type = STR("http_metrics")};

    assert_int_equal(totals_init(&totals), 0);
    for (int i = 0; i < 3; i++) {
        sink_message(&totals.sink, &request);
    }
    buf_init(&bytes, 0);
    totals_write(&bytes, &totals);
    totals_done(&totals);
    assert_int_equal(msgpack_read(arena, buf_view(&bytes), &used, &stats, NULL), 0);
    buf_done(&bytes);
    return stats;
}

/* With --state what a runner counts is in its own figures too: in both or, until it says it again, in neither. What
 * others have counted stays in the windows that it was for. */
static void test_figures(void **state)
{
    struct scratch scratch;
    struct fake_fleet fake;
    struct arena arena;
    struct buf report;
    bool failed = true;

    scratch_make(&scratch);
    struct scratch_path path = scratch_path(&scratch, "state");
    fake_fleet_init(&fake);
    add_entries(&fake);
    arena_init(&arena, 0);
    buf_init(&report, 0);
    struct value stats = three_requests(&arena);
    fake_open(&fake, (struct fleet_options){.scheduling = {.spawn_rate = 1e6}, .state_file = path.s});
    for (uint64_t n = 0; failed; n++) {
        struct fake_runner runner = {0};
        char peer[32];
        snprintf(peer, sizeof peer, PEER "%d", (int)n);
        fake_join(&fake, &runner, peer);
        write_report(&report, &fake, runner.id, &stats);
        totals_next_window(&fake.totals);
        failmalloc_start((long)n);
        fleet_received(fake.fleet, str_of(peer), buf_view(&report));
        failed = failmalloc_stop();

        fleet_received(fake.fleet, str_of(peer), buf_view(&report));
        assert_int_equal(fake.totals.requests, 3 * (n + 1));
        assert_int_equal(fake.totals.window.requests, 3);
        assert_int_equal(fleet_find(fake.fleet, runner.id)->own->requests, 3);
    }
    arena_done(&arena);
    buf_done(&report);
    fake_fleet_done(&fake);
    scratch_remove(&scratch);
}

/* A fleet on that file, and whether there was one. */
static int start(struct fake_fleet *fake, const struct fleet_options *options)
{
    const struct controller_hooks hooks = {0};
    struct mite_error error = {0};
    int rc = fleet_new(fake->loop, NULL, &fake->scenario, options, &fake->totals, &fake->sink.sink, &hooks,
                       &fake->fleet, &error);

    error_done(&error);
    return rc;
}

static void stop(struct fake_fleet *fake, int rc)
{
    if (rc == 0) {
        fleet_free(fake->fleet);
    }
    fake->fleet = NULL;
    uv_run(loop_uv(fake->loop), UV_RUN_NOWAIT);
}

static void test_restart(void **state)
{
    struct scratch scratch;
    struct fake_fleet fake;
    struct buf bytes;
    bool failed = true;

    scratch_make(&scratch);
    struct scratch_path path = scratch_path(&scratch, "state");
    struct fleet_options options = open_state(&fake, path.s, &bytes);
    for (long n = 0; failed; n++) {
        renew_pools(&fake);
        put_state(path.s, &bytes);
        failmalloc_start(n);
        int rc = start(&fake, &options);
        failed = failmalloc_stop();
        assert_true(rc == 0 || failed);
        stop(&fake, rc);
    }
    buf_done(&bytes);
    fake_fleet_done(&fake);
    scratch_remove(&scratch);
}

/* Whatever byte of the file is wrong, it is refused, or makes some sense. */
static void test_broken_files(void **state)
{
    static const char wrong[] = {'\x05', '\xff'};
    struct scratch scratch;
    struct fake_fleet fake;
    struct buf bytes;
    int good = 0;

    scratch_make(&scratch);
    struct scratch_path path = scratch_path(&scratch, "state");
    struct fleet_options options = open_state(&fake, path.s, &bytes);
    log_set_level(LOG_CRITICAL);
    for (size_t i = 0; i < bytes.size * sizeof wrong; i++) {
        char *byte = &bytes.data[i / sizeof wrong], right = *byte;
        *byte = wrong[i % sizeof wrong];
        renew_pools(&fake);
        put_state(path.s, &bytes);
        int rc = start(&fake, &options);
        if (rc == 0) {
            const struct leases *leases = &fake.fleet->leases;
            assert_int_equal(leases->pools[0].out + leases->pools[1].out, leases->by_number.live_count);
            good++;
        }
        stop(&fake, rc);
        *byte = right;
    }
    log_set_level(LOG_INFO);
    assert_true(good > 0 && (size_t)good < bytes.size * sizeof wrong);
    buf_done(&bytes);
    fake_fleet_done(&fake);
    scratch_remove(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_broken_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
