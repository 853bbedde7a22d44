/* How long a blocked loop is borne once the process should end. */
#include "fake_host.h"

#include "base/clock.h"
#include "cli/culprit.h"
#include "engine/signals.h"

#include <signal.h>

static void on_signal(void *arg, int number, int count)
{
}

/* The deadline after a signal came to a loop that is blocked, with the one that the run had before. */
static uint64_t deadline_after_signal(uint64_t before_ns)
{
    struct fake_host host;
    struct patience patience = {.deadline_ns = before_ns, .stop_ns = 10 * NS_PER_S};
    struct watchdog_hooks hooks = culprit_hooks(&patience);

    fake_host_open(&host);
    assert_int_equal(signals_start(host.loop, on_signal, NULL, NULL), 0);
    raise(SIGTERM);
    hooks.blocked(&patience, 0);
    signals_stop();
    fake_host_close(&host);
    return patience.deadline_ns;
}

static void a_signal_sets_a_deadline(void **state)
{
    uint64_t now_ns = clock_now_ns();

    assert_in_range(deadline_after_signal(0), now_ns + 10 * NS_PER_S, now_ns + 100 * NS_PER_S);
}

static void a_signal_puts_the_end_forward(void **state)
{
    uint64_t now_ns = clock_now_ns();

    assert_in_range(deadline_after_signal(now_ns + 3600 * NS_PER_S), now_ns + 10 * NS_PER_S, now_ns + 100 * NS_PER_S);
}

static void a_signal_never_puts_the_end_off(void **state)
{
    uint64_t soon_ns = clock_now_ns() + NS_PER_S;

    assert_int_equal(deadline_after_signal(soon_ns), soon_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_sets_a_deadline),
        cmocka_unit_test(a_signal_puts_the_end_forward),
        cmocka_unit_test(a_signal_never_puts_the_end_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
