/*
 * Sockets over nng, whose PUSH, PULL, REQ and REP speak nanomsg's protocols.
 *
 * Design notes
 *
 * - nng's descriptors are readable as long as there is something to receive, or room to send. The one for sending is
 *   watched only while a send has found none.
 * - A service is a raw REP: the header of a request says which pipe its answer goes to. The peer's name is that header
 *   in hexadecimal, so that nothing has to be kept.
 * - Closing a socket of nng throws away what it holds. So that is left to bus_close, which gives it a moment first.
 * - A PUSH socket that is spoilt (nng_watch.c) is replaced before it is told that a peer has gone: who is told finds
 *   one that works, or for RECONNECT_MS none.
 */
#include "bus/nng_watch.h"

#include <stdio.h>
#include <stdlib.h>

#define TURN_MESSAGES  256
#define LEAVE_MS       200
#define RECONNECT_MS   100
#define PEER_PREFIX    "nng:"
#define PEER_BYTES_MAX 64

struct nng_context {
    struct nng_watch *watches; /* owned; they live as long as the bus */
    bool sent;                 /* something may still be on its way */
};

struct nng_end {
    struct bus_socket base;
    struct nng_watch *watch; /* the bus's */
    uv_poll_t receive_poll, send_poll, watch_poll;
    uv_idle_t more;
    uv_timer_t again;
    unsigned up, down; /* of the watch's, that were told */
    unsigned open_handles;
    nng_msg *pending; /* what a client asks once it is connected; owned */
    bool bound, blocked, closed;
};

/* What several sockets send: bytes with a count of who holds them, all on the loop's thread. */
struct shared {
    unsigned holders;
    size_t size;
    char bytes[];
};

struct held {
    struct shared *shared;
};

static struct nng_end *end_of(struct bus_socket *socket)
{
    return (struct nng_end *)socket;
}

static int nng_code(int failure)
{
    switch (failure) {
    case 0:
        return 0;
    case NNG_EAGAIN:
    case NNG_ETIMEDOUT:
    case NNG_ESTATE: /* a client that has asked nothing has no answer coming */
        return MITE_EAGAIN;
    case NNG_ENOMEM:
        return MITE_ENOMEM;
    default:
        return MITE_EIO;
    }
}

/* ---- messages ---- */

static struct shared *shared_of(struct bus_message *message)
{
    return ((struct held *)message)->shared;
}

static struct str message_bytes(struct bus_message *message)
{
    return (struct str){shared_of(message)->bytes, shared_of(message)->size};
}

static int message_copy(struct str bytes, struct bus_message *out)
{
    struct shared *shared = malloc(sizeof *shared + bytes.n);

    if (!shared) {
        return MITE_ENOMEM;
    }
    shared->holders = 1;
    shared->size = bytes.n;
    if (bytes.n > 0) {
        memcpy(shared->bytes, bytes.p, bytes.n);
    }
    ((struct held *)out)->shared = shared;
    return 0;
}

static int message_share(struct bus_message *message, struct bus_message *out)
{
    shared_of(message)->holders++;
    ((struct held *)out)->shared = shared_of(message);
    return 0;
}

static void message_move(struct bus_message *message, struct bus_message *out)
{
    ((struct held *)out)->shared = shared_of(message);
}

static void message_release(struct bus_message *message)
{
    struct shared *shared = shared_of(message);

    if (--shared->holders == 0) {
        free(shared);
    }
}

/* ---- peers ---- */

static void write_peer(char out[sizeof PEER_PREFIX + 2 * PEER_BYTES_MAX], nng_msg *message)
{
    const unsigned char *header = nng_msg_header(message);
    size_t size = nng_msg_header_len(message) < PEER_BYTES_MAX ? nng_msg_header_len(message) : PEER_BYTES_MAX;
    char *at = out + sprintf(out, PEER_PREFIX);

    for (size_t i = 0; i < size; i++) {
        at += sprintf(at, "%02x", header[i]);
    }
}

