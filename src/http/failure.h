/*
 * What became of a request that got no response: the kind and the sentence, the same for every transport.
 */
#pragma once

#include "http/transport.h"

#include <curl/curl.h>

struct failure_facts {
    CURLcode code;      /* libcurl's number for it, also where libcurl had no part in it */
    const char *detail; /* borrowed: what the code's own text does not say; NULL: nothing */
    int number;         /* errno of the socket; 0: none */
    bool proxied;       /* the connection may have been one to a proxy */
    bool no_socket;     /* none could be opened on our side: `number` says why */
    bool connected;     /* the way to the server was there, TLS included */
    bool answered;      /* some of the answer came */
    bool tls;           /* TLS broke, whatever the code: the server refused us behind the handshake, for one */
    bool malformed;     /* the answer broke the protocol, whatever the code */
};

enum http_failure failure_describe(const struct http_hop *hop, const struct failure_facts *facts,
                                   struct mite_error *error);
