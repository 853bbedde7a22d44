/*
 * What the files of this folder share about a bus: its backend, and the part of a socket that all backends have. Not
 * for others.
 */
#pragma once

#include "base/map.h"
#include "bus/address.h"
#include "bus/socket.h"

/* One library. Functions get what socket.h's namesakes got, checked. */
struct backend {
    int (*start)(struct bus *bus, const struct bus_options *options, struct mite_error *error);
    void (*stop)(struct bus *bus); /* copes with a bus that start() left half-built */
    int (*open)(struct bus *bus, const struct socket_options *options, struct bus_socket **out,
                struct mite_error *error);
    int (*bind)(struct bus_socket *socket, const struct address *address, struct mite_error *error);
    int (*connect)(struct bus_socket *socket, const struct address *address, struct mite_error *error);
    int (*send)(struct bus_socket *socket, struct str peer, struct str body);
    int (*send_message)(struct bus_socket *socket, struct bus_message *message);
    void (*close)(struct bus_socket *socket);

    struct str (*message_bytes)(struct bus_message *message);
    int (*message_copy)(struct str bytes, struct bus_message *out);
    int (*message_share)(struct bus_message *message, struct bus_message *out);
    void (*message_move)(struct bus_message *message, struct bus_message *out);
    void (*message_release)(struct bus_message *message);
};

extern const struct backend zmq_backend;
extern const struct backend nng_backend; /* where the build has nng: MITE_NANOMSG */

struct bus {
    struct loop *loop; /* borrowed */
    const struct backend *backend;
    int linger_ms;
    void *context; /* the library's */
    bool has_key, has_server_key;
    struct curve_key secret, public, server; /* where there are such */
    char *allow_dir;                         /* owned; NULL: whoever has our public key may connect */
    struct zap *zap;                         /* as long as a socket needs it */
    struct map families;                     /* of names that were looked up: host -> AF_INET or AF_INET6 */
    void (*refused)(void *arg, const char *what);
    void *refused_arg;
    unsigned next_monitor; /* part of the next monitor's name */
};

/* First member of a backend's socket. */
struct bus_socket {
    struct bus *bus; /* borrowed */
    struct socket_options options;
    char address[ADDRESS_TEXT_MAX]; /* where it is bound or connects to; "" before */
    size_t peers;
    uint64_t malformed;
};