/* Puts the peer's header in front. False when that is no peer of ours. */
static bool read_peer(struct str peer, nng_msg *message)
{
    size_t prefix = sizeof PEER_PREFIX - 1;

    if (peer.n < prefix || memcmp(peer.p, PEER_PREFIX, prefix) != 0 || peer.n % 2 != prefix % 2) {
        return false;
    }
    for (size_t i = prefix; i < peer.n; i += 2) {
        int high = str_hex_digit(peer.p[i]), low = str_hex_digit(peer.p[i + 1]);
        unsigned char byte = (unsigned char)(high << 4 | low);
        if (high < 0 || low < 0 || nng_msg_header_append(message, &byte, 1) != 0) {
            return false;
        }
    }
    return true;
}

/* ---- receiving ---- */

static void deliver(struct nng_end *end, nng_msg *message)
{
    const struct socket_options *options = &end->base.options;
    struct str body = {nng_msg_body(message), nng_msg_len(message)};
    char peer[sizeof PEER_PREFIX + 2 * PEER_BYTES_MAX];

    if (options->received_message) {
        struct bus_message held;
        if (message_copy(body, &held) == 0) {
            options->received_message(options->arg, &held);
            message_release(&held);
        }
    } else if (options->kind == SOCKET_SERVICE) {
        write_peer(peer, message);
        options->received(options->arg, str_of(peer), body);
    } else {
        options->received(options->arg, STR_NONE, body);
    }
}

static void on_more(uv_idle_t *idle);

static void look_again(struct nng_end *end, bool more)
{
    if (more) {
        uv_idle_start(&end->more, on_more);
        loop_touch(end->base.bus->loop);
    } else {
        uv_idle_stop(&end->more);
    }
}

static void drain(struct nng_end *end)
{
    unsigned budget = TURN_MESSAGES;
    nng_msg *message;

    while (budget > 0 && !end->closed && nng_recvmsg(end->watch->nng, &message, NNG_FLAG_NONBLOCK) == 0) {
        deliver(end, message);
        nng_msg_free(message);
        budget--;
    }
    if (!end->closed) {
        look_again(end, budget == 0);
    }
}

static void on_more(uv_idle_t *idle)
{
    drain(idle->data);
}

static void on_receivable(uv_poll_t *poll, int status, int events)
{
    drain(poll->data);
}

/* ---- sending ---- */

static void forget_pending(struct nng_end *end)
{
    if (end->pending) {
        nng_msg_free(end->pending);
        end->pending = NULL;
    }
}

/* Takes the message on success only. */
static int send_now(struct nng_end *end, nng_msg *message)
{
    int rc = nng_code(nng_watch_send(end->watch, message));

    if (rc == 0) {
        ((struct nng_context *)end->base.bus->context)->sent = true;
    }
    return rc;
}

static void on_sendable(uv_poll_t *poll, int status, int events)
{
    struct nng_end *end = poll->data;

    if (end->pending) {
        if (send_now(end, end->pending) != 0) {
            return;
        }
        end->pending = NULL;
    }
    uv_poll_stop(poll);
    end->blocked = false;
    if (end->base.options.writable) {
        end->base.options.writable(end->base.options.arg);
    }
}

static void wait_for_room(struct nng_end *end)
{
    end->blocked = true;
    if (end->watch->open) {
        uv_poll_start(&end->send_poll, UV_READABLE, on_sendable);
        loop_touch(end->base.bus->loop);
    }
}

static int end_send(struct bus_socket *socket, struct str peer, struct str body)
{
    struct nng_end *end = end_of(socket);
    nng_msg *message;

    if (!end->watch->open || (socket->options.kind == SOCKET_PUSH && end->bound && socket->peers == 0)) {
        end->blocked = true; /* nng would take it, and throw it away when nobody comes */
        return MITE_EAGAIN;
    }
    if (nng_msg_alloc(&message, body.n) != 0) {
        return MITE_ENOMEM;
    }
    if (body.n > 0) {
        memcpy(nng_msg_body(message), body.p, body.n);
    }
    if (socket->options.kind == SOCKET_SERVICE && !read_peer(peer, message)) {
        nng_msg_free(message);
        return MITE_ENOTFOUND;
    }
    int rc = send_now(end, message);
    if (rc == 0) {
        return 0;
    }
    if (rc == MITE_EAGAIN) {
        wait_for_room(end);
        if (socket->options.kind == SOCKET_CLIENT) {
            forget_pending(end);
            end->pending = message;
            return 0;
        }
    }
    nng_msg_free(message);
    return rc;
}

