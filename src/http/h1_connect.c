/*
 * Design notes
 *
 * - A transfer without an idle connection opens its own. The name is looked up once for all that ask for it, and the
 *   answer kept for a minute.
 * - Addresses take turns, so that a service behind many of them is loaded evenly. Those of the family that the system
 *   prefers are tried first; after a quarter of a second, or when all of them failed, the other family's race them.
 *   Within a family one comes after another: when the one before failed, or took half of the time that was left.
 *   Whoever is connected first wins, and the other one is closed.
 * - A connection is watched for writing until it stands, for reading from then on: epoll is told twice in its life,
 *   unless a socket gets full; once, when the server is so near that a plain connection stands at once. (One for TLS is
 *   watched all the same: a handshake may hand the transfer over, which must not happen inside start().)
 */
#include "http/h1.h"

#include "base/clock.h"

#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#define ADDRESSES_AGE_NS (60 * NS_PER_S)

enum { STANDS = 1 };

/* ---- connections ---- */

static void on_poll(uv_poll_t *poll, int status, int events);

static void on_conn_closed(uv_handle_t *handle)
{
    struct h1_conn *conn = handle->data;

    h1_transport_drop(conn->transport);
    free(conn->held);
    free(conn);
}

void h1_conn_close(struct h1_conn *conn)
{
    conn->origin->users--;
    tls_close(conn->ssl, !conn->broken);
    uv_close((uv_handle_t *)&conn->poll, on_conn_closed);
    close(conn->fd);
    loop_touch(conn->transport->loop);
}

int h1_conn_watch(struct h1_conn *conn, int events)
{
    if (conn->watched == events) {
        return 0;
    }
    conn->watched = events;
    loop_touch(conn->transport->loop);
    return uv_poll_start(&conn->poll, events, on_poll);
}

/* Sockets that end with the process: a load generator has more of them than ports that may rest. */
static int open_socket(struct h1_transport *transport, int family)
{
    static const int on = 1;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -errno;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (size_t i = 0; i < transport->local_count; i++) { /* the next one of that family */
        const union dns_address *local = &transport->local[transport->local_next++ % transport->local_count];
        if (local->any.sa_family == family) {
            setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
            if (bind(fd, &local->any, dns_size(local)) < 0) {
                int rc = -errno;
                close(fd);
                return rc;
            }
            break;
        }
    }
    return fd;
}

static struct h1_conn *conn_new(struct h1_transfer *transfer, int fd, const union dns_address *address)
{
    struct h1_transport *transport = transfer->transport;
    struct h1_conn *conn = calloc(1, sizeof *conn);

    if (!conn) {
        return NULL;
    }
    if (uv_poll_init_socket(loop_uv(transport->loop), &conn->poll, fd) < 0) {
        free(conn);
        return NULL;
    }
    conn->poll.data = conn;
    conn->transport = transport;
    conn->origin = transfer->origin;
    conn->transfer = transfer;
    conn->fd = fd;
    dns_text(address, conn->address);
    conn->origin->users++;
    transport->holders++;
    return conn;
}

/* ---- attempts ---- */

static int family_of(const struct h1_transfer *transfer, unsigned lane)
{
    int first = transfer->origin->addresses.at[0].any.sa_family;

    return lane == 0 ? first : first == AF_INET ? AF_INET6 : AF_INET;
}

/* Why an attempt failed. What this machine lacks is told rather than what another address said. */
static void take_reason(struct h1_transfer *transfer, int number)
{
    bool lacks = number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM;

    if (lacks || !transfer->facts.no_socket) {
        transfer->facts.number = number;
        transfer->facts.no_socket = lacks;
    }
}

/* STANDS: at once, as on this machine; asking again tells. Else 0, or why not, negative. */
static int begin_to_connect(int fd, const union dns_address *address)
{
    for (int i = 0; i < 2; i++) {
        if (connect(fd, &address->any, dns_size(address)) == 0) {
            return STANDS;
        }
        if (errno != EINPROGRESS && errno != EALREADY) {
            return -errno;
        }
    }
    return 0;
}

static void won(struct h1_transfer *transfer, unsigned lane);

