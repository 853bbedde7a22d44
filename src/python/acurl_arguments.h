/*
 * The arguments of session.get(url, *, headers=...) and its like: checked in the call, so that a wrong one is an error
 * at the caller's line, and kept until the awaitable is awaited. A call with nothing but a URL keeps nothing but the
 * URL.
 */
#pragma once

#include "base/arena.h"
#include "http/client.h"
#include "python/module.h"

/* What a call said besides its URL. Counted: the response keeps it, for its `request` shows auth and cert. */
struct extras {
    unsigned refs;
    struct arena arena; /* headers, cookies and their texts */
    struct http_header *headers, *cookies;
    size_t header_count, cookie_count;
    PyObject *jar_cookies; /* owned list of acurl.Cookie, each with a domain of its own; NULL: none */
    PyObject *body;        /* owned str or bytes; NULL: none */
    PyObject *auth, *cert; /* owned tuples of two str; NULL: none */
    bool keep_redirects;   /* allow_redirects=False */
    unsigned max_redirects;
    uint64_t timeout_ns;
    int verify;
};

struct arguments {
    PyObject *url;         /* owned str */
    struct extras *extras; /* owned reference; NULL: only a URL */
};

/* 0, or -1 with TypeError (the call's shape) or ValueError (an argument's); `out` is untouched then. */
int arguments_parse(struct arguments *out, const char *method, PyObject *const *args, Py_ssize_t count,
                    PyObject *kwnames);
void arguments_done(struct arguments *arguments);

/* Views into `arguments`. 0, or -1 with an exception. */
int arguments_fill(const struct arguments *arguments, struct http_request *request);

static inline struct extras *extras_ref(struct extras *extras) /* NULL stays NULL */
{
    if (extras) {
        extras->refs++;
    }
    return extras;
}
void extras_unref(struct extras *extras); /* NULL is a no-op */

/* The UTF-8 of a str (cached in it) or the content of bytes: a view that lives as long as the object. -1 with an
 * exception, also for other types. */
int text_view(PyObject *object, struct str *out);
