/* The loop alone and nested; each trap of libuv that a host can fall into has its test. */
#include "failmalloc.h"
#include "fake_host.h"

#include "engine/signals.h"
#include "engine/watchdog.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A pipe with one byte in it, and a poll that takes it out. */
struct byte_watch {
    uv_poll_t poll;
    int fds[2];
    int calls;
    bool closed;
};

static void on_byte(uv_poll_t *poll, int status, int events)
{
    struct byte_watch *watch = poll->data;
    char byte;

    watch->calls += read(watch->fds[0], &byte, 1) == 1;
}

static void byte_watch_open(struct byte_watch *watch, struct loop *loop)
{
    *watch = (struct byte_watch){.calls = 0};
    assert_int_equal(pipe(watch->fds), 0);
    assert_int_equal(write(watch->fds[1], "x", 1), 1);
    assert_int_equal(uv_poll_init(loop_uv(loop), &watch->poll, watch->fds[0]), 0);
    watch->poll.data = watch;
    assert_int_equal(uv_poll_start(&watch->poll, UV_READABLE, on_byte), 0);
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct byte_watch *watch = handle->data;

    watch->closed = true;
    close(watch->fds[0]);
    close(watch->fds[1]);
}

static void byte_watch_close(struct byte_watch *watch)
{
    uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

/* ---- deferred calls ---- */

struct trail {
    struct loop *loop;
    char text[32];
};

static void leave_a(void *arg)
{
    strcat(((struct trail *)arg)->text, "a");
}

static void leave_b(void *arg)
{
    struct trail *trail = arg;

    strcat(trail->text, "b");
    assert_int_equal(loop_defer(trail->loop, leave_a, trail), 0);
}

static void leave_stop(void *arg)
{
    struct trail *trail = arg;

    strcat(trail->text, "s");
    loop_stop(trail->loop);
}

static void leave_late_stop(void *arg)
{
    struct trail *trail = arg;

    strcat(trail->text, "l");
    assert_int_equal(loop_defer(trail->loop, leave_stop, trail), 0);
}

static void defers_three(struct loop *loop, struct trail *trail)
{
    *trail = (struct trail){.loop = loop};
    assert_int_equal(loop_defer(loop, leave_b, trail), 0);
    assert_int_equal(loop_defer(loop, leave_a, trail), 0);
    assert_int_equal(loop_defer(loop, leave_late_stop, trail), 0);
    assert_string_equal(trail->text, "");
}

static void deferred_calls_keep_their_order_alone(void **state)
{
    struct loop *loop;
    struct trail trail;

    assert_int_equal(loop_new(&loop, NULL), 0);
    defers_three(loop, &trail);
    assert_int_equal(loop_run(loop, NULL), 0);
    assert_string_equal(trail.text, "balas");
    assert_int_equal(loop_free(loop, NULL), 0);
}

static void deferred_calls_keep_their_order_nested(void **state)
{
    struct fake_host host;
    struct trail trail;

    fake_host_open(&host);
    defers_three(host.loop, &trail);
    assert_int_equal(host.times_asked, 1);
    assert_int_equal(loop_run(host.loop, NULL), 0);
    assert_string_equal(trail.text, "balas");
    fake_host_close(&host);
}

static void count_call(void *arg)
{
    ++*(int *)arg;
}

static void many_deferred_calls_grow_the_ring(void **state)
{
    struct fake_host host;
    int calls = 0;

    fake_host_open(&host);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1000; i++) {
            assert_int_equal(loop_defer(host.loop, count_call, &calls), 0);
        }
        fake_round(&host, 0);
    }
    assert_int_equal(calls, 3000);
    fake_host_close(&host);
}

static void what_is_deferred_runs_at_the_latest_when_the_loop_ends(void **state)
{
    struct loop *loop;
    int calls = 0;

    assert_int_equal(loop_new(&loop, NULL), 0);
    assert_int_equal(loop_defer(loop, count_call, &calls), 0);
    assert_int_equal(loop_free(loop, NULL), 0);
    assert_int_equal(calls, 1);
}

struct endless {
    struct loop *loop;
    int calls;
};

static void defer_again(void *arg)
{
    struct endless *endless = arg;

    endless->calls++;
    if (endless->calls < 100) {
        assert_int_equal(loop_defer(endless->loop, defer_again, endless), 0);
    }
}

static void a_turn_has_a_budget(void **state)
{
    struct fake_host host;

    fake_host_open(&host);
    struct endless endless = {.loop = host.loop};
    assert_int_equal(loop_defer(host.loop, defer_again, &endless), 0);
    fake_round(&host, 0);
    assert_in_range(endless.calls, 1, 50);
    assert_true(host.asked); /* the host gets its say, then the next turn */
    fake_run_until(&host, endless.calls == 100);
    fake_host_close(&host);
}

/* ---- the traps ---- */

