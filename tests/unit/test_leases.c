/* Leases: no item has two holders, and what comes back goes out again first. */
#include "controller/leases.h"

#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- a pool whose answers the test gives ---- */

struct late_pool {
    struct datapool base;
    datapool_checkout_done *done;
    datapool_checkin_done *in_done;
    void *arg, *in_arg;
    int checkouts, checkins;
};

static void late_checkout(struct datapool *pool, datapool_checkout_done *done, void *arg)
{
    struct late_pool *late = (struct late_pool *)pool;

    late->checkouts++;
    late->done = done;
    late->arg = arg;
}

static void late_checkin(struct datapool *pool, const struct value *id, datapool_checkin_done *done, void *arg)
{
    struct late_pool *late = (struct late_pool *)pool;

    late->checkins++;
    late->in_done = done;
    late->in_arg = arg;
}

static void late_free(struct datapool *pool)
{
}

static const struct datapool_ops late_ops = {.checkout = late_checkout, .checkin = late_checkin, .free = late_free};

static void late_answer(struct late_pool *late, int code, int64_t id)
{
    struct value nothing = value_list(NULL, 0);
    struct mite_error error = {.text = "no luck"};
    struct datapool_item item = {.id = value_int(id), .args = code == 0 ? args_new(&nothing) : NULL};

    late->done(late->arg, code, &item, &error);
}

/* ---- a bench ---- */

struct bench {
    struct scenario scenario;
    struct leases leases;
    struct lease_holder one, two;
    int stocked, over, code;
};

static void on_stocked(void *arg, struct lease_pool *pool)
{
    ((struct bench *)arg)->stocked++;
}

static void on_over(void *arg, struct lease_pool *pool, int code, const struct mite_error *error)
{
    struct bench *bench = arg;

    bench->over++;
    bench->code = code;
    assert_true((error != NULL) == (code != MITE_EEND));
}

static void open_bench(struct bench *bench, struct datapool *pool)
{
    struct lease_hooks hooks = {.stocked = on_stocked, .over = on_over, .arg = bench};
    struct volume_model *models[2];

    *bench = (struct bench){0};
    assert_int_equal(scenario_init(&bench->scenario, "s"), 0);
    for (int i = 0; i < 2; i++) { /* both entries have the same pool */
        assert_int_equal(volume_constant_new(1, -1, &models[i], NULL), 0);
        assert_int_equal(scenario_add(&bench->scenario, "a:b", i ? datapool_ref(pool) : pool, models[i], NULL), 0);
    }
    assert_int_equal(leases_init(&bench->leases, &bench->scenario, &hooks), 0);
    assert_int_equal(lease_holder_init(&bench->one, 2), 0);
    assert_int_equal(lease_holder_init(&bench->two, 2), 0);
    assert_int_equal(bench->leases.pool_count, 1);
}

static void open_items(struct bench *bench, bool recycles, uint32_t count)
{
    struct value data = value_list(NULL, 0), items[8] = {data, data, data, data, data, data, data, data};
    struct value list = value_list(items, count);
    struct datapool *pool;

    assert_int_equal((recycles ? datapool_recyclable_new : datapool_iterable_new)(&list, &pool, NULL), 0);
    open_bench(bench, pool);
}

static void close_bench(struct bench *bench)
{
    lease_holder_done(&bench->one);
    lease_holder_done(&bench->two);
    leases_done(&bench->leases);
    scenario_done(&bench->scenario);
}

static struct lease_pool *pool_of(struct bench *bench)
{
    return &bench->leases.pools[0];
}

static int64_t take(struct bench *bench, struct lease_holder *holder, uint64_t *lease)
{
    leases_stock(pool_of(bench), 1);
    struct lease_item *item = leases_take(&bench->leases, 0, holder, 5);
    if (!item) {
        return -1;
    }
    *lease = item->lease;
    return item->id.integer;
}

