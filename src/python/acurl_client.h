/*
 * The one HTTP client of the process, behind every session, and what depends on its life: the sessions' jars and the
 * requests under way. It is made at the first use on the asyncio loop that hosts ours, and goes when that loop goes; a
 * session that is used later begins anew on the next client.
 */
#pragma once

#include "python/acurl_module.h"

/* Whoever has to go before the client does: a session with a jar, a request under way. Embedded in its owner. */
struct dependent {
    void (*drop)(struct dependent *self); /* the client goes: let go of it, and leave the list */
    struct dependent *next, **link;
};
void acurl_client_add(struct dependent *dependent, void (*drop)(struct dependent *self));
void acurl_client_remove(struct dependent *dependent);

/* acurl.CurlWrapper. New reference, NULL with an exception. */
PyTypeObject *acurl_client_type(PyObject *module);

/* The client on `loop` (borrowed; NULL: the loop that hosts ours, else the one that runs). NULL with an exception. */
struct http_client *acurl_client(PyObject *loop);

/* loop.create_future() of the loop that the client is on. New reference, NULL with an exception. */
PyObject *acurl_client_future(void);

/* So far in this process. */
void acurl_client_counts(struct http_counts *out);

/* Drops every dependent and frees the client. */
void acurl_client_stop(void);
