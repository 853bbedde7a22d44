/*
 * A socket over ZeroMQ, shared by the files zmq_*.c.
 */
#pragma once

#include "bus/internal.h"
#include "engine/timer.h"

#include <zmq.h>

struct zmq_end {
    struct bus_socket base;
    void *zmq;
    void *monitor;          /* a socket that tells of connections */
    uv_poll_t poll;         /* of zmq's descriptor */
    uv_poll_t monitor_poll; /* of monitor's */
    uv_idle_t more;         /* active as long as messages wait that the last turn had no time for */
    struct timer retry;     /* connects again after a handshake that failed: the library does not */
    unsigned open_handles;  /* freed with the last one */
    size_t failed;          /* handshakes whose end was not told yet */
    bool uses_zap;          /* the handler of --curve-allow */
    bool connects;          /* address is where to */
    bool blocked;           /* a send found no room: writable() is due */
    bool draining;
    bool closed;
};

/* The code for zmq_errno(). */
int zmq_code(int errno_value);

/* Looks for messages with the next turn, or leaves it to the descriptor. */
void zmq_look_again(struct zmq_end *end, bool more);

/* Sets what every socket has, and what its kind asks for. */
int zmq_set_options(struct zmq_end *end, struct mite_error *error);
int zmq_end_bind(struct bus_socket *socket, const struct address *address, struct mite_error *error);
int zmq_end_connect(struct bus_socket *socket, const struct address *address, struct mite_error *error);
/* After a handshake that failed: tries once more in a while. */
void zmq_retry_later(struct zmq_end *end);
void zmq_on_retry(struct timer *timer);

/* Begins to watch for connections that are made and lost. */
int zmq_monitor_open(struct zmq_end *end, struct mite_error *error);
void zmq_monitor_drain(struct zmq_end *end);
