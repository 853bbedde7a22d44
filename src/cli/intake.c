#include "cli/intake.h"

#include "base/log.h"
#include "bus/peek.h"
#include "bus/quiet.h"

#include <stdlib.h>

struct intake {
    struct component *component;
    struct intake_options options;
    struct bus_socket *socket;
    uint64_t received, left_out;
    struct quiet quiet;
    void (*done)(void *arg);
    void *done_arg;
};

static void on_message(void *arg, struct str peer, struct str body)
{
    struct intake *intake = arg;

    intake->received++;
    if (intake->options.unchecked || peek_is_map(body)) {
        intake->options.message(intake->options.arg, body);
        return;
    }
    intake->left_out++;
    log_once(LOG_WARNING, "intake", "%s: %zu bytes that are no msgpack map: left out", intake->component->name, body.n);
}

static void on_quiet(void *arg)
{
    struct intake *intake = arg;

    socket_close(intake->socket);
    intake->socket = NULL;
    intake->done(intake->done_arg);
}

void intake_stop(struct intake *intake, void (*done)(void *arg), void *arg)
{
    intake->done = done;
    intake->done_arg = arg;
    quiet_wait(&intake->quiet, &intake->received, on_quiet, intake);
}

static void on_stopped(void *arg)
{
    component_ended(arg);
}

void intake_end(void *arg)
{
    struct intake *intake = arg;

    intake_stop(intake, on_stopped, intake->component);
}

static void on_quiet_closed(struct timer *timer)
{
    free((char *)timer - offsetof(struct intake, quiet.timer));
}

void intake_close(struct intake *intake)
{
    if (intake) {
        socket_close(intake->socket);
        timer_close(&intake->quiet.timer, on_quiet_closed);
    }
}

int intake_open(struct component *component, const struct intake_options *options, struct intake **out,
                struct mite_error *error)
{
    struct intake *intake = calloc(1, sizeof *intake);
    const struct socket_options socket = {.kind = SOCKET_PULL, .received = on_message, .arg = intake};

    if (!intake) {
        return error_set(error, MITE_ENOMEM, "out of memory");
    }
    quiet_init(&intake->quiet, component->loop);
    intake->component = component;
    intake->options = *options;
    int rc = options->binds
                 ? component_bind(component, &socket, options->option, options->address, &intake->socket, error)
                 : component_connect(component, &socket, options->option, options->address, &intake->socket, error);
    if (rc < 0) {
        intake_close(intake);
        return rc;
    }
    *out = intake;
    return 0;
}

const char *intake_address(const struct intake *intake)
{
    return socket_address(intake->socket);
}

uint64_t intake_received(const struct intake *intake)
{
    return intake->received;
}

uint64_t intake_left_out(const struct intake *intake)
{
    return intake->left_out;
}
