/*
 * Design notes
 *
 * A connection is told of when it is made (ADD_PRE), once its peer turned out to speak the protocol that belongs to
 * ours (ADD_POST), and when it is gone (REM_POST). Who speaks another one is never a peer; so ADD_POST is what counts.
 * But one that goes at once may be gone before that is told: hence the list of those that are there.
 *
 * nng's PUSH (1.5, and later ones too) may put a connection back on its list of those that can be sent to while that
 * connection is being closed, and then frees it: whoever touches its neighbours or sends the next message writes into
 * freed memory. Whether it did cannot be known. So once a peer of a PUSH socket has gone, the socket is spoilt:
 *
 * - REM_POST is called before the memory is freed. From then on nothing is sent any more (nng_watch_send shares the
 *   lock), nobody else is let in, and those who are there are cut off, so that the list stays as it is.
 * - A callback of nng's that had already begun for one of these may still come to the list. It gets SETTLE_MS to end,
 *   in which nng's thread, that would free the memory next, is held up.
 * - Closing such a socket, which is safe since it looks at no such list, and opening another is left to the loop.
 */
#include "bus/nng_watch.h"

#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/util/platform.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define HIGH_WATER     1000
#define HIGH_WATER_MAX 8192 /* of nng's buffers */
#define SETTLE_MS      20

struct nng_connection {
    struct nng_connection *next;
    int id;
    bool is_peer;
    bool gone; /* but whether it was a peer may be told yet, until nng has freed it */
};

/* ---- connections ---- */

/* Where the connection hangs; what is there is NULL when it is gone. */
static struct nng_connection **find(struct nng_watch *watch, int id)
{
    struct nng_connection **at = &watch->connections;

    while (*at && (*at)->id != id) {
        at = &(*at)->next;
    }
    return at;
}

/* False: no memory. */
static bool begins(struct nng_watch *watch, int id)
{
    struct nng_connection *made = malloc(sizeof *made);

    if (made) {
        *made = (struct nng_connection){.next = watch->connections, .id = id};
        watch->connections = made;
    }
    return made;
}

/* Under the lock. */
static void spoil(struct nng_watch *watch)
{
    if (watch->options.kind == SOCKET_PUSH) {
        watch->spoilt = true;
        for (const struct nng_connection *other = watch->connections; other; other = other->next) {
            nng_pipe_close((nng_pipe){(uint32_t)other->id});
        }
    }
}

static void is_peer(struct nng_watch *watch, int id)
{
    struct nng_connection *connection = *find(watch, id);

    if (connection && connection->gone) {
        spoil(watch);
    } else if (connection) {
        connection->is_peer = true;
        watch->up++;
    }
}

/* Those of which nothing will be told any more. */
static void forget_gone(struct nng_watch *watch)
{
    struct nng_connection **at = &watch->connections, *connection;

    while ((connection = *at) != NULL) {
        if (connection->gone) {
            *at = connection->next;
            free(connection);
        } else {
            at = &connection->next;
        }
    }
}

/* nng frees one connection after another: the one that ended before this one is free by now. */
static void ends(struct nng_watch *watch, int id)
{
    forget_gone(watch);
    struct nng_connection *connection = *find(watch, id);
    if (connection) {
        connection->gone = true;
        if (connection->is_peer) {
            watch->down++;
            spoil(watch);
        }
    }
}

static bool has_others(const struct nng_watch *watch, int id)
{
    const struct nng_connection *first = watch->connections;

    return first && (first->id != id || first->next);
}

/* In a thread of nng's. */
static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct nng_watch *watch = arg;
    int id = nng_pipe_id(pipe);
    uint64_t one = 1;
    bool welcome = true;

    pthread_mutex_lock(&watch->lock);
    bool was_spoilt = watch->spoilt;
    if (event == NNG_PIPE_EV_ADD_PRE) {
        welcome = !watch->spoilt && begins(watch, id);
    } else if (event == NNG_PIPE_EV_ADD_POST) {
        is_peer(watch, id);
    } else {
        ends(watch, id);
    }
    bool settle = watch->spoilt && !was_spoilt && has_others(watch, id);
    pthread_mutex_unlock(&watch->lock);
    if (!welcome) {
        nng_pipe_close(pipe);
    }
    if (write(watch->fd, &one, sizeof one) < 0) {
        /* Its counter is full: it is readable, which is all that was wanted. */
    }
    if (settle) {
        nng_msleep(SETTLE_MS);
    }
}

int nng_watch_send(struct nng_watch *watch, nng_msg *message)
{
    pthread_mutex_lock(&watch->lock);
    int failure = watch->spoilt ? NNG_EAGAIN : nng_sendmsg(watch->nng, message, NNG_FLAG_NONBLOCK);
    pthread_mutex_unlock(&watch->lock);
    return failure;
}

