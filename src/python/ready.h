/*
 * An awaitable that is over: `await` gives its value at once, without a coroutine and without a turn of the loop. It
 * also has send(), throw() and close(), so that asyncio takes it where a coroutine is asked for.
 */
#pragma once

#include "python/module.h"

int ready_exec(PyObject *module);

/* New reference to an awaitable of `value` (borrowed). */
PyObject *ready_new(PyObject *value);

/* New reference to the shared one of None. */
static inline PyObject *ready_none(void)
{
    return Py_NewRef(state->done);
}

/* What it carries (borrowed), NULL without exception when the object is none of these. */
PyObject *ready_value(PyObject *object);
