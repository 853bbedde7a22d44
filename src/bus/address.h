/*
 * Addresses of sockets, taken apart: tcp://HOST:PORT and ipc://PATH.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define ADDRESS_HOST_MAX 256
#define ADDRESS_PATH_MAX 108 /* of a local socket, its zero included */
#define ADDRESS_TEXT_MAX (ADDRESS_HOST_MAX + 32)

enum address_host {
    ADDRESS_NAME,
    ADDRESS_IPV4,
    ADDRESS_IPV6,
    ADDRESS_ANY, /* `*` */
};

struct address {
    bool local; /* ipc:// */
    enum address_host kind;
    char host[ADDRESS_HOST_MAX]; /* without brackets */
    char port[8];                /* digits, or "*" */
    char path[ADDRESS_PATH_MAX];
};

/* What bus_address_check() checks. */
int address_parse(const char *text, bool binds, struct address *out, struct mite_error *error);

/* The address to bind to: a name becomes the address in digits that it has now; names of interfaces stay. */
int address_resolve(struct address *address, struct mite_error *error);

/* Whether the name has addresses, but none of IPv4. *known tells whether it has any; the lookup may take its time. */
bool address_is_ipv6_only(const char *host, bool *known);

/* Makes sure that binding to the path takes nothing away from anybody: MITE_EIO when a process listens there or when it
 * is no socket. */
int address_claim_path(const char *path, struct mite_error *error);

void address_text(const struct address *address, char out[ADDRESS_TEXT_MAX]);
