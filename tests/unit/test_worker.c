/*
 * Workers and a real controller in one loop, over real sockets: every journey is counted once, no item is in two hands,
 * whatever happens to a worker.
 */
#include "bus_fixture.h"
#include "fake_journeys.h"

#include "controller/fleet.h"
#include "stats/totals_delta.h"
#include "worker/worker.h"

#define WORKERS   2
#define SHARED    1 /* scenario ids, where there are pools: one that recycles, one that does not */
#define ONCE      2
#define ITEMS_MAX 5001

struct side {
    struct test *test;
    char name[32];
    struct config config;
    struct sink sink; /* first of the fanout: watches the ends */
    struct totals totals;
    struct fanout fanout;
    struct fake_journeys journeys;
    struct worker *worker;
    struct runner *runner;
    int prepared, over;
    bool unready; /* puts off the first journey */
    char said[4096];
    bool holds[ITEMS_MAX]; /* of the shared items, by id */
};

struct test {
    struct bus_fixture bus;
    struct scenario scenario;
    struct config config;
    struct totals totals;
    struct fake_sink reports;
    struct fleet *fleet;
    struct side sides[WORKERS];
    double report_interval_s;
    int64_t max_runners; /* 0: any number */
    int drained, finished;
    bool in_use[ITEMS_MAX]; /* a shared item is with a journey */
    int used[ITEMS_MAX];    /* how often each of the others was */
    int twice;              /* shared items that were given to a second one */
    int64_t ended;          /* root transactions */
};

/* ---- journeys that are watched ---- */

static struct side *side_of(void *member, size_t offset)
{
    return (struct side *)((char *)member - offset);
}

static void watch_start(struct journey_host *host, struct journey *journey, struct context *context, struct args *args,
                        void (*ended)(void *arg, struct context *context, enum journey_outcome outcome), void *arg)
{
    struct side *side = side_of(host, offsetof(struct side, journeys));
    const struct message_origin *origin = &context->origin;
    struct test *test = side->test;

    if (args) {
        int64_t id = origin->scenario_data_id.integer;
        assert_int_equal(args_value(args)->items[0].integer, origin->scenario_id);
        if (origin->scenario_id == SHARED) {
            test->twice += test->in_use[id];
            test->in_use[id] = side->holds[id] = true;
        } else {
            test->used[id]++;
        }
    }
    fake_start(host, journey, context, args, ended, arg);
}

static void watch_end(struct sink *sink, const struct message *message)
{
    struct side *side = side_of(sink, offsetof(struct side, sink));
    const struct message_origin *origin = message->origin;

    if (message->kind != MESSAGE_TXN || !str_is(message->transaction, "__root__")) {
        return;
    }
    side->test->ended++;
    if (origin->scenario_id == SHARED && origin->scenario_data_id.type == VALUE_INT) {
        side->test->in_use[origin->scenario_data_id.integer] = false;
        side->holds[origin->scenario_data_id.integer] = false;
    }
}

/* ---- workers ---- */

static void on_say(void *arg, enum log_level level, const char *text)
{
    struct side *side = arg;
    size_t n = strlen(side->said);

    snprintf(side->said + n, sizeof side->said - n, "%s\n", text);
}

static int on_prepare(void *arg, const char *spec, bool has_datapool)
{
    struct side *side = arg;

    side->prepared++;
    return side->unready ? MITE_EAGAIN : 0;
}

static void on_describe(void *arg, struct arena *arena, struct work_report *report)
{
    report->queued = 3;
}

static void on_over(void *arg)
{
    ((struct side *)arg)->over++;
}

