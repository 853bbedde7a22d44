/*
 * A session: a cookie jar on the process's client, and what a journey asks of its requests. Cheap: the jar is made at
 * the first request. One of a context sends an http_metrics message for each response; a plain one (CurlWrapper) sends
 * none.
 */
#pragma once

#include "python/acurl_client.h"

struct context;

struct session {
    PyObject_HEAD
    struct http_session *http;    /* owned; NULL before the first use and after the client's end */
    struct context *context;      /* counted; NULL: plain */
    PyObject *loop;               /* asyncio's, of a plain one; NULL otherwise */
    PyObject *callback;           /* NULL: none */
    bool callback_takes_metrics;  /* cb(response, additional_metrics), not cb(response) */
    PyObject *additional_metrics; /* dict; NULL: none yet */
    struct dependent dependent;   /* in the client's list while `http` is set */
};

/* acurl.Session. New reference, NULL with an exception. */
PyTypeObject *acurl_session_type(PyObject *module);

/* New references, NULL with an exception. */
struct session *session_new(PyObject *loop);
struct session *session_for_context(struct context *context);

/* Borrowed, made when it is not there; NULL with an exception. */
struct http_session *session_http(struct session *self);
struct cookie_jar *session_jar(struct session *self);

/* name → value of the whole jar: a new dict. */
PyObject *session_cookie_dict(struct session *self);

/* Puts one acurl.Cookie into the jar. 0, or -1 with an exception. */
int session_add_cookie(struct session *self, PyObject *cookie);

/* Borrowed dict, made when it is not there; NULL with an exception. */
PyObject *session_additional_metrics(struct session *self);
