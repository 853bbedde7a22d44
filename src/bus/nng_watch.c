/*
 * Design notes
 *
 * A connection is told of when it is made (ADD_PRE), once its peer turned out to speak the protocol that belongs to
 * ours (ADD_POST), and when it is gone (REM_POST). Who speaks another one is never a peer; so ADD_POST is what counts.
 * But one that goes at once may be gone before that is told: hence the list of those that are there.
 */
#include "bus/nng_watch.h"

#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define HIGH_WATER     1000
#define HIGH_WATER_MAX 8192 /* of nng's buffers */

struct nng_connection {
    struct nng_connection *next;
    int id;
    bool is_peer;
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

static void is_peer(struct nng_watch *watch, int id)
{
    struct nng_connection *connection = *find(watch, id);

    if (connection) {
        connection->is_peer = true;
        watch->up++;
    }
}

static void ends(struct nng_watch *watch, int id)
{
    struct nng_connection **at = find(watch, id), *connection = *at;

    if (connection) {
        *at = connection->next;
        watch->down += connection->is_peer;
        free(connection);
    }
}

/* In a thread of nng's. */
static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct nng_watch *watch = arg;
    int id = nng_pipe_id(pipe);
    uint64_t one = 1;
    bool room = true;

    pthread_mutex_lock(&watch->lock);
    if (event == NNG_PIPE_EV_ADD_PRE) {
        room = begins(watch, id);
    } else if (event == NNG_PIPE_EV_ADD_POST) {
        is_peer(watch, id);
    } else {
        ends(watch, id);
    }
    pthread_mutex_unlock(&watch->lock);
    if (!room) {
        nng_pipe_close(pipe);
    }
    if (write(watch->fd, &one, sizeof one) < 0) {
        /* Its counter is full: it is readable, which is all that was wanted. */
    }
}

void nng_watch_look(struct nng_watch *watch, unsigned *up, unsigned *down)
{
    uint64_t count;

    if (read(watch->fd, &count, sizeof count) < 0) {
        /* Nothing new: what is there is told again. */
    }
    pthread_mutex_lock(&watch->lock);
    *up = watch->up;
    *down = watch->down;
    pthread_mutex_unlock(&watch->lock);
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

int nng_watch_open(const struct socket_options *options, struct nng_watch **out, struct mite_error *error)
{
    struct nng_watch *watch = calloc(1, sizeof *watch);

    if (!watch) {
        return error_set(error, MITE_ENOMEM, "no memory for a socket");
    }
    pthread_mutex_init(&watch->lock, NULL);
    watch->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (watch->fd < 0) {
        int rc = error_errno(error, errno, "cannot watch the connections of a socket");
        nng_watch_free(watch);
        return rc;
    }
    int failure = open_kind(options->kind, &watch->nng);
    if (failure) {
        nng_watch_free(watch);
        return error_set(error, MITE_EIO, "cannot open a socket: %s", nng_strerror(failure));
    }
    watch->open = true;
    set_options(watch->nng, options);
    nng_pipe_notify(watch->nng, NNG_PIPE_EV_ADD_PRE, on_pipe, watch);
    nng_pipe_notify(watch->nng, NNG_PIPE_EV_ADD_POST, on_pipe, watch);
    nng_pipe_notify(watch->nng, NNG_PIPE_EV_REM_POST, on_pipe, watch);
    *out = watch;
    return 0;
}

void nng_watch_close(struct nng_watch *watch)
{
    if (watch->open) {
        nng_close(watch->nng); /* waits until its connections are gone, and told to be */
        watch->open = false;
    }
}

void nng_watch_free(struct nng_watch *watch)
{
    nng_watch_close(watch);
    if (watch->fd >= 0) {
        close(watch->fd);
    }
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}
