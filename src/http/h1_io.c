/*
 * Design notes
 *
 * - What goes out is written at once; only when the socket is full is it watched for writing. When writing fails,
 *   reading tells why: the server may have answered and closed before it had the whole request.
 * - A response is parsed where it was read, in a buffer that all connections share: it stays in the cache, and an idle
 *   connection holds none. In the usual case all of it came with one read, and nothing is copied before the response
 *   object is made. A head that comes in pieces is held by its connection. Behind the head what follows goes to the
 *   body, straight from the socket where its length is known.
 * - Reading ends when a read did not fill the room that it had: what comes later makes the socket ready again.
 * - A response that came before the request was wholly sent, bytes behind a response, and bytes on an idle connection
 *   end that connection: nothing that follows on it could be trusted.
 */
#include "http/h1.h"

#include "base/clock.h"

#include <stdlib.h>
#include <sys/socket.h>

#define SMALL_BODY     16384             /* of a request: goes out with its head */
#define HEAD_ROOM      20480             /* a head with a body that is not too large to be copied */
#define STREAM_ROOM    65536             /* for bodies of unknown length */
#define HELD_SIZE      4096              /* of a head that comes in pieces, at first */
#define BODY_STEP      ((size_t)1 << 20) /* a length is believed so far ahead */
#define EXPECT_WAIT_NS NS_PER_S          /* for 100 Continue */
#define READS_MAX      16                /* in a row, then others have their turn */

enum { WOULD_BLOCK = -EAGAIN };

/* Of what came: whether the transfer is over with it. */
enum verdict { WANTS_MORE, OVER };

static enum verdict no_memory(struct h1_transfer *transfer)
{
    h1_fail(transfer, (struct failure_facts){.code = CURLE_OUT_OF_MEMORY}, NULL);
    return OVER;
}

/* ---- out ---- */

