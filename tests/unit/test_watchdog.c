/* The watchdog: silent while the loop moves, heard while it stands still. */
#include "fake_host.h"

#include "engine/watchdog.h"

#include <stdatomic.h>

#define LIMIT_NS (20 * NS_PER_MS)
#define PATIENT_LIMIT_NS                                                                                               \
    (500 * NS_PER_MS) /* where a machine that is busy otherwise must not look like a blocked loop */

struct seen {
    atomic_int blocked;
    _Atomic uint64_t blocked_ns;
    int recovered;
    uint64_t recovered_ns;
};

static void on_blocked(void *arg, uint64_t blocked_ns)
{
    struct seen *seen = arg;

    atomic_fetch_add(&seen->blocked, 1);
    atomic_store(&seen->blocked_ns, blocked_ns);
}

static void on_recovered(void *arg, uint64_t blocked_ns)
{
    struct seen *seen = arg;

    seen->recovered++;
    seen->recovered_ns = blocked_ns;
}

static void open_watched(struct fake_host *host, struct seen *seen, uint64_t limit_ns)
{
    struct watchdog_hooks hooks = {on_blocked, on_recovered, seen};

    fake_host_open(host);
    assert_int_equal(watchdog_start(host->loop, limit_ns, &hooks, NULL), 0);
    fake_round(host, 0);
}

static void close_watched(struct fake_host *host)
{
    watchdog_stop();
    watchdog_stop();
    fake_host_close(host);
}

/* Blocks until the condition holds: what an endless loop in a journey does. */
#define block_until(condition)                                                                                         \
    for (uint64_t give_up_ns = clock_now_ns() + 10 * NS_PER_S; !(condition);) {                                        \
        assert_true(clock_now_ns() < give_up_ns);                                                                      \
    }

static void says_again_and_again_that_the_loop_is_blocked(void **state)
{
    struct fake_host host;
    struct seen seen = {0};

    open_watched(&host, &seen, LIMIT_NS);
    uint64_t start_ns = clock_now_ns();
    block_until(seen.blocked >= 3);
    assert_true(clock_now_ns() - start_ns >= 3 * LIMIT_NS);
    assert_true(seen.blocked_ns >= 3 * LIMIT_NS);
    assert_int_equal(seen.recovered, 0);
    fake_run_until(&host, seen.recovered == 1);
    assert_true(seen.recovered_ns >= 3 * LIMIT_NS);
    close_watched(&host);
}

static void is_silent_while_the_loop_moves(void **state)
{
    struct fake_host host;
    struct seen seen = {0};

    open_watched(&host, &seen, PATIENT_LIMIT_NS);
    uint64_t until_ns = clock_now_ns() + PATIENT_LIMIT_NS + PATIENT_LIMIT_NS / 4;
    fake_run_until(&host, clock_now_ns() > until_ns);
    assert_int_equal(seen.blocked, 0);
    assert_int_equal(seen.recovered, 0);
    close_watched(&host);
}

static void pauses_nest(void **state)
{
    struct fake_host host;
    struct seen seen = {0};

    open_watched(&host, &seen, LIMIT_NS);
    watchdog_pause();
    watchdog_pause();
    watchdog_resume();
    uint64_t until_ns = clock_now_ns() + 3 * LIMIT_NS;
    block_until(clock_now_ns() > until_ns);
    assert_int_equal(seen.blocked, 0);
    watchdog_resume();
    uint64_t start_ns = clock_now_ns();
    block_until(seen.blocked >= 1);
    assert_true(clock_now_ns() - start_ns >= LIMIT_NS); /* what went by in the pause does not count */
    close_watched(&host);
}

static void hooks_change_while_it_runs(void **state)
{
    struct fake_host host;
    struct seen seen = {0}, other = {0};
    struct watchdog_hooks hooks = {on_blocked, on_recovered, &other};

    open_watched(&host, &seen, LIMIT_NS);
    watchdog_set_hooks(&hooks);
    block_until(other.blocked >= 1);
    watchdog_set_hooks(NULL);
    fake_round(&host, 100);
    assert_int_equal(seen.blocked, 0);
    assert_int_equal(other.recovered, 0);
    close_watched(&host);
}

static void a_probe_outlives_the_watchdog(void **state)
{
    struct fake_host host;
    struct seen seen = {0}, probed = {0};

    watchdog_set_probe(on_blocked, &probed);
    for (int i = 1; i <= 2; i++) {
        open_watched(&host, &seen, LIMIT_NS);
        block_until(seen.blocked >= i);
        assert_true(probed.blocked >= i);
        close_watched(&host);
    }
    watchdog_set_probe(NULL, NULL);
    int probes = probed.blocked, hooks = seen.blocked;
    open_watched(&host, &seen, LIMIT_NS);
    block_until(seen.blocked > hooks);
    assert_int_equal(probed.blocked, probes);
    close_watched(&host);
}

static void there_is_one_a_process(void **state)
{
    struct fake_host host;
    struct seen seen = {0};
    struct watchdog_hooks hooks = {on_blocked, on_recovered, &seen};

    open_watched(&host, &seen, LIMIT_NS);
    assert_int_equal(watchdog_start(host.loop, LIMIT_NS, &hooks, NULL), MITE_EINVAL);
    watchdog_stop();
    assert_int_equal(watchdog_start(host.loop, 0, &hooks, NULL), MITE_EINVAL);
    assert_int_equal(watchdog_start(host.loop, LIMIT_NS, &hooks, NULL), 0);
    close_watched(&host);
    watchdog_pause(); /* without one they do nothing */
    watchdog_resume();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_again_and_again_that_the_loop_is_blocked),
        cmocka_unit_test(is_silent_while_the_loop_moves),
        cmocka_unit_test(pauses_nest),
        cmocka_unit_test(hooks_change_while_it_runs),
        cmocka_unit_test(a_probe_outlives_the_watchdog),
        cmocka_unit_test(there_is_one_a_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
