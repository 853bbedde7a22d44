/*
 * acurl: the HTTP client as Python sees it. Sessions, the awaitable of a request and its response are C types; cookies,
 * requests as they are shown and the dict of headers are Python (python/acurl), for nothing of them is made per request
 * unless somebody reads it.
 *
 * A call goes: session.get() checks the arguments (acurl_arguments) and makes the awaitable (acurl_exchange), whose
 * first step starts the request on the process's one client (acurl_client); the client's callbacks keep what comes and
 * wake the awaiting task; its next step sends the messages (acurl_metrics) and gives the response (acurl_response).
 *
 * The state is one a process, like that of module.h: filled by acurl_module_exec(), emptied by acurl_module_clear().
 */
#pragma once

#include "http/client.h"
#include "python/module.h"

/* Attribute and argument names, interned once: acurl.str_NAME. */
#define ACURL_NAMES(X)                                                                                                 \
    X(_asyncio_future_blocking)                                                                                        \
    X(allow_redirects)                                                                                                 \
    X(auth)                                                                                                            \
    X(cert)                                                                                                            \
    X(cookies)                                                                                                         \
    X(create_future)                                                                                                   \
    X(data)                                                                                                            \
    X(domain)                                                                                                          \
    X(done)                                                                                                            \
    X(expiration)                                                                                                      \
    X(headers)                                                                                                         \
    X(http)                                                                                                            \
    X(http_only)                                                                                                       \
    X(include_subdomains)                                                                                              \
    X(is_secure)                                                                                                       \
    X(json)                                                                                                            \
    X(max_redirects)                                                                                                   \
    X(name)                                                                                                            \
    X(path)                                                                                                            \
    X(set_result)                                                                                                      \
    X(timeout)                                                                                                         \
    X(url)                                                                                                             \
    X(value)                                                                                                           \
    X(verify)

/* What C needs of Python now and then: imported at its first use. */
enum acurl_import {
    ACURL_CASE_INSENSITIVE_DICT,
    ACURL_COOKIE,
    ACURL_REQUEST,
    ACURL_TAKES_METRICS,
    ACURL_GET_RUNNING_LOOP,
    ACURL_JSON_DUMPS,
    ACURL_JSON_LOADS,
    ACURL_IMPORT_COUNT,
};

struct acurl_state {
    PyTypeObject *wrapper_type, *session_type, *exchange_type, *response_type;
    PyObject *acurl_error, *request_error;
    PyObject *imports[ACURL_IMPORT_COUNT];
#define X(name) PyObject *str_##name;
    ACURL_NAMES(X)
#undef X
};

extern struct acurl_state acurl;

/* Adds the types to the module. 0, or -1 with an exception. */
int acurl_module_exec(PyObject *module);
void acurl_module_clear(void);

/* Borrowed; NULL with an exception. */
PyObject *acurl_import(enum acurl_import what);
