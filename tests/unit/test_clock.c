/* The clocks, and seconds as nanoseconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

#include <math.h>
#include <time.h>

static void time_goes_on(void **state)
{
    uint64_t first = clock_now_ns(), cpu = clock_cpu_ns();

    while (clock_now_ns() == first) {
    }
    while (clock_cpu_ns() == cpu) {
    }
    assert_true(clock_now_ns() > first);
    assert_true(clock_cpu_ns() > cpu);
}

static void wall_time_of_a_moment(void **state)
{
    uint64_t now = clock_now_ns();
    double before = clock_wall_s(), at = clock_wall_at(now), earlier = clock_wall_at(now - 5 * NS_PER_S),
           later = clock_wall_at(now + 5 * NS_PER_S);

    assert_true(fabs(at - before) < 1);
    assert_true(fabs(at - earlier - 5) < 0.1);
    assert_true(fabs(later - at - 5) < 0.1);
    assert_true(before > 1.6e9); /* after 2020 */
}

/* Longer than what is known of the wall clock is believed. */
static void wall_time_is_the_systems(void **state)
{
    uint64_t until = clock_now_ns() + 30 * NS_PER_MS;

    while (clock_now_ns() < until) {
        struct timespec before, after;
        clock_gettime(CLOCK_REALTIME, &before);
        double wall = clock_wall_s();
        clock_gettime(CLOCK_REALTIME, &after);
        assert_true(wall > (double)before.tv_sec + (double)before.tv_nsec / 1e9 - 0.001);
        assert_true(wall < (double)after.tv_sec + (double)after.tv_nsec / 1e9 + 0.001);
    }
}

static void seconds_become_nanoseconds(void **state)
{
    assert_true(ns_from_s(0) == 0);
    assert_true(ns_from_s(-0.5) == 0);
    assert_true(ns_from_s(NAN) == 0);
    assert_true(ns_from_s(-INFINITY) == 0);
    assert_true(ns_from_s(1.5) == 1500 * NS_PER_MS);
    assert_true(ns_from_s(1e-9) == 1);
    assert_true(ns_from_s(INFINITY) == UINT64_MAX);
    assert_true(ns_from_s(1e11) == UINT64_MAX);
    assert_true(ns_from_s(nextafter(18446744073.709551616, 0)) > UINT64_C(18446744073000000000));
    assert_true(ns_to_s(2500 * NS_PER_MS) == 2.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_goes_on),
        cmocka_unit_test(wall_time_of_a_moment),
        cmocka_unit_test(wall_time_is_the_systems),
        cmocka_unit_test(seconds_become_nanoseconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
