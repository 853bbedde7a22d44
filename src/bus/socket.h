/*
 * Sockets between processes: ZeroMQ, or nng's compatible protocols where the build has them (--message-backend). A
 * socket is one end of a pattern: PUSH and PULL carry events, CLIENT and SERVICE carry the work protocol. Everything
 * runs on the loop; the library's own I/O threads never call us.
 *
 * CLIENT is a DEALER that speaks to REP and ROUTER peers, SERVICE a ROUTER with ROUTER_HANDOVER that speaks to REQ and
 * DEALER peers: both put the empty frame of REQ/REP in front of each body by themselves. Over nng they are REQ and REP,
 * which have no routing ids: peers look like `nng:N` there, one for each request.
 *
 * Life cycle: bus_open (one a process: the library's context, its keys), socket_open, socket_bind or socket_connect,
 * then messages; socket_close (handles close with the loop); bus_close after loop_free, waits at most `linger_ms` for
 * what the library still holds.
 */
#pragma once

#include "base/str.h"
#include "bus/curve.h"
#include "engine/loop.h"

#include <stdint.h>

struct bus;
struct bus_socket;

enum bus_backend { BUS_ZMQ, BUS_NANOMSG };

struct bus_options {
    enum bus_backend backend;
    struct curve_options curve; /* borrowed texts, read by bus_open; all NULL: no encryption */
    int linger_ms;              /* what bus_close may wait; 1000 when 0 */
    /* `refused` of sockets that have none of their own; may be NULL. */
    void (*refused)(void *arg, const char *what);
    void *refused_arg;
    int io_threads; /* of the library; 0: 1. More pay where several sockets are busy */
};

/* "ZMQ" or "nanomsg", any case. MITE_EINVAL names the two, or says that this build has no nanomsg. */
int bus_backend_parse(const char *name, enum bus_backend *out, struct mite_error *error) PRIVATE_API(bus_backend_parse);

/* MITE_EINVAL: CURVE with nanomsg, a key that is none; MITE_ENOTFOUND: its file. */
int bus_open(struct loop *loop, const struct bus_options *options, struct bus **out, struct mite_error *error)
    PRIVATE_API(bus_open);
void bus_close(struct bus *bus) PRIVATE_API(bus_close); /* NULL is a no-op */
struct loop *bus_loop(const struct bus *bus);           /* borrowed */
/* Who is in a hurry: what sockets hold when they are closed from now on goes nowhere, and bus_close does not wait. */
void bus_abandon(struct bus *bus);

/* tcp://HOST:PORT (HOST a name, an IPv4 address, [IPv6] or *), ipc://PATH. MITE_EINVAL says what is wrong, and of
 * inproc:// why it cannot be. `binds`: also tcp://HOST:* (any free port). */
int bus_address_check(const char *address, bool binds, struct mite_error *error) PRIVATE_API(bus_address_check);
/* True when others than this machine may reach what is bound there. */
bool bus_address_open(const char *address);

enum socket_kind { SOCKET_PUSH, SOCKET_PULL, SOCKET_CLIENT, SOCKET_SERVICE };

/* A message in the library's memory: its bytes are shared by counting, not copied. Lives where its owner put it and is
 * moved only by the functions below. */
struct bus_message {
    uint64_t space[8];
};

struct socket_options {
    enum socket_kind kind;
    int high_water;           /* messages that the library may hold for a peer; 0: 1000 */
    int64_t max_message_size; /* a peer that sends more is cut off; 0: BUS_MESSAGE_MAX */
    const char *routing_id;   /* borrowed for the call; of a CLIENT; NULL: the library's own */
    /* A PULL or CLIENT got a message: the body, borrowed. A SERVICE: from this peer (its routing id, borrowed). */
    void (*received)(void *arg, struct str peer, struct str body);
    /* Called instead where it is set, by a PULL: what passes messages on can share them. Borrowed. */
    void (*received_message)(void *arg, struct bus_message *message);
    /* A socket that could take nothing more may again. */
    void (*writable)(void *arg);
    /* Connections made and lost (peer unknown to ZeroMQ). `address`: where to, borrowed. May be NULL. */
    void (*connection)(void *arg, bool up, const char *address);
    /* Somebody was turned away, or turned us away: half a sentence with its reason ("tcp://...: the peer does not know
     * our key"). Called for every attempt: log it once. May be NULL. */
    void (*refused)(void *arg, const char *what);
    void *arg;
};

#define BUS_MESSAGE_MAX (64 << 20) /* bytes */

int socket_open(struct bus *bus, const struct socket_options *options, struct bus_socket **out,
                struct mite_error *error) PRIVATE_API(socket_open);
/* MITE_EINVAL: bad address; MITE_EIO: in use, no such interface: the sentence names the address and what to do. An
 * ipc:// path left by a dead process is taken over, one that is in use is not. */
int socket_bind(struct bus_socket *socket, const char *address, struct mite_error *error) PRIVATE_API(socket_bind);
/* Names are resolved again on every reconnect, which go on for ever, from 100 ms to 2 s apart. */
int socket_connect(struct bus_socket *socket, const char *address, struct mite_error *error)
    PRIVATE_API(socket_connect);
/* Where it is bound, with the port that was given for `*`; borrowed. */
const char *socket_address(const struct bus_socket *socket) PRIVATE_API(socket_address);
size_t socket_peers(const struct bus_socket *socket); /* connections that are up now */

/* Copied. 0, MITE_EAGAIN (no peer has room: writable() follows), MITE_ENOTFOUND (a SERVICE: that peer is gone),
 * MITE_ENOMEM, MITE_EIO. `peer` is for a SERVICE alone. */
int socket_send(struct bus_socket *socket, struct str peer, struct str body) PRIVATE_API(socket_send);
/* Messages that did not have the frames of their pattern and were left out. */
uint64_t socket_malformed(const struct bus_socket *socket);

/* As socket_send of a PUSH; the message is taken on success only. */
int socket_send_message(struct bus_socket *socket, struct bus_message *message);

struct str bus_message_bytes(const struct bus *bus, struct bus_message *message); /* as long as the message lives */
/* Both fill `out`, to be sent or released: 0 or MITE_ENOMEM. */
int bus_message_copy(const struct bus *bus, struct str bytes, struct bus_message *out);
int bus_message_share(const struct bus *bus, struct bus_message *message, struct bus_message *out);
/* From one place to another; `message` needs no release any more. */
void bus_message_move(const struct bus *bus, struct bus_message *message, struct bus_message *out);
void bus_message_release(const struct bus *bus, struct bus_message *message);

/* No callback comes after it. What the library holds may still go out until bus_close. NULL is a no-op. */
void socket_close(struct bus_socket *socket) PRIVATE_API(socket_close);
