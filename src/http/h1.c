/*
 * Design notes
 *
 * - A transfer is on the list `active` from start() to its end. One timer serves them all: it is set to the earliest
 *   point in time that any of them waits for, and only ever moved forward; when it fires, all are looked at. Requests
 *   end long before their deadlines, so that it hardly ever fires and a request never sets it.
 * - Failures are told from the timer, never from inside start() or a callback of the socket: only h1_finish() and
 *   fail_now() call up, and whoever calls them touches nothing behind it.
 * - Transfers and the memory of their buffers are used again. Per request there is one allocation, the response.
 */
#include "http/h1.h"

#include "base/clock.h"

#include <stdlib.h>

#define DEFAULT_IDLE 10000
#define KEPT_BUFFER  ((size_t)2 * RESPONSE_SMALL_BODY)

/* ---- transfers ---- */

static struct h1_transfer *transfer_take(struct h1_transport *transport)
{
    struct h1_transfer *transfer = transport->idle;

    if (transfer) {
        transport->idle = transfer->next;
    } else {
        transfer = calloc(1, sizeof *transfer);
        if (!transfer) {
            return NULL;
        }
        transfer->transport = transport;
        buf_init(&transfer->out, 0);
        buf_init(&transfer->block, 2 * H1_HEAD_MAX);
        buf_init(&transfer->body, SIZE_MAX / 4);
    }
    transfer->previous = NULL;
    transfer->next = transport->active;
    if (transfer->next) {
        transfer->next->previous = transfer;
    }
    transport->active = transfer;
    return transfer;
}

static void transfer_free(struct h1_transfer *transfer)
{
    buf_done(&transfer->out);
    buf_done(&transfer->block);
    buf_done(&transfer->body);
    free(transfer);
}

static void trim(struct buf *buf)
{
    if (buf->capacity > KEPT_BUFFER) {
        buf_done(buf);
    }
}

static void close_connections(struct h1_transfer *transfer)
{
    struct h1_conn *conns[] = {transfer->conn, transfer->race[0], transfer->race[1]};

    for (size_t i = 0; i < sizeof conns / sizeof *conns; i++) {
        if (conns[i]) {
            h1_conn_close(conns[i]);
        }
    }
    transfer->conn = transfer->race[0] = transfer->race[1] = NULL;
}

/* Back among the idle ones, with whatever it had open closed. */
static void retire(struct h1_transfer *transfer)
{
    struct h1_transport *transport = transfer->transport;

    close_connections(transfer);
    decoder_give_back(&transport->decoders, transfer->decoder);
    transfer->decoder = NULL;
    trim(&transfer->out);
    trim(&transfer->block);
    trim(&transfer->body);
    transfer->origin->users--;
    if (transport->cursor == transfer) {
        transport->cursor = transfer->next;
    }
    if (transfer->next) {
        transfer->next->previous = transfer->previous;
    }
    *(transfer->previous ? &transfer->previous->next : &transport->active) = transfer->next;
    transfer->next = transport->idle;
    transport->idle = transfer;
}

/* ---- ends ---- */

void h1_finish(struct h1_transfer *transfer, struct str block, struct buf *body, bool reusable)
{
    struct h1_transport *transport = transfer->transport;
    struct h1_conn *conn = transfer->conn;
    const struct http_hop *hop = transfer->hop;
    void *arg = hop->arg;
    struct http_response *response = response_new(hop, transfer->head.status, block, body);

    if (!response) {
        h1_fail(transfer, (struct failure_facts){.code = CURLE_OUT_OF_MEMORY}, NULL);
        return;
    }
    response->sets_cookies = transfer->head.sets_cookies;
    response->timings = transfer->timings;
    response->timings.start_ns = hop->start_ns;
    if (response->timings.total_ns == 0) {
        response->timings.total_ns = clock_now_ns() - hop->start_ns;
    }
    response->upload_bytes = transfer->body_sent;
    response->download_bytes = transfer->received;
    memcpy(response->primary_ip, conn->address, sizeof response->primary_ip);
    transport->base.traffic.received_bytes += transfer->head.size + transfer->received;
    if (reusable) {
        conn->used = true;
        conn->in_size = 0;
        if (conn->held) {
            free(conn->held);
            conn->held = NULL;
        }
        transfer->conn = NULL;
        h1_origin_keep(conn);
    }
    retire(transfer);
    transport->base.finished(arg, response, HTTP_OK, CURLE_OK, NULL);
}

void h1_fail(struct h1_transfer *transfer, struct failure_facts facts, const char *detail)
{
    if (detail) {
        snprintf(transfer->detail, sizeof transfer->detail, "%s", detail);
        facts.detail = transfer->detail;
    }
    transfer->facts = facts;
    transfer->state = H1_FAILED;
    close_connections(transfer);
    h1_wake_at(transfer, 0);
}

void h1_hand_over(struct h1_transfer *transfer)
{
    struct h1_transport *transport = transfer->transport;
    void *arg = transfer->hop->arg;

    retire(transfer);
    transport->hand_over(arg);
}

