#include "cli/intake.h"

#include "base/clock.h"
#include "base/log.h"
#include "bus/peek.h"

#include <stdlib.h>

#define QUIET_NS    (50 * NS_PER_MS) /* nothing is on its way when nothing has come for so long */
#define QUIET_LOOKS 2                /* the first may only tell that this process had to wait for its turn */
#define STOP_NS     NS_PER_S         /* who sends without a pause is left after this */

struct intake {
    struct component *component;
    struct intake_options options;
    struct bus_socket *socket;
    uint64_t received, left_out;
    struct timer quiet;
    uint64_t received_before; /* at the last look of `quiet` */
    unsigned quiet_looks;     /* one after another that saw nothing new */
    uint64_t stop_ns;         /* when stopping began */
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

static void on_quiet(struct timer *timer)
{
    struct intake *intake = (struct intake *)((char *)timer - offsetof(struct intake, quiet));

    intake->quiet_looks = intake->received == intake->received_before ? intake->quiet_looks + 1 : 0;
    intake->received_before = intake->received;
    if (intake->quiet_looks < QUIET_LOOKS && clock_now_ns() < intake->stop_ns + STOP_NS) {
        return;
    }
    timer_stop(timer);
    socket_close(intake->socket);
    intake->socket = NULL;
    intake->done(intake->done_arg);
}

void intake_stop(struct intake *intake, void (*done)(void *arg), void *arg)
{
    intake->done = done;
    intake->done_arg = arg;
    intake->stop_ns = clock_now_ns();
    intake->received_before = intake->received;
    timer_start(&intake->quiet, QUIET_NS, QUIET_NS);
}

static void on_quiet_closed(struct timer *timer)
{
    free((char *)timer - offsetof(struct intake, quiet));
}

void intake_close(struct intake *intake)
{
    if (intake) {
        socket_close(intake->socket);
        timer_close(&intake->quiet, on_quiet_closed);
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
    timer_init(&intake->quiet, component->loop, on_quiet);
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
