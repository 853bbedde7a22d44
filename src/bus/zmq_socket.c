/*
 * Design notes
 *
 * - The library's descriptor (ZMQ_FD) says that its commands wait, not that messages do. Any call on the socket may
 *   take such a command away, so that a message can be there while the descriptor is silent. Hence: receive until there
 *   is nothing, and look again after each send on a socket that also receives.
 * - A queue inside the library wakes its reader only once that has found it empty. Hence: look once after connecting.
 * - A turn takes TURN_MESSAGES at most; `more` then brings the next turn at once, and others have theirs in between.
 * - Callbacks may close the socket: `closed` is looked at after each. The memory lives until libuv has closed the
 *   handles.
 */
#include "bus/zmq_socket.h"
#include "bus/zap.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define TURN_MESSAGES 256
#define STOP_GRACE_S  1 /* beyond the linger time */
#define FRAMES_MAX    3 /* routing id, empty one, body */

_Static_assert(sizeof(struct bus_message) >= sizeof(zmq_msg_t), "a message has room for the library's");

int zmq_code(int errno_value)
{
    switch (errno_value) {
    case EAGAIN:
        return MITE_EAGAIN;
    case EHOSTUNREACH:
        return MITE_ENOTFOUND;
    case ENOMEM:
        return MITE_ENOMEM;
    case EINVAL:
        return MITE_EINVAL;
    default:
        return MITE_EIO;
    }
}

static struct zmq_end *end_of(struct bus_socket *socket)
{
    return (struct zmq_end *)socket;
}

/* Frames of a whole message, by kind. */
static unsigned frames_of(const struct zmq_end *end)
{
    return end->base.options.kind == SOCKET_SERVICE ? 3 : end->base.options.kind == SOCKET_CLIENT ? 2 : 1;
}

/* ---- receiving ---- */

/* Reads one message; *count tells its frames, those beyond FRAMES_MAX are thrown away. */
static int receive(struct zmq_end *end, zmq_msg_t frames[FRAMES_MAX], unsigned *count)
{
    zmq_msg_t *frame = frames;

    for (*count = 0;;) {
        while (zmq_msg_recv(frame, end->zmq, ZMQ_DONTWAIT) < 0) {
            if (zmq_errno() != EINTR) {
                return zmq_code(zmq_errno());
            }
        }
        ++*count;
        if (!zmq_msg_more(frame)) {
            return 0;
        }
        frame = &frames[*count < FRAMES_MAX ? *count : FRAMES_MAX - 1];
    }
}

static struct str frame_bytes(zmq_msg_t *frame)
{
    return (struct str){zmq_msg_data(frame), zmq_msg_size(frame)};
}

static void deliver(struct zmq_end *end, zmq_msg_t frames[FRAMES_MAX], unsigned count)
{
    const struct socket_options *options = &end->base.options;

    if (count != frames_of(end) || (count > 1 && zmq_msg_size(&frames[count - 2]) != 0)) {
        end->base.malformed++;
    } else if (options->received_message) {
        options->received_message(options->arg, (struct bus_message *)&frames[0]);
    } else {
        options->received(options->arg, count == 3 ? frame_bytes(&frames[0]) : STR_NONE,
                          frame_bytes(&frames[count - 1]));
    }
}

static void on_more(uv_idle_t *idle);

void zmq_look_again(struct zmq_end *end, bool more)
{
    if (more) {
        uv_idle_start(&end->more, on_more);
        loop_touch(end->base.bus->loop);
    } else {
        uv_idle_stop(&end->more);
    }
}

static void drain(struct zmq_end *end)
{
    zmq_msg_t frames[FRAMES_MAX];
    unsigned budget = TURN_MESSAGES, count;

    for (unsigned i = 0; i < FRAMES_MAX; i++) {
        zmq_msg_init(&frames[i]);
    }
    end->draining = true;
    while (budget > 0 && !end->closed && receive(end, frames, &count) == 0) {
        deliver(end, frames, count);
        budget--;
    }
    end->draining = false;
    for (unsigned i = 0; i < FRAMES_MAX; i++) {
        zmq_msg_close(&frames[i]);
    }
    if (!end->closed) {
        zmq_look_again(end, budget == 0);
    }
}

static int events_of(struct zmq_end *end)
{
    int events = 0;
    size_t size = sizeof events;

    zmq_getsockopt(end->zmq, ZMQ_EVENTS, &events, &size);
    return events;
}

static void turn(struct zmq_end *end)
{
    int ready = events_of(end);

    if (end->blocked && (ready & ZMQ_POLLOUT)) {
        end->blocked = false;
        if (end->base.options.writable) {
            end->base.options.writable(end->base.options.arg);
        }
    }
    if (end->closed) {
        return;
    }
    if (ready & ZMQ_POLLIN) {
        drain(end);
    } else {
        zmq_look_again(end, false);
    }
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    turn(poll->data);
}

