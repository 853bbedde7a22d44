/*
 * HTTP server on the process's loop, for what a person, a browser or Prometheus asks of us: libmicrohttpd runs without
 * threads, its epoll descriptor is one poll handle of the loop.
 *
 * Life cycle: server_start; for each request that has come in whole, `handle` is called on the loop and calls exactly
 * one of server_send, server_send_after, server_hold and server_drop before it returns; server_stop. A page is an
 * answer that may be sent many times; it is made once and costs nothing per request then.
 *
 * One thread only. What a request points to is borrowed for the length of `handle`.
 */
#pragma once

#include "base/str.h"
#include "engine/loop.h"

struct server;
struct server_page;

struct server_request {
    struct str method, path; /* the path decoded, without the query */
    struct str body;         /* p NULL: none */
};

struct server_options {
    const char *address; /* borrowed for the call; see listen.h */
    unsigned max_connections;
    size_t max_body_bytes; /* a larger one is answered with 413, or closed when its length was not said */
    void (*handle)(void *arg, struct server_request *request);
    void *arg;
};

/* MITE_EINVAL: bad address; MITE_EIO: cannot listen; MITE_ENOMEM. */
int server_start(struct loop *loop, const struct server_options *options, struct server **out,
                 struct mite_error *error);

/* Closes every connection, also those that wait. Its memory goes with the last closed handle, in the loop's next turns
 * or in loop_free(). NULL is a no-op. */
void server_stop(struct server *server);

const char *server_url(const struct server *server); /* "http://127.0.0.1:8000" */

/* Calls each(arg, name, value) for every header, cookie or query argument; a value that is missing is empty. */
enum server_values { SERVER_HEADERS, SERVER_COOKIES, SERVER_ARGUMENTS };
void server_each(struct server_request *request, enum server_values kind,
                 void (*each)(void *arg, struct str name, struct str value), void *arg);

/* Pages. NULL without memory; freed with server_page_free, also when answers still go out. The body is copied. */
struct server_page *server_page_new(int status, const char *content_type, struct str body);
struct server_page *server_page_filled(uint64_t size_bytes); /* 200, application/octet-stream, `x` repeated */
int server_page_header(struct server_page *page, const char *name, const char *value);
void server_page_free(struct server_page *page);

void server_send(struct server_request *request, struct server_page *page); /* page borrowed; NULL answers 500 */
void server_send_after(struct server_request *request, struct server_page *page, uint64_t delay_ns);
void server_hold(struct server_request *request); /* no answer until the client goes away or the server stops */
void server_drop(struct server_request *request); /* closes the connection without an answer */
