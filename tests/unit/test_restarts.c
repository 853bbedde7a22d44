/* Restarts: later with each crash, and not for ever. */
#include "cli/restarts.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct loop *loop;
    struct restarts restarts;
    int started[2];
};

static void on_start(void *arg, size_t slot)
{
    struct fixture *f = arg;

    f->started[slot]++;
    restarts_started(&f->restarts, slot);
    loop_stop(f->loop);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_int_equal(loop_new(&f->loop, NULL), 0);
    assert_int_equal(restarts_init(&f->restarts, f->loop, 2, on_start, f), 0);
    for (size_t slot = 0; slot < 2; slot++) {
        restarts_started(&f->restarts, slot);
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    restarts_close(&f->restarts);
    assert_int_equal(loop_free(f->loop, NULL), 0);
    free(f);
    return 0;
}

static void pauses_double_and_come_to_an_end(void **state)
{
    struct fixture *f = *state;
    uint64_t before_ns = restarts_plan(&f->restarts, 0);

    assert_true(before_ns > 0);
    for (int i = 1; i < RESTARTS_TRIES; i++) {
        uint64_t pause_ns = restarts_plan(&f->restarts, 0);
        assert_int_equal(pause_ns, 2 * before_ns);
        before_ns = pause_ns;
    }
    assert_int_equal(restarts_plan(&f->restarts, 0), 0);
    assert_true(restarts_plan(&f->restarts, 1) > 0); /* each slot has its own */
}

static void who_ran_well_has_all_tries_again(void **state)
{
    struct fixture *f = *state;
    uint64_t first_ns = restarts_plan(&f->restarts, 0);

    for (int i = 0; i < RESTARTS_TRIES; i++) {
        restarts_plan(&f->restarts, 0);
    }
    f->restarts.slots[0].started_ns -= 3600 * NS_PER_S;
    assert_int_equal(restarts_plan(&f->restarts, 0), first_ns);
}

static void what_is_planned_is_started_once(void **state)
{
    struct fixture *f = *state;

    restarts_plan(&f->restarts, 1);
    restarts_plan(&f->restarts, 0);
    restarts_plan(&f->restarts, 0); /* later than the other */
    assert_true(restarts_waiting(&f->restarts));
    assert_int_equal(loop_run(f->loop, NULL), 0);
    assert_int_equal(f->started[1], 1);
    assert_int_equal(f->started[0], 0);
    assert_int_equal(loop_run(f->loop, NULL), 0);
    assert_int_equal(f->started[0], 1);
    assert_int_equal(f->started[1], 1);
    assert_false(restarts_waiting(&f->restarts));
}

static void what_is_forgotten_is_not_started(void **state)
{
    struct fixture *f = *state;

    restarts_plan(&f->restarts, 0);
    restarts_forget(&f->restarts);
    assert_false(restarts_waiting(&f->restarts));
    restarts_plan(&f->restarts, 1);
    assert_int_equal(loop_run(f->loop, NULL), 0);
    assert_int_equal(f->started[0], 0);
    assert_int_equal(f->started[1], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pauses_double_and_come_to_an_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_ran_well_has_all_tries_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_planned_is_started_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_forgotten_is_not_started, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
