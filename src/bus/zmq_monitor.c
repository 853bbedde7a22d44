/*
 * Design notes
 *
 * A connection is up once its handshake succeeded. DISCONNECTED comes for those whose handshake failed too, and does
 * not say so: each failed handshake takes one such event away.
 */
#include "bus/zmq_socket.h"

#include <stdio.h>

#define EVENTS                                                                                                         \
    (ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |                   \
     ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)

struct monitor_event {
    uint16_t kind;
    uint32_t value;
    char address[ADDRESS_TEXT_MAX];
};

int zmq_monitor_open(struct zmq_end *end, struct mite_error *error)
{
    struct bus *bus = end->base.bus;
    int zero = 0;
    char name[32];

    snprintf(name, sizeof name, "inproc://monitor-%u", bus->next_monitor++);
    if (zmq_socket_monitor(end->zmq, name, EVENTS) == 0) {
        end->monitor = zmq_socket(bus->context, ZMQ_PAIR);
    }
    if (!end->monitor || zmq_setsockopt(end->monitor, ZMQ_LINGER, &zero, sizeof zero) != 0 ||
        zmq_connect(end->monitor, name) != 0) {
        return error_set(error, MITE_EIO, "cannot watch the connections of a socket: %s", zmq_strerror(zmq_errno()));
    }
    return 0;
}

/* Two frames: number and value, then the address. */
static bool read_event(struct zmq_end *end, struct monitor_event *out)
{
    unsigned char head[6];
    int n = zmq_recv(end->monitor, head, sizeof head, ZMQ_DONTWAIT);

    if (n != (int)sizeof head) {
        return false;
    }
    memcpy(&out->kind, head, sizeof out->kind);
    memcpy(&out->value, head + 2, sizeof out->value);
    n = zmq_recv(end->monitor, out->address, sizeof out->address - 1, ZMQ_DONTWAIT);
    size_t length = n < 0 ? 0 : (size_t)n < sizeof out->address ? (size_t)n : sizeof out->address - 1;
    out->address[length] = '\0';
    return true;
}

static void connection(struct zmq_end *end, bool up, const char *address)
{
    const struct socket_options *options = &end->base.options;

    end->base.peers += up ? 1 : (size_t)-1;
    if (options->connection) {
        options->connection(options->arg, up, address);
    }
}

/* Half a sentence; NULL: no reason that is worth telling. */
static const char *reason(const struct zmq_end *end, const struct monitor_event *event)
{
    if (event->kind == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
        return end->connects ? "our key is not among those that it allows" : "the key of a client is not allowed";
    }
    if (event->kind == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL) {
        /* Somebody connected and went, or the link broke; or a server could not read what we encrypted for it. */
        return end->connects && end->base.bus->has_key ? "it broke off the handshake: is --curve-server-key its key?"
                                                       : NULL;
    }
    switch (event->value) {
    case ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
        return "one side uses CURVE keys and the other does not";
    case ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC:
    case ZMQ_PROTOCOL_ERROR_ZMTP_KEY_EXCHANGE:
        return "the keys of the two sides do not belong together";
    default:
        return "what came is not ZeroMQ's protocol";
    }
}

static void tell(const struct zmq_end *end, const char *address, const char *why)
{
    const struct socket_options *options = &end->base.options;
    const struct bus *bus = end->base.bus;
    char what[2 * ADDRESS_TEXT_MAX];

    snprintf(what, sizeof what, "%s: %s", address, why);
    if (options->refused) {
        options->refused(options->arg, what);
    } else if (bus->refused) {
        bus->refused(bus->refused_arg, what);
    }
}

/* The library gives up on a peer whose handshake broke the protocol; but keys and allow-lists change. */
static void handshake_failed(struct zmq_end *end, const struct monitor_event *event)
{
    const char *why = reason(end, event);

    end->failed++;
    if (why) {
        tell(end, event->address, why);
    }
    if (!end->closed && end->connects && event->kind != ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL) {
        zmq_retry_later(end);
    }
}

void zmq_monitor_drain(struct zmq_end *end)
{
    struct monitor_event event;

    while (!end->closed && read_event(end, &event)) {
        if (event.kind == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            connection(end, true, event.address);
        } else if (event.kind != ZMQ_EVENT_DISCONNECTED) {
            handshake_failed(end, &event);
        } else if (end->failed > 0) {
            end->failed--;
        } else if (end->base.peers > 0) {
            connection(end, false, event.address);
        }
    }
}
