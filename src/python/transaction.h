/*
 * `ctx.transaction(name)`: an async context manager in C. Which transaction is the current one is kept in a context
 * variable, so that concurrent tasks of one journey nest each in its own; its value is the innermost Transaction object
 * of the task, each of which knows the one that was before it.
 */
#pragma once

#include "python/context.h"

int transaction_exec(PyObject *module);

/* New reference: a transaction that begins with `async with`. `name` is a str. NULL with an exception. */
PyObject *transaction_new(struct py_context *context, PyObject *name);

/* The innermost open transaction of this context in the running task; borrowed, NULL when there is none. */
struct transaction *transaction_current(struct py_context *context);

/* The context of the innermost open transaction in the running task, of whatever context; borrowed, NULL when there is
 * none. */
struct py_context *transaction_current_context(void);
