/*
 * Volume models: the DSL as Python types (Nothing, Constant, Ramp, joined with +), and an adapter that makes a struct
 * volume_model of any callable. A model of the DSL becomes one of the core's own: no Python runs for it.
 */
#pragma once

#include "python/module.h"

int volume_exec(PyObject *module);

/* `label` says whose model it is. The object is kept. MITE_EINVAL: not callable, or a chain whose ends do not fit. */
int volume_adapt(PyObject *object, const char *label, struct volume_model **out, struct mite_error *error);
