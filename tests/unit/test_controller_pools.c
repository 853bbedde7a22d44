/* Datapools under a controller: used up, too small, shared, slow to answer or to take back, failing. */
#include "controller_stage.h"

/* ---- pools ---- */

/* Answers when the test says; embedded in its test. */
struct slow_pool {
    struct datapool base;
    datapool_checkout_done *out_done;
    datapool_checkin_done *in_done; /* of the last checkin, when `slow_in` */
    void *out_arg, *in_arg;
    bool slow_in;
    int asked, checked_in;
};

static void slow_checkout(struct datapool *base, datapool_checkout_done *done, void *arg)
{
    struct slow_pool *pool = (struct slow_pool *)base;

    pool->asked++;
    pool->out_done = done;
    pool->out_arg = arg;
}

static void slow_checkin(struct datapool *base, const struct value *id, datapool_checkin_done *done, void *arg)
{
    struct slow_pool *pool = (struct slow_pool *)base;

    assert_int_equal(id->integer, 7);
    pool->checked_in++;
    if (pool->slow_in) {
        pool->in_done = done;
        pool->in_arg = arg;
    } else {
        done(arg);
    }
}

static void slow_free(struct datapool *base)
{
}

static void slow_answer(struct slow_pool *pool, int code)
{
    struct datapool_item item = {.id = value_int(7)};
    struct mite_error error = {.text = "TypeError: checkout() broke"};
    struct value list = value_list(NULL, 0);

    item.args = code == 0 ? args_new(&list) : NULL;
    pool->out_done(pool->out_arg, code, code == 0 ? &item : NULL, code < 0 ? &error : NULL);
}

static const struct datapool_ops slow_ops = {.checkout = slow_checkout, .checkin = slow_checkin, .free = slow_free};

#define SLOW_POOL                                                                                                      \
    {                                                                                                                  \
        .base = {.ops = &slow_ops, .refs = 1 }                                                                         \
    }

/* Items without arguments. */
static const struct value *rows(void)
{
    static struct value made[200];

    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        made[i] = value_list(NULL, 0);
    }
    return made;
}

static struct datapool *iterable(uint32_t count)
{
    struct mite_error error = {0};
    struct value items = value_list(rows(), count);
    struct datapool *pool;

    assert_int_equal(datapool_iterable_new(&items, &pool, &error), 0);
    return pool;
}

static struct datapool *recyclable(uint32_t count)
{
    struct mite_error error = {0};
    struct value items = value_list(rows(), count);
    struct datapool *pool;

    assert_int_equal(datapool_recyclable_new(&items, &pool, &error), 0);
    return pool;
}

/* A run that waits for the pool's first item. */
static void bench_asks(struct bench *bench, struct slow_pool *pool, struct controller_options options)
{
    bench_init(bench);
    add_constant(bench, "shop:visit", &pool->base, 1);
    bench_go(bench, options);
    FAKE_WAIT(bench->loop, pool->asked == 1);
}

/* ---- what they do to a run ---- */

static void a_used_up_pool_ends_its_journey(void **state)
{
    struct bench bench;

    bench_init(&bench);
    add_constant(&bench, "shop:create", iterable(137), 10);
    bench_go(&bench, (struct controller_options){0});
    FAKE_WAIT(bench.loop, bench.finished);
    assert_int_equal(bench.journeys.started, 137);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(bench.journeys.data_ids[i], i + 1);
    }
    assert_int_equal(bench.failed_entries, 0);
    bench_done(&bench);
}

static void a_small_pool_limits_what_runs(void **state)
{
    struct datapool *pool = recyclable(3);
    struct bench bench;

    bench_init(&bench);
    add_constant(&bench, "shop:visit", datapool_ref(pool), 10);
    bench_go(&bench, (struct controller_options){.iterations = 500});
    FAKE_WAIT(bench.loop, bench.finished);
    assert_int_equal(bench.journeys.started, 500);
    assert_int_equal(bench.journeys.most_running, 3);
    assert_int_equal(bench.journeys.data_ids[0], 0);
    assert_int_equal(bench.journeys.data_ids[1], 1);
    assert_int_equal(bench.journeys.data_ids[2], 2);
    assert_int_equal(bench.journeys.data_ids[3], 0);
    bench_done(&bench);
    datapool_unref(pool);
}