static void test_out_and_back(void **state)
{
    struct bench bench;
    uint64_t first = 0, second = 0, third = 0;

    open_items(&bench, true, 2);
    assert_int_equal(take(&bench, &bench.one, &first), 0);
    assert_int_equal(take(&bench, &bench.two, &second), 1);
    assert_int_equal(take(&bench, &bench.two, &third), -1);
    assert_true(second > first);
    assert_false(leases_return_done(&bench.leases, &bench.two, first)); /* another's */
    assert_false(leases_return_done(&bench.leases, &bench.one, 999));
    assert_true(leases_return_done(&bench.leases, &bench.one, first));
    assert_false(leases_return_done(&bench.leases, &bench.one, first)); /* twice */
    assert_int_equal(take(&bench, &bench.two, &third), 0);
    assert_true(third > second); /* a number never comes again */
    assert_int_equal(bench.two.by_entry[0], 2);
    close_bench(&bench);
}

static void test_unused_ones_go_out_first(void **state)
{
    struct bench bench;
    uint64_t first = 0, second = 0, third = 0;

    open_items(&bench, false, 4);
    assert_int_equal(take(&bench, &bench.one, &first), 1);
    assert_int_equal(take(&bench, &bench.one, &second), 2);
    assert_true(leases_return_unused(&bench.leases, &bench.one, first));
    assert_int_equal(take(&bench, &bench.two, &third), 1);
    assert_int_equal(pool_of(&bench)->highest_id, 2);
    close_bench(&bench);
}

static void test_a_holder_is_lost(void **state)
{
    struct bench bench;
    uint64_t lease = 0;

    open_items(&bench, false, 3);
    take(&bench, &bench.one, &lease);
    take(&bench, &bench.one, &lease);
    assert_int_equal(leases_lose(&bench.leases, &bench.one), 2);
    assert_int_equal(bench.leases.lost, 2);
    assert_int_equal(take(&bench, &bench.two, &lease), 3);
    assert_int_equal(take(&bench, &bench.two, &lease), -1);
    assert_int_equal(bench.over, 1);
    assert_int_equal(bench.code, MITE_EEND);
    close_bench(&bench);

    open_items(&bench, true, 3);
    take(&bench, &bench.one, &lease);
    take(&bench, &bench.one, &lease);
    assert_int_equal(leases_lose(&bench.leases, &bench.one), 0);
    assert_int_equal(pool_of(&bench)->out, 0);
    for (int i = 0; i < 3; i++) {
        assert_true(take(&bench, &bench.two, &lease) >= 0);
    }
    close_bench(&bench);
}

static void test_an_answer_that_never_arrived(void **state)
{
    struct bench bench;
    uint64_t lease = 0;

    open_items(&bench, false, 3);
    take(&bench, &bench.one, &lease);
    leases_take_back(&bench.leases, &bench.one, 4); /* handed out for another report */
    assert_int_equal(pool_of(&bench)->out, 1);
    leases_take_back(&bench.leases, &bench.one, 5);
    assert_int_equal(pool_of(&bench)->out, 0);
    assert_int_equal(take(&bench, &bench.two, &lease), 1);
    close_bench(&bench);
}

static void test_restored(void **state)
{
    struct bench bench;
    struct value id = value_int(2);
    uint64_t lease = 0;

    open_items(&bench, true, 4);
    leases_stock(pool_of(&bench), 4);
    struct lease_item *item = TAILQ_NEXT(TAILQ_NEXT(TAILQ_FIRST(&pool_of(&bench)->stock), link), link);
    leases_restore(&bench.leases, item, 1, &bench.one, 40, 3);
    assert_int_equal(bench.leases.last, 40);
    assert_int_equal(leases_find(&bench.leases, &bench.one, 1, &id), 40);
    assert_int_equal(leases_find(&bench.leases, &bench.one, 0, &id), 0);
    assert_int_equal(take(&bench, &bench.two, &lease), 0);
    assert_int_equal(lease, 41);
    assert_true(leases_return_done(&bench.leases, &bench.one, 40));
    close_bench(&bench);
}

