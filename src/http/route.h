/*
 * Which transport carries a request. Our own one (h1.h) where it serves; libcurl takes
 * - https when HTTP/2 was asked for (--http-version=2), and every origin that chose HTTP/2 when it was offered,
 * - requests that the environment sends through a proxy,
 * - the method CONNECT, and headers that change how a message is framed,
 * and everything when the user says so (--http-transport=curl). With --http-transport=native such a request fails.
 */
#pragma once

#include "http/transport.h"

int route_new(struct loop *loop, const struct http_client_options *options, struct http_transport **out,
              struct mite_error *error);

/* Fills in what the transports count: connections, bytes, who brought how many responses. */
void route_counts(const struct http_transport *route, struct http_counts *out);
