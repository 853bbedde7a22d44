#include "scenario/scenario.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct volume_model *model_of(int64_t duration_s)
{
    struct mite_error error = {0};
    struct volume_model *model;

    assert_int_equal(volume_constant_new(1, duration_s, &model, &error), 0);
    return model;
}

static void entries_own_what_they_were_given(void **state)
{
    const struct value items = value_list(NULL, 0);
    struct mite_error error = {0};
    struct scenario scenario;
    struct datapool *pool;

    assert_int_equal(datapool_iterable_new(&items, &pool, &error), 0);
    assert_int_equal(scenario_init(&scenario, "shop:scenario"), 0);
    assert_int_equal(scenario_duration_s(&scenario), -1);
    assert_int_equal(scenario_add(&scenario, "shop:visit", datapool_ref(pool), model_of(5), &error), 0);
    assert_int_equal(scenario_add(&scenario, "shop:pay", pool, model_of(8), &error), 0);
    assert_int_equal(scenario.count, 2);
    assert_int_equal(scenario.entries[0].id, 1);
    assert_int_equal(scenario.entries[1].id, 2);
    assert_string_equal(scenario.entries[1].journey_spec, "shop:pay");
    assert_int_equal(scenario_duration_s(&scenario), 8);
    assert_int_equal(scenario_add(&scenario, "shop:stay", NULL, model_of(-1), &error), 0);
    assert_int_equal(scenario_duration_s(&scenario), -1);
    scenario_done(&scenario);
}

static void nothing_is_taken_on_failure(void **state)
{
    struct mite_error error = {0};
    struct volume_model *model = model_of(5);
    struct scenario scenario;

    assert_int_equal(scenario_init(&scenario, "shop:scenario"), 0);
    assert_int_equal(scenario_add(&scenario, "shop", NULL, model, &error), MITE_EINVAL);
    assert_int_equal(scenario.count, 0);
    volume_model_free(model);
    scenario_done(&scenario);
}

static void a_spec_has_two_halves(void **state)
{
    struct mite_error error = {0};
    struct str module, name;

    assert_int_equal(spec_split("shop.cart:pay", &module, &name, &error), 0);
    assert_true(str_is(module, "shop.cart"));
    assert_true(str_is(name, "pay"));
    assert_int_equal(spec_split("./a:b/shop.so:pay", &module, &name, &error), 0);
    assert_true(str_is(module, "./a:b/shop.so"));

    const char *wrong[] = {"shop", "shop:", ":pay", ":", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(spec_split(wrong[i], &module, &name, &error), MITE_EINVAL);
        assert_non_null(strstr(error.text, "MODULE:NAME"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_own_what_they_were_given),
        cmocka_unit_test(nothing_is_taken_on_failure),
        cmocka_unit_test(a_spec_has_two_halves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
