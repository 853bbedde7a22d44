/*
 * The controller's message handler on whatever peers send: it answers, counts or passes over, and its sums stay sums.
 * An input is a sequence of messages: a byte that names the peer, a byte with the length, the message. Peers 0 and 1
 * are two of ours that have joined, in epoch 7, so that inputs get past hello.
 */
#include "fuzz.h"

#include "base/log.h"
#include "controller/fleet_internal.h"

#define PEERS 4
#define EPOCH 7

static const char *const peers[PEERS] = {"mite1:a", "mite1:b", "plain", "\1\2\3"};

static int swallow(struct fleet *fleet, struct str peer, struct str body)
{
    return 0;
}

static void drop(struct sink *sink, const struct message *message)
{
}

static void check(const struct fleet *fleet)
{
    struct fleet_counts counts;
    int64_t out = 0, granted = 0;

    fleet_count(fleet, &counts);
    for (size_t i = 0; i < fleet->leases.pool_count; i++) {
        out += fleet->leases.pools[i].out;
    }
    FUZZ_ASSERT(out == (int64_t)fleet->leases.by_number.live_count && out <= 7);
    for (size_t i = 0; i < fleet->shares.entry_count; i++) {
        granted += fleet->shares.entries[i].granted;
    }
    FUZZ_ASSERT(granted == fleet->shares.granted);
}

static void join(struct fleet *fleet, const char *peer, int64_t id)
{
    struct work_introduction introduction = {.host = STR("h"), .version = STR("3"), .pid = id};
    struct work_request hello = {.kind = WORK_HELLO};
    struct work_request report = {
        .kind = WORK_REPORT,
        .report = {.seq = 1, .runner_id = id, .epoch = EPOCH, .introduction = &introduction, .stats = value_nil()}};
    struct buf bytes;

    buf_init(&bytes, 0);
    work_write_request(&bytes, &hello);
    fleet_received(fleet, str_of(peer), buf_view(&bytes));
    buf_clear(&bytes);
    work_write_request(&bytes, &report);
    fleet_received(fleet, str_of(peer), buf_view(&bytes));
    buf_done(&bytes);
}

static void add_entries(struct scenario *scenario)
{
    struct value data = value_list(NULL, 0), items[4] = {data, data, data, data}, list = value_list(items, 4);
    struct datapool *pools[3] = {NULL};
    struct volume_model *model;

    FUZZ_ASSERT(datapool_recyclable_new(&list, &pools[1], NULL) == 0);
    list.count = 3;
    FUZZ_ASSERT(datapool_iterable_new(&list, &pools[2], NULL) == 0);
    for (int i = 0; i < 3; i++) {
        FUZZ_ASSERT(volume_constant_new(3, -1, &model, NULL) == 0);
        FUZZ_ASSERT(scenario_add(scenario, "a:b", pools[i], model, NULL) == 0);
    }
}

static void play(struct fleet *fleet, const uint8_t *data, size_t size)
{
    while (size >= 2) {
        size_t n = data[1] < size - 2 ? data[1] : size - 2;
        fleet_received(fleet, str_of(peers[data[0] % PEERS]), (struct str){(const char *)data + 2, n});
        check(fleet);
        data += 2 + n;
        size -= 2 + n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sink_ops ops = {.name = "none", .message = drop};
    struct sink sink = {.ops = &ops};
    struct controller_hooks hooks = {0};
    struct scenario scenario;
    struct totals totals;
    struct config config;
    struct loop *loop;
    struct fleet *fleet;

    log_set_level(LOG_CRITICAL);
    FUZZ_ASSERT(loop_new(&loop, NULL) == 0 && scenario_init(&scenario, "s") == 0 && totals_init(&totals) == 0);
    config_init(&config);
    add_entries(&scenario);
    struct fleet_options options = {
        .scheduling = {.spawn_rate = 1e6, .iterations = 50}, .max_runners = 5, .config = &config};
    FUZZ_ASSERT(fleet_new(loop, NULL, &scenario, &options, &totals, &sink, &hooks, &fleet, NULL) == 0);
    fleet->send = swallow;
    fleet->epoch = EPOCH;
    join(fleet, peers[0], 1);
    join(fleet, peers[1], 2);
    uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    play(fleet, data, size);
    fleet_free(fleet);
    FUZZ_ASSERT(loop_free(loop, NULL) == 0);
    scenario_done(&scenario);
    totals_done(&totals);
    config_done(&config);
    return 0;
}
