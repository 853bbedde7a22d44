/*
 * Our own transport: HTTP/1.1 over non-blocking sockets on the loop, plain and TLS. It costs a request what the kernel
 * costs, one send and one receive, and little more; that is why it is there (libcurl takes three times as much).
 *
 * What it leaves to libcurl, start() refuses with MITE_EAGAIN and a sentence: an origin that chose HTTP/2, and headers
 * that change how a message is framed. Everything else that must not come here (proxies, HTTP/2 asked for) is route.c's
 * to know.
 *
 * Parts: h1.c (transfers: start, time, end), h1_origin.c (what is known about a server, its idle connections),
 * h1_request.c (what goes out), h1_connect.c (the way there), h1_io.c (bytes out and in), h1_parse.c (what they mean),
 * decode.c (compressed bodies), dns.c, tls.c. This header is also what the parts share.
 */
#pragma once

#include "base/clock.h"
#include "base/map.h"
#include "engine/timer.h"
#include "http/decode.h"
#include "http/dns.h"
#include "http/failure.h"
#include "http/h1_parse.h"
#include "http/response.h"
#include "http/tls.h"

#include <stddef.h>

/* `hand_over` is called for a request whose server chose HTTP/2 when its connection was made: it is not ours any more.
 * NULL: HTTP/2 is not offered. */
int h1_transport_new(struct loop *loop, const struct http_client_options *options, void (*hand_over)(void *hop_arg),
                     struct http_transport **out, struct mite_error *error);

/* ---- between the parts ---- */

#define H1_NEVER        UINT64_MAX
#define H1_ADDRESS_TURN 250 * NS_PER_MS /* the other family's head start is over (RFC 8305) */

struct h1_origin;
struct h1_conn;
struct h1_transfer;

/* Where to connect for a host, whatever its name says. */
struct h1_given {
    char *host; /* owned */
    uint16_t port;
    union dns_address address;
};

struct h1_transport {
    struct http_transport base;
    struct loop *loop;
    struct map origins;     /* by key, owned */
    struct h1_origin *last; /* the one asked for last; NULL: none */
    struct h1_transfer *active, *idle;
    struct h1_transfer *cursor; /* whom a walk over `active` visits next: whoever goes moves it on */
    struct timer timer;
    uint64_t armed_ns; /* when `timer` fires */
    struct buf out;    /* what is about to be sent */
    struct buf in;     /* what has just come */
    struct decoder_store decoders;
    struct h1_given *given; /* owned */
    size_t given_count;
    union dns_address *local; /* owned: addresses of ours to connect from */
    size_t local_count, local_next;
    size_t idle_count, idle_max;
    struct tls_store *tls;          /* owned */
    struct tls_failure tls_failure; /* of the call that has just failed */
    void (*hand_over)(void *hop_arg);
    unsigned holders; /* closing handles and lookups that point here; the last one frees the memory */
    bool closed;
};

/* A request's head but for its target, cookies and length: rendered once for each method and headers. */
struct h1_template {
    struct h1_template *next; /* the one used last comes first */
    struct buf key, text;
    size_t method_size, lines_size, user_size; /* parts of the key; the password is the rest */
    size_t front_size;                         /* of the text: what stands before the target */
    bool has_user;                             /* an empty one is one */
    bool exotic;                               /* a header that is libcurl's to deal with */
    bool has_type, closes, expects;            /* Content-Type, Connection: close, Expect: 100-continue */
};

/* scheme, host, port, and what a connection must have been made with to be used again. */
struct h1_origin {
    struct h1_transport *transport;
    char *host; /* owned */
    uint16_t port;
    bool tls, verify, fixed;    /* fixed: the addresses were given and never grow old */
    bool h2;                    /* it chose HTTP/2 */
    char *cert_file, *key_file; /* owned; NULL without */
    struct h1_conn *idle;       /* doubly linked, the last used first */
    unsigned users;             /* transfers and connections */
    struct dns_addresses addresses;
    uint64_t addresses_until_ns;
    unsigned turn;             /* of the addresses, round and round */
    SSL_SESSION *session;      /* owned: to resume; NULL: none yet */
    struct dns_lookup *lookup; /* under way; NULL: none */
    struct h1_template *templates;
    unsigned template_count;
};

