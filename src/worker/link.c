#include "worker/link.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/timer.h"

#include <stdlib.h>

#define PATIENCE_MAX_NS (4 * NS_PER_S) /* what doubling leads to; who begins with more keeps that */
#define ALONE_NS        (5 * NS_PER_S) /* how long a first connection may take before a word is said of it */

struct link {
    struct timer timer; /* of the patience; first member */
    struct link_options options;
    struct bus_socket *socket; /* NULL: could not be made, is tried again */
    struct buf request;        /* what is sent again */
    uint64_t patience_ns;
    bool up, waits;
};

/* Gives the request to the connection; without one it goes when there is one. */
static void pass_on(struct link *link)
{
    if (!link->waits || !link->up) {
        return;
    }
    int rc = socket_send(link->socket, STR_NONE, buf_view(&link->request));
    if (rc < 0 && rc != MITE_EAGAIN) { /* with that, on_writable follows */
        log_line(LOG_DEBUG, "cannot send to the controller: code %d", rc);
    }
    timer_start(&link->timer, link->patience_ns, 0);
}

static void on_received(void *arg, struct str peer, struct str body)
{
    struct link *link = arg;

    link->options.received(link->options.arg, body);
}

static void on_writable(void *arg)
{
    pass_on(arg);
}

static void on_connection(void *arg, bool up, const char *address)
{
    struct link *link = arg;

    link->up = up;
    timer_stop(&link->timer);
    pass_on(link);
    link->options.connection(link->options.arg, up);
}

static void on_refused(void *arg, const char *what)
{
    log_once(LOG_WARNING, what, "no connection to the controller: %s", what);
}

static int open_socket(struct link *link, struct mite_error *error)
{
    struct socket_options options = {
        .kind = SOCKET_CLIENT,
        .routing_id = link->options.name,
        .received = on_received,
        .writable = on_writable,
        .connection = on_connection,
        .refused = on_refused,
        .arg = link,
    };
    struct bus_socket *socket;
    int rc = socket_open(link->options.bus, &options, &socket, error);

    if (rc < 0) {
        return rc;
    }
    rc = socket_connect(socket, link->options.address, error);
    if (rc < 0) {
        socket_close(socket);
        return rc;
    }
    link->socket = socket;
    return 0;
}

/* The connection is silent: another one. */
static void renew(struct link *link)
{
    struct mite_error error = {0};

    link->up = false;
    socket_close(link->socket);
    link->socket = NULL;
    if (open_socket(link, &error) < 0) {
        log_line(LOG_DEBUG, "%s", error.text);
        error_done(&error);
        timer_start(&link->timer, link->patience_ns, 0);
    }
}

static void on_silence(struct timer *timer)
{
    struct link *link = (struct link *)timer;

    if (link->socket && !link->up) { /* libzmq connects on, without a word */
        log_line(LOG_WARNING, "nobody answers at %s yet: is a controller there, and does its name lead there?",
                 link->options.address);
        return;
    }
    if (link->patience_ns < PATIENCE_MAX_NS) {
        link->patience_ns *= 2;
    }
    renew(link);
}

int link_open(struct loop *loop, const struct link_options *options, struct link **out, struct mite_error *error)
{
    struct link *link = calloc(1, sizeof *link);

    if (!link) {
        return error_set(error, MITE_ENOMEM, "no memory for the line to the controller");
    }
    link->options = *options;
    buf_init(&link->request, BUS_MESSAGE_MAX);
    int rc = timer_init(&link->timer, loop, on_silence);
    if (rc < 0) {
        free(link);
        return error_set(error, rc, "no timer for the line to the controller");
    }
    rc = open_socket(link, error);
    if (rc < 0) {
        link_close(link);
        return rc;
    }
    timer_start(&link->timer, ALONE_NS, 0);
    *out = link;
    return 0;
}

int link_send(struct link *link, struct str bytes, uint64_t patience_ns)
{
    buf_clear(&link->request);
    int rc = buf_str(&link->request, bytes);
    link->waits = rc == 0;
    link->patience_ns = patience_ns;
    pass_on(link);
    return rc;
}

bool link_waits(const struct link *link)
{
    return link->waits;
}

void link_answered(struct link *link)
{
    link->waits = false;
    timer_stop(&link->timer);
}

void link_ask_again(struct link *link)
{
    link->waits = true;
    timer_start(&link->timer, link->patience_ns, 0);
}

static void on_closed(struct timer *timer)
{
    free(timer);
}

void link_close(struct link *link)
{
    if (link) {
        socket_close(link->socket);
        buf_done(&link->request);
        timer_close(&link->timer, on_closed);
    }
}
