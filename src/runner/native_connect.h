/*
 * How a socket of a journey gets its descriptor: the address taken apart, the name looked up, each of its addresses
 * tried.
 */
#pragma once

#include "runner/native_socket.h"

struct native_address {
    enum { ADDRESS_TCP, ADDRESS_TLS, ADDRESS_UDP } kind;
    char host[256], port[8];
};

/* "tcp://HOST:PORT" and the like. False when it is none. */
bool native_address_parse(const char *text, struct native_address *out);

/* Waits until socket->fd is connected. 0, or SOCKET_FAILED with the failure set. */
int64_t native_connect(struct mite_socket *socket, const struct native_address *address);

/* Nobody waits for its name any more. */
void native_lookup_forget(struct mite_socket *socket);
