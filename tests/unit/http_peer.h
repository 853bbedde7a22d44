/*
 * The server of the HTTP tests, on the loop of the test itself: what it answers is text that the test gives for a path,
 * to the byte, so that it can also break every rule. Plain or over TLS (tls_end.h). Each test program includes this
 * once, for its own use.
 */
#pragma once

#include "base/buf.h"
#include "base/clock.h"
#include "engine/loop.h"
#include "tls_end.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
/* "hello" */
#define GZIP_ANSWER                                                                                                    \
    "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 25\r\n\r\n"                                          \
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\x00\x00\x00"

struct peer_route {
    const char *path;   /* with query, as in the request line */
    const char *answer; /* to the byte; NULL: none at all */
    size_t size;        /* of the answer; 0: it is text */
    bool close;         /* close behind the answer */
};

struct peer {
    uv_tcp_t listener;
    struct peer_connection *connections;
    const struct peer_route *routes; /* ends with a path of NULL */
    int port;
    char url[64];    /* "http://127.0.0.1:PORT", or https */
    struct buf last; /* the last request, whole */
    int requests, accepted, ended;
    bool once;          /* the second request over a connection resets it */
    bool answers_heads; /* without waiting for the body */
};

struct peer_connection {
    uv_tcp_t tcp;
    struct peer *peer;
    struct peer_connection *next;
    struct tls_end tls;
    struct buf in;
    int requests;
};

static void peer_on_closed(uv_handle_t *handle)
{
    struct peer_connection *connection = handle->data;
    struct peer_connection **at = &connection->peer->connections;

    while (*at != connection) {
        at = &(*at)->next;
    }
    *at = connection->next;
    connection->peer->ended++;
    tls_end_close(&connection->tls);
    buf_done(&connection->in);
    free(connection);
}

static void peer_write(struct peer_connection *connection, struct buf *wire)
{
    uv_buf_t out = uv_buf_init(wire->data, (unsigned)wire->size);

    for (int rc; out.len > 0; out.base += rc, out.len -= (size_t)rc) {
        rc = uv_try_write((uv_stream_t *)&connection->tcp, &out, 1);
        if (rc < 0) { /* the client is gone; answers are small enough for a socket's buffer */
            assert_int_not_equal(rc, UV_EAGAIN);
            break;
        }
    }
    buf_done(wire);
}

static void peer_close_connection(struct peer_connection *connection)
{
    struct buf wire;

    if (!uv_is_closing((uv_handle_t *)&connection->tcp)) {
        buf_init(&wire, 0);
        tls_end_goodbye(&connection->tls, &wire);
        peer_write(connection, &wire);
        uv_close((uv_handle_t *)&connection->tcp, peer_on_closed);
    }
}

static void peer_answer(struct peer_connection *connection, const char *path, size_t n)
{
    const struct peer_route *route = connection->peer->routes;

    while (route->path && (strlen(route->path) != n || memcmp(route->path, path, n) != 0)) {
        route++;
    }
    if (!route->path) {
        fail_msg("no route for %.*s", (int)n, path);
    }
    if (route->answer) {
        size_t size = route->size ? route->size : strlen(route->answer);
        struct buf wire;
        buf_init(&wire, 0);
        tls_end_send(&connection->tls, (struct str){route->answer, size}, &wire);
        peer_write(connection, &wire);
    }
    if (route->close) {
        peer_close_connection(connection);
    }
}

/* Size of the first request in `in`, 0 when it is not whole yet. */
static size_t peer_request_size(const struct peer *peer, const struct buf *in)
{
    const char *end = in->size ? strstr(in->data, "\r\n\r\n") : NULL;

    if (!end) {
        return 0;
    }
    const char *length = peer->answers_heads ? NULL : strcasestr(in->data, "\r\nContent-Length:");
    size_t size = (size_t)(end + 4 - in->data) + (length && length < end ? (size_t)atol(length + 17) : 0);
    return size <= in->size ? size : 0;
}

static void peer_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
    struct peer_connection *connection = stream->data;
    size_t size;

    if (n > 0) {
        struct buf wire;
        buf_init(&wire, 0);
        tls_end_receive(&connection->tls, (struct str){bytes->base, (size_t)n}, &connection->in);
        tls_end_take(&connection->tls, &wire);
        peer_write(connection, &wire);
    }
    free(bytes->base);
    if (n < 0) {
        peer_close_connection(connection);
        return;
    }
    while (!uv_is_closing((uv_handle_t *)stream) && (size = peer_request_size(connection->peer, &connection->in)) > 0) {
        struct peer *peer = connection->peer;
        buf_clear(&peer->last);
        buf_append(&peer->last, connection->in.data, size);
        buf_drop_front(&connection->in, size);
        peer->requests++;
        if (++connection->requests > 1 && peer->once) {
            uv_tcp_close_reset(&connection->tcp, peer_on_closed);
            return;
        }
        const char *path = strchr(peer->last.data, ' ') + 1;
        peer_answer(connection, path, strcspn(path, " "));
    }
}

static void peer_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    *out = uv_buf_init(malloc(suggested), (unsigned)suggested);
}

static void peer_on_connection(uv_stream_t *listener, int status)
{
    struct peer *peer = listener->data;
    struct peer_connection *connection = calloc(1, sizeof *connection);

    uv_tcp_init(listener->loop, &connection->tcp);
    connection->tcp.data = connection;
    connection->peer = peer;
    connection->next = peer->connections;
    peer->connections = connection;
    tls_end_open(&connection->tls);
    buf_init(&connection->in, 0);
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&connection->tcp), 0);
    uv_read_start((uv_stream_t *)&connection->tcp, peer_on_alloc, peer_on_read);
    peer->accepted++;
}

static void peer_start(struct peer *peer, struct loop *loop, const char *address, const struct peer_route *routes)
{
    struct sockaddr_storage bound;
    int size = sizeof bound;
    bool six = strchr(address, ':') != NULL;

    *peer = (struct peer){.routes = routes};
    buf_init(&peer->last, 0);
    uv_tcp_init(loop_uv(loop), &peer->listener);
    peer->listener.data = peer;
    if (six) {
        uv_ip6_addr(address, 0, (struct sockaddr_in6 *)&bound);
    } else {
        uv_ip4_addr(address, 0, (struct sockaddr_in *)&bound);
    }
    assert_int_equal(uv_tcp_bind(&peer->listener, (struct sockaddr *)&bound, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&peer->listener, 128, peer_on_connection), 0);
    uv_tcp_getsockname(&peer->listener, (struct sockaddr *)&bound, &size);
    peer->port = ntohs(((struct sockaddr_in *)&bound)->sin_port); /* at the same place in both families */
    snprintf(peer->url, sizeof peer->url, six ? "%s://[%s]:%d" : "%s://%s:%d", tls_end_scheme(), address, peer->port);
}

/* The handles close with the loop's next turns. */
static void peer_stop(struct peer *peer)
{
    uv_close((uv_handle_t *)&peer->listener, NULL);
    for (struct peer_connection *c = peer->connections; c; c = c->next) {
        peer_close_connection(c);
    }
    buf_done(&peer->last);
}