static void side_open(struct test *test, size_t index)
{
    static const struct sink_ops watching = {.name = "watch", .message = watch_end};
    struct side *side = &test->sides[index];
    struct mite_error error = {0};

    side->test = test;
    snprintf(side->name, sizeof side->name, WORK_ROUTING_PREFIX "%zu", index);
    config_init(&side->config);
    assert_int_equal(totals_init(&side->totals), 0);
    side->sink.ops = &watching;
    fanout_init(&side->fanout);
    fanout_add(&side->fanout, &side->totals.sink);
    fanout_add(&side->fanout, &side->sink);
    fake_journeys_init(&side->journeys, test->bus.loop);
    side->journeys.host.start = watch_start;
    side->journeys.lasts_ns = 2 * NS_PER_MS;
    struct worker_options options = {.bus = test->bus.bus,
                                     .address = fleet_address(test->fleet),
                                     .name = side->name,
                                     .host = "here",
                                     .version = "1",
                                     .fresh = &side->totals,
                                     .config = &side->config};
    struct worker_hooks hooks = {
        .say = on_say, .prepare = on_prepare, .describe = on_describe, .over = on_over, .arg = side};
    assert_int_equal(worker_new(test->bus.loop, &options, &hooks, &side->worker, &error), 0);
    struct runner_options runner = {.test = worker_test(side->worker)};
    assert_int_equal(runner_new(test->bus.loop, &runner, &side->fanout.sink, &worker_controller_ops, side->worker,
                                &side->runner, &error),
                     0);
    runner_add_host(side->runner, &side->journeys.host);
}

/* As a process that is killed: its journeys are no more, and nobody is told. */
static void side_vanish(struct side *side)
{
    struct fake_journey *journey;

    if (!side->worker) {
        return;
    }
    runner_free(side->runner);
    worker_free(side->worker);
    side->runner = NULL;
    side->worker = NULL;
    LIST_FOREACH(journey, &side->journeys.list, link)
    {
        timer_start(&journey->timer, 0, 0);
    }
    for (size_t id = 0; id < ITEMS_MAX; id++) {
        if (side->holds[id]) {
            side->test->in_use[id] = side->holds[id] = false;
        }
    }
}

static void side_close(struct side *side)
{
    side_vanish(side);
    totals_done(&side->totals);
    config_done(&side->config);
}

/* ---- the controller ---- */

static void on_draining(void *arg)
{
    ((struct test *)arg)->drained++;
}

static void on_finished(void *arg)
{
    ((struct test *)arg)->finished++;
}

/* `count` items with one argument each, the entry's id. */
static struct datapool *make_pool(int64_t scenario_id, uint32_t count)
{
    struct value *items = calloc(count, sizeof *items), argument = value_int(scenario_id);
    struct datapool *pool;

    for (uint32_t i = 0; i < count; i++) {
        items[i] = value_list(&argument, 1);
    }
    struct value list = value_list(items, count);
    assert_int_equal((scenario_id == SHARED ? datapool_recyclable_new : datapool_iterable_new)(&list, &pool, NULL), 0);
    free(items);
    return pool;
}

/* A class of the user's own, whose methods take a turn of the loop. */
struct own_pool {
    struct datapool base;
    struct datapool *items; /* owned */
    struct loop *loop;
};

struct own_call {
    struct datapool *items;
    datapool_checkout_done *checked_out; /* or */
    datapool_checkin_done *checked_in;
    void *arg;
    struct value id;
};

static void answer_own(void *arg)
{
    struct own_call *call = arg;

    if (call->checked_out) {
        call->items->ops->checkout(call->items, call->checked_out, call->arg);
    } else {
        call->items->ops->checkin(call->items, &call->id, call->checked_in, call->arg);
    }
    free(call);
}

static void call_own(struct datapool *pool, struct own_call what)
{
    struct own_pool *own = (struct own_pool *)pool;
    struct own_call *call = malloc(sizeof *call);

    assert_non_null(call);
    *call = what;
    call->items = own->items;
    assert_int_equal(loop_defer(own->loop, answer_own, call), 0);
}

static void own_checkout(struct datapool *pool, datapool_checkout_done *done, void *arg)
{
    call_own(pool, (struct own_call){.checked_out = done, .arg = arg});
}

static void own_checkin(struct datapool *pool, const struct value *id, datapool_checkin_done *done, void *arg)
{
    call_own(pool, (struct own_call){.checked_in = done, .arg = arg, .id = *id});
}

