#include "runner/native_connect.h"

#include "base/clock.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>

struct native_lookup {
    uv_getaddrinfo_t request;
    struct native *native;
    struct mite_socket *socket; /* NULL: nobody waits any more */
    bool done;
    int status;
    struct addrinfo *found; /* owned */
};

bool native_address_parse(const char *text, struct native_address *out)
{
    static const char *const schemes[] = {[ADDRESS_TCP] = "tcp://", [ADDRESS_TLS] = "tls://", [ADDRESS_UDP] = "udp://"};
    const char *rest = NULL;

    for (unsigned i = 0; text && i < sizeof schemes / sizeof *schemes; i++) {
        if (strncmp(text, schemes[i], strlen(schemes[i])) == 0) {
            out->kind = i;
            rest = text + strlen(schemes[i]);
        }
    }
    const char *colon = rest ? strrchr(rest, ':') : NULL;
    if (!colon || strlen(colon + 1) >= sizeof out->port) {
        return false;
    }
    struct str host = {rest, (size_t)(colon - rest)};
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
        host = (struct str){host.p + 1, host.n - 2};
    }
    long long port;
    if (host.n == 0 || host.n >= sizeof out->host || !str_to_int64(colon + 1, &port) || port < 1 || port > 65535) {
        return false;
    }
    memcpy(out->host, host.p, host.n);
    out->host[host.n] = '\0';
    snprintf(out->port, sizeof out->port, "%lld", port);
    return true;
}

/* ---- names ---- */

static void lookup_free(struct native_lookup *lookup)
{
    uv_freeaddrinfo(lookup->found);
    free(lookup);
}

static void on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct native_lookup *lookup = (struct native_lookup *)request;

    lookup->native->lookups--;
    lookup->done = true;
    lookup->status = status;
    lookup->found = found;
    if (!lookup->socket) {
        lookup_free(lookup);
    } else {
        native_wake(lookup->socket->ctx, lookup);
    }
}

void native_lookup_forget(struct mite_socket *socket)
{
    struct native_lookup *lookup = socket->lookup;

    if (!lookup) {
        return;
    }
    socket->lookup = NULL;
    if (lookup->done) {
        lookup_free(lookup);
    } else {
        lookup->socket = NULL;
        uv_cancel((uv_req_t *)&lookup->request);
    }
}

struct looking_up {
    struct mite_socket *socket;
    const struct native_address *address;
    int rc;
};

static void look_up_now(void *arg)
{
    struct looking_up *looking = arg;
    struct addrinfo hints = {.ai_socktype = looking->address->kind == ADDRESS_UDP ? SOCK_DGRAM : SOCK_STREAM,
                             .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST};
    struct mite_socket *socket = looking->socket;
    struct native *native = socket->ctx->native;
    struct native_lookup *lookup = calloc(1, sizeof *lookup);

    if (!lookup) {
        looking->rc = UV_ENOMEM;
        return;
    }
    *lookup = (struct native_lookup){.native = native, .socket = socket};
    if (getaddrinfo(looking->address->host, looking->address->port, &hints, &lookup->found) == 0) {
        lookup->done = true; /* an address in digits: no thread has to wait for a server of names */
        socket->lookup = lookup;
        return;
    }
    hints.ai_flags = AI_NUMERICSERV;
    looking->rc = uv_getaddrinfo(loop_uv(native->loop), &lookup->request, on_found, looking->address->host,
                                 looking->address->port, &hints);
    if (looking->rc < 0) {
        free(lookup);
        return;
    }
    native->lookups++;
    socket->lookup = lookup;
    loop_touch(native->loop);
}

/* ---- connections ---- */

struct dialling {
    struct mite_socket *socket;
    const struct addrinfo *to;
    int error; /* errno, 0: connected or on the way */
    bool on_the_way;
};

static void dial_now(void *arg)
{
    struct dialling *dialling = arg;
    const struct addrinfo *to = dialling->to;
    int one = 1, fd;

    native_socket_hang_up(dialling->socket); /* the address before was no good */
    fd = socket(to->ai_family, to->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, to->ai_protocol);
    if (fd < 0 || !native_socket_watch(dialling->socket, fd)) {
        dialling->error = fd < 0 ? errno : ENOMEM;
        return;
    }
    if (to->ai_socktype == SOCK_STREAM) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    dialling->error = connect(fd, to->ai_addr, to->ai_addrlen) == 0 ? 0 : errno;
    if (dialling->error == EINPROGRESS) {
        dialling->error = 0;
        dialling->on_the_way = true;
    }
}

static int pending_error(int fd)
{
    int error = 0;
    socklen_t size = sizeof error;

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

/* One of the addresses. 0, or SOCKET_FAILED. */
static int64_t dial(struct mite_socket *socket, const struct addrinfo *to)
{
    struct dialling dialling = {.socket = socket, .to = to};

    fiber_call(dial_now, &dialling);
    if (dialling.on_the_way) {
        if (!native_socket_wait(socket, SOCKET_WANTS_WRITE)) {
            return native_socket_failed(socket, "not connected within %g s", ns_to_s(socket->timeout_ns));
        }
        dialling.error = pending_error(socket->fd);
    }
    return dialling.error ? native_socket_failed(socket, "cannot connect: %s", strerror(dialling.error)) : 0;
}

static int64_t look_up(struct mite_socket *socket, const struct native_address *address)
{
    struct looking_up looking = {socket, address, 0};

    fiber_call(look_up_now, &looking);
    if (looking.rc == 0 && !socket->lookup->done &&
        !native_wait_ns(socket->ctx, socket->lookup, native_socket_left_ns(socket))) {
        return native_socket_failed(socket, "its name was not found within %g s", ns_to_s(socket->timeout_ns));
    }
    int rc = looking.rc < 0 ? looking.rc : socket->lookup->status;
    return rc < 0 ? native_socket_failed(socket, "cannot find \"%s\": %s", address->host, uv_strerror(rc)) : 0;
}

int64_t native_connect(struct mite_socket *socket, const struct native_address *address)
{
    int64_t rc = look_up(socket, address);

    if (rc == 0) {
        rc = SOCKET_FAILED;
        for (const struct addrinfo *to = socket->lookup->found; rc < 0 && to; to = to->ai_next) {
            rc = dial(socket, to);
        }
    }
    native_lookup_forget(socket);
    return rc;
}
