#include "bus/zmq_socket.h"

#include "base/clock.h"
#include "bus/zap.h"

#include <arpa/inet.h>
#include <errno.h>

/* Part of the library, though its header shows it only to those who ask for what is in draft. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

#define HIGH_WATER 1000
#define RETRY_NS   NS_PER_S

static int set_number(struct zmq_end *end, int option, int value)
{
    return zmq_setsockopt(end->zmq, option, &value, sizeof value);
}

/* PUSH and PULL have none: a receiver that is only slow does not read its peer's sign of life, and would be cut off. */
static int set_heartbeat(struct zmq_end *end)
{
    return set_number(end, ZMQ_HEARTBEAT_IVL, 2000) | set_number(end, ZMQ_HEARTBEAT_TIMEOUT, 6000);
}

static int set_kind(struct zmq_end *end)
{
    const char *routing_id = end->base.options.routing_id;

    switch (end->base.options.kind) {
    case SOCKET_CLIENT:
        return set_heartbeat(end) |
               (routing_id ? zmq_setsockopt(end->zmq, ZMQ_ROUTING_ID, routing_id, strlen(routing_id)) : 0);
    case SOCKET_SERVICE:
        return set_heartbeat(end) | set_number(end, ZMQ_ROUTER_HANDOVER, 1) | set_number(end, ZMQ_ROUTER_MANDATORY, 1);
    case SOCKET_PUSH:
    case SOCKET_PULL:
        break;
    }
    return 0;
}

int zmq_set_options(struct zmq_end *end, struct mite_error *error)
{
    const struct socket_options *options = &end->base.options;
    int high_water = options->high_water ? options->high_water : HIGH_WATER;
    int64_t max_size = options->max_message_size ? options->max_message_size : BUS_MESSAGE_MAX;
    int rc = set_number(end, ZMQ_LINGER, end->base.bus->linger_ms) | set_number(end, ZMQ_SNDHWM, high_water) |
             set_number(end, ZMQ_RCVHWM, high_water) | set_number(end, ZMQ_BACKLOG, 1024) |
             set_number(end, ZMQ_RECONNECT_IVL, 100) | set_number(end, ZMQ_RECONNECT_IVL_MAX, 2000) |
             set_number(end, ZMQ_CONNECT_TIMEOUT, 5000) | set_number(end, ZMQ_TCP_KEEPALIVE, 1) |
             set_number(end, ZMQ_TCP_KEEPALIVE_IDLE, 15) | set_number(end, ZMQ_TCP_KEEPALIVE_INTVL, 5) |
             set_number(end, ZMQ_TCP_KEEPALIVE_CNT, 3) |
             zmq_setsockopt(end->zmq, ZMQ_MAXMSGSIZE, &max_size, sizeof max_size) | set_kind(end);

    return rc == 0 ? 0 : error_set(error, MITE_EIO, "cannot set up a socket: %s", zmq_strerror(zmq_errno()));
}

/* ---- keys ---- */

static int set_key(struct zmq_end *end, int option, const struct curve_key *key)
{
    return zmq_setsockopt(end->zmq, option, key->text, strlen(key->text));
}

static int cannot_set_keys(struct mite_error *error)
{
    return error_set(error, MITE_EIO, "cannot set the keys of a socket: %s", zmq_strerror(zmq_errno()));
}

/* Without a handler, and the domain enforced, the library would let in whoever knows our public key. */
static int set_server_keys(struct zmq_end *end, struct mite_error *error)
{
    struct bus *bus = end->base.bus;

    if (!bus->has_key) {
        return 0;
    }
    if (bus->allow_dir && !end->uses_zap) {
        int rc = zap_use(bus, error);
        if (rc < 0) {
            return rc;
        }
        end->uses_zap = true;
        if (zmq_setsockopt(end->zmq, ZMQ_ZAP_DOMAIN, ZAP_DOMAIN, strlen(ZAP_DOMAIN)) |
            set_number(end, ZMQ_ZAP_ENFORCE_DOMAIN, 1)) {
            return cannot_set_keys(error);
        }
    }
    return set_number(end, ZMQ_CURVE_SERVER, 1) | set_key(end, ZMQ_CURVE_SECRETKEY, &bus->secret)
               ? cannot_set_keys(error)
               : 0;
}