static void own_free(struct datapool *pool)
{
    datapool_unref(((struct own_pool *)pool)->items);
    free(pool);
}

static struct datapool *make_own_pool(struct test *test, uint32_t count)
{
    static const struct datapool_ops ops = {.checkout = own_checkout, .checkin = own_checkin, .free = own_free};
    struct own_pool *own = calloc(1, sizeof *own);

    assert_non_null(own);
    *own = (struct own_pool){.base = {.ops = &ops, .kind = DATAPOOL_OWN, .refs = 1},
                             .items = make_pool(SHARED, count),
                             .loop = test->bus.loop};
    return &own->base;
}

static void add_entry(struct test *test, struct datapool *pool, int64_t volume, int64_t duration_s)
{
    struct volume_model *model;

    assert_int_equal(volume_constant_new(volume, duration_s, &model, NULL), 0);
    assert_int_equal(scenario_add(&test->scenario, "shop:visit", pool, model, NULL), 0);
}

static void open_fleet(struct test *test, double runner_timeout_s)
{
    struct fleet_options options = {.scheduling = {.spawn_rate = 10000},
                                    .runner_timeout_s = runner_timeout_s,
                                    .report_interval_s = test->report_interval_s,
                                    .max_runners = (size_t)test->max_runners,
                                    .quiet = true,
                                    .config = &test->config};
    struct controller_hooks hooks = {.draining = on_draining, .finished = on_finished, .arg = test};
    struct mite_error error = {0};

    assert_int_equal(fleet_new(test->bus.loop, test->bus.bus, &test->scenario, &options, &test->totals,
                               &test->reports.sink, &hooks, &test->fleet, &error),
                     0);
    assert_int_equal(fleet_bind(test->fleet, "tcp://127.0.0.1:*", &error), 0);
}

static int set_up(void **state)
{
    struct test *test = calloc(1, sizeof *test);

    bus_fixture_open(&test->bus);
    assert_int_equal(scenario_init(&test->scenario, "shop:scenario"), 0);
    config_init(&test->config);
    assert_int_equal(totals_init(&test->totals), 0);
    fake_sink_init(&test->reports);
    test->report_interval_s = 0.02;
    *state = test;
    return 0;
}

static int tear_down(void **state)
{
    struct test *test = *state;

    for (size_t i = 0; i < WORKERS; i++) {
        if (test->sides[i].test) {
            side_close(&test->sides[i]);
        }
    }
    fleet_free(test->fleet);
    bus_fixture_close(&test->bus);
    scenario_done(&test->scenario);
    config_done(&test->config);
    totals_done(&test->totals);
    free(test);
    return 0;
}

static struct fleet_counts counts_of(struct test *test)
{
    struct fleet_counts counts;

    fleet_count(test->fleet, &counts);
    return counts;
}

/* Ids of iterable pools count from 1. */
static int used_once(const struct test *test)
{
    int used = 0;

    for (size_t id = 0; id < ITEMS_MAX; id++) {
        assert_true(test->used[id] <= 1);
        used += test->used[id];
    }
    return used;
}

static void start_workers(struct test *test)
{
    for (size_t i = 0; i < WORKERS; i++) {
        side_open(test, i);
        worker_start(test->sides[i].worker, test->sides[i].runner);
    }
}

/* Ten journeys at once, all with items, at both workers. */
static void get_busy(struct test *test, double runner_timeout_s)
{
    add_entry(test, make_pool(SHARED, 6), 6, -1);
    add_entry(test, make_pool(ONCE, 5000), 4, -1);
    open_fleet(test, runner_timeout_s);
    start_workers(test);
    bus_until(&test->bus, test->sides[0].journeys.started > 100 && test->sides[1].journeys.started > 100);
}

/* ---- tests ---- */

