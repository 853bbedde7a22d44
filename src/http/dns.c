#include "http/dns.h"

#include <arpa/inet.h>
#include <stdlib.h>

struct dns_lookup {
    uv_getaddrinfo_t request;
    void (*done)(void *arg, const struct dns_addresses *addresses); /* NULL once cancelled */
    void *arg;
    uint16_t port;
};

bool dns_literal(struct str text, uint16_t port, union dns_address *out)
{
    char copy[DNS_TEXT_SIZE];

    if (text.n >= sizeof copy) {
        return false;
    }
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, copy, &out->four.sin_addr) == 1) {
        out->four.sin_family = AF_INET;
        out->four.sin_port = htons(port);
        return true;
    }
    out->six.sin6_family = AF_INET6;
    out->six.sin6_port = htons(port);
    return inet_pton(AF_INET6, copy, &out->six.sin6_addr) == 1;
}

void dns_text(const union dns_address *address, char out[DNS_TEXT_SIZE])
{
    const void *bytes = address->any.sa_family == AF_INET ? (const void *)&address->four.sin_addr
                                                          : (const void *)&address->six.sin6_addr;

    inet_ntop(address->any.sa_family, bytes, out, DNS_TEXT_SIZE);
}

socklen_t dns_size(const union dns_address *address)
{
    return address->any.sa_family == AF_INET ? sizeof address->four : sizeof address->six;
}

unsigned dns_count(const struct dns_addresses *addresses, int family)
{
    unsigned count = 0;

    for (unsigned i = 0; i < addresses->count; i++) {
        count += addresses->at[i].any.sa_family == family;
    }
    return count;
}

const union dns_address *dns_nth(const struct dns_addresses *addresses, int family, unsigned n)
{
    unsigned count = dns_count(addresses, family);

    n = count ? n % count : 0;
    for (unsigned i = 0; i < addresses->count; i++) {
        if (addresses->at[i].any.sa_family == family && n-- == 0) {
            return &addresses->at[i];
        }
    }
    return NULL;
}

static void take(struct dns_addresses *out, const struct addrinfo *info, uint16_t port)
{
    for (; info && out->count < DNS_ADDRESSES_MAX; info = info->ai_next) {
        union dns_address *address = &out->at[out->count];
        if (info->ai_family == AF_INET) {
            memcpy(&address->four, info->ai_addr, sizeof address->four);
            address->four.sin_port = htons(port);
            out->count++;
        } else if (info->ai_family == AF_INET6) {
            memcpy(&address->six, info->ai_addr, sizeof address->six);
            address->six.sin6_port = htons(port);
            out->count++;
        }
    }
}

static void on_answer(uv_getaddrinfo_t *request, int status, struct addrinfo *info)
{
    struct dns_lookup *lookup = request->data;
    struct dns_addresses addresses = {.count = 0};

    if (status == 0) {
        take(&addresses, info, lookup->port);
    }
    uv_freeaddrinfo(info);
    if (lookup->done) {
        lookup->done(lookup->arg, addresses.count > 0 ? &addresses : NULL);
    }
    free(lookup);
}

int dns_lookup_start(struct loop *loop, const char *host, uint16_t port,
                     void (*done)(void *arg, const struct dns_addresses *addresses), void *arg, struct dns_lookup **out)
{
    static const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct dns_lookup *lookup = calloc(1, sizeof *lookup);

    if (!lookup) {
        return MITE_ENOMEM;
    }
    lookup->done = done;
    lookup->arg = arg;
    lookup->port = port;
    lookup->request.data = lookup;
    if (uv_getaddrinfo(loop_uv(loop), &lookup->request, on_answer, host, NULL, &hints) < 0) {
        free(lookup);
        return MITE_ENOMEM;
    }
    loop_touch(loop);
    *out = lookup;
    return 0;
}

void dns_lookup_cancel(struct dns_lookup *lookup)
{
    if (lookup) {
        lookup->done = NULL;
        uv_cancel((uv_req_t *)&lookup->request);
    }
}