static void test_skipped(void **state)
{
    struct bench bench;
    uint64_t lease = 0;

    open_items(&bench, false, 5);
    leases_skip(pool_of(&bench), 3);
    leases_skip(pool_of(&bench), 2);
    assert_int_equal(take(&bench, &bench.one, &lease), 4);
    leases_skip(pool_of(&bench), 100);
    assert_int_equal(take(&bench, &bench.one, &lease), -1);
    close_bench(&bench);
}

static void test_what_came_back_unused_is_not_skipped(void **state)
{
    struct bench bench;
    uint64_t lease = 0;

    open_items(&bench, false, 5);
    assert_int_equal(take(&bench, &bench.one, &lease), 1);
    assert_true(leases_return_unused(&bench.leases, &bench.one, lease));
    leases_skip(pool_of(&bench), 3);
    assert_int_equal(take(&bench, &bench.two, &lease), 1);
    assert_int_equal(take(&bench, &bench.two, &lease), 4);
    close_bench(&bench);
}

static void test_late_answers(void **state)
{
    struct late_pool late = {.base = {.ops = &late_ops, .refs = 1}};
    struct bench bench;
    uint64_t lease = 0;

    open_bench(&bench, &late.base);
    assert_int_equal(take(&bench, &bench.one, &lease), -1);
    leases_stock(pool_of(&bench), 1);
    assert_int_equal(late.checkouts, 1); /* it is asked for already */
    assert_true(leases_busy(&bench.leases));
    late_answer(&late, 0, 77);
    assert_int_equal(bench.stocked, 1);
    assert_int_equal(take(&bench, &bench.one, &lease), 77);

    leases_stock(pool_of(&bench), 1);
    late_answer(&late, MITE_EAGAIN, 0);
    leases_stock(pool_of(&bench), 1);
    assert_int_equal(late.checkouts, 2); /* dry: not before something comes back */
    assert_true(leases_return_done(&bench.leases, &bench.one, lease));
    late.in_done(late.in_arg);
    assert_int_equal(bench.stocked, 2);
    leases_stock(pool_of(&bench), 1);
    assert_int_equal(late.checkouts, 3);
    late_answer(&late, MITE_EUSER, 0);
    assert_int_equal(bench.code, MITE_EUSER);
    close_bench(&bench);
}

/* What a pool gives when nobody is there any more goes back to it. */
static void test_orphans(void **state)
{
    struct late_pool late = {.base = {.ops = &late_ops, .refs = 1}};
    struct bench bench;

    open_bench(&bench, &late.base);
    leases_stock(pool_of(&bench), 1);
    close_bench(&bench);
    late_answer(&late, 0, 5);
    assert_int_equal(late.checkins, 1);
    late.in_done(late.in_arg);
}

static void test_stock_goes_back(void **state)
{
    struct late_pool late = {.base = {.ops = &late_ops, .refs = 1}};
    struct bench bench;

    open_bench(&bench, &late.base);
    leases_stock(pool_of(&bench), 1);
    late_answer(&late, 0, 5);
    leases_clear_stock(&bench.leases);
    assert_int_equal(late.checkins, 1);
    assert_true(leases_busy(&bench.leases));
    late.in_done(late.in_arg);
    assert_false(leases_busy(&bench.leases));
    close_bench(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_out_and_back),
        cmocka_unit_test(test_unused_ones_go_out_first),
        cmocka_unit_test(test_a_holder_is_lost),
        cmocka_unit_test(test_an_answer_that_never_arrived),
        cmocka_unit_test(test_restored),
        cmocka_unit_test(test_skipped),
        cmocka_unit_test(test_what_came_back_unused_is_not_skipped),
        cmocka_unit_test(test_late_answers),
        cmocka_unit_test(test_orphans),
        cmocka_unit_test(test_stock_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