/* Begins to connect to one address. 0 or why not, negative. */
static int attempt(struct h1_transfer *transfer, unsigned lane, const union dns_address *address)
{
    int fd = open_socket(transfer->transport, address->any.sa_family);

    if (fd < 0) {
        return fd;
    }
    int rc = begin_to_connect(fd, address);
    struct h1_conn *conn = rc < 0 ? NULL : conn_new(transfer, fd, address);
    if (!conn) {
        close(fd);
        return rc < 0 ? rc : -ENOMEM;
    }
    transfer->race[lane] = conn;
    transfer->transport->base.traffic.connections++;
    if (rc == STANDS && !conn->origin->tls) {
        won(transfer, lane);
        return 0;
    }
    return h1_conn_watch(conn, UV_WRITABLE);
}

/* Half of the time that is left to be connected. */
static uint64_t half_way(const struct h1_transfer *transfer)
{
    uint64_t now = clock_now_ns(), end = transfer->connect_deadline_ns;

    end = end < transfer->deadline_ns ? end : transfer->deadline_ns;
    return end > now ? now + (end - now) / 2 : now;
}

/* The next address of that lane to which a connection begins. False when none is left. */
static bool attempt_next(struct h1_transfer *transfer, unsigned lane)
{
    const struct dns_addresses *addresses = &transfer->origin->addresses;
    int family = family_of(transfer, lane);
    unsigned count = dns_count(addresses, family);

    transfer->lane_ns[lane] = H1_NEVER;
    while (transfer->tried[lane] < count) {
        const union dns_address *address = dns_nth(addresses, family, transfer->turn + transfer->tried[lane]++);
        int rc = attempt(transfer, lane, address);
        if (rc == 0) {
            if (transfer->race[lane] && transfer->tried[lane] < count) {
                transfer->lane_ns[lane] = half_way(transfer);
                h1_wake_at(transfer, transfer->lane_ns[lane]);
            }
            return true;
        }
        take_reason(transfer, -rc);
    }
    return false;
}

/* On to the next address of that lane, or of the other one, or to the end. */
static void go_on(struct h1_transfer *transfer, unsigned lane)
{
    unsigned other = !lane;

    if (!attempt_next(transfer, lane) && !transfer->race[other] && !attempt_next(transfer, other)) {
        h1_fail(transfer,
                (struct failure_facts){.code = CURLE_COULDNT_CONNECT,
                                       .number = transfer->facts.number,
                                       .no_socket = transfer->facts.no_socket},
                NULL);
    }
}

void h1_connect_next(struct h1_transfer *transfer, unsigned lane)
{
    if (transfer->race[lane]) {
        h1_conn_close(transfer->race[lane]);
        transfer->race[lane] = NULL;
    }
    go_on(transfer, lane);
}

static void race(struct h1_transfer *transfer)
{
    struct h1_origin *origin = transfer->origin;

    transfer->timings.dns_ns = clock_now_ns() - transfer->hop->start_ns;
    transfer->state = H1_RACING;
    transfer->turn = origin->turn++;
    transfer->tried[0] = transfer->tried[1] = 0;
    transfer->facts = (struct failure_facts){.code = CURLE_OK};
    if (dns_count(&origin->addresses, family_of(transfer, 1)) > 0) {
        transfer->lane_ns[1] = clock_now_ns() + H1_ADDRESS_TURN;
        h1_wake_at(transfer, transfer->lane_ns[1]);
    }
    go_on(transfer, 0);
}

/* ---- names ---- */

static void on_addresses(void *arg, const struct dns_addresses *addresses)
{
    struct h1_origin *origin = arg;
    struct h1_transport *transport = origin->transport;
    struct h1_transfer *transfer;

    origin->lookup = NULL;
    if (addresses) {
        origin->addresses = *addresses;
        origin->addresses_until_ns = clock_now_ns() + ADDRESSES_AGE_NS;
    }
    for (transfer = transport->active; transfer; transfer = transport->cursor) {
        transport->cursor = transfer->next;
        if (transfer->origin != origin || transfer->state != H1_RESOLVING) {
            continue;
        }
        if (addresses) {
            race(transfer);
        } else {
            char detail[sizeof transfer->detail];
            snprintf(detail, sizeof detail, "Could not resolve host: %s", origin->host);
            h1_fail(transfer, (struct failure_facts){.code = CURLE_COULDNT_RESOLVE_HOST}, detail);
        }
    }
}

