/* Groups: the same key is the same group, and there are never more than the maximum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "stats/groups.h"

struct counter {
    struct group key;
    uint64_t count;
};

static int set_up(void **state)
{
    struct groups *groups = malloc(sizeof *groups);
    *state = groups;
    return groups_init(groups, GROUPS_MAX, sizeof(struct counter), NULL, NULL);
}

static int tear_down(void **state)
{
    groups_done(*state);
    free(*state);
    return 0;
}

static struct counter *numbered(struct groups *groups, int number)
{
    char name[64];
    snprintf(name, sizeof name, "transaction number %d of many", number);
    return groups_find(groups, str_of(name), STR("GET"), STR_NONE);
}

static void test_same_key_same_group(void **state)
{
    struct counter *get = groups_find(*state, STR("login"), STR("GET"), STR_NONE);
    struct counter *post = groups_find(*state, STR("login"), STR("POST"), STR_NONE);
    assert_ptr_not_equal(get, post);
    assert_ptr_equal(get, groups_find(*state, STR("login"), STR("GET"), STR_NONE));
    assert_true(str_is(get->key.part[1], "GET"));
    assert_int_equal(groups_count(*state), 2);
}

static void test_key_parts_do_not_run_together(void **state)
{
    void *a = groups_find(*state, STR("ab"), STR("c"), STR_NONE);
    assert_ptr_not_equal(a, groups_find(*state, STR("a"), STR("bc"), STR_NONE));
    assert_ptr_not_equal(a, groups_find(*state, STR("ab"), STR_NONE, STR("c")));
}

static void test_none_is_not_empty(void **state)
{
    struct counter *none = groups_find(*state, STR_NONE, STR_NONE, STR_NONE);
    struct counter *empty = groups_find(*state, STR(""), STR_NONE, STR_NONE);
    assert_ptr_not_equal(none, empty);
    assert_null(none->key.part[0].p);
    assert_non_null(empty->key.part[0].p);
    assert_ptr_equal(none, groups_find(*state, STR_NONE, STR_NONE, STR_NONE));
}

static void test_one_too_many_is_other(void **state)
{
    struct groups *groups = *state;
    for (int i = 0; i < GROUPS_MAX; i++) {
        numbered(groups, i)->count++;
    }
    assert_int_equal(groups_count(groups), GROUPS_MAX);
    struct counter *other = numbered(groups, GROUPS_MAX);
    assert_true(other->key.is_other);
    assert_ptr_equal(other, numbered(groups, GROUPS_MAX + 1));
    assert_int_equal(groups_count(groups), GROUPS_MAX + 1);
    assert_ptr_equal(groups_at(groups, GROUPS_MAX), other);
    assert_true(str_is(group_name(&other->key, 0), "other"));
    /* Those that were there before are still themselves. */
    for (int i = 0; i < GROUPS_MAX; i++) {
        assert_int_equal(numbered(groups, i)->count, 1);
    }
}

static void test_long_keys_are_cut(void **state)
{
    char longer[GROUP_KEY_MAX + 100];
    memset(longer, 'x', sizeof longer);
    struct counter *a = groups_find(*state, (struct str){longer, sizeof longer}, STR_NONE, STR_NONE);
    struct counter *b = groups_find(*state, (struct str){longer, sizeof longer - 1}, STR_NONE, STR_NONE);
    assert_ptr_equal(a, b);
    assert_int_equal(a->key.part[0].n, GROUP_KEY_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_same_key_same_group, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_key_parts_do_not_run_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_none_is_not_empty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_too_many_is_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_keys_are_cut, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("groups", tests, NULL, NULL);
}