static ssize_t conn_write(struct h1_conn *conn, const char *p, size_t n)
{
    if (conn->ssl) {
        return tls_write(conn->ssl, p, n, &conn->transport->tls_failure);
    }
    ssize_t sent = send(conn->fd, p, n, MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

/* Sends from *sent on. False when not all went, for now or for good. */
static bool flush(struct h1_conn *conn, const char *p, size_t n, size_t *sent)
{
    while (*sent < n) {
        ssize_t went = conn_write(conn, p + *sent, n - *sent);
        if (went < 0) {
            if (went != WOULD_BLOCK) {
                conn->broken = true;
            }
            return false;
        }
        *sent += (size_t)went;
    }
    return true;
}

static bool is_sent(const struct h1_transfer *transfer)
{
    return transfer->out_sent == transfer->out.size && transfer->body_sent == transfer->hop->body.n;
}

/* What the socket did not take before. */
static void send_rest(struct h1_transfer *transfer)
{
    struct h1_conn *conn = transfer->conn;
    struct str body = transfer->hop->body;

    bool done = flush(conn, transfer->out.data, transfer->out.size, &transfer->out_sent) &&
                (transfer->expecting || flush(conn, body.p, body.n, &transfer->body_sent));
    h1_conn_watch(conn, done || conn->broken ? UV_READABLE : UV_READABLE | UV_WRITABLE);
}

/* After the first attempt to write `out`, of which `head_size` bytes are the head. */
static void account(struct h1_transfer *transfer, const struct buf *out, size_t head_size, size_t sent)
{
    if (sent >= head_size) {
        transfer->body_sent = sent - head_size;
        return;
    }
    buf_append(&transfer->out, out->data + sent, head_size - sent);
    if (transfer->out.failed) {
        transfer->conn->broken = true;
    }
}

void h1_send(struct h1_transfer *transfer)
{
    const struct http_hop *hop = transfer->hop;
    struct buf *out = &transfer->transport->out;
    struct h1_template *template = h1_template_get(transfer->origin, hop);
    size_t sent = 0;

    transfer->state = H1_EXCHANGING;
    transfer->head_done = false;
    transfer->out_sent = transfer->body_sent = 0;
    buf_clear(&transfer->out);
    h1_head_init(&transfer->head);
    /* Over a kept connection it goes out in the moment that it is asked for. */
    transfer->timings.pretransfer_ns = transfer->conn->used ? 1 : clock_now_ns() - hop->start_ns;
    buf_clear(out);
    bool together = template && hop->body.n <= SMALL_BODY && !template->expects;
    if (!template || h1_request_render(template, hop, together, out) < 0) {
        no_memory(transfer);
        return;
    }
    transfer->closes = template->closes;
    transfer->expecting = template->expects && hop->body.n > 0;
    if (transfer->expecting) {
        transfer->expect_ns = clock_now_ns() + EXPECT_WAIT_NS;
        h1_wake_at(transfer, transfer->expect_ns);
    }
    flush(transfer->conn, out->data, out->size, &sent);
    account(transfer, out, out->size - (together ? hop->body.n : 0), sent);
    if (!is_sent(transfer) && !transfer->conn->broken) {
        send_rest(transfer);
    }
}

void h1_send_body(struct h1_transfer *transfer)
{
    transfer->expecting = false;
    transfer->expect_ns = H1_NEVER;
    send_rest(transfer);
}

/* ---- the end ---- */

static void malformed(struct h1_transfer *transfer, CURLcode code, const char *why)
{
    h1_fail(transfer, (struct failure_facts){.code = code, .malformed = true}, why);
}

/* The connection is gone, `number` says why (0: the server closed it). One that had died while it was idle, unnoticed,
 * is no reason to fail: the server never saw the request, or may see it twice. */
static void lost(struct h1_transfer *transfer, int number)
{
    struct h1_conn *conn = transfer->conn;
    bool answered = transfer->timings.first_byte_ns > 0;

    if (!answered && conn->used && !transfer->repeated && h1_request_is_safe(transfer->hop->method)) {
        transfer->repeated = true;
        transfer->expect_ns = H1_NEVER; /* until it is sent again, no body waits for 100 Continue */
        transfer->conn = NULL;
        h1_conn_close(conn);
        h1_connect(transfer);
        return;
    }
    h1_fail(transfer,
            (struct failure_facts){
                .code = number     ? CURLE_RECV_ERROR
                        : answered ? CURLE_PARTIAL_FILE
                                   : CURLE_GOT_NOTHING,
                .number = number,
                .connected = true,
                .answered = answered,
            },
            NULL);
}

static void finish(struct h1_transfer *transfer, struct str block, struct buf *body, bool clean)
{
    struct h1_conn *conn = transfer->conn;
    clean = clean && (!conn->ssl || SSL_pending(conn->ssl) == 0);
    bool reusable = clean && transfer->head.keep_alive && !transfer->closes && !conn->broken && is_sent(transfer);

    h1_finish(transfer, block, body, reusable);
}

/* ---- in: the head ---- */

/* Where the bytes are that came. */
static char *in_of(const struct h1_conn *conn)
{
    return conn->held ? conn->held : conn->transport->in.data;
}

/* Interim responses make place for the next; 100 Continue is what a body may wait for. */
static enum verdict take_interim(struct h1_transfer *transfer)
{
    struct h1_conn *conn = transfer->conn;
    size_t size = transfer->head.size;

    if (transfer->head.status == 101) {
        malformed(transfer, CURLE_WEIRD_SERVER_REPLY, "it switches to another protocol, which nobody asked for");
        return OVER;
    }
    bool go_on = transfer->head.status == 100 && transfer->expecting;
    conn->in_size -= size;
    memmove(in_of(conn), in_of(conn) + size, conn->in_size);
    transfer->transport->base.traffic.received_bytes += size;
    h1_head_init(&transfer->head);
    if (go_on) {
        h1_send_body(transfer);
    }
    return WANTS_MORE;
}

static enum verdict refuse_head(struct h1_transfer *transfer, enum h1_parsed parsed)
{
    if (parsed == H1_NOT_HTTP) {
        malformed(transfer, CURLE_UNSUPPORTED_PROTOCOL, "Received HTTP/0.9 when not allowed");
    } else if (parsed == H1_HEAD_TOO_LARGE) {
        malformed(transfer, CURLE_WEIRD_SERVER_REPLY, H1_HEAD_MAX_TEXT);
    } else {
        bool is_http = transfer->head.has_status;
        malformed(transfer, is_http ? CURLE_WEIRD_SERVER_REPLY : CURLE_UNSUPPORTED_PROTOCOL, transfer->head.why);
    }
    return OVER;
}

/* ---- in: the body ---- */

static enum verdict too_large(struct h1_transfer *transfer)
{
    h1_fail(transfer, (struct failure_facts){.code = CURLE_FILESIZE_EXCEEDED, .connected = true}, NULL);
    return OVER;
}

static enum verdict decode(struct h1_transfer *transfer, struct str piece)
{
    switch (decoder_feed(transfer->decoder, piece, &transfer->body, transfer->hop->max_body_bytes)) {
    case 0:
        return WANTS_MORE;
    case MITE_ELIMIT:
        return too_large(transfer);
    case MITE_EPROTO:
        malformed(transfer, CURLE_BAD_CONTENT_ENCODING, "its body is not compressed as its Content-Encoding says");
        return OVER;
    default:
        return no_memory(transfer);
    }
}

static enum verdict take_piece(struct h1_transfer *transfer, struct str piece)
{
    transfer->received += piece.n;
    if (transfer->decoder) {
        return decode(transfer, piece);
    }
    if (piece.n > transfer->hop->max_body_bytes - transfer->body.size) {
        return too_large(transfer);
    }
    if (buf_str(&transfer->body, piece) < 0) {
        return no_memory(transfer);
    }
    return WANTS_MORE;
}

static void body_done(struct h1_transfer *transfer, bool clean)
{
    if (decoder_is_whole(transfer->decoder)) {
        finish(transfer, buf_view(&transfer->block), &transfer->body, clean);
    } else {
        malformed(transfer, CURLE_BAD_CONTENT_ENCODING, "its compressed body ends too early");
    }
}

static enum verdict take_chunks(struct h1_transfer *transfer, struct str bytes)
{
    const char *p = bytes.p, *end = p + bytes.n;
    enum h1_parsed parsed;
    struct str piece;

    while ((parsed = h1_chunks_next(&transfer->chunks, &p, end, &piece)) == H1_PIECE) {
        if (take_piece(transfer, piece) == OVER) {
            return OVER;
        }
    }
    if (parsed == H1_MORE) {
        return WANTS_MORE;
    }
    if (parsed == H1_DONE) {
        body_done(transfer, p == end);
    } else {
        malformed(transfer, CURLE_RECV_ERROR, transfer->chunks.why);
    }
    return OVER;
}

static enum verdict take_body(struct h1_transfer *transfer, struct str bytes)
{
    if (transfer->head.framing == H1_CHUNKED) {
        return take_chunks(transfer, bytes);
    }
    if (transfer->head.framing == H1_UNTIL_CLOSE) {
        return take_piece(transfer, bytes);
    }
    struct str piece = {bytes.p, bytes.n < transfer->left ? bytes.n : (size_t)transfer->left};
    transfer->left -= piece.n;
    if (take_piece(transfer, piece) == OVER) {
        return OVER;
    }
    if (transfer->left > 0) {
        return WANTS_MORE;
    }
    body_done(transfer, piece.n == bytes.n);
    return OVER;
}

/* Most responses: head and body are there, in one piece. */
static void finish_in_place(struct h1_transfer *transfer, size_t body_size)
{
    struct h1_conn *conn = transfer->conn;
    const struct h1_head *head = &transfer->head;
    char *in = in_of(conn);
    struct buf body = {.data = in + head->size, .size = body_size};

    transfer->received = body_size;
    finish(transfer, (struct str){in, head->block_size}, &body, conn->in_size == head->size + body_size);
}

static bool open_decoder(struct h1_transfer *transfer)
{
    const struct h1_head *head = &transfer->head;

    for (unsigned i = 0; i < head->coding_count; i++) {
        if (head->codings[i] == H1_UNKNOWN_CODING) {
            malformed(transfer, CURLE_BAD_CONTENT_ENCODING,
                      "its Content-Encoding is none of gzip, deflate, br and zstd");
            return false;
        }
    }
    transfer->decoder = decoder_take(&transfer->transport->decoders, head->codings, head->coding_count);
    if (!transfer->decoder) {
        no_memory(transfer);
    }
    return transfer->decoder != NULL;
}

static enum verdict begin_body(struct h1_transfer *transfer)
{
    struct h1_conn *conn = transfer->conn;
    const struct h1_head *head = &transfer->head;
    size_t behind = conn->in_size - head->size;
    uint64_t length = head->framing == H1_LENGTH ? head->length : 0;

    if (head->coding_count > 0 && head->framing != H1_NO_BODY) {
        if (!open_decoder(transfer)) {
            return OVER;
        }
    } else if (length > transfer->hop->max_body_bytes) {
        return too_large(transfer);
    }
    bool whole = head->framing == H1_NO_BODY || (head->framing == H1_LENGTH && length <= behind);
    if (whole && head->tidy && !transfer->decoder && length <= RESPONSE_SMALL_BODY) {
        finish_in_place(transfer, (size_t)length);
        return OVER;
    }
    buf_clear(&transfer->block);
    buf_clear(&transfer->body);
    if (h1_head_tidy(in_of(conn), head->block_size, &transfer->block) < 0) {
        return no_memory(transfer);
    }
    transfer->head_done = true;
    transfer->left = length;
    transfer->chunks = (struct h1_chunks){.state = 0};
    conn->in_size = 0; /* the bytes are where they are until the next read */
    if (head->framing == H1_NO_BODY) {
        body_done(transfer, behind == 0);
        return OVER;
    }
    return take_body(transfer, (struct str){in_of(conn) + head->size, behind});
}

static enum verdict take_head(struct h1_transfer *transfer)
{
    struct h1_conn *conn = transfer->conn;
    bool head_request = str_is(transfer->hop->method, "HEAD");

    while (conn->in_size > 0) {
        enum h1_parsed parsed = h1_head_parse(&transfer->head, in_of(conn), conn->in_size, head_request);
        if (parsed == H1_MORE) {
            break;
        }
        if (parsed < 0) {
            return refuse_head(transfer, parsed);
        }
        if (transfer->head.status >= 200) {
            return begin_body(transfer);
        }
        if (take_interim(transfer) == OVER) {
            return OVER;
        }
    }
    return WANTS_MORE;
}

/* ---- in: bytes ---- */

/* What came of a head moves to where its rest will join it. */
static int hold(struct h1_conn *conn)
{
    size_t size = HELD_SIZE;

    while (size <= conn->in_size) {
        size *= 2;
    }
    char *held = realloc(conn->held, size);
    if (!held) {
        return MITE_ENOMEM;
    }
    if (!conn->held) {
        memcpy(held, conn->transport->in.data, conn->in_size);
    }
    conn->held = held;
    conn->held_size = size;
    return 0;
}

static bool is_straight(const struct h1_transfer *transfer)
{
    return transfer->head_done && transfer->head.framing == H1_LENGTH && !transfer->decoder;
}

/* Where the next bytes go. False without memory. */
static bool find_room(struct h1_transfer *transfer, char **p, size_t *room)
{
    struct h1_conn *conn = transfer->conn;

    if (is_straight(transfer)) {
        struct buf *body = &transfer->body;
        size_t more = transfer->left < BODY_STEP ? (size_t)transfer->left : BODY_STEP;
        if (buf_reserve(body, more) < 0) {
            return false;
        }
        *p = body->data + body->size;
        *room = more;
        return true;
    }
    if (conn->held && !transfer->head_done) {
        if (conn->in_size == conn->held_size && hold(conn) < 0) {
            return false;
        }
        *p = conn->held + conn->in_size;
        *room = conn->held_size - conn->in_size;
        return true;
    }
    if (buf_reserve(&conn->transport->in, STREAM_ROOM) < 0) {
        return false;
    }
    *p = conn->transport->in.data;
    *room = transfer->head_done ? STREAM_ROOM : HEAD_ROOM;
    return true;
}

/* `n` bytes came to where find_room() said. */
static enum verdict take(struct h1_transfer *transfer, size_t n)
{
    struct h1_conn *conn = transfer->conn;

    /* Nearly all answers come with one read, which is both the first byte and the end: one look at the clock. */
    if (transfer->timings.first_byte_ns == 0) {
        transfer->timings.first_byte_ns = clock_now_ns() - transfer->hop->start_ns;
        transfer->timings.total_ns = transfer->timings.first_byte_ns;
    } else {
        transfer->timings.total_ns = 0;
    }
    if (is_straight(transfer)) {
        transfer->body.size += n;
        transfer->body.data[transfer->body.size] = '\0';
        transfer->received += n;
        transfer->left -= n;
        if (transfer->left > 0) {
            return WANTS_MORE;
        }
        body_done(transfer, true);
        return OVER;
    }
    if (transfer->head_done) {
        return take_body(transfer, (struct str){conn->transport->in.data, n});
    }
    conn->in_size += n;
    enum verdict verdict = take_head(transfer);
    if (verdict == WANTS_MORE && !transfer->head_done && conn->in_size > 0 && !conn->held && hold(conn) < 0) {
        return no_memory(transfer);
    }
    return verdict;
}

static void on_end(struct h1_transfer *transfer, int number)
{
    bool tls = transfer->conn->ssl != NULL;

    transfer->conn->broken |= number != 0;
    if (tls && number == EPIPE) { /* closed without TLS's goodbye: an end all the same, as over a plain connection */
        number = 0;
    }
    if (number == 0 && transfer->head_done && transfer->head.framing == H1_UNTIL_CLOSE) {
        transfer->timings.total_ns = 0; /* its end is known only now */
        body_done(transfer, false);
    } else if (tls && number == EPROTO) {
        h1_fail(transfer, (struct failure_facts){.code = CURLE_RECV_ERROR, .tls = true},
                transfer->transport->tls_failure.text);
    } else {
        lost(transfer, number);
    }
}

static ssize_t conn_read(struct h1_conn *conn, char *p, size_t n)
{
    if (conn->ssl) {
        return tls_read(conn->ssl, p, n, &conn->transport->tls_failure);
    }
    ssize_t got = recv(conn->fd, p, n, 0);
    return got < 0 ? -errno : got;
}

bool h1_conn_is_dead(struct h1_conn *conn)
{
    char byte;

    return conn_read(conn, &byte, 1) != WOULD_BLOCK;
}

static void on_idle_ready(struct h1_conn *conn, bool dead)
{
    if (h1_conn_is_dead(conn) || dead) {
        h1_origin_remove(conn);
        h1_conn_close(conn);
    }
}

/* Bytes that have left the socket already: it will not become ready for them. */
static bool holds_more(const struct h1_conn *conn)
{
    return conn->ssl && SSL_has_pending(conn->ssl);
}

void h1_on_ready(struct h1_conn *conn, int events, bool dead)
{
    struct h1_transfer *transfer = conn->transfer;
    char *p;
    size_t room;

    if (!transfer) {
        on_idle_ready(conn, dead);
        return;
    }
    if (events & UV_WRITABLE) {
        send_rest(transfer);
    }
    for (int i = 0; (events & UV_READABLE) && (i < READS_MAX || dead || holds_more(conn)); i++) {
        if (!find_room(transfer, &p, &room)) {
            no_memory(transfer);
            return;
        }
        ssize_t n = conn_read(conn, p, room);
        if (n == WOULD_BLOCK && !dead) {
            return;
        }
        if (n <= 0) {
            on_end(transfer, n == WOULD_BLOCK ? ECONNRESET : (int)-n);
            return;
        }
        if (take(transfer, (size_t)n) == OVER || ((size_t)n < room && !dead && !holds_more(conn))) {
            return;
        }
    }
}
