/*
 * Names to addresses. Each lookup has a thread of its own, which it leaves behind when it is cancelled: a resolver that
 * does not answer holds up nobody who does not want its answer any more, least of all the end of the program. The
 * answer comes on the loop.
 */
#pragma once

#include "base/str.h"
#include "engine/loop.h"

#include <netinet/in.h>

#define DNS_ADDRESSES_MAX 32
#define DNS_TEXT_SIZE     46 /* of an address as text, its zero included */

union dns_address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

/* In the order in which the system would try them. */
struct dns_addresses {
    unsigned count;
    union dns_address at[DNS_ADDRESSES_MAX];
};

/* An address written in digits. False when it is a name. */
bool dns_literal(struct str text, uint16_t port, union dns_address *out);
void dns_text(const union dns_address *address, char out[DNS_TEXT_SIZE]);
socklen_t dns_size(const union dns_address *address);

/* How many of that family, and the n-th of them, counted round and round. */
unsigned dns_count(const struct dns_addresses *addresses, int family);
const union dns_address *dns_nth(const struct dns_addresses *addresses, int family, unsigned n);

struct dns_lookup;

/* `addresses` is borrowed for the call, NULL when there is none. 0 or MITE_ENOMEM: no memory, or no thread. */
int dns_lookup_start(struct loop *loop, const char *host, uint16_t port,
                     void (*done)(void *arg, const struct dns_addresses *addresses), void *arg,
                     struct dns_lookup **out);

/* `done` will not be called. NULL is a no-op. */
void dns_lookup_cancel(struct dns_lookup *lookup);