static void entries_may_share_a_pool(void **state)
{
    struct datapool *pool = recyclable(1);
    struct bench bench;

    bench_init(&bench);
    add_constant(&bench, "shop:visit", datapool_ref(pool), 1);
    add_constant(&bench, "shop:pay", pool, 1);
    bench_go(&bench, (struct controller_options){.iterations = 50});
    FAKE_WAIT(bench.loop, bench.finished);
    assert_int_equal(bench.journeys.started, 50);
    assert_int_equal(bench.journeys.most_running, 1);
    bench_done(&bench);
}

static void a_pool_may_answer_later(void **state)
{
    struct slow_pool pool = SLOW_POOL;
    struct bench bench;

    bench_asks(&bench, &pool, (struct controller_options){.iterations = 2});
    slow_answer(&pool, 0);
    assert_int_equal(bench.journeys.running, 1);
    FAKE_WAIT(bench.loop, pool.asked == 2);
    assert_int_equal(pool.checked_in, 1);
    slow_answer(&pool, 0);
    FAKE_WAIT(bench.loop, bench.finished);
    assert_int_equal(pool.checked_in, 2);
    bench_done(&bench);
    assert_int_equal(pool.base.refs, 0);
}

/* Who takes a journey's place finds its item, and the run waits for the last one. */
static void a_checkin_may_take_its_time(void **state)
{
    struct slow_pool pool = SLOW_POOL;
    struct bench bench;

    pool.slow_in = true;
    bench_asks(&bench, &pool, (struct controller_options){.iterations = 2});
    for (int i = 1; i <= 2; i++) {
        FAKE_WAIT(bench.loop, pool.asked == i);
        slow_answer(&pool, 0);
        FAKE_WAIT(bench.loop, pool.checked_in == i);
        assert_int_equal(bench.journeys.running, 0);
        assert_int_equal(counts_of(&bench).running, 1);
        fake_turn(bench.loop);
        assert_int_equal(pool.asked, i);
        assert_int_equal(bench.finished, 0);
        pool.in_done(pool.in_arg);
    }
    FAKE_WAIT(bench.loop, bench.finished);
    assert_int_equal(counts_of(&bench).completed, 2);
    bench_done(&bench);
}

static void a_checkin_may_outlive_the_run(void **state)
{
    struct slow_pool pool = SLOW_POOL;
    struct bench bench;

    pool.slow_in = true;
    bench_asks(&bench, &pool, (struct controller_options){0});
    slow_answer(&pool, 0);
    FAKE_WAIT(bench.loop, pool.checked_in == 1);
    bench_done(&bench);
    pool.in_done(pool.in_arg);
    assert_int_equal(pool.base.refs, 0);
}

static void an_item_that_comes_after_the_stop_goes_back(void **state)
{
    struct slow_pool pool = SLOW_POOL;
    struct bench bench;

    bench_asks(&bench, &pool, (struct controller_options){0});
    controller_stop(bench.controller);
    FAKE_WAIT(bench.loop, bench.drained);
    slow_answer(&pool, 0);
    assert_int_equal(pool.checked_in, 1);
    FAKE_WAIT(bench.loop, bench.finished);
    assert_int_equal(bench.journeys.started, 0);
    bench_done(&bench);
}

static void an_item_that_comes_after_the_end_goes_back(void **state)
{
    struct slow_pool pool = SLOW_POOL;
    struct bench bench;

    bench_asks(&bench, &pool, (struct controller_options){0});
    bench_done(&bench);
    assert_int_equal(pool.base.refs, 1);
    slow_answer(&pool, 0);
    assert_int_equal(pool.checked_in, 1);
    assert_int_equal(pool.base.refs, 0);
}

static void a_pool_that_fails_ends_its_journey(void **state)
{
    struct slow_pool pool = SLOW_POOL;
    struct bench bench;

    bench_asks(&bench, &pool, (struct controller_options){0});
    slow_answer(&pool, MITE_EUSER);
    assert_int_equal(bench.fatal_entries, 1);
    assert_string_equal(bench.failure, "TypeError: checkout() broke");
    FAKE_WAIT(bench.loop, bench.finished);
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_used_up_pool_ends_its_journey),
        cmocka_unit_test(a_small_pool_limits_what_runs),
        cmocka_unit_test(entries_may_share_a_pool),
        cmocka_unit_test(a_pool_may_answer_later),
        cmocka_unit_test(a_checkin_may_take_its_time),
        cmocka_unit_test(a_checkin_may_outlive_the_run),
        cmocka_unit_test(an_item_that_comes_after_the_stop_goes_back),
        cmocka_unit_test(an_item_that_comes_after_the_end_goes_back),
        cmocka_unit_test(a_pool_that_fails_ends_its_journey),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
