/*
 * Context as a journey sees it: `mite.context.Context` around the core's struct context. The runner's journeys get one
 * each; Python makes others for tests, with a function that takes each message as a dict.
 */
#pragma once

#include "python/module.h"

struct py_context {
    PyObject_HEAD
    struct context *context; /* counted reference */
    PyObject *attributes;    /* __dict__: what the user sets; NULL before the first */
    PyObject *weak_references;
    PyObject *config; /* the plain dict */
    PyObject *http;   /* what was set or made; NULL: made at its first use */
    /* Of a context made in Python, NULL otherwise. */
    PyObject *send_fn, *id_data, *should_stop_fn;
    struct sink sink; /* hands messages to send_fn */
    bool debug;       /* an exception that leaves a transaction is printed too */
    /* Of the runner's. */
    PyObject *code; /* that the journey stands in, or NULL */
    PyObject *task; /* this and the following: while the journey runs */
    void (*ended)(void *arg, struct context *context, enum journey_outcome outcome);
    void *ended_arg;
};

int context_exec(PyObject *module);

/* Around the core's context (takes a reference of its own). New reference, NULL with an exception. */
struct py_context *context_wrap(struct context *context);

/* The innermost transaction that is open in the running task, else the root; borrowed, may be NULL. */
struct transaction *context_current(struct py_context *self);

/* Reports what leaves `in` (NULL: none) once: a later call with the same exception does nothing. */
void context_report(struct py_context *self, struct transaction *in, PyObject *exception);

/*
 * What the HTTP part adds to a context. Set once, by its exec function, before any journey.
 * session: the object that becomes ctx.http, new reference, NULL with an exception. counts: so far in this process.
 * detach: the loop goes; close the client.
 */
struct context_http {
    PyObject *(*session)(struct py_context *context);
    void (*counts)(struct http_counts *out);
    void (*detach)(void);
};
void context_set_http(const struct context_http *http); /* borrowed, static */
const struct context_http *context_http(void);          /* NULL: none was set */
