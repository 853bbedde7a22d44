#include "cli/component.h"

#include "base/clock.h"
#include "base/log.h"
#include "cli/complain.h"
#include "cli/exit.h"
#include "cli/python.h"
#include "engine/signals.h"

#include <stdarg.h>
#include <stdio.h>

void component_say(const struct component *component, const char *format, ...)
{
    char text[4096];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "%s: %s\n", component->name, text);
}

static void on_refused(void *arg, const char *what)
{
    log_once(LOG_WARNING, what, "connection refused: %s", what);
}

/* ---- signals ---- */

void component_ended(struct component *component)
{
    loop_stop(component->loop);
}

static void hurry(struct component *component)
{
    component->hurried = true;
    bus_abandon(component->bus);
    loop_stop(component->loop);
}

static void on_deadline(struct timer *timer)
{
    struct component *component = (struct component *)((char *)timer - offsetof(struct component, deadline));

    log_line(LOG_WARNING, "%s: not done after %g s (--graceful-stop): what is still buffered is given up",
             component->name, component->options->component_stop_s);
    hurry(component);
}

static void on_signal(void *arg, int number, int count)
{
    struct component *component = arg;

    if (count > 1) {
        hurry(component);
        return;
    }
    component->stopping = true;
    timer_start(&component->deadline, ns_from_s(component->options->component_stop_s), 0);
    component->stop(component->arg);
}

/* ---- opening ---- */

int component_python(struct component *component, const struct options *options, struct mite_error *error)
{
    const struct python_options start = {.exclude_working_directory = options->exclude_working_directory};
    const struct python_api *python;
    int rc = cli_python(&python, error);

    if (rc == 0) {
        rc = python->start(&start, error);
    }
    if (rc == 0) {
        component->python = python;
    }
    return rc;
}

/* From here on, so that whoever has read what the component says may end it; they are delivered once it runs. */
static int watch_signals(struct component *component, struct mite_error *error)
{
    int rc = signals_start(component->loop, on_signal, component, error);

    if (rc == 0) {
        timer_init(&component->deadline, component->loop, on_deadline);
        component->signals_watched = true;
    }
    return rc;
}

int component_open(struct component *component, const char *name, const struct options *options, int io_threads,
                   struct mite_error *error)
{
    struct bus_options bus = {
        .curve = {options->curve_key, options->curve_server_key, options->curve_allow},
        .refused = on_refused,
        .io_threads = io_threads,
    };

    component->name = name;
    component->options = options;
    int rc = bus_backend_parse(options->message_backend, &bus.backend, error);
    if (rc == 0) {
        rc = loop_new(&component->loop, error);
    }
    if (rc == 0 && component->python) {
        rc = component->python->loop_attach(component->loop, error);
        component->python_attached = rc == 0;
    }
    if (rc == 0) {
        rc = watch_signals(component, error);
    }
    return rc == 0 ? bus_open(component->loop, &bus, &component->bus, error) : rc;
}

static int open_socket(struct component *component, const struct socket_options *options, const char *from,
                       const char *address, bool binds, struct bus_socket **out, struct mite_error *error)
{
    struct bus_socket *socket;

    int rc = socket_open(component->bus, options, &socket, error);
    if (rc < 0) {
        return rc;
    }
    rc = binds ? socket_bind(socket, address, error) : socket_connect(socket, address, error);
    if (rc < 0) {
        socket_close(socket);
        return error_prefix(error, "%s", from);
    }
    *out = socket;
    return 0;
}

int component_bind(struct component *component, const struct socket_options *options, const char *from,
                   const char *address, struct bus_socket **out, struct mite_error *error)
{
    int rc = open_socket(component, options, from, address, true, out, error);

    if (rc == 0) {
        component_bound(component, socket_address(*out));
    }
    return rc;
}

int component_connect(struct component *component, const struct socket_options *options, const char *from,
                      const char *address, struct bus_socket **out, struct mite_error *error)
{
    return open_socket(component, options, from, address, false, out, error);
}

void component_bound(const struct component *component, const char *address)
{
    const struct options *options = component->options;

    if (!bus_address_open(address)) {
        return;
    }
    if (!options->curve_key) {
        log_line(LOG_WARNING, "%s is open to anyone who can reach it: mite keygen makes keys that close it", address);
    } else if (!options->curve_allow) {
        log_line(LOG_WARNING, "%s is open to anyone who has its public key: --curve-allow=DIR names who may connect",
                 address);
    }
}

/* ---- running ---- */

int component_run(struct component *component, void (*stop)(void *arg), void *arg, struct mite_error *error)
{
    component->stop = stop;
    component->arg = arg;
    return loop_run(component->loop, error);
}

/* ---- closing ---- */

static int status_of(int code)
{
    return code == 0                                                             ? EXIT_GOOD
           : code == MITE_EINVAL || code == MITE_ENOTFOUND || code == MITE_EUSER ? EXIT_USAGE
                                                                                 : EXIT_BROKE;
}

int component_close(struct component *component, int code, struct mite_error *error)
{
    if (component->signals_watched) {
        signals_stop();
        timer_close(&component->deadline, NULL);
    }
    if (component->python_attached) {
        component->python->loop_detach(component->loop);
    }
    int closed = loop_free(component->loop, code == 0 ? error : NULL);
    bus_close(component->bus);
    if (component->python) {
        component->python->stop();
    }
    log_flush_repeats();
    code = code == 0 ? closed : code;
    if (code != 0) {
        complain(component->name, error);
    }
    error_done(error);
    return status_of(code);
}
