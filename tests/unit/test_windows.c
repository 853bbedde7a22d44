/* Windows: which ones there are, and when they are over. */
#include "controller/windows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct seen {
    int windows; /* in which the model had a value */
    bool ended;
};

static bool is_ended(void *arg, size_t entry)
{
    return ((struct seen *)arg)->ended;
}

static void on_want(void *arg, size_t entry, int64_t wanted)
{
    ((struct seen *)arg)->windows++;
}

static void on_end(void *arg, size_t entry)
{
    ((struct seen *)arg)->ended = true;
}

static void on_failed(void *arg, size_t entry, const struct mite_error *error)
{
    fail_msg("%s", error->text);
}

static const struct windows_hooks hooks = {.ended = is_ended, .want = on_want, .end = on_end, .failed = on_failed};

static void open_scenario(struct scenario *scenario, double duration_s)
{
    struct volume_stretch stretch = {
        .kind = VOLUME_CONSTANT, .duration_s = duration_s, .from = 2, .to = 2, .has_from = true, .has_to = true};
    struct volume_model *model;

    assert_int_equal(scenario_init(scenario, "shop:scenario"), 0);
    assert_int_equal(volume_chain_new(&stretch, 1, &model, NULL), 0);
    assert_int_equal(scenario_add(scenario, "shop:visit", NULL, model, NULL), 0);
}

/* The second at which nothing is wanted any more. */
static int64_t real_end(const struct scenario *scenario, double length_s)
{
    struct windows windows;
    struct seen seen = {0};

    windows_init(&windows, scenario, length_s);
    for (int64_t second = 0;; second++) {
        windows_open(&windows, (double)second, &hooks, &seen);
        if (seen.ended) {
            return second;
        }
    }
}

static void the_end_is_told_ahead(void **state)
{
    const double durations[] = {0, 0.5, 1, 2, 4.7, 5, 6, 12}, lengths[] = {0, 0.3, 1, 2, 3.4, 5, 20};

    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        struct scenario scenario;
        open_scenario(&scenario, durations[i]);
        for (size_t j = 0; j < sizeof lengths / sizeof *lengths; j++) {
            assert_int_equal(windows_end_s(&scenario, lengths[j]), real_end(&scenario, lengths[j]));
        }
        scenario_done(&scenario);
    }
}

static void an_end_that_is_not_known_is_not_told(void **state)
{
    struct volume_model *model;
    struct scenario scenario;

    open_scenario(&scenario, 5);
    assert_int_equal(windows_end_s(&scenario, 1), 6);
    assert_int_equal(volume_constant_new(1, -1, &model, NULL), 0);
    assert_int_equal(scenario_add(&scenario, "shop:stay", NULL, model, NULL), 0);
    assert_int_equal(windows_end_s(&scenario, 1), -1);
    scenario_done(&scenario);
}

static void all_windows_are_asked_for_also_late(void **state)
{
    struct scenario scenario;
    struct windows windows;
    struct seen seen = {0};

    open_scenario(&scenario, 5);
    windows_init(&windows, &scenario, 1);
    windows_open(&windows, 30, &hooks, &seen);
    assert_true(seen.ended);
    assert_int_equal(seen.windows, 6);
    scenario_done(&scenario);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_is_told_ahead),
        cmocka_unit_test(an_end_that_is_not_known_is_not_told),
        cmocka_unit_test(all_windows_are_asked_for_also_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