static void fail_now(struct h1_transfer *transfer)
{
    struct h1_transport *transport = transfer->transport;
    struct mite_error error = {0};
    void *arg = transfer->hop->arg;
    CURLcode code = transfer->facts.code;
    enum http_failure failure = failure_describe(transfer->hop, &transfer->facts, &error);

    transport->base.traffic.received_bytes += transfer->received;
    retire(transfer);
    transport->base.finished(arg, NULL, failure, (int)code, &error);
}

/* ---- time ---- */

static void arm(struct h1_transport *transport, uint64_t at_ns)
{
    if (at_ns < transport->armed_ns) {
        uint64_t now = clock_now_ns();
        transport->armed_ns = at_ns;
        timer_start(&transport->timer, at_ns > now ? at_ns - now : 0, 0);
    }
}

void h1_wake_at(struct h1_transfer *transfer, uint64_t at_ns)
{
    if (at_ns < transfer->wake_ns) {
        transfer->wake_ns = at_ns;
    }
    arm(transfer->transport, at_ns);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* One of its points in time may have come. */
static void on_wake(struct h1_transfer *transfer, uint64_t now)
{
    if (transfer->state == H1_FAILED) {
        fail_now(transfer);
        return;
    }
    if (now >= earlier(transfer->deadline_ns, transfer->connect_deadline_ns)) {
        transfer->facts = (struct failure_facts){
            .code = CURLE_OPERATION_TIMEDOUT,
            .connected = transfer->state == H1_EXCHANGING,
            .answered = transfer->timings.first_byte_ns > 0,
        };
        fail_now(transfer);
        return;
    }
    transfer->wake_ns = H1_NEVER;
    for (unsigned lane = 0; lane < 2; lane++) {
        if (now >= transfer->lane_ns[lane]) {
            h1_connect_next(transfer, lane);
        }
    }
    if (now >= transfer->expect_ns) {
        h1_send_body(transfer);
    }
    h1_wake_at(transfer, earlier(earlier(transfer->deadline_ns, transfer->connect_deadline_ns),
                                 earlier(earlier(transfer->lane_ns[0], transfer->lane_ns[1]), transfer->expect_ns)));
}

static void on_timer(struct timer *timer)
{
    struct h1_transport *transport = (struct h1_transport *)((char *)timer - offsetof(struct h1_transport, timer));
    struct h1_transfer *transfer;
    uint64_t now = clock_now_ns(), next = H1_NEVER;

    transport->armed_ns = H1_NEVER;
    transport->holders++; /* whoever is called may free the transport */
    for (transfer = transport->active; transfer; transfer = transport->cursor) {
        transport->cursor = transfer->next;
        if (transfer->wake_ns <= now) {
            on_wake(transfer, now);
        } else {
            next = earlier(next, transfer->wake_ns);
        }
    }
    if (!transport->closed) {
        arm(transport, next);
    }
    h1_transport_drop(transport);
}

/* ---- the transport's table ---- */

static int refuse(struct h1_transport *transport, const struct http_hop *hop, struct mite_error *error)
{
    struct h1_origin *origin = h1_origin_get(transport, hop);
    struct h1_template *template = origin ? h1_template_get(origin, hop) : NULL;

    if (!template) {
        return error_set(error, MITE_ENOMEM, "no memory for a request");
    }
    if (origin->h2 || template->exotic) {
        return error_set(error, MITE_EAGAIN, STR_FMT " to %s: %s", STR_ARG(hop->method), origin->host,
                         origin->h2 ? "its server speaks HTTP/2" : "a header changes how the message is framed");
    }
    return 0;
}

/* A request that must not be sent twice is not sent over a connection that the server has closed by now. */
static struct h1_conn *take_idle(const struct h1_transfer *transfer)
{
    bool is_safe = h1_request_is_safe(transfer->hop->method);
    struct h1_conn *conn;

    while ((conn = h1_origin_take(transfer->origin)) && !is_safe && h1_conn_is_dead(conn)) {
        h1_conn_close(conn);
    }
    return conn;
}

static int start(struct http_transport *base, const struct http_hop *hop, struct http_transfer **out,
                 struct mite_error *error)
{
    struct h1_transport *transport = (struct h1_transport *)base;
    int rc = refuse(transport, hop, error);

    if (rc < 0) {
        return rc;
    }
    struct h1_transfer *transfer = transfer_take(transport);
    if (!transfer) {
        return error_set(error, MITE_ENOMEM, "no memory for a request");
    }
    transfer->hop = hop;
    transfer->origin = transport->last;
    transfer->origin->users++;
    transfer->repeated = false;
    transfer->received = 0;
    transfer->timings = (struct http_timings){0};
    transfer->wake_ns = transfer->connect_deadline_ns = transfer->expect_ns = H1_NEVER;
    transfer->lane_ns[0] = transfer->lane_ns[1] = H1_NEVER;
    transfer->deadline_ns = h1_after(hop->start_ns, hop->timeout_ns);
    h1_wake_at(transfer, transfer->deadline_ns);
    *out = (struct http_transfer *)transfer;
    transfer->conn = take_idle(transfer);
    if (transfer->conn) {
        transfer->conn->transfer = transfer;
        h1_send(transfer);
    } else {
        h1_connect(transfer);
    }
    return 0;
}

static void cancel(struct http_transport *base, struct http_transfer *handle)
{
    struct h1_transfer *transfer = (struct h1_transfer *)handle;

    base->traffic.received_bytes += transfer->received;
    retire(transfer);
}

/* ---- life ---- */

static void on_timer_closed(struct timer *timer)
{
    h1_transport_drop((struct h1_transport *)((char *)timer - offsetof(struct h1_transport, timer)));
}

void h1_transport_drop(struct h1_transport *transport)
{
    if (--transport->holders == 0) {
        for (size_t i = 0; i < transport->given_count; i++) {
            free(transport->given[i].host);
        }
        free(transport->given);
        tls_store_free(transport->tls);
        free(transport->local);
        free(transport);
    }
}

static void free_transport(struct http_transport *base)
{
    struct h1_transport *transport = (struct h1_transport *)base;
    struct map_entry *entry;

    transport->closed = true;
    while (transport->idle) {
        struct h1_transfer *transfer = transport->idle;
        transport->idle = transfer->next;
        transfer_free(transfer);
    }
    for (uint32_t i = 0; (entry = map_next(&transport->origins, &i));) {
        struct h1_origin *origin = entry->value;
        struct h1_conn *conn;
        while ((conn = h1_origin_take(origin))) {
            h1_conn_close(conn);
        }
        h1_origin_free(origin);
    }
    map_done(&transport->origins, NULL);
    buf_done(&transport->out);
    buf_done(&transport->in);
    decoder_store_done(&transport->decoders);
    timer_close(&transport->timer, on_timer_closed);
    h1_transport_drop(transport);
}

static int take_given(struct h1_transport *transport, const struct http_client_options *options,
                      struct mite_error *error)
{
    transport->given = calloc(options->resolve_count + 1, sizeof *transport->given);
    for (size_t i = 0; transport->given && i < options->resolve_count; i++) {
        const struct http_resolve *resolve = &options->resolve[i];
        struct h1_given *given = &transport->given[i];
        if (!dns_literal(resolve->address, resolve->port, &given->address)) {
            return error_set(error, MITE_EINVAL, "--resolve: \"" STR_FMT "\" is no address", STR_ARG(resolve->address));
        }
        given->port = resolve->port;
        if (!(given->host = str_copy(resolve->host))) {
            break;
        }
        transport->given_count++;
    }
    return transport->given_count == options->resolve_count && transport->given
               ? 0
               : error_set(error, MITE_ENOMEM, "no memory for the HTTP client");
}

static int take_local_addresses(struct h1_transport *transport, const struct http_client_options *options,
                                struct mite_error *error)
{
    transport->local = calloc(options->local_address_count + 1, sizeof *transport->local);
    if (!transport->local) {
        return error_set(error, MITE_ENOMEM, "no memory for the HTTP client");
    }
    for (size_t i = 0; i < options->local_address_count; i++) {
        if (!dns_literal(str_of(options->local_addresses[i]), 0, &transport->local[i])) {
            return error_set(error, MITE_EINVAL, "--local-address=%s: an address of this machine is expected",
                             options->local_addresses[i]);
        }
        transport->local_count++;
    }
    return 0;
}

int h1_transport_new(struct loop *loop, const struct http_client_options *options, void (*hand_over)(void *hop_arg),
                     struct http_transport **out, struct mite_error *error)
{
    static const struct http_transport_ops ops = {start, cancel, free_transport};
    struct h1_transport *transport = calloc(1, sizeof *transport);

    if (!transport) {
        return error_set(error, MITE_ENOMEM, "no memory for the HTTP client");
    }
    transport->base.ops = &ops;
    transport->loop = loop;
    transport->hand_over = hand_over;
    transport->armed_ns = H1_NEVER;
    transport->idle_max = options->max_connections ? options->max_connections : DEFAULT_IDLE;
    transport->holders = 1;
    map_init(&transport->origins);
    buf_init(&transport->out, 0);
    buf_init(&transport->in, 0);
    transport->tls = tls_store_new(options->ca_file, hand_over != NULL);
    int rc = !transport->tls ? error_set(error, MITE_ENOMEM, "no memory for the HTTP client")
                             : take_given(transport, options, error);
    if (rc == 0) {
        rc = take_local_addresses(transport, options, error);
    }
    if (rc == 0 && timer_init(&transport->timer, loop, on_timer) < 0) {
        rc = error_set(error, MITE_EIO, "cannot make a timer for HTTP");
    }
    if (rc < 0) {
        h1_transport_drop(transport);
        return rc;
    }
    transport->holders++;
    *out = &transport->base;
    return 0;
}
