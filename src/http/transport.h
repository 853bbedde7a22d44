/*
 * What carries one request (no redirects, no cookie logic: those are exchange.c's) to a server and brings one response
 * back. Two transports do that: our own HTTP/1.1 (h1.h) and libcurl's multi interface (curl.h); route.h chooses for
 * each request. The conformance tests run over both.
 */
#pragma once

#include "http/client.h"
#include "http/url.h"

struct http_transport;
struct http_transfer; /* the transport's own; embedded or pooled there */

/* One hop, ready to go: URL checked, the cookie header rendered. Borrowed until the transfer's end. Every text that is
 * there has a zero behind it. */
struct http_hop {
    struct str method, url;
    struct str header_lines; /* the caller's headers, "Name: value\r\n" each; empty without */
    struct str cookie;       /* value of the Cookie header, none without */
    struct str body;
    struct str user, password, cert_file, key_file;
    const struct url *parts; /* of `url` */
    uint64_t start_ns;       /* when it was asked for: its clock starts there */
    uint64_t timeout_ns;     /* what is left of the exchange's */
    uint64_t whole_timeout_ns, connect_timeout_ns, max_body_bytes;
    bool verify;
    void *arg;
};

/* Connections opened and bytes received (headers and bodies) so far. */
struct http_traffic {
    uint64_t connections, received_bytes;
};

struct http_transport_ops {
    /* On failure a code, the sentence and no `finished`. */
    int (*start)(struct http_transport *transport, const struct http_hop *hop, struct http_transfer **out,
                 struct mite_error *error);
    /* Ends it without `finished`. */
    void (*cancel)(struct http_transport *transport, struct http_transfer *transfer);
    /* After the last transfer; also from inside `finished`. Its memory goes when the loop has turned. */
    void (*free)(struct http_transport *transport);
};

/* The one end of every transfer, from the loop. The reference to the response (all but redirect_url and previous filled
 * in) is given; NULL when `failure` is not HTTP_OK. */
typedef void (*http_finished_fn)(void *hop_arg, struct http_response *response, enum http_failure failure,
                                 int curl_code, const struct mite_error *error);

struct http_transport {
    const struct http_transport_ops *ops;
    struct http_traffic traffic;
    http_finished_fn finished; /* set before the first start */
};