static int end_send_message(struct bus_socket *socket, struct bus_message *message)
{
    int rc = end_send(socket, STR_NONE, message_bytes(message));

    if (rc == 0) {
        message_release(message);
    }
    return rc;
}

/* ---- opening again ---- */

static int attach(struct nng_end *end)
{
    nng_socket nng = end->watch->nng;

    return end->bound ? nng_listen(nng, end->base.address, NULL, 0)
                      : nng_dial(nng, end->base.address, NULL, NNG_FLAG_NONBLOCK);
}

static void on_again(uv_timer_t *timer);

static void open_later(struct nng_end *end)
{
    uv_timer_start(&end->again, on_again, RECONNECT_MS, 0);
    loop_touch(end->base.bus->loop);
}

/* Goes on until it can be done. */
static void open_again(struct nng_end *end)
{
    if (nng_watch_open(end->watch) != 0 || attach(end) != 0) {
        nng_watch_close(end->watch);
        open_later(end);
    } else if (end->blocked) {
        wait_for_room(end);
    }
}

static void on_again(uv_timer_t *timer)
{
    open_again(timer->data);
}

/* Who connects gives its peer the time that a reconnect takes. */
static void replace(struct nng_end *end)
{
    uv_poll_stop(&end->send_poll);
    nng_watch_close(end->watch);
    if (end->bound) {
        open_again(end);
    } else {
        open_later(end);
    }
}

/* ---- connections ---- */

static void tell(struct nng_end *end, bool up)
{
    const struct socket_options *options = &end->base.options;

    end->base.peers += up ? 1 : (size_t)-1;
    if (up && end->blocked) {
        wait_for_room(end);
    }
    if (options->connection) {
        options->connection(options->arg, up, end->base.address);
    }
}

static void on_watch(uv_poll_t *poll, int status, int events)
{
    struct nng_end *end = poll->data;
    unsigned up, down;

    while (nng_watch_look(end->watch, &up, &down)) {
        replace(end);
    }
    while (!end->closed && (end->up != up || end->down != down)) {
        bool next_is_up = end->up != up;
        *(next_is_up ? &end->up : &end->down) += 1;
        tell(end, next_is_up);
    }
}

/* ---- addresses ---- */

static int failed(const char *what, const char *address, int failure, struct mite_error *error)
{
    if (failure == NNG_EADDRINUSE) {
        return error_set(
            error, MITE_EIO,
            "cannot listen on %s: the address is in use: end the process that has it, or name another port", address);
    }
    if (failure == NNG_EADDRINVAL) {
        return error_set(error, MITE_EIO, "cannot listen on %s: this machine has no such address or interface",
                         address);
    }
    return error_set(error, MITE_EIO, "cannot %s %s: %s", what, address, nng_strerror(failure));
}

static int end_bind(struct bus_socket *socket, const struct address *address, struct mite_error *error)
{
    struct address bound = *address;
    char text[ADDRESS_TEXT_MAX];
    nng_listener listener;
    int port;

    if (!bound.local && strcmp(bound.port, "*") == 0) {
        strcpy(bound.port, "0");
    }
    address_text(&bound, text);
    int failure = nng_listen(end_of(socket)->watch->nng, text, &listener, 0);
    if (failure) {
        return failed("listen on", text, failure, error);
    }
    if (!bound.local && nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port) == 0) {
        snprintf(bound.port, sizeof bound.port, "%u", (unsigned)port & 0xffff);
    }
    address_text(&bound, socket->address);
    end_of(socket)->bound = true;
    return 0;
}

static int end_connect(struct bus_socket *socket, const struct address *address, struct mite_error *error)
{
    address_text(address, socket->address);
    int failure = nng_dial(end_of(socket)->watch->nng, socket->address, NULL, NNG_FLAG_NONBLOCK);
    return failure ? failed("connect to", socket->address, failure, error) : 0;
}

