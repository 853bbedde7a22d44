/*
 * `_mite`: what C gives to Python, and what the files of this folder share. There is one interpreter and one loop a
 * process, so there is one state; it belongs to the module object and is found through `state` while that lives.
 *
 * Each file that adds something to the module has an `int X_exec(PyObject *module)`, named in the table of module.c.
 * All functions of this folder are called on the main thread with the GIL held.
 */
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "python/api.h"

/* Attribute and argument names that C looks up: interned once, state->str_NAME. */
#define MODULE_NAMES(X)                                                                                                \
    X(__file__)                                                                                                        \
    X(__module__)                                                                                                      \
    X(__qualname__)                                                                                                    \
    X(_callbacks)                                                                                                      \
    X(_mite_reported)                                                                                                  \
    X(_must_cancel)                                                                                                    \
    X(cancel)                                                                                                          \
    X(cancelling)                                                                                                      \
    X(checkin)                                                                                                         \
    X(checkout)                                                                                                        \
    X(close)                                                                                                           \
    X(cr_await)                                                                                                        \
    X(cr_code)                                                                                                         \
    X(cr_frame)                                                                                                        \
    X(cr_running)                                                                                                      \
    X(data)                                                                                                            \
    X(exceptions)                                                                                                      \
    X(fields)                                                                                                          \
    X(id)                                                                                                              \
    X(loop)                                                                                                            \
    X(name)                                                                                                            \
    X(set_name)                                                                                                        \
    X(throw)

/* What C needs of Python modules now and then: imported at its first use. */
enum module_import {
    IMPORT_CANCELLED_ERROR,
    IMPORT_TASK,
    IMPORT_GETLINE,
    IMPORT_FORMAT_EXCEPTION,
    IMPORT_MITE_ERROR,
    IMPORT_STOP_VOLUME_MODEL,
    IMPORT_DATAPOOL_EXHAUSTED,
    IMPORT_DATAPOOL_EMPTIED,
    IMPORT_REFUSED, /* this and the following: mite._host, what is easier said in Python */
    IMPORT_HINT,
    IMPORT_JOURNEY,
    IMPORT_CHECKOUT,
    IMPORT_SCENARIO,
    IMPORT_PROCESSOR,
    IMPORT_COUNT,
};

struct module_state {
    PyObject *module; /* borrowed: the state lives in it */

    PyTypeObject *ready_type, *task_type, *context_type, *transaction_type, *item_type, *recyclable_type,
        *iterable_type, *chain_type, *config_type, *sender_type, *sink_type;

    PyObject *done;           /* the awaitable that is over: what ctx.send() and __aenter__ give */
    PyObject *current;        /* context variable: the innermost open transaction of this task */
    PyObject *journey;        /* context variable: the context of the journey that this task belongs to */
    PyObject *task_kwnames;   /* ("loop", "name") */
    PyObject *loop;           /* the asyncio loop that ours runs in; NULL while detached */
    struct loop *engine_loop; /* borrowed: ours */
    const struct http_client_options *http_options; /* borrowed: of the one client; NULL: the defaults */
    PyObject *package_root;                         /* the directory that holds our packages, with a slash at its end */
    PyObject *imports[IMPORT_COUNT];

#define X(name) PyObject *str_##name;
    MODULE_NAMES(X)
#undef X
};

extern struct module_state *state;

PyMODINIT_FUNC PyInit__mite(void);

/* Borrowed; NULL with an exception. */
PyObject *module_import(enum module_import what);

/* Makes a heap type and adds it to the module under the last part of its name. New reference, NULL with an exception.
 */
PyTypeObject *module_add_type(PyObject *module, PyType_Spec *spec);
