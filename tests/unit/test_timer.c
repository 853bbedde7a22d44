/* Timers: never early, cheap to push back, closed when they say so. */
#include "fake_host.h"

#include "engine/timer.h"

#include <time.h>

struct shot {
    struct timer timer;
    int fired;
    bool closed;
    uint64_t at_ns;
};

static void on_fire(struct timer *timer)
{
    struct shot *shot = (struct shot *)timer;

    shot->fired++;
    shot->at_ns = clock_now_ns();
}

static void on_closed(struct timer *timer)
{
    ((struct shot *)timer)->closed = true;
}

/* Lets the clock run on while the loop stands still, so that its own idea of now is old. */
static void stand_still(uint64_t ns)
{
    for (uint64_t until_ns = clock_now_ns() + ns; clock_now_ns() < until_ns;) {
    }
}

static void never_fires_early(void **state)
{
    static const uint64_t after_ns[] = {1, 300 * NS_PER_US, NS_PER_MS, 7 * NS_PER_MS + 1, 20 * NS_PER_MS};
    struct fake_host host;

    fake_host_open(&host);
    for (size_t i = 0; i < sizeof after_ns / sizeof *after_ns; i++) {
        struct shot shot = {.fired = 0};
        assert_int_equal(timer_init(&shot.timer, host.loop, on_fire), 0);
        stand_still(30 * NS_PER_MS);
        uint64_t start_ns = clock_now_ns();
        timer_start(&shot.timer, after_ns[i], 0);
        fake_run_until(&host, shot.fired);
        assert_true(shot.at_ns >= start_ns + after_ns[i]);
        timer_close(&shot.timer, on_closed);
        fake_run_until(&host, shot.closed);
    }
    fake_host_close(&host);
}

static void zero_is_the_next_turn(void **state)
{
    struct fake_host host;
    struct shot shot = {.fired = 0};

    fake_host_open(&host);
    assert_int_equal(timer_init(&shot.timer, host.loop, on_fire), 0);
    timer_start(&shot.timer, 0, 0);
    assert_int_equal(host.times_asked, 1);
    fake_round(&host, 0);
    assert_int_equal(shot.fired, 1);
    timer_close(&shot.timer, NULL);
    fake_host_close(&host);
}

static void repeats_until_stopped(void **state)
{
    struct fake_host host;
    struct shot shot = {.fired = 0};

    fake_host_open(&host);
    assert_int_equal(timer_init(&shot.timer, host.loop, on_fire), 0);
    uint64_t start_ns = clock_now_ns();
    timer_start(&shot.timer, 2 * NS_PER_MS, 3 * NS_PER_MS);
    fake_run_until(&host, shot.fired == 4);
    assert_true(shot.at_ns >= start_ns + 11 * NS_PER_MS);
    timer_stop(&shot.timer);
    fake_round(&host, 20);
    assert_int_equal(shot.fired, 4);
    timer_close(&shot.timer, NULL);
    fake_host_close(&host);
}

static void pushing_a_deadline_back_costs_nothing(void **state)
{
    struct fake_host host;
    struct shot near = {.fired = 0}, far = {.fired = 0};

    fake_host_open(&host);
    assert_int_equal(timer_init(&near.timer, host.loop, on_fire), 0);
    assert_int_equal(timer_init(&far.timer, host.loop, on_fire), 0);
    timer_start(&near.timer, 50 * NS_PER_MS, 0);
    fake_round(&host, 0);
    assert_int_equal(host.times_asked, 1);
    for (int i = 0; i < 1000; i++) {
        timer_start(&far.timer, (uint64_t)(60 + i) * NS_PER_S, 0);
    }
    timer_start(&near.timer, 80 * NS_PER_MS, 0);
    assert_int_equal(host.times_asked, 1); /* the timerfd, set to the old deadline, wakes the loop in time */
    fake_run_until(&host, near.fired);
    timer_start(&near.timer, NS_PER_MS, 0);
    assert_int_equal(host.times_asked, 2); /* nearer than any: that one needs a turn */
    fake_run_until(&host, near.fired == 2);
    assert_int_equal(far.fired, 0);
    timer_close(&near.timer, NULL);
    timer_close(&far.timer, NULL);
    fake_host_close(&host);
}

static void close_in_fire(struct timer *timer)
{
    on_fire(timer);
    timer_close(timer, on_closed);
    timer_close(timer, on_closed); /* once is enough */
}

static void may_be_closed_while_it_fires(void **state)
{
    struct fake_host host;
    struct shot shot = {.fired = 0};

    fake_host_open(&host);
    assert_int_equal(timer_init(&shot.timer, host.loop, close_in_fire), 0);
    timer_start(&shot.timer, NS_PER_MS, NS_PER_MS);
    fake_run_until(&host, shot.closed);
    assert_int_equal(shot.fired, 1);
    fake_host_close(&host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_fires_early),
        cmocka_unit_test(zero_is_the_next_turn),
        cmocka_unit_test(repeats_until_stopped),
        cmocka_unit_test(pushing_a_deadline_back_costs_nothing),
        cmocka_unit_test(may_be_closed_while_it_fires),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