bool nng_watch_look(struct nng_watch *watch, unsigned *up, unsigned *down)
{
    uint64_t count;

    if (read(watch->fd, &count, sizeof count) < 0) {
        /* Nothing new: what is there is told again. */
    }
    pthread_mutex_lock(&watch->lock);
    *up = watch->up;
    *down = watch->down;
    bool spoilt = watch->open && watch->spoilt;
    pthread_mutex_unlock(&watch->lock);
    return spoilt;
}

/* ---- life ---- */

static int open_kind(enum socket_kind kind, nng_socket *out)
{
    switch (kind) {
    case SOCKET_PUSH:
        return nng_push0_open(out);
    case SOCKET_PULL:
        return nng_pull0_open(out);
    case SOCKET_CLIENT:
        return nng_req0_open(out);
    case SOCKET_SERVICE:
        return nng_rep0_open_raw(out);
    }
    return NNG_EINVAL;
}

/* What a kind does not have is no failure. */
static void set_options(nng_socket nng, const struct socket_options *options)
{
    int high_water = options->high_water ? options->high_water : HIGH_WATER;

    high_water = high_water < HIGH_WATER_MAX ? high_water : HIGH_WATER_MAX;
    nng_socket_set_int(nng, NNG_OPT_SENDBUF, high_water);
    nng_socket_set_int(nng, NNG_OPT_RECVBUF, high_water);
    nng_socket_set_size(nng, NNG_OPT_RECVMAXSZ,
                        options->max_message_size ? (size_t)options->max_message_size : BUS_MESSAGE_MAX);
    nng_socket_set_ms(nng, NNG_OPT_RECONNMINT, 100);
    nng_socket_set_ms(nng, NNG_OPT_RECONNMAXT, 2000);
    nng_socket_set_ms(nng, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE); /* who asks decides when to ask again */
    nng_socket_set_bool(nng, NNG_OPT_TCP_KEEPALIVE, true);
}

/* A descriptor of our own: that of the next socket of nng's takes its number. */
static int keep_descriptor(struct nng_watch *watch)
{
    int fd;

    if (watch->options.kind == SOCKET_PULL) {
        return 0;
    }
    int failure = nng_socket_get_int(watch->nng, NNG_OPT_SENDFD, &fd);
    if (failure) {
        return failure;
    }
    int kept = watch->send_fd < 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : dup3(fd, watch->send_fd, O_CLOEXEC);
    if (kept < 0) {
        return NNG_ENOFILES;
    }
    watch->send_fd = kept;
    return 0;
}

int nng_watch_open(struct nng_watch *watch)
{
    int failure = open_kind(watch->options.kind, &watch->nng);

    if (failure) {
        return failure;
    }
    watch->open = true;
    watch->spoilt = false;
    set_options(watch->nng, &watch->options);
    nng_pipe_notify(watch->nng, NNG_PIPE_EV_ADD_PRE, on_pipe, watch);
    nng_pipe_notify(watch->nng, NNG_PIPE_EV_ADD_POST, on_pipe, watch);
    nng_pipe_notify(watch->nng, NNG_PIPE_EV_REM_POST, on_pipe, watch);
    failure = keep_descriptor(watch);
    if (failure) {
        nng_watch_close(watch);
    }
    return failure;
}

int nng_watch_new(const struct socket_options *options, struct nng_watch **out, struct mite_error *error)
{
    struct nng_watch *watch = calloc(1, sizeof *watch);

    if (!watch) {
        return error_set(error, MITE_ENOMEM, "no memory for a socket");
    }
    watch->options = *options;
    watch->options.routing_id = NULL;
    watch->send_fd = -1;
    pthread_mutex_init(&watch->lock, NULL);
    watch->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (watch->fd < 0) {
        int rc = error_errno(error, errno, "cannot watch the connections of a socket");
        nng_watch_free(watch);
        return rc;
    }
    int failure = nng_watch_open(watch);
    if (failure) {
        nng_watch_free(watch);
        return error_set(error, MITE_EIO, "cannot open a socket: %s", nng_strerror(failure));
    }
    *out = watch;
    return 0;
}

void nng_watch_close(struct nng_watch *watch)
{
    if (watch->open) {
        nng_close(watch->nng); /* waits until its connections are gone, and told to be */
        watch->open = false;
        forget_gone(watch);
    }
}

void nng_watch_free(struct nng_watch *watch)
{
    nng_watch_close(watch);
    if (watch->fd >= 0) {
        close(watch->fd);
    }
    if (watch->send_fd >= 0) {
        close(watch->send_fd);
    }
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}