struct h1_conn {
    uv_poll_t poll;
    struct h1_transport *transport;
    struct h1_origin *origin;
    struct h1_transfer *transfer;    /* whom it serves or is opened for; NULL: idle */
    struct h1_conn *next, *previous; /* idle ones of the origin */
    int fd, watched;
    enum { H1_CONNECTING, H1_HANDSHAKE, H1_OPEN } state;
    SSL *ssl;                    /* owned; NULL: plain */
    bool used;                   /* it has brought a response */
    bool broken;                 /* writing failed, or it holds bytes nobody asked for: not to be used again */
    char address[DNS_TEXT_SIZE]; /* whom it is to */
    char *held;                  /* owned: the beginning of a head whose rest is awaited; NULL: none */
    size_t in_size, held_size;   /* what came of the head so far; the room of `held` */
};

struct h1_transfer {
    struct h1_transfer *next, *previous; /* active ones; idle ones by `next` */
    struct h1_transport *transport;
    const struct http_hop *hop;
    struct h1_origin *origin;
    struct h1_conn *conn;    /* that carries it; NULL before */
    struct h1_conn *race[2]; /* being opened, one for each family of addresses */
    unsigned tried[2], turn;
    enum { H1_RESOLVING, H1_RACING, H1_EXCHANGING, H1_FAILED } state;
    bool repeated;  /* once, after an idle connection had died */
    bool expecting; /* the body waits for 100 Continue */
    bool closes;    /* the request says so */
    bool head_done;

    /* Points in time on the clock; H1_NEVER: none. */
    uint64_t wake_ns;     /* the earliest of the following */
    uint64_t deadline_ns; /* of the whole */
    uint64_t connect_deadline_ns, expect_ns;
    uint64_t lane_ns[2]; /* when that family's next address is tried */

    struct http_timings timings;
    struct buf out;    /* what a full socket did not take of the head */
    size_t out_sent;   /* of `out` */
    size_t body_sent;  /* of the request's body */
    uint64_t received; /* payload of the response */
    uint64_t left;     /* H1_LENGTH: that has not come yet */
    struct h1_head head;
    struct h1_chunks chunks;
    struct decoder *decoder;    /* owned; NULL: the body is not compressed */
    struct buf block, body;     /* the header block, unless it can be taken from the connection; the decoded body */
    struct failure_facts facts; /* H1_FAILED */
    char detail[160];
};

/* A moment so long after another; for ever is for ever. */
static inline uint64_t h1_after(uint64_t start_ns, uint64_t span_ns)
{
    return span_ns < H1_NEVER - start_ns ? start_ns + span_ns : H1_NEVER;
}

/* h1.c */
void h1_wake_at(struct h1_transfer *transfer, uint64_t at_ns);
/* Ends it with a failure, soon: never from inside the caller. `detail` is copied; NULL: none. */
void h1_fail(struct h1_transfer *transfer, struct failure_facts facts, const char *detail);
/* Ends it with the response that has come. After it the transfer is gone, and maybe the transport. */
void h1_finish(struct h1_transfer *transfer, struct str block, struct buf *body, bool reusable);
/* Lets go of it: its server speaks HTTP/2. After it the transfer is gone. */
void h1_hand_over(struct h1_transfer *transfer);
void h1_transport_drop(struct h1_transport *transport); /* one holder less */

/* h1_origin.c */
struct h1_origin *h1_origin_get(struct h1_transport *transport, const struct http_hop *hop); /* NULL: no memory */
void h1_origin_free(struct h1_origin *origin);
void h1_origin_keep(struct h1_conn *conn);                /* among the idle ones */
struct h1_conn *h1_origin_take(struct h1_origin *origin); /* NULL: none is idle */
void h1_origin_remove(struct h1_conn *conn);              /* it is idle no more */

/* h1_request.c */
/* Good until the next call for that origin. NULL: no memory. */
struct h1_template *h1_template_get(struct h1_origin *origin, const struct http_hop *hop);
void h1_template_free(struct h1_template *list);
/* Appends the head, and the body when `with_body`. */
int h1_request_render(const struct h1_template *template, const struct http_hop *hop, bool with_body, struct buf *out);
bool h1_request_is_safe(struct str method); /* to be sent again: idempotent (RFC 9110, 9.2.2) */

/* h1_connect.c */
void h1_connect(struct h1_transfer *transfer);
void h1_connect_next(struct h1_transfer *transfer, unsigned lane); /* its moment has come: see lane_ns */
void h1_conn_close(struct h1_conn *conn);
int h1_conn_watch(struct h1_conn *conn, int events);

/* h1_io.c */
void h1_send(struct h1_transfer *transfer);
void h1_send_body(struct h1_transfer *transfer); /* the wait for 100 Continue is over */
bool h1_conn_is_dead(struct h1_conn *conn);      /* an idle one: closed, or with bytes that nobody asked for */
void h1_on_ready(struct h1_conn *conn, int events, bool dead); /* dead: nothing comes behind what can be read */