static void two_workers_share_a_scenario_and_every_journey_is_counted_once(void **state)
{
    struct test *test = *state;

    add_entry(test, make_pool(SHARED, 12), 8, 1);
    add_entry(test, make_pool(ONCE, 100), 6, 1);
    add_entry(test, NULL, 6, 1);
    open_fleet(test, 10);
    start_workers(test);
    bus_until(&test->bus, test->finished && test->sides[0].over && test->sides[1].over);
    struct fleet_counts counts = counts_of(test);
    assert_int_equal(test->twice, 0);
    assert_int_equal(used_once(test), 100);
    assert_int_equal(counts.journeys.completed, test->ended);
    assert_int_equal(counts.journeys.started, test->ended);
    assert_int_equal(test->totals.journeys, test->ended);
    assert_true(test->ended > 200);
    assert_int_equal(counts.items_lost, 0);
    assert_int_equal(counts.runners_seen, 2);
    assert_int_equal(counts.bad_messages, 0);
    for (size_t i = 0; i < WORKERS; i++) {
        assert_string_equal(worker_test(test->sides[i].worker), "shop:scenario");
        assert_int_equal(test->sides[i].prepared, 1);
        assert_true(test->sides[i].journeys.started > 50);
        assert_non_null(strstr(test->sides[i].said, "connected to the controller"));
    }
}

static void a_worker_that_vanishes_leaves_its_work_to_the_other(void **state)
{
    struct test *test = *state;

    get_busy(test, 0.3);
    int most = test->sides[1].journeys.most_running;
    assert_true(most < 10);
    side_vanish(&test->sides[0]);
    bus_until(&test->bus, counts_of(test).runners_lost == 1);
    bus_until(&test->bus, test->sides[1].journeys.running == 10); /* all of it, with all of the items */
    fleet_stop(test->fleet);
    bus_until(&test->bus, test->finished && test->sides[1].over);
    assert_int_equal(test->twice, 0);
    used_once(test);
    assert_true(counts_of(test).items_lost > 0);
}

static void a_worker_that_is_asked_to_end_gives_everything_back(void **state)
{
    struct test *test = *state;

    get_busy(test, 10);
    worker_drain(test->sides[0].worker);
    bus_until(&test->bus, test->sides[0].over);
    bus_until(&test->bus, test->sides[1].journeys.running == 10);
    fleet_stop(test->fleet);
    bus_until(&test->bus, test->finished && test->sides[1].over);
    assert_int_equal(test->twice, 0);
    assert_int_equal(counts_of(test).items_lost, 0);
    assert_int_equal(counts_of(test).journeys.completed, test->ended);
    assert_int_equal(test->totals.journeys, test->ended);
}

/* Its journeys have time to end; the load does not wait for them. */
static void others_take_over_while_a_worker_is_on_its_way_out(void **state)
{
    struct test *test = *state;

    add_entry(test, NULL, 8, -1);
    open_fleet(test, 10);
    for (size_t i = 0; i < WORKERS; i++) {
        side_open(test, i);
        test->sides[i].journeys.lasts_ns = UINT64_MAX;
        worker_start(test->sides[i].worker, test->sides[i].runner);
    }
    bus_until(&test->bus, test->sides[0].journeys.running == 4 && test->sides[1].journeys.running == 4);
    worker_drain(test->sides[0].worker);
    bus_until(&test->bus, test->sides[1].journeys.running == 8);
    assert_int_equal(test->sides[0].journeys.running, 4);
    fake_end_all(&test->sides[0].journeys);
    bus_until(&test->bus, test->sides[0].over);
    assert_int_equal(test->sides[0].journeys.started, 4);
    fleet_stop(test->fleet);
    test->sides[1].journeys.lasts_ns = NS_PER_MS; /* some are replaced before it has heard of that */
    fake_end_all(&test->sides[1].journeys);
    bus_until(&test->bus, test->finished && test->sides[1].over);
    assert_int_equal(test->totals.journeys, test->ended);
}

static void journeys_wait_until_they_are_prepared(void **state)
{
    struct test *test = *state;
    struct side *side = &test->sides[0];

    add_entry(test, NULL, 2, -1);
    open_fleet(test, 10);
    side_open(test, 0);
    side->unready = true;
    worker_start(side->worker, side->runner);
    bus_until(&test->bus, side->prepared == 1);
    assert_int_equal(side->journeys.started, 0);
    side->unready = false;
    worker_prepared(side->worker);
    bus_until(&test->bus, side->journeys.started > 10);
    assert_int_equal(side->prepared, 2);
    worker_drain(side->worker);
    bus_until(&test->bus, side->over);
}

