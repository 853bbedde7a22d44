/*
 * The transport over libcurl: its multi interface drives every connection, our loop tells it when a socket is ready or
 * time has passed. Three parts: curl.c (multi handles, start and end of transfers), curl_handle.c (what an easy
 * handle is set to), curl_loop.c (sockets and timers on the loop). This header is also what they share.
 */
#pragma once

#include "engine/timer.h"
#include "http/response.h"

#include <curl/curl.h>

int curl_transport_new(struct loop *loop, const struct http_client_options *options, struct http_transport **out,
                       struct mite_error *error);

/* ---- between the parts ---- */

struct watch;

/*
 * A multi handle and what drives it. For each request libcurl walks over its busy connections to that host one by one,
 * so the requests under way are spread over several of these, the next one being opened when the others are full: a
 * thousand users cost each request no more than a few hundred do.
 */
struct curl_lane {
    struct curl_transport *transport;
    CURLM *multi;
    unsigned active; /* transfers under way */
    struct timer timer;
    uint64_t due_ms;   /* when libcurl wants to be called, on the clock of uv_now(); UINT64_MAX: never */
    uint64_t armed_ms; /* when `timer` fires: not later than due_ms, UINT64_MAX when it is stopped */
    bool kick_waits;   /* a deferred call will start what was added */
};

struct curl_transport {
    struct http_transport base;
    struct loop *loop;
    struct curl_lane **lanes; /* owned, each too; the first ones are filled first */
    size_t lane_count;
    size_t kept_connections;    /* of each lane */
    CURL *model;                /* set as all handles are; each is a copy, for that costs less than setting it */
    CURLSH *share;              /* names and TLS sessions: a connection that is opened again resumes */
    struct curl_slist *resolve; /* owned; NULL: no address is given */
    struct curl_slist *local;   /* owned: addresses of ours to connect from; NULL: the system's choice */
    struct curl_slist *next_local;
    bool old_version; /* HTTP/2 is not offered */
    bool forgets;     /* libcurl before 8.1.0 keeps pointing to the last header of a handle's answer when that is
                         freed, and writes there when the next answer begins with a folded line: each
                         request gets a handle of its own */
    char *ca_file;    /* owned; NULL: the system's */
    bool proxied;     /* the environment names a proxy */
    struct http_transfer *idle; /* without a request, the last used first */
    struct watch **watches;     /* by descriptor */
    size_t watch_capacity;
    unsigned holders; /* open handles and deferred calls that point here; the last one frees the memory */
    bool closed;
};

/* A list of header lines for libcurl in two blocks that are used again: the nodes and the text they point to. */
struct header_list {
    struct buf text;
    struct curl_slist *nodes;
    size_t capacity;
};

/* Options that are texts. */
enum curl_text { TEXT_URL, TEXT_METHOD, TEXT_COOKIE, TEXT_USER, TEXT_PASSWORD, TEXT_CERT, TEXT_KEY, TEXTS };

/* An easy handle and what it is set to, so that a request sets only what differs from the one before. */
struct http_transfer {
    struct http_transfer *next_idle;
    struct curl_transport *transport;
    struct curl_lane *lane;     /* that it is in; NULL: idle */
    const struct http_hop *hop; /* NULL: idle */
    CURL *easy;                 /* NULL: made for the next request */
    struct buf head, body;      /* of the response under way */
    bool head_ended;            /* the empty line came: what follows is a trailer, unless it is the next status line */
    bool head_too_large, too_large, sets_cookies;
    bool again;       /* this is its second try, over a connection of its own */
    int socket_errno; /* why no socket could be opened */

    struct {
        unsigned texts; /* a bit for each that is set: most are not, and are not looked at */
        enum { SHAPE_GET, SHAPE_HEAD, SHAPE_BODY } shape;
        bool verify, headers, no_content_type;
        uint64_t timeout_ns, connect_timeout_ns;
        struct buf header_lines;
        struct buf text[TEXTS]; /* what they are, or were last */
    } set;
    struct header_list headers;
    char message[CURL_ERROR_SIZE];
};

/* NULL without memory, both. */
CURL *curl_handle_model(const struct curl_transport *transport);
struct http_transfer *curl_handle_new(struct curl_transport *transport);
void curl_handle_free(struct http_transfer *transfer);   /* NULL is a no-op */
void curl_handle_forget(struct http_transfer *transfer); /* the next request gets another easy handle */
/* Sets the handle for transfer->hop. */
int curl_handle_prepare(struct http_transfer *transfer, struct mite_error *error);
/* For another try at the same hop, over a new connection. */
void curl_handle_try_again(struct http_transfer *transfer);

/* Sockets and the timers on the loop. */
int curl_loop_open(struct curl_lane *lane, struct mite_error *error);
void curl_loop_close(struct curl_lane *lane);                   /* when its multi handle is gone */
void curl_loop_close_watches(struct curl_transport *transport); /* after all lanes */
void curl_loop_kick(struct curl_lane *lane); /* something was added: soon, call libcurl once for all of it */
curl_socket_t curl_loop_open_socket(void *transfer, curlsocktype purpose, struct curl_sockaddr *address);
int curl_loop_close_socket(void *transport, curl_socket_t fd);

/* Ends the transfers that libcurl says are over. */
void curl_lane_drain(struct curl_lane *lane);
void curl_transport_drop(struct curl_transport *transport); /* one holder less */
