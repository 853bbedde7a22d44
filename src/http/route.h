/*
 * Which transport carries a request. Our own one (h1.h) where it serves; libcurl takes
 * - https when HTTP/2 was asked for (--http-version=2), and every origin that chose HTTP/2 when it was offered,
 * - requests that the environment sends through a proxy,
 * - the method CONNECT, and headers that change how a message is framed,
 * and everything when the user says so (--http-transport=curl). With --http-transport=native such a request fails.
 */
#pragma once

#include "http/transport.h"

struct route {
    struct http_transport *native, *curl; /* owned; NULL when it is not to be used */
    bool proxied[2];                      /* by url.tls: the environment names a proxy */
    bool second_version;                  /* HTTP/2 was asked for */
};

/* What a transport has taken. */
struct carried {
    struct http_transport *by;
    struct http_transfer *transfer; /* NULL: it is over */
};

/* Both transports get `finished`. `hand_over` is called with the hop's arg for a request that our own transport has let
 * go of, for its server chose HTTP/2 while the connection was made: it is libcurl's from there on. */
int route_open(struct route *route, struct loop *loop, const struct http_client_options *options,
               http_finished_fn finished, void (*hand_over)(void *hop_arg), struct mite_error *error);
void route_close(struct route *route);

/* Lets a transport start the hop. */
int route_start(struct route *route, const struct http_hop *hop, struct carried *out, struct mite_error *error);
/* The same where our own has handed it over. */
int route_go_on(struct route *route, const struct http_hop *hop, struct carried *out, struct mite_error *error);
void route_cancel(struct carried *carried);

/* Fills in what the transports count: connections and bytes. */
void route_counts(const struct route *route, struct http_counts *out);
