/* A bus on a loop of its own, and ends of sockets that keep what they got. */
#pragma once

#include "fake_host.h"

#include "base/buf.h"
#include "bus/socket.h"

#include <stdio.h>
#include <stdlib.h>

struct bus_fixture {
    struct loop *loop;
    struct bus *bus;
};

/* MITE_TEST_BACKEND names another one. */
static inline enum bus_backend bus_fixture_backend(void)
{
    const char *name = getenv("MITE_TEST_BACKEND");
    enum bus_backend backend = BUS_ZMQ;

    assert_int_equal(bus_backend_parse(name ? name : "ZMQ", &backend, NULL), 0);
    return backend;
}

static inline void bus_fixture_open(struct bus_fixture *f)
{
    assert_int_equal(loop_new(&f->loop, NULL), 0);
    assert_int_equal(bus_open(f->loop, &(struct bus_options){.backend = bus_fixture_backend()}, &f->bus, NULL), 0);
}

static inline void bus_fixture_close(struct bus_fixture *f)
{
    struct mite_error error = {0};
    int rc = loop_free(f->loop, &error);

    assert_string_equal(error.text, "");
    assert_int_equal(rc, 0);
    bus_close(f->bus);
}

static inline void bus_fixture_expired(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

/* Turns the loop until the condition holds; a test that waits ten seconds has failed. */
#define bus_until(f, condition)                                                                                        \
    do {                                                                                                               \
        uint64_t give_up_ns = clock_now_ns() + 10 * NS_PER_S;                                                          \
        uv_timer_t tick;                                                                                               \
        uv_timer_init(loop_uv((f)->loop), &tick);                                                                      \
        uv_timer_start(&tick, bus_fixture_expired, 20, 20);                                                            \
        while (!(condition)) {                                                                                         \
            uv_run(loop_uv((f)->loop), UV_RUN_ONCE);                                                                   \
            assert_true(clock_now_ns() < give_up_ns);                                                                  \
        }                                                                                                              \
        uv_close((uv_handle_t *)&tick, NULL);                                                                          \
        uv_run(loop_uv((f)->loop), UV_RUN_NOWAIT);                                                                     \
    } while (0)

/* One end. */
struct end {
    struct bus_socket *socket;
    size_t count;          /* messages */
    struct buf bodies;     /* one after another, each with a newline */
    char peer[64];         /* of the last one */
    int up, down, refused; /* calls */
    char refusal[256];
    int writable;
    const char *answer; /* a service sends it back */
    bool close_at_once; /* at the first message */
};

static inline void end_received(void *arg, struct str peer, struct str body)
{
    struct end *end = arg;

    end->count++;
    snprintf(end->peer, sizeof end->peer, STR_FMT, STR_ARG(peer));
    buf_str(&end->bodies, body);
    buf_char(&end->bodies, '\n');
    if (end->answer) {
        assert_int_equal(socket_send(end->socket, peer, str_of(end->answer)), 0);
    }
    if (end->close_at_once) {
        socket_close(end->socket);
        end->socket = NULL;
    }
}

static inline void end_writable(void *arg)
{
    ((struct end *)arg)->writable++;
}

static inline void end_connection(void *arg, bool up, const char *address)
{
    struct end *end = arg;

    *(up ? &end->up : &end->down) += 1;
}

static inline void end_refused(void *arg, const char *what)
{
    struct end *end = arg;

    end->refused++;
    snprintf(end->refusal, sizeof end->refusal, "%s", what);
}

static inline void end_open(struct bus *bus, struct end *end, enum socket_kind kind, struct socket_options options)
{
    struct mite_error error = {0};

    options.kind = kind;
    options.received = end_received;
    options.writable = end_writable;
    options.connection = end_connection;
    options.refused = end_refused;
    options.arg = end;
    buf_init(&end->bodies, 0);
    int rc = socket_open(bus, &options, &end->socket, &error);
    assert_string_equal(error.text, "");
    assert_int_equal(rc, 0);
}

static inline void end_close(struct end *end)
{
    socket_close(end->socket);
    end->socket = NULL;
    buf_done(&end->bodies);
}

/* Binds one and connects the other to it. */
static inline void ends_join(struct end *bound, struct end *connected)
{
    assert_int_equal(socket_bind(bound->socket, "tcp://127.0.0.1:*", NULL), 0);
    assert_int_equal(socket_connect(connected->socket, socket_address(bound->socket), NULL), 0);
}