static void a_poll_started_outside_a_turn_needs_a_turn(void **state)
{
    struct fake_host host;
    struct byte_watch watch;

    fake_host_open(&host);
    byte_watch_open(&watch, host.loop);
    assert_false(fake_readable(&host, 0)); /* the byte is there, epoll does not know */
    loop_touch(host.loop);
    loop_touch(host.loop);
    assert_int_equal(host.times_asked, 1);
    fake_run_until(&host, watch.calls == 1);
    assert_int_equal(loop_turns(host.loop), 2); /* the one that was asked for saw it already */

    assert_int_equal(write(watch.fds[1], "y", 1), 1);
    assert_true(fake_readable(&host, 0)); /* from now on the descriptor tells */
    fake_run_until(&host, watch.calls == 2);
    assert_int_equal(host.times_asked, 1);
    byte_watch_close(&watch);
    fake_host_close(&host);
    assert_true(watch.closed);
}

static void a_handle_closed_outside_a_turn_needs_a_turn(void **state)
{
    struct fake_host host;
    struct byte_watch watch;

    fake_host_open(&host);
    byte_watch_open(&watch, host.loop);
    loop_touch(host.loop);
    fake_round(&host, 0);
    byte_watch_close(&watch);
    assert_false(fake_readable(&host, 0));
    assert_false(watch.closed);
    loop_touch(host.loop);
    fake_round(&host, 0);
    assert_true(watch.closed);
    fake_host_close(&host);
}

static void on_uv_timer(uv_timer_t *timer)
{
    ++*(int *)timer->data;
}

static void a_timer_makes_the_descriptor_readable(void **state)
{
    struct fake_host host;
    uv_timer_t timer;
    int fired = 0;

    fake_host_open(&host);
    uv_timer_init(loop_uv(host.loop), &timer);
    timer.data = &fired;
    uv_timer_start(&timer, on_uv_timer, 20, 0);
    loop_touch(host.loop);
    fake_round(&host, 0);
    assert_int_equal(fired, 0);
    assert_true(fake_readable(&host, 5000)); /* nobody asks: the timerfd wakes the host */
    fake_run_until(&host, fired == 1);
    assert_false(fake_readable(&host, 20)); /* and an expired timerfd does not stay readable */
    uv_close((uv_handle_t *)&timer, NULL);
    fake_host_close(&host);
}

static void unreferenced_handles_are_polled(void **state)
{
    struct fake_host host;
    struct byte_watch watch;

    fake_host_open(&host);
    byte_watch_open(&watch, host.loop);
    uv_unref((uv_handle_t *)&watch.poll);
    loop_touch(host.loop);
    fake_run_until(&host, watch.calls == 1);
    assert_false(fake_readable(&host, 0)); /* the host does not spin */
    byte_watch_close(&watch);
    fake_host_close(&host);
}

static void an_idle_loop_lets_its_host_sleep(void **state)
{
    struct fake_host host;
    struct byte_watch watch;
    uv_timer_t timer;
    int fired = 0;

    fake_host_open(&host);
    byte_watch_open(&watch, host.loop);
    uv_timer_init(loop_uv(host.loop), &timer);
    timer.data = &fired;
    uv_timer_start(&timer, on_uv_timer, 10, 10);
    loop_touch(host.loop);
    fake_run_until(&host, fired == 10);
    assert_in_range(loop_turns(host.loop), 10, 25);
    uv_close((uv_handle_t *)&timer, NULL);
    byte_watch_close(&watch);
    fake_host_close(&host);
}

static void touch_in_turn(void *arg)
{
    struct fake_host *host = arg;

    loop_touch(host->loop);
    loop_turn(host->loop); /* a turn inside a turn is none */
}

static void touching_inside_a_turn_asks_for_nothing(void **state)
{
    struct fake_host host;

    fake_host_open(&host);
    assert_int_equal(loop_defer(host.loop, touch_in_turn, &host), 0);
    fake_round(&host, 0);
    assert_int_equal(host.times_asked, 1); /* by the call itself */
    assert_int_equal(loop_turns(host.loop), 2);
    fake_host_close(&host);
}

static void a_turn_that_was_asked_for_comes_once(void **state)
{
    struct fake_host host;
    int calls = 0;

    fake_host_open(&host);
    assert_int_equal(loop_defer(host.loop, count_call, &calls), 0);
    loop_turn(host.loop); /* another reason came first */
    loop_turn_asked(host.loop);
    assert_int_equal(calls, 1);
    assert_int_equal(loop_turns(host.loop), 2);
    fake_host_close(&host);
}

/* ---- life ---- */

static void fail_to_schedule(void *arg)
{
    struct fake_host *host = arg;

    host->times_asked++;
    loop_turn_later(host->loop);
}

static void a_turn_that_the_host_could_not_ask_for_comes_later(void **state)
{
    struct fake_host host;
    int calls = 0;

    fake_host_open(&host);
    host.ops.schedule_turn = fail_to_schedule;
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(loop_defer(host.loop, count_call, &calls), 0);
        assert_int_equal(host.times_asked, i);
        fake_run_until(&host, calls == i);
    }
    assert_false(host.asked);
    fake_host_close(&host);
}