static void on_more(uv_idle_t *idle)
{
    struct zmq_end *end = idle->data;

    zmq_monitor_drain(end);
    if (!end->closed) {
        turn(end);
    }
}

/* ---- sending ---- */

static int send_frame(struct zmq_end *end, zmq_msg_t *frame, int flags)
{
    while (zmq_msg_send(frame, end->zmq, flags | ZMQ_DONTWAIT) < 0) {
        if (zmq_errno() != EINTR) {
            return zmq_code(zmq_errno());
        }
    }
    return 0;
}

static int send_bytes(struct zmq_end *end, struct str bytes, int flags)
{
    zmq_msg_t frame;

    if (zmq_msg_init_size(&frame, bytes.n) != 0) {
        return MITE_ENOMEM;
    }
    if (bytes.n > 0) {
        memcpy(zmq_msg_data(&frame), bytes.p, bytes.n);
    }
    int rc = send_frame(end, &frame, flags);
    if (rc < 0) {
        zmq_msg_close(&frame);
    }
    return rc;
}

/* What comes in front of a body. Only the first frame of a message can find no room. */
static int send_envelope(struct zmq_end *end, struct str peer)
{
    int rc = 0;

    if (end->base.options.kind == SOCKET_SERVICE) {
        rc = send_bytes(end, peer, ZMQ_SNDMORE);
    }
    if (rc == 0 && frames_of(end) > 1) {
        rc = send_bytes(end, STR(""), ZMQ_SNDMORE);
    }
    return rc;
}

static int sent(struct zmq_end *end, int rc)
{
    if (rc == MITE_EAGAIN) {
        end->blocked = true;
    }
    if (frames_of(end) > 1 && !end->draining && (events_of(end) & ZMQ_POLLIN)) {
        zmq_look_again(end, true);
    }
    return rc;
}

static int end_send_message(struct bus_socket *socket, struct bus_message *message)
{
    struct zmq_end *end = end_of(socket);

    return sent(end, send_frame(end, (zmq_msg_t *)message, 0));
}

static int end_send(struct bus_socket *socket, struct str peer, struct str body)
{
    struct zmq_end *end = end_of(socket);
    zmq_msg_t frame;

    if (zmq_msg_init_size(&frame, body.n) != 0) {
        return MITE_ENOMEM;
    }
    if (body.n > 0) {
        memcpy(zmq_msg_data(&frame), body.p, body.n);
    }
    int rc = send_envelope(end, peer);
    if (rc == 0) {
        rc = send_frame(end, &frame, 0);
    }
    if (rc < 0) {
        zmq_msg_close(&frame);
    }
    return sent(end, rc);
}

/* ---- messages ---- */

static struct str message_bytes(struct bus_message *message)
{
    return frame_bytes((zmq_msg_t *)message);
}

static int message_copy(struct str bytes, struct bus_message *out)
{
    zmq_msg_t *made = (zmq_msg_t *)out;

    if (zmq_msg_init_size(made, bytes.n) != 0) {
        return MITE_ENOMEM;
    }
    if (bytes.n > 0) {
        memcpy(zmq_msg_data(made), bytes.p, bytes.n);
    }
    return 0;
}

static int message_share(struct bus_message *message, struct bus_message *out)
{
    zmq_msg_t *made = (zmq_msg_t *)out;

    zmq_msg_init(made);
    return zmq_msg_copy(made, (zmq_msg_t *)message) == 0 ? 0 : MITE_ENOMEM;
}

static void message_move(struct bus_message *message, struct bus_message *out)
{
    zmq_msg_init((zmq_msg_t *)out);
    zmq_msg_move((zmq_msg_t *)out, (zmq_msg_t *)message);
    zmq_msg_close((zmq_msg_t *)message);
}

static void message_release(struct bus_message *message)
{
    zmq_msg_close((zmq_msg_t *)message);
}

/* ---- life ---- */

