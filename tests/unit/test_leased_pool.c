/* The pool of items that a controller has lent: given out, taken back, told of, called void. */
#include "worker/leases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct leased_pool *pool;
    struct arena arena;
    struct work_report report;
};

/* What the last checkout gave. */
struct given {
    int code;
    struct value id;
    struct args *args;
};

static void open_pool(struct fixture *f, bool recycles, int64_t hold)
{
    *f = (struct fixture){0};
    assert_int_equal(leased_pool_new(recycles, &f->pool), 0);
    leased_pool_hold(f->pool, hold);
    arena_init(&f->arena, 0);
}

static void close_pool(struct fixture *f)
{
    datapool_unref(leased_pool_base(f->pool));
    arena_done(&f->arena);
}

/* Leases from..to with ids ten times as large, and one argument, the lease. */
static void add(struct fixture *f, uint64_t from, uint64_t to)
{
    struct work_lease items[32];
    struct value args[32];
    size_t count = 0;

    for (uint64_t lease = from; lease <= to; lease++, count++) {
        args[count] = value_int((int64_t)lease);
        items[count] = (struct work_lease){.scenario_id = 1,
                                           .lease = lease,
                                           .data_id = value_int((int64_t)lease * 10),
                                           .args = value_list(&args[count], 1)};
    }
    assert_int_equal(leased_pool_add(f->pool, items, count), 0);
}

static void on_checkout(void *arg, int code, const struct datapool_item *item, const struct mite_error *error)
{
    struct given *given = arg;

    given->code = code;
    if (code == 0) {
        given->id = item->id;
        given->args = item->args;
    }
}

static struct given check_out(struct fixture *f)
{
    struct datapool *base = leased_pool_base(f->pool);
    struct given given = {.code = 1};

    base->ops->checkout(base, on_checkout, &given);
    return given;
}

static void on_checkin(void *arg)
{
    *(bool *)arg = true;
}

static void check_in(struct fixture *f, struct given given)
{
    struct datapool *base = leased_pool_base(f->pool);
    bool called = false;

    base->ops->checkin(base, &given.id, on_checkin, &called);
    assert_true(called);
    args_unref(given.args);
}

static struct leased_counts counts(struct fixture *f)
{
    struct leased_counts counts;

    leased_pool_count(f->pool, &counts);
    return counts;
}

static void tell(struct fixture *f)
{
    arena_reset(&f->arena);
    f->report = (struct work_report){0};
    assert_int_equal(leased_pool_tell(f->pool, &f->arena, WORK_ITEMS_MAX, &f->report), 0);
}

static void items_take_turns(void **state)
{
    struct fixture f;

    open_pool(&f, true, 2);
    assert_int_equal(check_out(&f).code, MITE_EAGAIN);
    add(&f, 1, 2);
    struct given first = check_out(&f), second = check_out(&f);
    assert_int_equal(first.id.integer, 10);
    assert_int_equal(args_value(first.args)->items[0].integer, 1);
    assert_int_equal(second.id.integer, 20);
    assert_int_equal(check_out(&f).code, MITE_EAGAIN);
    assert_int_equal(counts(&f).out, 2);
    check_in(&f, second);
    check_in(&f, first);
    for (int round = 0; round < 5; round++) {
        struct given next = check_out(&f);
        assert_int_equal(next.id.integer, round % 2 ? 10 : 20);
        check_in(&f, next);
    }
    tell(&f);
    assert_int_equal(f.report.done_count + f.report.unused_count, 0);
    assert_int_equal(counts(&f).highest_id, 20);
    close_pool(&f);
}

static void what_is_used_once_is_told_until_that_is_heard(void **state)
{
    struct fixture f;

    open_pool(&f, false, 4);
    add(&f, 1, 4);
    check_in(&f, check_out(&f));
    check_in(&f, check_out(&f));
    tell(&f);
    assert_int_equal(f.report.done_count, 2);
    assert_int_equal(f.report.done[0], 1);
    assert_int_equal(f.report.done[1], 2);
    assert_int_equal(f.report.unused_count, 0);
    check_in(&f, check_out(&f));
    leased_pool_told(f.pool, false);
    tell(&f);
    assert_int_equal(f.report.done_count, 3);
    leased_pool_told(f.pool, true);
    tell(&f);
    assert_int_equal(f.report.done_count, 0);
    assert_int_equal(counts(&f).unused, 1);
    close_pool(&f);
}

static void a_smaller_hold_gives_the_newest_back(void **state)
{
    struct fixture f;

    open_pool(&f, true, 4);
    add(&f, 1, 4);
    struct given out = check_out(&f);
    leased_pool_hold(f.pool, 2);
    tell(&f);
    assert_int_equal(f.report.unused_count, 2);
    assert_int_equal(f.report.unused[0], 4);
    assert_int_equal(f.report.unused[1], 3);
    leased_pool_hold(f.pool, 0);
    check_in(&f, out);
    leased_pool_told(f.pool, true);
    tell(&f);
    assert_int_equal(f.report.done_count, 1);
    assert_int_equal(f.report.done[0], 1);
    assert_int_equal(f.report.unused_count, 1);
    assert_int_equal(f.report.unused[0], 2);
    close_pool(&f);
}

