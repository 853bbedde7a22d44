/*
 * What carries one request (no redirects, no cookie logic: those are client.c's) to a server and brings one response back.
 * libcurl's multi interface is the first transport; a second one fills the same table. The conformance tests of
 * tests/program run over every transport.
 */
#pragma once

#include "http/client.h"

struct http_transport;
struct http_transfer; /* the transport's own; embedded or pooled there */

/* One hop, ready to go: URL checked, the cookie header rendered. Borrowed until the transfer's end. */
struct http_hop {
    struct str method, url;
    const struct http_header *headers;
    size_t header_count;
    struct str cookie; /* value of the Cookie header, none without */
    struct str body;
    struct str user, password, cert_file, key_file;
    uint64_t timeout_ns, connect_timeout_ns, max_body_bytes;
    bool verify;
    void *arg;
};

struct http_transport_ops {
    const char *name;
    int (*start)(struct http_transport *transport, const struct http_hop *hop, struct http_transfer **out,
                 struct mite_error *error);
    void (*cancel)(struct http_transfer *transfer);
    void (*free)(struct http_transport *transport);
};

struct http_transport {
    const struct http_transport_ops *ops;
    /* Set by the client before the first start: the one end of every transfer. The response (status, header block,
     * headers, body, timings, bytes, address filled in) is taken; NULL when `failure` is not HTTP_OK. */
    void (*finished)(void *hop_arg, struct http_response *response, enum http_failure failure, int curl_code,
                     const struct mite_error *error);
};
