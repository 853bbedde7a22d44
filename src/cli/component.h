/*
 * The frame of a component: a command that runs until it is asked to end, with a loop and a bus.
 *
 * Life cycle: (component_python,) component_open, then the command opens its sockets, component_run, closes them, and
 * component_close, whose result is the exit status. Each copes with what the ones before it left half-done.
 *
 * The first SIGINT or SIGTERM calls `stop`: take in nothing new, hand over what is buffered, then component_ended().
 * What has not ended within --graceful-stop, or by a second signal, is ended there and then.
 */
#pragma once

#include "bus/socket.h"
#include "cli/options.h"
#include "engine/timer.h"

struct python_api;

struct component {
    const char *name; /* of the command: "duplicator" */
    const struct options *options;
    struct loop *loop;
    struct bus *bus;
    const struct python_api *python; /* NULL: not started */
    bool python_attached;
    bool stopping; /* asked to end */
    bool hurried;  /* ended before it was done */
    struct timer deadline;
    bool signals_watched;
    void (*stop)(void *arg);
    void *arg;
};

/* Starts Python, for specs. MITE_ENOTFOUND: this mite was built without it. Before component_open. */
int component_python(struct component *component, const struct options *options, struct mite_error *error);

/* `component` is zero, or was given to component_python. `io_threads`: see bus_options. */
int component_open(struct component *component, const char *name, const struct options *options, int io_threads,
                   struct mite_error *error);

/* Opens a socket and binds or connects it. The sentence names the option or argument that the address came from. */
int component_bind(struct component *component, const struct socket_options *options, const char *from,
                   const char *address, struct bus_socket **out, struct mite_error *error);
int component_connect(struct component *component, const struct socket_options *options, const char *from,
                      const char *address, struct bus_socket **out, struct mite_error *error);
/* Says so when a port is open to whoever reaches it. component_bind does it. */
void component_bound(const struct component *component, const char *address);

/* One line on stderr: "duplicator: FORMAT". */
void component_say(const struct component *component, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Runs until component_ended(). `stop` may call that at once. */
int component_run(struct component *component, void (*stop)(void *arg), void *arg, struct mite_error *error);
void component_ended(struct component *component);

/* `code` is what the command has come to so far, with its sentence in `error`, which is emptied. */
int component_close(struct component *component, int code, struct mite_error *error);
