#include "bus/internal.h"
#include "bus/zap.h"

#include <stdlib.h>

#define LINGER_MS 1000

int bus_backend_parse(const char *name, enum bus_backend *out, struct mite_error *error)
{
    if (str_equal_nocase(str_of(name), STR("zmq"))) {
        *out = BUS_ZMQ;
        return 0;
    }
    if (!str_equal_nocase(str_of(name), STR("nanomsg"))) {
        return error_set(error, MITE_EINVAL, "--message-backend=%s: ZMQ or nanomsg is expected", name);
    }
#ifdef MITE_NANOMSG
    *out = BUS_NANOMSG;
    return 0;
#else
    return error_set(error, MITE_EINVAL, "--message-backend=%s: this mite was built without nanomsg: use ZMQ", name);
#endif
}

static const struct backend *backend_of(enum bus_backend backend)
{
#ifdef MITE_NANOMSG
    return backend == BUS_NANOMSG ? &nng_backend : &zmq_backend;
#else
    return &zmq_backend;
#endif
}

static int read_keys(struct bus *bus, const struct curve_options *curve, struct mite_error *error)
{
    if (bus->backend != &zmq_backend && (curve->key_file || curve->server_key_file || curve->allow_dir)) {
        return error_set(error, MITE_EINVAL,
                         "keys (--curve-...) are ZeroMQ's, nanomsg has none: leave one of them out");
    }
    if (!curve->key_file) {
        const char *without = curve->server_key_file ? "--curve-server-key" : curve->allow_dir ? "--curve-allow" : NULL;
        return without ? error_set(error, MITE_EINVAL, "%s needs --curve-key=FILE too: our own secret key", without)
                       : 0;
    }
    int rc = curve_read(curve->key_file, true, &bus->secret, error);
    if (rc == 0) {
        rc = curve_public(&bus->secret, &bus->public, error);
        bus->has_key = rc == 0;
    }
    if (rc == 0 && curve->server_key_file) {
        rc = curve_read(curve->server_key_file, false, &bus->server, error);
        bus->has_server_key = rc == 0;
    }
    if (rc == 0 && curve->allow_dir && (rc = zap_check(curve->allow_dir, error)) == 0) {
        bus->allow_dir = str_copy(str_of(curve->allow_dir));
        rc = bus->allow_dir ? 0 : error_set(error, MITE_ENOMEM, "no memory for sockets");
    }
    return rc;
}

int bus_open(struct loop *loop, const struct bus_options *options, struct bus **out, struct mite_error *error)
{
    struct bus *bus = calloc(1, sizeof *bus);

    if (!bus) {
        return error_set(error, MITE_ENOMEM, "no memory for sockets");
    }
    bus->loop = loop;
    bus->backend = backend_of(options->backend);
    bus->linger_ms = options->linger_ms ? options->linger_ms : LINGER_MS;
    bus->refused = options->refused;
    bus->refused_arg = options->refused_arg;
    map_init(&bus->families);
    int rc = read_keys(bus, &options->curve, error);
    if (rc == 0) {
        rc = bus->backend->start(bus, options, error);
    }
    if (rc < 0) {
        bus_close(bus);
        return rc;
    }
    *out = bus;
    return 0;
}

void bus_close(struct bus *bus)
{
    if (bus) {
        bus->backend->stop(bus);
        map_done(&bus->families, NULL);
        explicit_bzero(&bus->secret, sizeof bus->secret);
        free(bus->allow_dir);
        free(bus);
    }
}

struct loop *bus_loop(const struct bus *bus)
{
    return bus->loop;
}

void bus_abandon(struct bus *bus)
{
    bus->linger_ms = 0;
}

int socket_open(struct bus *bus, const struct socket_options *options, struct bus_socket **out,
                struct mite_error *error)
{
    return bus->backend->open(bus, options, out, error);
}

int socket_bind(struct bus_socket *socket, const char *address, struct mite_error *error)
{
    struct address parsed;
    int rc = address_parse(address, true, &parsed, error);

    if (rc == 0 && (rc = parsed.local ? address_claim_path(parsed.path, error) : address_resolve(&parsed, error)) < 0) {
        error_prefix(error, "cannot listen on %s", address);
    }
    return rc == 0 ? socket->bus->backend->bind(socket, &parsed, error) : rc;
}

int socket_connect(struct bus_socket *socket, const char *address, struct mite_error *error)
{
    struct address parsed;
    int rc = address_parse(address, false, &parsed, error);

    return rc == 0 ? socket->bus->backend->connect(socket, &parsed, error) : rc;
}

const char *socket_address(const struct bus_socket *socket)
{
    return socket->address;
}

size_t socket_peers(const struct bus_socket *socket)
{
    return socket->peers;
}

uint64_t socket_malformed(const struct bus_socket *socket)
{
    return socket->malformed;
}

int socket_send(struct bus_socket *socket, struct str peer, struct str body)
{
    return socket->bus->backend->send(socket, peer, body);
}

int socket_send_message(struct bus_socket *socket, struct bus_message *message)
{
    return socket->bus->backend->send_message(socket, message);
}

void socket_close(struct bus_socket *socket)
{
    if (socket) {
        socket->bus->backend->close(socket);
    }
}

struct str bus_message_bytes(const struct bus *bus, struct bus_message *message)
{
    return bus->backend->message_bytes(message);
}

int bus_message_copy(const struct bus *bus, struct str bytes, struct bus_message *out)
{
    return bus->backend->message_copy(bytes, out);
}

int bus_message_share(const struct bus *bus, struct bus_message *message, struct bus_message *out)
{
    return bus->backend->message_share(message, out);
}

void bus_message_move(const struct bus *bus, struct bus_message *message, struct bus_message *out)
{
    bus->backend->message_move(message, out);
}

void bus_message_release(const struct bus *bus, struct bus_message *message)
{
    bus->backend->message_release(message);
}