static void what_is_void_is_nobodys(void **state)
{
    struct fixture f;

    open_pool(&f, true, 4);
    add(&f, 1, 3);
    struct given first = check_out(&f), second = check_out(&f);
    leased_pool_void(f.pool, 1);
    assert_true(leased_pool_is_void(f.pool, &first.id));
    assert_false(leased_pool_is_void(f.pool, &second.id));
    assert_int_equal(counts(&f).out, 1);
    check_in(&f, first);
    check_in(&f, second);
    leased_pool_void(f.pool, UINT64_MAX);
    assert_int_equal(counts(&f).unused, 0);
    assert_int_equal(check_out(&f).code, MITE_EAGAIN);
    tell(&f);
    assert_int_equal(f.report.done_count + f.report.unused_count, 0);
    close_pool(&f);
}

/* An item that was void may come again, under a new lease, before its old journey has ended. */
static void an_id_may_be_out_twice_and_one_of_them_void(void **state)
{
    struct value id = value_text(STR("ann"));
    struct work_lease item = {.lease = 1, .data_id = id, .args = value_nil()};
    struct fixture f;

    open_pool(&f, true, 4);
    assert_int_equal(leased_pool_add(f.pool, &item, 1), 0);
    struct given old = check_out(&f);
    assert_null(old.args);
    leased_pool_void(f.pool, 1);
    item.lease = 2;
    assert_int_equal(leased_pool_add(f.pool, &item, 1), 0);
    struct given young = check_out(&f);
    assert_true(leased_pool_is_void(f.pool, &id));
    check_in(&f, old);
    assert_false(leased_pool_is_void(f.pool, &id));
    assert_int_equal(counts(&f).out, 1);
    assert_int_equal(counts(&f).unused, 0);
    check_in(&f, young);
    assert_int_equal(counts(&f).unused, 1);
    assert_int_equal(counts(&f).highest_id, -1);
    close_pool(&f);
}

/* Another controller begins with the same numbers, while journeys of the last one still end. */
static void a_void_lease_does_not_stand_in_the_way_of_its_number(void **state)
{
    struct fixture f;

    open_pool(&f, true, 2);
    add(&f, 1, 2);
    struct given old = check_out(&f);
    leased_pool_void(f.pool, UINT64_MAX);
    add(&f, 1, 2);
    assert_int_equal(counts(&f).unused, 2);
    check_in(&f, old);
    assert_int_equal(counts(&f).unused, 2);
    struct given young = check_out(&f);
    assert_false(leased_pool_is_void(f.pool, &young.id));
    check_in(&f, young);
    assert_int_equal(counts(&f).unused, 2);
    close_pool(&f);
}

static void a_lease_that_is_here_already_is_passed_over(void **state)
{
    struct fixture f;

    open_pool(&f, true, 8);
    add(&f, 1, 3);
    add(&f, 2, 4);
    assert_int_equal(counts(&f).unused, 4);
    struct given unknown = {.id = value_int(5)};
    check_in(&f, unknown);
    assert_int_equal(counts(&f).unused, 4);
    close_pool(&f);
}

static void low_is_half_of_what_was_held_and_once(void **state)
{
    struct fixture f;

    open_pool(&f, false, 4);
    add(&f, 1, 4);
    assert_false(counts(&f).low);
    check_in(&f, check_out(&f));
    assert_false(counts(&f).low);
    check_in(&f, check_out(&f));
    assert_true(counts(&f).low);
    tell(&f);
    assert_false(counts(&f).low);
    check_in(&f, check_out(&f));
    assert_true(counts(&f).low);
    close_pool(&f);
}

static void a_report_takes_no_more_than_it_may(void **state)
{
    struct fixture f;

    open_pool(&f, false, 0);
    add(&f, 1, 9);
    leased_pool_hold(f.pool, 0);
    f.report = (struct work_report){0};
    assert_int_equal(leased_pool_tell(f.pool, &f.arena, 4, &f.report), 0);
    assert_int_equal(f.report.unused_count, 4);
    leased_pool_told(f.pool, true);
    tell(&f);
    assert_int_equal(f.report.unused_count, 5);
    close_pool(&f);
}

static void without_memory_nothing_is_told(void **state)
{
    struct fixture f;

    open_pool(&f, false, 0);
    add(&f, 1, 9);
    leased_pool_hold(f.pool, 0);
    arena_done(&f.arena);
    arena_init(&f.arena, 16);
    assert_int_equal(leased_pool_tell(f.pool, &f.arena, 9, &f.report), MITE_ENOMEM);
    assert_int_equal(f.report.unused_count, 0);
    arena_done(&f.arena);
    arena_init(&f.arena, 0);
    tell(&f);
    assert_int_equal(f.report.unused_count, 9);
    close_pool(&f);
}

/* A journey may keep its arguments longer than the pool lives. */
static void arguments_outlive_their_item(void **state)
{
    struct fixture f;

    open_pool(&f, true, 1);
    add(&f, 7, 7);
    struct given given = check_out(&f);
    close_pool(&f);
    assert_int_equal(args_value(given.args)->items[0].integer, 7);
    args_unref(given.args);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_take_turns),
        cmocka_unit_test(what_is_used_once_is_told_until_that_is_heard),
        cmocka_unit_test(a_smaller_hold_gives_the_newest_back),
        cmocka_unit_test(what_is_void_is_nobodys),
        cmocka_unit_test(an_id_may_be_out_twice_and_one_of_them_void),
        cmocka_unit_test(a_void_lease_does_not_stand_in_the_way_of_its_number),
        cmocka_unit_test(a_lease_that_is_here_already_is_passed_over),
        cmocka_unit_test(low_is_half_of_what_was_held_and_once),
        cmocka_unit_test(a_report_takes_no_more_than_it_may),
        cmocka_unit_test(without_memory_nothing_is_told),
        cmocka_unit_test(arguments_outlive_their_item),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
