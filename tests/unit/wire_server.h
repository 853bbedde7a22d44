/*
 * A server on the loop of the test that sends what it is told, as it is told: to the byte, in pieces, with the end that
 * the test wants. Plain or over TLS (tls_end.h). One a program.
 */
#pragma once

#include "engine/loop.h"
#include "tls_end.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

enum way {
    WHOLE,
    BYTE_BY_BYTE, /* each in a packet, over TLS in a record of its own */
    SPLIT,        /* over TLS: one record that comes in many packets */
    RESET_BEHIND,
    HALF_CLOSE,
    CUT, /* closed without TLS's goodbye */
};

static struct {
    uv_poll_t listener;
    int fd, port;
    struct loop *loop;
    struct str answer;
    enum way way;
    bool close; /* behind the answer */
    int accepted, asked, open;
    struct visitor *last; /* borrowed */
} server;

struct visitor {
    uv_poll_t poll;
    uv_idle_t idle;
    int fd, handles;
    struct tls_end tls;
    struct buf answer; /* to this visitor: the server may have got the next while it is still being sent */
    size_t sent;       /* of it */
    struct buf in, wire;
};

static void on_visitor_closed(uv_handle_t *handle)
{
    struct visitor *visitor = handle->data;

    if (--visitor->handles == 0) {
        server.open--;
        tls_end_close(&visitor->tls);
        buf_done(&visitor->answer);
        buf_done(&visitor->in);
        buf_done(&visitor->wire);
        free(visitor);
    }
}

static void visitor_close(struct visitor *visitor, bool reset)
{
    struct linger at_once = {.l_onoff = 1};

    if (uv_is_closing((uv_handle_t *)&visitor->poll)) {
        return;
    }
    if (reset) {
        setsockopt(visitor->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    uv_close((uv_handle_t *)&visitor->poll, on_visitor_closed);
    uv_close((uv_handle_t *)&visitor->idle, on_visitor_closed);
    close(visitor->fd);
}

/* So many bytes of what waits for the wire. */
static bool visitor_write(struct visitor *visitor, size_t most)
{
    size_t n = visitor->wire.size < most ? visitor->wire.size : most;
    ssize_t sent = n ? send(visitor->fd, visitor->wire.data, n, MSG_NOSIGNAL) : 0;

    if (sent < 0 && errno != EAGAIN) {
        visitor_close(visitor, false);
        return false;
    }
    buf_drop_front(&visitor->wire, sent > 0 ? (size_t)sent : 0);
    return true;
}

static void visitor_end(struct visitor *visitor)
{
    if (server.way != RESET_BEHIND && server.way != CUT && (server.close || server.way == HALF_CLOSE)) {
        tls_end_goodbye(&visitor->tls, &visitor->wire);
        if (!visitor_write(visitor, SIZE_MAX)) {
            return;
        }
    }
    if (server.way == HALF_CLOSE) {
        shutdown(visitor->fd, SHUT_WR);
    } else if (server.way == RESET_BEHIND || server.close) {
        visitor_close(visitor, server.way == RESET_BEHIND);
    }
}

/* One piece each turn of the loop: the client sees every one of them by itself. */
static void on_idle(uv_idle_t *idle)
{
    struct visitor *visitor = idle->data;
    struct str left = {buf_view(&visitor->answer).p + visitor->sent, visitor->answer.size - visitor->sent};

    if (visitor->wire.size == 0 && left.n > 0) {
        left.n = server.way == BYTE_BY_BYTE ? 1 : left.n;
        tls_end_send(&visitor->tls, left, &visitor->wire);
        visitor->sent += left.n;
    }
    if (visitor_write(visitor, server.way == SPLIT ? 1 : SIZE_MAX) && visitor->wire.size == 0 &&
        visitor->sent == visitor->answer.size) {
        uv_idle_stop(idle);
        visitor_end(visitor);
    }
}

static void on_request(uv_poll_t *poll, int status, int events)
{
    struct visitor *visitor = poll->data;
    static char bytes[65536];
    ssize_t n = recv(visitor->fd, bytes, sizeof bytes, 0);

    if (n <= 0 || status < 0) { /* libuv watches a socket with an error no more */
        visitor_close(visitor, false);
        return;
    }
    tls_end_receive(&visitor->tls, (struct str){bytes, (size_t)n}, &visitor->in);
    tls_end_take(&visitor->tls, &visitor->wire); /* of the handshake */
    if (visitor_write(visitor, SIZE_MAX) && visitor->in.size && strstr(visitor->in.data, "\r\n\r\n")) {
        buf_clear(&visitor->in);
        visitor->sent = 0;
        buf_clear(&visitor->answer);
        buf_str(&visitor->answer, server.answer);
        server.asked++;
        uv_idle_start(&visitor->idle, on_idle);
    }
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct visitor *visitor = calloc(1, sizeof *visitor);
    int on = 1;

    visitor->fd = accept4(server.fd, NULL, NULL, SOCK_NONBLOCK);
    assert_true(visitor->fd >= 0);
    setsockopt(visitor->fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
    tls_end_open(&visitor->tls);
    buf_init(&visitor->answer, 0);
    buf_init(&visitor->in, 0);
    buf_init(&visitor->wire, 0);
    uv_poll_init(loop_uv(server.loop), &visitor->poll, visitor->fd);
    uv_idle_init(loop_uv(server.loop), &visitor->idle);
    visitor->poll.data = visitor->idle.data = visitor;
    visitor->handles = 2;
    uv_poll_start(&visitor->poll, UV_READABLE, on_request);
    server.last = visitor;
    server.accepted++;
    server.open++;
}

/* Its URL without a slash at the end. */
static void server_start(struct loop *loop, char url[64])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;

    memset(&server, 0, sizeof server);
    server.loop = loop;
    server.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(server.fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server.fd, 128), 0);
    getsockname(server.fd, (struct sockaddr *)&address, &size);
    server.port = ntohs(address.sin_port);
    uv_poll_init(loop_uv(loop), &server.listener, server.fd);
    uv_poll_start(&server.listener, UV_READABLE, on_connection);
    snprintf(url, 64, "%s://127.0.0.1:%d", tls_end_scheme(), server.port);
}

/* After the client is gone: its connections end with that. */
static void server_stop(void)
{
    while (server.open > 0) {
        uv_run(loop_uv(server.loop), UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&server.listener, NULL);
    close(server.fd);
}
