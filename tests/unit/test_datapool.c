/* Mite's own pools: ids, order, what comes back, and arguments that outlive their pool. */
#include "scenario/datapool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct answer {
    int code, times;
    int64_t id;
    struct args *args; /* counted */
};

static void on_answer(void *arg, int code, const struct datapool_item *item, const struct mite_error *error)
{
    struct answer *answer = arg;

    answer->times++;
    answer->code = code;
    answer->id = code == 0 ? item->id.integer : -1;
    answer->args = code == 0 ? item->args : NULL;
}

/* The id that came, or the code. The arguments are given back unless somebody wants them. */
static int64_t check_out(struct datapool *pool, struct args **args)
{
    struct answer answer = {.code = 1};

    pool->ops->checkout(pool, on_answer, &answer);
    assert_int_equal(answer.times, 1);
    if (args) {
        *args = answer.args;
    } else {
        args_unref(answer.args);
    }
    return answer.code == 0 ? answer.id : answer.code;
}

static void on_checked_in(void *arg)
{
    (*(int *)arg)++;
}

static void check_in_value(struct datapool *pool, struct value id)
{
    int times = 0;

    pool->ops->checkin(pool, &id, on_checked_in, &times);
    assert_int_equal(times, 1);
}

static void check_in(struct datapool *pool, int64_t id)
{
    check_in_value(pool, value_int(id));
}

static const struct value first[] = {{.type = VALUE_INT, .integer = 10}, {.type = VALUE_INT, .integer = 20}};
static const struct value second[] = {{.type = VALUE_TEXT, .count = 3, .text = "two"}};
static const struct value rows[] = {{.type = VALUE_LIST, .count = 2, .items = first},
                                    {.type = VALUE_LIST, .count = 1, .items = second},
                                    {.type = VALUE_LIST}};

static struct datapool *recyclable(uint32_t count)
{
    struct mite_error error = {0};
    struct datapool *pool;
    struct value items = value_list(rows, count);

    assert_int_equal(datapool_recyclable_new(&items, &pool, &error), 0);
    return pool;
}

static struct datapool *iterable(uint32_t count)
{
    struct mite_error error = {0};
    struct datapool *pool;
    struct value items = value_list(rows, count);

    assert_int_equal(datapool_iterable_new(&items, &pool, &error), 0);
    return pool;
}

static void recyclable_goes_round_in_order(void **state)
{
    struct datapool *pool = recyclable(3);

    assert_int_equal(check_out(pool, NULL), 0);
    assert_int_equal(check_out(pool, NULL), 1);
    check_in(pool, 1);
    check_in(pool, 0);
    assert_int_equal(check_out(pool, NULL), 2);
    assert_int_equal(check_out(pool, NULL), 1);
    assert_int_equal(check_out(pool, NULL), 0);
    assert_int_equal(check_out(pool, NULL), MITE_EAGAIN);
    check_in(pool, 2);
    assert_int_equal(check_out(pool, NULL), 2);
    datapool_unref(pool);
}

static void recyclable_ignores_what_is_not_out(void **state)
{
    struct datapool *pool = recyclable(1);

    check_in(pool, 0);
    check_in(pool, -1);
    check_in(pool, 1);
    check_in_value(pool, value_text(STR("0")));
    assert_int_equal(check_out(pool, NULL), 0);
    assert_int_equal(check_out(pool, NULL), MITE_EAGAIN);
    datapool_unref(pool);
}

static void iterable_gives_each_once(void **state)
{
    struct datapool *pool = iterable(2);

    assert_int_equal(check_out(pool, NULL), 1);
    check_in(pool, 1);
    assert_int_equal(check_out(pool, NULL), 2);
    assert_int_equal(check_out(pool, NULL), MITE_EEND);
    assert_int_equal(check_out(pool, NULL), MITE_EEND);
    datapool_unref(pool);
}

static void an_empty_pool_is_used_up(void **state)
{
    struct datapool *pool = recyclable(0);

    assert_int_equal(check_out(pool, NULL), MITE_EEND);
    datapool_unref(pool);
    pool = iterable(0);
    assert_int_equal(check_out(pool, NULL), MITE_EEND);
    datapool_unref(pool);
}

static void arguments_are_copies_that_outlive_the_pool(void **state)
{
    struct mite_error error = {0};
    struct datapool *pool = recyclable(2);
    struct arena arena;
    struct args *args;
    struct value list;

    assert_int_equal(check_out(pool, &args), 0);
    datapool_unref(pool);
    const struct value *value = args_value(args);
    assert_non_null(value);
    assert_ptr_not_equal(value->items, first);
    assert_true(value_equal(value, &rows[0]));
    arena_init(&arena, 0);
    assert_int_equal(args->ops->to_value(args, &arena, &list, &error), 0);
    args_unref(args);
    assert_true(value_equal(&list, &rows[0]));
    arena_done(&arena);
}

static void an_item_that_is_no_list_is_named(void **state)
{
    const struct value wrong[] = {rows[0], {.type = VALUE_TEXT, .count = 3, .text = "bob"}};
    struct value items = value_list(wrong, 2), text = value_text(STR("abc"));
    struct mite_error error = {0};
    struct datapool *pool;

    assert_int_equal(datapool_iterable_new(&items, &pool, &error), MITE_EINVAL);
    assert_non_null(strstr(error.text, "item 1 of a datapool is text"));
    assert_int_equal(datapool_recyclable_new(&text, &pool, &error), MITE_EINVAL);
}

static void args_of_their_own(void **state)
{
    struct value list = rows[0];
    struct args *args = args_new(&list);

    assert_non_null(args);
    assert_true(value_equal(args_value(args), &rows[0]));
    args_unref(args_ref(args));
    args_unref(args);
    args_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recyclable_goes_round_in_order),
        cmocka_unit_test(recyclable_ignores_what_is_not_out),
        cmocka_unit_test(iterable_gives_each_once),
        cmocka_unit_test(an_empty_pool_is_used_up),
        cmocka_unit_test(arguments_are_copies_that_outlive_the_pool),
        cmocka_unit_test(an_item_that_is_no_list_is_named),
        cmocka_unit_test(args_of_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
