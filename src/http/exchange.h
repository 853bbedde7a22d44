/*
 * What is behind the client's handles: clients, sessions and exchanges as client.c (their lives, what a request asks)
 * and exchange.c (from hop to hop to the end) see them.
 */
#pragma once

#include "http/route.h"

struct http_client {
    unsigned refs; /* its owner's and its sessions' */
    bool closed;
    struct route route;
    struct http_exchange *active; /* doubly linked */
    struct http_exchange *idle;   /* linked by `next` */
    uint64_t connect_timeout_ns, timeout_ns, max_body_bytes;
    bool verify;
    struct http_counts counts;
};

struct http_session {
    unsigned refs; /* its owner's and its exchanges' */
    struct http_client *client;
    struct cookie_jar *jar;
};

struct http_exchange {
    struct http_exchange *next, *previous;
    struct http_session *session;
    const struct http_handlers *handlers;
    void *arg;
    struct carried carried; /* nothing between hops */
    bool calling, cancelled;

    struct http_hop hop; /* views into the buffers below */
    struct url url;
    struct buf text;        /* all that the request brought */
    struct buf credentials; /* those of a URL */
    struct buf cookie;
    struct buf url_text[2]; /* `url` may lie in one, the target of its redirect in the other */
    unsigned url_slot;
    size_t parsed; /* bytes at the start of `text` that `url` came from; 0: it came from elsewhere */

    bool follow;
    unsigned redirects, max_redirects;
    uint64_t redirect_ns;       /* of the hops so far */
    struct http_response *last; /* counted */
};

/* One for a request of the session, which it keeps; its hop is to be filled. NULL without memory. */
struct http_exchange *exchange_take(struct http_session *session);
/* Ends it without a word. */
void exchange_release(struct http_exchange *exchange);
void exchange_free(struct http_exchange *exchange); /* one that is idle */

/* The credentials of a URL for this hop and those that follow at its origin. 0 or MITE_ENOMEM. */
int exchange_set_credentials(struct http_exchange *exchange, const struct url *url);

/* Sends the hop as it is filled, with the cookies for its URL. */
int exchange_send(struct http_exchange *exchange, struct mite_error *error);

/* What the transports call. */
void exchange_finished(void *arg, struct http_response *response, enum http_failure failure, int curl_code,
                       const struct mite_error *error);
void exchange_hand_over(void *arg);
