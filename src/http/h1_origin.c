#include "http/h1.h"

#include "base/clock.h"

#include <stdlib.h>

#define ORIGINS_MAX 1024 /* beyond, those that nobody uses are forgotten */

/* ---- which one ---- */

static bool same_text(const char *mine, struct str theirs)
{
    return mine ? theirs.p && str_is(theirs, mine) : !theirs.p;
}

static bool matches(const struct h1_origin *origin, const struct http_hop *hop)
{
    const struct url *url = hop->parts;

    return origin->port == url->port && origin->tls == url->tls && origin->verify == hop->verify &&
           str_is(url->host, origin->host) && same_text(origin->cert_file, hop->cert_file) &&
           same_text(origin->key_file, hop->key_file);
}

static void add_file(struct buf *key, struct str path)
{
    buf_char(key, path.p ? '\0' : ' ');
    if (path.p) {
        buf_str(key, path);
    }
}

static void add_key(struct buf *key, const struct http_hop *hop)
{
    const struct url *url = hop->parts;

    buf_printf(key, "%c%c%u ", url->tls ? 's' : 'p', hop->verify ? 'v' : 'n', url->port);
    buf_str(key, url->host);
    add_file(key, hop->cert_file);
    add_file(key, hop->key_file);
}

/* ---- life ---- */

void h1_origin_free(struct h1_origin *origin)
{
    if (!origin) {
        return;
    }
    dns_lookup_cancel(origin->lookup);
    SSL_SESSION_free(origin->session);
    h1_template_free(origin->templates);
    free(origin->host);
    free(origin->cert_file);
    free(origin->key_file);
    free(origin);
}

static void add_given_addresses(struct h1_origin *origin)
{
    const struct h1_transport *transport = origin->transport;
    struct dns_addresses *addresses = &origin->addresses;
    struct str host = str_of(origin->host);

    for (size_t i = 0; i < transport->given_count && addresses->count < DNS_ADDRESSES_MAX; i++) {
        const struct h1_given *given = &transport->given[i];
        if (given->port == origin->port && str_equal_nocase(str_of(given->host), host)) {
            addresses->at[addresses->count++] = given->address;
        }
    }
    if (addresses->count == 0) {
        addresses->count = dns_literal(host, origin->port, &addresses->at[0]);
    }
    origin->fixed = addresses->count > 0;
}

static struct h1_origin *origin_new(struct h1_transport *transport, const struct http_hop *hop)
{
    struct h1_origin *origin = calloc(1, sizeof *origin);

    if (!origin) {
        return NULL;
    }
    origin->transport = transport;
    origin->port = hop->parts->port;
    origin->tls = hop->parts->tls;
    origin->verify = hop->verify;
    origin->host = str_copy(hop->parts->host);
    origin->cert_file = hop->cert_file.p ? str_copy(hop->cert_file) : NULL;
    origin->key_file = hop->key_file.p ? str_copy(hop->key_file) : NULL;
    if (!origin->host || (hop->cert_file.p && !origin->cert_file) || (hop->key_file.p && !origin->key_file)) {
        h1_origin_free(origin);
        return NULL;
    }
    add_given_addresses(origin);
    return origin;
}

static void forget_unused(struct h1_transport *transport)
{
    struct map_entry *entry;

    for (uint32_t i = 0; (entry = map_next(&transport->origins, &i));) {
        struct h1_origin *origin = entry->value;
        if (origin->users == 0 && !origin->lookup) {
            map_remove(&transport->origins, entry->key);
            h1_origin_free(origin);
        }
    }
    transport->last = NULL;
}

static struct h1_origin *find_or_add(struct h1_transport *transport, const struct http_hop *hop, struct str key)
{
    struct h1_origin *origin = map_get(&transport->origins, key);

    if (origin) {
        return origin;
    }
    if (transport->origins.live_count >= ORIGINS_MAX) {
        forget_unused(transport);
    }
    origin = origin_new(transport, hop);
    if (origin && map_set(&transport->origins, key, origin, NULL) < 0) {
        h1_origin_free(origin);
        origin = NULL;
    }
    return origin;
}

struct h1_origin *h1_origin_get(struct h1_transport *transport, const struct http_hop *hop)
{
    struct buf key;

    if (transport->last && matches(transport->last, hop)) {
        return transport->last;
    }
    buf_init(&key, 0);
    add_key(&key, hop);
    struct h1_origin *origin = key.failed ? NULL : find_or_add(transport, hop, buf_view(&key));
    buf_done(&key);
    transport->last = origin;
    return origin;
}

/* ---- idle connections ---- */

void h1_origin_keep(struct h1_conn *conn)
{
    struct h1_origin *origin = conn->origin;

    if (conn->transport->idle_count >= conn->transport->idle_max) {
        h1_conn_close(conn);
        return;
    }
    conn->transport->idle_count++;
    conn->transfer = NULL;
    conn->previous = NULL;
    conn->next = origin->idle;
    if (conn->next) {
        conn->next->previous = conn;
    }
    origin->idle = conn;
}

void h1_origin_remove(struct h1_conn *conn)
{
    if (conn->next) {
        conn->next->previous = conn->previous;
    }
    *(conn->previous ? &conn->previous->next : &conn->origin->idle) = conn->next;
    conn->next = conn->previous = NULL;
    conn->transport->idle_count--;
}

struct h1_conn *h1_origin_take(struct h1_origin *origin)
{
    struct h1_conn *conn = origin->idle;

    if (conn) {
        h1_origin_remove(conn);
    }
    return conn;
}
