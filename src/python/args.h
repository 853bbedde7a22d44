/*
 * A journey's arguments that are a Python tuple or list: no conversion on the way from a datapool in Python to a
 * journey in Python.
 */
#pragma once

#include "python/module.h"

/* `items` is a tuple or list; a reference is kept. NULL without memory (no exception is set). */
struct args *args_from_python(PyObject *items);

/* The tuple or list: new reference, NULL with an exception. Arguments of another host are converted. */
PyObject *args_to_python(const struct args *args);