static void drop_host(void *arg)
{
    assert_int_equal(loop_set_host(arg, NULL, NULL), 0);
}

static void a_host_may_go_inside_a_turn_and_another_come(void **state)
{
    struct fake_host host;
    int calls = 0;

    fake_host_open(&host);
    assert_int_equal(loop_defer(host.loop, drop_host, host.loop), 0);
    fake_round(&host, 0);
    assert_int_equal(loop_defer(host.loop, count_call, &calls), 0);
    assert_false(host.asked);
    assert_int_equal(loop_set_host(host.loop, &host.ops, NULL), 0);
    fake_run_until(&host, calls == 1);
    fake_host_close(&host);
}

static void on_stop_timer(uv_timer_t *timer)
{
    loop_stop(timer->data);
}

static void alone_it_runs_until_stopped(void **state)
{
    struct loop *loop;
    uv_timer_t timer;

    assert_int_equal(loop_new(&loop, NULL), 0);
    uv_timer_init(loop_uv(loop), &timer);
    uv_unref((uv_handle_t *)&timer); /* nothing that counts keeps it running */
    timer.data = loop;
    uint64_t before_ns = loop_now_ns(loop);
    uv_timer_start(&timer, on_stop_timer, 5, 0);
    assert_int_equal(loop_run(loop, NULL), 0);
    assert_in_range(loop_now_ns(loop) - before_ns, 5 * NS_PER_MS, 5 * NS_PER_S);
    uv_close((uv_handle_t *)&timer, NULL);
    assert_int_equal(loop_free(loop, NULL), 0);
}

static void forgotten_handles_are_named(void **state)
{
    struct mite_error error = {0};
    struct loop *loop;
    struct byte_watch watch;
    uv_timer_t timer;

    assert_int_equal(loop_new(&loop, NULL), 0);
    byte_watch_open(&watch, loop);
    uv_timer_init(loop_uv(loop), &timer);
    assert_int_equal(loop_free(loop, &error), MITE_EINVAL);
    assert_string_equal(error.text, "the event loop ended with handles still open: poll, timer");
    error_done(&error);
    close(watch.fds[0]);
    close(watch.fds[1]);
    assert_int_equal(loop_free(NULL, NULL), 0);
}

static void on_signal(void *arg, int number, int count)
{
}

/* Everything of this folder that allocates. What was made before a failure is taken back by the caller. */
static int open_everything(struct fake_host *host, int *calls, struct mite_error *error)
{
    int rc = loop_new(&host->loop, error);

    if (rc == 0) {
        rc = loop_set_host(host->loop, &host->ops, error);
    }
    if (rc == 0) {
        rc = signals_start(host->loop, on_signal, NULL, error);
    }
    if (rc == 0) {
        rc = watchdog_start(host->loop, NS_PER_S, NULL, error);
    }
    return rc == 0 ? loop_defer(host->loop, count_call, calls) : rc;
}

static void every_allocation_may_fail(void **state)
{
    bool failed = true;

    for (long n = 0; failed; n++) {
        struct fake_host host = {.ops = {fake_schedule, fake_run, fake_stop, &host}};
        struct mite_error error = {0};
        int calls = 0;

        failmalloc_start(n);
        int rc = open_everything(&host, &calls, &error);
        failed = failmalloc_stop();
        assert_int_equal(rc, failed ? MITE_ENOMEM : 0);
        watchdog_stop();
        signals_stop();
        assert_int_equal(loop_free(host.loop, NULL), 0);
        assert_int_equal(calls, !failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deferred_calls_keep_their_order_alone),
        cmocka_unit_test(deferred_calls_keep_their_order_nested),
        cmocka_unit_test(many_deferred_calls_grow_the_ring),
        cmocka_unit_test(what_is_deferred_runs_at_the_latest_when_the_loop_ends),
        cmocka_unit_test(a_turn_has_a_budget),
        cmocka_unit_test(a_poll_started_outside_a_turn_needs_a_turn),
        cmocka_unit_test(a_handle_closed_outside_a_turn_needs_a_turn),
        cmocka_unit_test(a_timer_makes_the_descriptor_readable),
        cmocka_unit_test(unreferenced_handles_are_polled),
        cmocka_unit_test(an_idle_loop_lets_its_host_sleep),
        cmocka_unit_test(touching_inside_a_turn_asks_for_nothing),
        cmocka_unit_test(a_turn_that_was_asked_for_comes_once),
        cmocka_unit_test(a_turn_that_the_host_could_not_ask_for_comes_later),
        cmocka_unit_test(a_host_may_go_inside_a_turn_and_another_come),
        cmocka_unit_test(alone_it_runs_until_stopped),
        cmocka_unit_test(forgotten_handles_are_named),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
