/*
 * A host as small as one can be: an epoll set with loop_fd() in it. It turns the loop when asked or when the descriptor
 * is readable, never otherwise, and counts both, so that a test sees what a real host would have had to do.
 */
#pragma once

#include "base/clock.h"
#include "engine/loop.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct fake_host {
    struct loop_host ops;
    struct loop *loop;
    bool asked, stopping;
    int times_asked;
};

static inline void fake_schedule(void *arg)
{
    struct fake_host *host = arg;

    host->asked = true;
    host->times_asked++;
}

/* Whether the descriptor that stands for the loop becomes readable within the time. */
static inline bool fake_readable(struct fake_host *host, int timeout_ms)
{
    struct pollfd fd = {.fd = loop_fd(host->loop), .events = POLLIN};

    return poll(&fd, 1, timeout_ms) == 1;
}

/* One round of the host: a turn if one was asked for or is due within the time. */
static inline void fake_round(struct fake_host *host, int timeout_ms)
{
    if (host->asked) {
        host->asked = false;
        loop_turn_asked(host->loop);
    } else if (fake_readable(host, timeout_ms)) {
        loop_turn(host->loop);
    }
}

static inline int fake_run(void *arg, struct mite_error *error)
{
    struct fake_host *host = arg;
    uint64_t give_up_ns = clock_now_ns() + 10 * NS_PER_S;

    for (host->stopping = false; !host->stopping;) {
        fake_round(host, 1000);
        assert_true(clock_now_ns() < give_up_ns);
    }
    return 0;
}

static inline void fake_stop(void *arg)
{
    ((struct fake_host *)arg)->stopping = true;
}

/* Rounds until the condition holds; a test that waits ten seconds has failed. */
#define fake_run_until(host, condition)                                                                                \
    do {                                                                                                               \
        uint64_t give_up_ns = clock_now_ns() + 10 * NS_PER_S;                                                          \
        while (!(condition)) {                                                                                         \
            fake_round(host, 100);                                                                                     \
            assert_true(clock_now_ns() < give_up_ns);                                                                  \
        }                                                                                                              \
    } while (0)

/* A loop inside a fake host, its first turn done. */
static inline void fake_host_open(struct fake_host *host)
{
    *host = (struct fake_host){.ops = {fake_schedule, fake_run, fake_stop, host}};
    assert_int_equal(loop_new(&host->loop, NULL), 0);
    assert_int_equal(loop_set_host(host->loop, &host->ops, NULL), 0);
    assert_true(host->asked);
    fake_round(host, 0);
    assert_false(host->asked);
    host->times_asked = 0;
}

/* Every loop of a test ends clean. */
static inline void fake_host_close(struct fake_host *host)
{
    struct mite_error error = {0};
    int rc = loop_free(host->loop, &error);

    assert_string_equal(error.text, "");
    assert_int_equal(rc, 0);
}