void h1_connect(struct h1_transfer *transfer)
{
    struct h1_origin *origin = transfer->origin;
    uint64_t now = clock_now_ns();

    transfer->state = H1_RESOLVING;
    transfer->connect_deadline_ns = h1_after(now, transfer->hop->connect_timeout_ns);
    h1_wake_at(transfer, transfer->connect_deadline_ns);
    if (origin->fixed || (origin->addresses.count > 0 && now < origin->addresses_until_ns)) {
        race(transfer);
    } else if (!origin->lookup && dns_lookup_start(transfer->transport->loop, origin->host, origin->port, on_addresses,
                                                   origin, &origin->lookup) < 0) {
        h1_fail(transfer, (struct failure_facts){.code = CURLE_OUT_OF_MEMORY}, NULL);
    }
}

/* ---- when the socket says something ---- */

static void connected(struct h1_transfer *transfer)
{
    transfer->connect_deadline_ns = H1_NEVER;
    transfer->conn->state = H1_OPEN;
    if (h1_conn_watch(transfer->conn, UV_READABLE) < 0) {
        h1_fail(transfer, (struct failure_facts){.code = CURLE_OUT_OF_MEMORY}, NULL);
        return;
    }
    h1_send(transfer);
}

static void fail_tls(struct h1_transfer *transfer)
{
    const struct tls_failure *failure = &transfer->transport->tls_failure;

    transfer->conn->broken = true;
    h1_fail(transfer, (struct failure_facts){.code = failure->code}, failure->text);
}

static void go_on_shaking(struct h1_transfer *transfer)
{
    struct h1_conn *conn = transfer->conn;

    switch (tls_handshake(conn->ssl, conn->origin->host, &transfer->transport->tls_failure)) {
    case TLS_WANTS_READ:
        h1_conn_watch(conn, UV_READABLE);
        break;
    case TLS_WANTS_WRITE:
        h1_conn_watch(conn, UV_READABLE | UV_WRITABLE);
        break;
    case TLS_FAILED:
        fail_tls(transfer);
        break;
    case TLS_DONE:
        transfer->timings.tls_ns = clock_now_ns() - transfer->hop->start_ns;
        if (tls_chose_h2(conn->ssl)) {
            conn->origin->h2 = true;
            h1_hand_over(transfer);
        } else {
            connected(transfer);
        }
        break;
    }
}

static void shake_hands(struct h1_transfer *transfer)
{
    struct h1_conn *conn = transfer->conn;
    struct h1_origin *origin = conn->origin;

    conn->state = H1_HANDSHAKE;
    conn->ssl = tls_open(transfer->transport->tls, conn->fd, origin->host, origin->verify, origin->cert_file,
                         origin->key_file, &origin->session, &transfer->transport->tls_failure);
    if (conn->ssl) {
        go_on_shaking(transfer);
    } else {
        fail_tls(transfer);
    }
}

/* A connection stands: it is the one, and the request goes out. */
static void won(struct h1_transfer *transfer, unsigned lane)
{
    struct h1_conn *conn = transfer->race[lane];

    if (transfer->race[!lane]) {
        h1_conn_close(transfer->race[!lane]);
    }
    transfer->race[0] = transfer->race[1] = NULL;
    transfer->lane_ns[0] = transfer->lane_ns[1] = H1_NEVER;
    transfer->timings.connect_ns = clock_now_ns() - transfer->hop->start_ns;
    transfer->conn = conn;
    if (conn->origin->tls) {
        shake_hands(transfer);
    } else {
        connected(transfer);
    }
}

static void on_connecting(struct h1_conn *conn, int status)
{
    struct h1_transfer *transfer = conn->transfer;
    unsigned lane = transfer->race[1] == conn;
    int number = 0;
    socklen_t size = sizeof number;

    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &number, &size) < 0) {
        number = errno;
    }
    if (number == 0 && status >= 0) {
        won(transfer, lane);
        return;
    }
    transfer->race[lane] = NULL;
    take_reason(transfer, number);
    h1_conn_close(conn);
    go_on(transfer, lane);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct h1_conn *conn = poll->data;
    struct loop *loop = conn->transport->loop;

    if (conn->state == H1_CONNECTING) {
        on_connecting(conn, status);
    } else if (conn->state == H1_HANDSHAKE) {
        go_on_shaking(conn->transfer);
    } else {
        h1_on_ready(conn, status < 0 ? UV_READABLE : events, status < 0);
    }
    loop_run_deferred(loop);
}