/* Items are fewer than journeys that wait for one: what comes back goes out again long before a report is due. */
static void items_of_ones_own_class_turn_over_by_themselves(void **state)
{
    struct test *test = *state;

    test->report_interval_s = 60;
    add_entry(test, make_own_pool(test, 3), 10, -1);
    open_fleet(test, 100);
    start_workers(test);
    bus_until(&test->bus, test->ended > 200);
    assert_true(test->sides[0].journeys.started > 20);
    assert_true(test->sides[1].journeys.started > 20);
    assert_int_equal(test->twice, 0);
    fleet_stop(test->fleet);
    bus_until(&test->bus, test->finished && test->sides[0].over && test->sides[1].over);
    assert_int_equal(counts_of(test).journeys.completed, test->ended);
}

/* What a runner gives back is not its own again as long as it has more than its part. */
static void few_items_are_for_all(void **state)
{
    struct test *test = *state;
    struct datapool *pool = make_pool(SHARED, 4);

    pool->kind = DATAPOOL_OWN;
    test->report_interval_s = 60;
    add_entry(test, pool, 10, -1);
    open_fleet(test, 100);
    start_workers(test);
    bus_until(&test->bus, test->sides[0].journeys.started > 20 && test->sides[1].journeys.started > 20);
    int first = test->sides[0].journeys.started, second = test->sides[1].journeys.started;
    bus_until(&test->bus, test->ended > first + second + 200);
    assert_true(test->sides[0].journeys.started > first + 50);
    assert_true(test->sides[1].journeys.started > second + 50);
    assert_int_equal(test->twice, 0);
}

static void who_is_turned_away_asks_again(void **state)
{
    struct test *test = *state;

    test->max_runners = 1;
    add_entry(test, NULL, 2, -1);
    open_fleet(test, 10);
    for (size_t i = 0; i < WORKERS; i++) {
        side_open(test, i);
    }
    worker_start(test->sides[0].worker, test->sides[0].runner);
    bus_until(&test->bus, test->sides[0].journeys.started > 0);
    worker_start(test->sides[1].worker, test->sides[1].runner);
    bus_until(&test->bus, strstr(test->sides[1].said, "as many runners as it takes"));
    worker_drain(test->sides[0].worker);
    bus_until(&test->bus, test->sides[0].over && test->sides[1].journeys.started > 0);
    assert_int_equal(worker_bad_messages(test->sides[1].worker), 0);
}

static void configuration_comes_along(void **state)
{
    struct test *test = *state;
    struct side *side = &test->sides[0];
    struct value one = value_int(1), two = value_text(STR("two"));

    assert_int_equal(config_set(&test->config, STR("key"), &one), 0);
    add_entry(test, NULL, 2, -1);
    open_fleet(test, 10);
    side_open(test, 0);
    worker_start(side->worker, side->runner);
    bus_until(&test->bus, side->journeys.started > 10);
    assert_int_equal(config_get(&side->config, STR("key"))->integer, 1);
    assert_int_equal(config_set(&test->config, STR("key"), &two), 0);
    bus_until(&test->bus, config_get(&side->config, STR("key"))->type == VALUE_TEXT);
    worker_drain(side->worker);
    bus_until(&test->bus, side->over);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_workers_share_a_scenario_and_every_journey_is_counted_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_worker_that_vanishes_leaves_its_work_to_the_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_worker_that_is_asked_to_end_gives_everything_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(others_take_over_while_a_worker_is_on_its_way_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(journeys_wait_until_they_are_prepared, set_up, tear_down),
        cmocka_unit_test_setup_teardown(items_of_ones_own_class_turn_over_by_themselves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(few_items_are_for_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_turned_away_asks_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(configuration_comes_along, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