static void handle_closed(struct zmq_end *end)
{
    if (--end->open_handles == 0) {
        free(end);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

static void on_retry_closed(struct timer *timer)
{
    handle_closed((struct zmq_end *)((char *)timer - offsetof(struct zmq_end, retry)));
}

/* Also of one that open() left half-built. */
static void end_close(struct bus_socket *socket)
{
    struct zmq_end *end = end_of(socket);
    int linger_ms = socket->bus->linger_ms;

    end->closed = true;
    if (end->poll.data) {
        uv_close((uv_handle_t *)&end->poll, on_handle_closed);
    }
    if (end->monitor_poll.data) {
        uv_close((uv_handle_t *)&end->monitor_poll, on_handle_closed);
    }
    uv_close((uv_handle_t *)&end->more, on_handle_closed);
    timer_close(&end->retry, on_retry_closed);
    loop_touch(socket->bus->loop);
    if (end->monitor) {
        zmq_socket_monitor(end->zmq, NULL, 0);
        zmq_close(end->monitor);
    }
    if (end->zmq) {
        zmq_setsockopt(end->zmq, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
        zmq_close(end->zmq);
    }
    if (end->uses_zap) {
        zap_release(socket->bus);
    }
    if (!end->connects && strncmp(socket->address, "ipc://", 6) == 0) {
        unlink(socket->address + 6); /* the library leaves it behind */
    }
}

static void on_monitor(uv_poll_t *poll, int status, int events)
{
    zmq_monitor_drain(poll->data);
}

static int descriptor_of(void *zmq)
{
    int fd = -1;
    size_t size = sizeof fd;

    zmq_getsockopt(zmq, ZMQ_FD, &fd, &size);
    return fd;
}

static int watch(struct zmq_end *end, uv_poll_t *poll, void *zmq, uv_poll_cb on_readable, struct mite_error *error)
{
    int rc = uv_poll_init(loop_uv(end->base.bus->loop), poll, descriptor_of(zmq));

    if (rc < 0) {
        return error_errno(error, -rc, "cannot watch a socket");
    }
    poll->data = end;
    end->open_handles++;
    uv_poll_start(poll, UV_READABLE, on_readable);
    loop_touch(end->base.bus->loop);
    return 0;
}

static int zmq_type(enum socket_kind kind)
{
    static const int types[] = {
        [SOCKET_PUSH] = ZMQ_PUSH,
        [SOCKET_PULL] = ZMQ_PULL,
        [SOCKET_CLIENT] = ZMQ_DEALER,
        [SOCKET_SERVICE] = ZMQ_ROUTER,
    };

    return types[kind];
}

static struct zmq_end *end_new(struct bus *bus, const struct socket_options *options)
{
    struct zmq_end *end = calloc(1, sizeof *end);

    if (end) {
        end->base = (struct bus_socket){.bus = bus, .options = *options};
        uv_idle_init(loop_uv(bus->loop), &end->more);
        end->more.data = end;
        timer_init(&end->retry, bus->loop, zmq_on_retry);
        end->open_handles = 2;
    }
    return end;
}

static int end_open(struct bus *bus, const struct socket_options *options, struct bus_socket **out,
                    struct mite_error *error)
{
    struct zmq_end *end = end_new(bus, options);
    int rc;

    if (!end) {
        return error_set(error, MITE_ENOMEM, "no memory for a socket");
    }
    end->zmq = zmq_socket(bus->context, zmq_type(options->kind));
    if (!end->zmq) {
        rc = error_set(error, MITE_EIO, "cannot open a socket: %s", zmq_strerror(zmq_errno()));
    } else if ((rc = zmq_set_options(end, error)) == 0 && (rc = zmq_monitor_open(end, error)) == 0 &&
               (rc = watch(end, &end->poll, end->zmq, on_ready, error)) == 0) {
        rc = watch(end, &end->monitor_poll, end->monitor, on_monitor, error);
    }
    if (rc < 0) {
        end_close(&end->base);
        return rc;
    }
    end->base.options.routing_id = NULL;
    *out = &end->base;
    return 0;
}

static int start(struct bus *bus, const struct bus_options *options, struct mite_error *error)
{
    bus->context = zmq_ctx_new();
    if (!bus->context) {
        return error_set(error, MITE_EIO, "cannot start ZeroMQ: %s", zmq_strerror(zmq_errno()));
    }
    if (options->io_threads > 0) {
        zmq_ctx_set(bus->context, ZMQ_IO_THREADS, options->io_threads);
    }
    return 0;
}

static void *terminate(void *context)
{
    while (zmq_ctx_term(context) != 0 && zmq_errno() == EINTR) {
    }
    return NULL;
}

/* Ending a context waits for the library's threads, and one of those may be looking up a name, which takes as long as
 * the name server pleases: who closes does not wait for that. */
static void stop(struct bus *bus)
{
    struct timespec until;
    pthread_t thread;

    if (!bus->context) {
        return;
    }
    if (pthread_create(&thread, NULL, terminate, bus->context) != 0) {
        terminate(bus->context);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += bus->linger_ms / 1000 + STOP_GRACE_S;
    if (pthread_timedjoin_np(thread, NULL, &until) != 0) {
        pthread_detach(thread);
    }
}

const struct backend zmq_backend = {
    .start = start,
    .stop = stop,
    .open = end_open,
    .bind = zmq_end_bind,
    .connect = zmq_end_connect,
    .send = end_send,
    .send_message = end_send_message,
    .close = end_close,
    .message_bytes = message_bytes,
    .message_copy = message_copy,
    .message_share = message_share,
    .message_move = message_move,
    .message_release = message_release,
};