static int set_client_keys(struct zmq_end *end, struct mite_error *error)
{
    struct bus *bus = end->base.bus;

    if (!bus->has_key) {
        return 0;
    }
    if (!bus->has_server_key) {
        return error_set(
            error, MITE_EINVAL,
            "cannot connect to %s: --curve-server-key=FILE is missing, the public key of whom we connect to",
            end->base.address);
    }
    return set_key(end, ZMQ_CURVE_SERVERKEY, &bus->server) | set_key(end, ZMQ_CURVE_PUBLICKEY, &bus->public) |
                   set_key(end, ZMQ_CURVE_SECRETKEY, &bus->secret)
               ? cannot_set_keys(error)
               : 0;
}

/* ---- bind ---- */

static int cannot_listen(const char *address, int failed, struct mite_error *error)
{
    switch (failed) {
    case EADDRINUSE:
        return error_set(
            error, MITE_EIO,
            "cannot listen on %s: the address is in use: end the process that has it, or name another port", address);
    case ENODEV:
    case EADDRNOTAVAIL:
        return error_set(error, MITE_EIO, "cannot listen on %s: this machine has no such address or interface",
                         address);
    default:
        return error_set(error, MITE_EIO, "cannot listen on %s: %s", address, zmq_strerror(failed));
    }
}

int zmq_end_bind(struct bus_socket *socket, const struct address *address, struct mite_error *error)
{
    struct zmq_end *end = (struct zmq_end *)socket;
    char text[ADDRESS_TEXT_MAX];
    size_t size = sizeof socket->address;

    address_text(address, text);
    set_number(end, ZMQ_IPV6, !address->local && (address->kind == ADDRESS_IPV6 || address->kind == ADDRESS_ANY));
    int rc = set_server_keys(end, error);
    if (rc < 0) {
        return rc;
    }
    if (zmq_bind(end->zmq, text) != 0) {
        return cannot_listen(text, zmq_errno(), error);
    }
    if (zmq_getsockopt(end->zmq, ZMQ_LAST_ENDPOINT, socket->address, &size) != 0) {
        snprintf(socket->address, sizeof socket->address, "%s", text);
    }
    zmq_look_again(end, true);
    return 0;
}

/* ---- connect ---- */

/* The library takes one family for a name: IPv4, where the name has it. Found out once, since a lookup may block. */
static bool wants_ipv6(struct bus *bus, const struct address *address)
{
    bool known, six;

    if (address->local || address->kind != ADDRESS_NAME) {
        return address->kind == ADDRESS_IPV6;
    }
    intptr_t family = (intptr_t)map_get(&bus->families, str_of(address->host));
    if (family) {
        return family == AF_INET6;
    }
    six = address_is_ipv6_only(address->host, &known);
    if (known) {
        map_set(&bus->families, str_of(address->host), (void *)(intptr_t)(six ? AF_INET6 : AF_INET), NULL);
    }
    return six;
}

int zmq_end_connect(struct bus_socket *socket, const struct address *address, struct mite_error *error)
{
    struct zmq_end *end = (struct zmq_end *)socket;

    address_text(address, socket->address);
    end->connects = true;
    set_number(end, ZMQ_IPV6, wants_ipv6(socket->bus, address));
    int rc = set_client_keys(end, error);
    if (rc < 0) {
        return rc;
    }
    if (zmq_connect(end->zmq, socket->address) != 0) {
        return error_set(error, MITE_EIO, "cannot connect to %s: %s", socket->address, zmq_strerror(zmq_errno()));
    }
    zmq_look_again(end, true);
    return 0;
}

void zmq_retry_later(struct zmq_end *end)
{
    if (!uv_is_active((uv_handle_t *)&end->retry.handle)) {
        timer_start(&end->retry, RETRY_NS, 0);
    }
}

void zmq_on_retry(struct timer *timer)
{
    struct zmq_end *end = (struct zmq_end *)((char *)timer - offsetof(struct zmq_end, retry));

    zmq_disconnect(end->zmq, end->base.address);
    zmq_connect(end->zmq, end->base.address);
}
