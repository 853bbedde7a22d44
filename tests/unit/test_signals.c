/* Signals: each is counted at once and delivered on the loop, in order; the old dispositions come back. */
#include "fake_host.h"

#include "engine/signals.h"

#include <signal.h>
#include <unistd.h>

struct heard {
    int numbers[8], counts[8];
    int total;
    bool stop_at_second;
};

static void on_signal(void *arg, int number, int count)
{
    struct heard *heard = arg;

    heard->numbers[heard->total] = number;
    heard->counts[heard->total++] = count;
    if (heard->stop_at_second && count == 2) {
        signals_stop();
    }
}

static void a_terminal_that_is_gone_counts_unless_nohup(void **state)
{
    struct fake_host host;
    struct heard heard = {.total = 0};
    void (*before)(int) = signal(SIGHUP, SIG_DFL);

    fake_host_open(&host);
    assert_int_equal(signals_start(host.loop, on_signal, &heard, NULL), 0);
    raise(SIGHUP);
    assert_int_equal(signals_count(), 1);
    signals_stop();
    signal(SIGHUP, SIG_IGN);
    assert_int_equal(signals_start(host.loop, on_signal, &heard, NULL), 0);
    raise(SIGHUP);
    assert_int_equal(signals_count(), 0);
    signals_stop();
    fake_host_close(&host);
    signal(SIGHUP, before);
}

static void two_before_the_loop_moves_are_both_seen(void **state)
{
    struct fake_host host;
    struct heard heard = {.total = 0};

    fake_host_open(&host);
    assert_int_equal(signals_start(host.loop, on_signal, &heard, NULL), 0);
    assert_int_equal(signals_count(), 0);
    fake_round(&host, 0);
    raise(SIGINT);
    raise(SIGTERM);
    assert_int_equal(signals_count(), 2); /* seen while the loop is blocked */
    assert_int_equal(heard.total, 0);
    fake_run_until(&host, heard.total == 2);
    assert_int_equal(heard.numbers[0], SIGINT);
    assert_int_equal(heard.counts[0], 1);
    assert_int_equal(heard.numbers[1], SIGTERM);
    assert_int_equal(heard.counts[1], 2);
    raise(SIGINT);
    fake_run_until(&host, heard.total == 3);
    assert_int_equal(heard.counts[2], 3);
    signals_stop();
    fake_host_close(&host);
    assert_int_equal(signals_count(), 3);
}

static void may_stop_in_the_middle_of_a_delivery(void **state)
{
    struct fake_host host;
    struct heard heard = {.stop_at_second = true};

    fake_host_open(&host);
    assert_int_equal(signals_start(host.loop, on_signal, &heard, NULL), 0);
    for (int i = 0; i < 3; i++) {
        raise(SIGTERM);
    }
    fake_run_until(&host, heard.total == 2);
    fake_host_close(&host);
    assert_int_equal(heard.total, 2);
}

static void more_than_anybody_presses_does_no_harm(void **state)
{
    struct loop *loop;
    struct heard heard = {.stop_at_second = true};

    assert_int_equal(loop_new(&loop, NULL), 0);
    assert_int_equal(signals_start(loop, on_signal, &heard, NULL), 0);
    for (int i = 0; i < 1000; i++) {
        raise(SIGINT);
    }
    assert_int_equal(signals_count(), 1000);
    signals_stop();
    assert_int_equal(loop_free(loop, NULL), 0);
}

static volatile sig_atomic_t old_handler_calls;

static void old_handler(int number)
{
    old_handler_calls++;
}

static void old_dispositions_come_back(void **state)
{
    struct loop *loop;
    struct heard heard = {.total = 0};
    struct sigaction now;

    signal(SIGINT, old_handler);
    signal(SIGPIPE, SIG_DFL);
    assert_int_equal(loop_new(&loop, NULL), 0);
    assert_int_equal(signals_start(loop, on_signal, &heard, NULL), 0);
    assert_int_equal(signals_start(loop, on_signal, &heard, NULL), MITE_EINVAL);
    raise(SIGPIPE); /* ignored */
    raise(SIGINT);
    assert_int_equal(old_handler_calls, 0);
    signals_stop();
    signals_stop();
    raise(SIGINT);
    assert_int_equal(old_handler_calls, 1);
    sigaction(SIGPIPE, NULL, &now);
    assert_true(now.sa_handler == SIG_DFL);
    signal(SIGINT, SIG_DFL);
    assert_int_equal(loop_free(loop, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_before_the_loop_moves_are_both_seen),
        cmocka_unit_test(a_terminal_that_is_gone_counts_unless_nohup),
        cmocka_unit_test(may_stop_in_the_middle_of_a_delivery),
        cmocka_unit_test(more_than_anybody_presses_does_no_harm),
        cmocka_unit_test(old_dispositions_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
