/*
 * Design notes. Every operation is tried first; only what would block makes the journey wait. What is received behind a
 * line stays in `unread` and is given out first.
 */
#include "runner/native_connect.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT_NS (10 * NS_PER_S)
#define MAX_LINE           65536
#define READ_AHEAD         4096

/* ---- descriptors ---- */

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct native_watch *watch = (struct native_watch *)poll;

    if (watch->socket) {
        uv_poll_stop(poll);
        native_wake(watch->socket->ctx, watch);
    }
}

bool native_socket_watch(struct mite_socket *socket, int fd)
{
    struct native_watch *watch = calloc(1, sizeof *watch);

    if (!watch || uv_poll_init(loop_uv(socket->ctx->native->loop), &watch->poll, fd) < 0) {
        free(watch);
        close(fd);
        return false;
    }
    watch->socket = socket;
    socket->watch = watch;
    socket->fd = fd;
    return true;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

void native_socket_hang_up(struct mite_socket *socket)
{
    if (socket->watch) {
        socket->watch->socket = NULL;
        uv_close((uv_handle_t *)&socket->watch->poll, on_closed);
        loop_touch(socket->ctx->native->loop);
        close(socket->fd);
        socket->watch = NULL;
        socket->fd = -1;
    }
}

struct watching {
    struct mite_socket *socket;
    int events;
};

static void watch_now(void *arg)
{
    struct watching *watching = arg;
    struct mite_socket *socket = watching->socket;

    if (watching->events) {
        uv_poll_start(&socket->watch->poll, watching->events, on_ready);
    } else {
        uv_poll_stop(&socket->watch->poll);
    }
    loop_touch(socket->ctx->native->loop);
}

uint64_t native_socket_left_ns(struct mite_socket *socket)
{
    uint64_t now_ns = clock_now_ns();

    if (socket->deadline_ns == 0) {
        socket->deadline_ns = ns_add(now_ns, socket->timeout_ns);
    }
    return socket->deadline_ns > now_ns ? socket->deadline_ns - now_ns : 0;
}

bool native_socket_wait(struct mite_socket *socket, int64_t wants)
{
    bool reads = wants == SOCKET_WANTS_READ;

    fiber_call(watch_now, &(struct watching){socket, reads ? UV_READABLE : UV_WRITABLE});
    if (native_wait_ns(socket->ctx, socket->watch, native_socket_left_ns(socket))) {
        return true;
    }
    fiber_call(watch_now, &(struct watching){socket, 0});
    native_socket_failed(socket, "nothing more %s within %g s", reads ? "came" : "was taken",
                         ns_to_s(socket->timeout_ns));
    return false;
}

int64_t native_socket_failed(struct mite_socket *socket, const char *format, ...)
{
    struct buf *text = &socket->ctx->native->scratch;
    va_list args;

    buf_clear(text);
    buf_printf(text, "%s: ", socket->address);
    va_start(args, format);
    buf_vprintf(text, format, args);
    va_end(args);
    socket->failure_in = socket->ctx->memory;
    socket->failure = arena_str(socket->ctx->memory, buf_view(text)).p;
    socket->failure = socket->failure ? socket->failure : "no memory";
    return SOCKET_FAILED;
}

/* What is tried until it need not wait. */
struct operation {
    struct mite_socket *socket;
    void *to;
    const void *from;
    size_t size;
    int64_t rc; /* of the last try: 0 or a number of bytes, or one of SOCKET_... */
};

static int64_t complete(struct operation *operation, void (*try)(void *operation))
{
    for (;;) {
        fiber_call(try, operation);
        if (operation->rc != SOCKET_WANTS_READ && operation->rc != SOCKET_WANTS_WRITE) {
            return operation->rc;
        }
        if (!native_socket_wait(operation->socket, operation->rc)) {
            return SOCKET_FAILED;
        }
    }
}

/* What a failed call gives back, unless it ends the journey. */
static int64_t fail(struct mite_socket *socket)
{
    if (!socket->may_fail) {
        native_fail(socket->ctx, "SocketError", "%s", socket->failure);
    }
    return -1;
}

/* ---- connecting ---- */

struct opening {
    struct mite_socket *socket;
    const char *host;
    const struct mite_socket_options *options;
    int64_t rc;
};

static void open_tls_now(void *arg)
{
    struct opening *opening = arg;

    opening->rc = native_tls_open(opening->socket, opening->host, opening->options);
}

static void try_handshake(void *arg)
{
    struct operation *operation = arg;

    operation->rc = native_tls_handshake(operation->socket);
}

static int64_t open_tls(struct mite_socket *socket, const char *host, const struct mite_socket_options *options)
{
    struct opening opening = {socket, host, options, 0};

    fiber_call(open_tls_now, &opening);
    return opening.rc == 0 ? complete(&(struct operation){.socket = socket}, try_handshake) : opening.rc;
}

static struct mite_socket *socket_new(struct mite_context *ctx, const char *address,
                                      const struct mite_socket_options *options)
{
    uint64_t timeout_ns = native_timeout_ns(ctx, "timeout_ms", options->timeout_ms);
    size_t length = strlen(address);
    struct mite_socket *socket = calloc(1, sizeof *socket + length + 1);

    if (!socket) {
        native_raise(ctx, "MemoryError", STR("MemoryError: no memory for a socket"));
    }
    socket->ctx = ctx;
    socket->fd = -1;
    socket->may_fail = options->may_fail;
    socket->timeout_ns = timeout_ns ? timeout_ns : DEFAULT_TIMEOUT_NS;
    buf_init(&socket->unread, MAX_LINE + READ_AHEAD);
    memcpy(socket->address, address, length);
    LIST_INSERT_HEAD(&ctx->sockets, socket, link);
    return socket;
}

struct mite_socket *mite_socket_connect(struct mite_context *ctx, const char *address,
                                        const struct mite_socket_options *given)
{
    struct mite_socket_options options = {0};
    struct native_address parsed;

    if (given) {
        memcpy(&options, given, given->size < sizeof options ? given->size : sizeof options);
    }
    native_need(ctx, address, "mite_connect", "the address");
    if (!native_address_parse(address, &parsed)) {
        native_fail(ctx, "ValueError", "\"%.200s\" is no address: tcp://HOST:PORT, tls://HOST:PORT or udp://HOST:PORT",
                    address);
    }
    native_check_key(ctx, options.cert_file, options.key_file);
    struct mite_socket *socket = socket_new(ctx, address, &options);
    socket->datagrams = parsed.kind == ADDRESS_UDP;
    ctx->not_connected = NULL;
    int64_t rc = native_connect(socket, &parsed);
    if (rc == 0 && parsed.kind == ADDRESS_TLS) {
        rc = open_tls(socket, parsed.host, &options);
    }
    if (rc >= 0) {
        return socket;
    }
    ctx->not_connected = socket->failure;
    ctx->not_connected_in = socket->failure_in;
    fail(socket);
    mite_close(socket);
    return NULL;
}

const char *mite_socket_failure(struct mite_context *ctx, const struct mite_socket *socket)
{
    return socket ? socket->failure : ctx->not_connected;
}

/* ---- reading and writing ---- */

static int64_t of_errno(struct mite_socket *socket, const char *what, int64_t would_block)
{
    if (errno == EAGAIN || errno == EINTR) {
        return would_block;
    }
    return native_socket_failed(socket, "%s: %s", what, strerror(errno));
}

static void try_read(void *arg)
{
    struct operation *operation = arg;
    struct mite_socket *socket = operation->socket;

    if (socket->tls) {
        operation->rc = native_tls_read(socket, operation->to, operation->size);
        return;
    }
    ssize_t n = recv(socket->fd, operation->to, operation->size, 0);
    operation->rc = n >= 0 ? n : of_errno(socket, "read", SOCKET_WANTS_READ);
}

static void try_write(void *arg)
{
    struct operation *operation = arg;
    struct mite_socket *socket = operation->socket;

    if (socket->tls) {
        operation->rc = native_tls_write(socket, operation->from, operation->size);
        return;
    }
    ssize_t n = send(socket->fd, operation->from, operation->size, MSG_NOSIGNAL);
    operation->rc = n >= 0 ? n : of_errno(socket, "write", SOCKET_WANTS_WRITE);
}

/* The journey calls with this socket. False for one of .may_fail that is none. */
static bool begin(struct mite_socket *socket)
{
    if (socket) {
        socket->failure = NULL;
        socket->deadline_ns = 0;
    }
    return socket != NULL;
}

/* As mite_read(), of a call that has begun. */
static int64_t read_some(struct mite_socket *socket, void *buffer, size_t size)
{
    struct buf *unread = &socket->unread;

    if (size == 0) {
        return 0;
    }
    if (unread->size > 0) {
        size_t n = size < unread->size ? size : unread->size;
        memcpy(buffer, unread->data, n);
        buf_drop_front(unread, n);
        return (int64_t)n;
    }
    int64_t rc = complete(&(struct operation){.socket = socket, .to = buffer, .size = size}, try_read);
    return rc >= 0 ? rc : fail(socket);
}

int64_t mite_read(struct mite_context *ctx, struct mite_socket *socket, void *buffer, size_t size)
{
    native_need(ctx, buffer, "mite_read", "the buffer");
    return begin(socket) ? read_some(socket, buffer, size) : -1;
}

int64_t mite_read_exactly(struct mite_context *ctx, struct mite_socket *socket, void *buffer, size_t size)
{
    native_need(ctx, buffer, "mite_read_exactly", "the buffer");
    if (!begin(socket)) {
        return -1;
    }
    for (size_t done = 0; done < size;) {
        int64_t n = read_some(socket, (char *)buffer + done, size - done);
        if (n < 0) {
            return -1;
        }
        if (n == 0) {
            native_socket_failed(socket, "the peer has closed after %zu of %zu bytes", done, size);
            return fail(socket);
        }
        done += (size_t)n;
    }
    return (int64_t)size;
}

static const char *take_line(struct mite_socket *socket, size_t length, size_t used)
{
    struct buf *unread = &socket->unread;

    length -= length > 0 && unread->data[length - 1] == '\r';
    const char *line = native_copy(socket->ctx, (struct str){unread->data, length});
    buf_drop_front(unread, used);
    return line;
}

const char *mite_read_line(struct mite_context *ctx, struct mite_socket *socket)
{
    size_t seen = 0;

    if (!begin(socket)) {
        return NULL;
    }
    for (struct buf *unread = &socket->unread;;) {
        const char *end = unread->size > seen ? memchr(unread->data + seen, '\n', unread->size - seen) : NULL;
        if (end) {
            size_t length = (size_t)(end - unread->data);
            return take_line(socket, length, length + 1);
        }
        seen = unread->size;
        if (seen > MAX_LINE || buf_reserve(unread, READ_AHEAD) < 0) {
            native_socket_failed(socket, "a line is longer than %d bytes", MAX_LINE);
            fail(socket);
            return NULL;
        }
        int64_t n =
            complete(&(struct operation){.socket = socket, .to = unread->data + seen, .size = READ_AHEAD}, try_read);
        if (n < 0) {
            fail(socket);
            return NULL;
        }
        if (n == 0) {
            return seen > 0 ? take_line(socket, seen, seen) : NULL;
        }
        unread->size += (size_t)n;
    }
}

int64_t mite_write(struct mite_context *ctx, struct mite_socket *socket, const void *bytes, size_t size)
{
    native_need(ctx, bytes, "mite_write", "the bytes");
    if (!begin(socket)) {
        return -1;
    }
    if (size == 0 && !socket->datagrams) {
        return 0;
    }
    size_t done = 0;
    do {
        struct operation rest = {.socket = socket, .from = (const char *)bytes + done, .size = size - done};
        int64_t n = complete(&rest, try_write);
        if (n < 0) {
            return fail(socket);
        }
        done += (size_t)n;
    } while (done < size && !socket->datagrams); /* one of these goes whole, or not at all */
    return (int64_t)size;
}

int64_t mite_write_text(struct mite_context *ctx, struct mite_socket *socket, const char *text)
{
    native_need(ctx, text, "mite_write_text", "the text");
    return mite_write(ctx, socket, text, strlen(text));
}

/* ---- ends ---- */

static void close_now(void *arg)
{
    struct mite_socket *socket = arg;

    native_lookup_forget(socket);
    native_tls_close(socket);
    native_socket_hang_up(socket);
    buf_done(&socket->unread);
}

void mite_close(struct mite_socket *socket)
{
    if (socket) {
        fiber_call(close_now, socket);
        LIST_REMOVE(socket, link);
        free(socket);
    }
}

void native_sockets_forget(struct mite_context *ctx, const struct arena *memory)
{
    struct mite_socket *socket;

    if (ctx->not_connected_in == memory) {
        ctx->not_connected = NULL;
    }
    LIST_FOREACH(socket, &ctx->sockets, link)
    {
        if (socket->failure_in == memory) {
            socket->failure = NULL;
        }
    }
}

void native_sockets_end(struct mite_context *ctx)
{
    struct mite_socket *next;

    for (struct mite_socket *socket = LIST_FIRST(&ctx->sockets); socket; socket = next) {
        next = LIST_NEXT(socket, link);
        mite_close(socket);
    }
}

/* The resolver's threads cannot be called off. */
void native_sockets_close(struct native *native)
{
    while (native->lookups > 0) {
        uv_run(loop_uv(native->loop), UV_RUN_ONCE);
    }
    native_tls_done(native);
}