/* ---- life ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct nng_end *end = handle->data;

    if (--end->open_handles == 0) {
        free(end);
    }
}

static void close_poll(uv_poll_t *poll)
{
    if (poll->data) {
        uv_close((uv_handle_t *)poll, on_handle_closed);
    }
}

static void end_close(struct bus_socket *socket)
{
    struct nng_end *end = end_of(socket);

    end->closed = true;
    forget_pending(end);
    close_poll(&end->receive_poll);
    close_poll(&end->send_poll);
    close_poll(&end->watch_poll);
    uv_close((uv_handle_t *)&end->more, on_handle_closed);
    uv_close((uv_handle_t *)&end->again, on_handle_closed);
    loop_touch(socket->bus->loop);
    if (socket->options.kind == SOCKET_PULL || socket->bus->linger_ms == 0) {
        nng_watch_close(end->watch);
    }
}

/* The descriptor for sending is only prepared. */
static int watch_descriptor(struct nng_end *end, uv_poll_t *poll, int fd, uv_poll_cb on_readable,
                            struct mite_error *error)
{
    int rc = uv_poll_init(loop_uv(end->base.bus->loop), poll, fd);

    if (rc < 0) {
        return error_errno(error, -rc, "cannot watch a socket");
    }
    poll->data = end;
    end->open_handles++;
    if (on_readable) {
        uv_poll_start(poll, UV_READABLE, on_readable);
    }
    return 0;
}

static int watch_descriptors(struct nng_end *end, struct mite_error *error)
{
    enum socket_kind kind = end->base.options.kind;
    int fd, rc = watch_descriptor(end, &end->watch_poll, end->watch->fd, on_watch, error);

    if (rc == 0 && kind != SOCKET_PUSH && nng_socket_get_int(end->watch->nng, NNG_OPT_RECVFD, &fd) == 0) {
        rc = watch_descriptor(end, &end->receive_poll, fd, on_receivable, error);
    }
    if (rc == 0 && kind != SOCKET_PULL) {
        rc = watch_descriptor(end, &end->send_poll, end->watch->send_fd, NULL, error);
    }
    loop_touch(end->base.bus->loop);
    return rc;
}

static struct nng_end *end_new(struct bus *bus, const struct socket_options *options, struct nng_watch *watch)
{
    struct nng_end *end = calloc(1, sizeof *end);

    if (end) {
        end->base = (struct bus_socket){.bus = bus, .options = *options};
        end->base.options.routing_id = NULL;
        end->watch = watch;
        uv_idle_init(loop_uv(bus->loop), &end->more);
        end->more.data = end;
        uv_timer_init(loop_uv(bus->loop), &end->again);
        end->again.data = end;
        end->open_handles = 2;
    }
    return end;
}

static int end_open(struct bus *bus, const struct socket_options *options, struct bus_socket **out,
                    struct mite_error *error)
{
    struct nng_context *context = bus->context;
    struct nng_watch *watch;
    int rc = nng_watch_new(options, &watch, error);

    if (rc < 0) {
        return rc;
    }
    watch->next = context->watches;
    context->watches = watch;
    struct nng_end *end = end_new(bus, options, watch);
    if (!end) {
        return error_set(error, MITE_ENOMEM, "no memory for a socket");
    }
    rc = watch_descriptors(end, error);
    if (rc < 0) {
        end_close(&end->base);
        return rc;
    }
    *out = &end->base;
    return 0;
}

static int start(struct bus *bus, const struct bus_options *options, struct mite_error *error)
{
    bus->context = calloc(1, sizeof(struct nng_context));
    return bus->context ? 0 : error_set(error, MITE_ENOMEM, "no memory for sockets");
}

static void stop(struct bus *bus)
{
    struct nng_context *context = bus->context;

    if (!context) {
        return;
    }
    if (context->sent && bus->linger_ms > 0) {
        uv_sleep(bus->linger_ms < LEAVE_MS ? (unsigned)bus->linger_ms : LEAVE_MS);
    }
    while (context->watches) {
        struct nng_watch *watch = context->watches;
        context->watches = watch->next;
        nng_watch_free(watch);
    }
    free(context);
}

const struct backend nng_backend = {
    .start = start,
    .stop = stop,
    .open = end_open,
    .bind = end_bind,
    .connect = end_connect,
    .send = end_send,
    .send_message = end_send_message,
    .close = end_close,
    .message_bytes = message_bytes,
    .message_copy = message_copy,
    .message_share = message_share,
    .message_move = message_move,
    .message_release = message_release,
};
