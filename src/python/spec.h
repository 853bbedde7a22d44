/*
 * From "package.module:name" to the object, and the sentences for specs that lead nowhere.
 */
#pragma once

#include "python/module.h"

/* `what` is what it should be: "journey", "datapool". *out: new reference. MITE_EINVAL: no spec by form;
 * MITE_ENOTFOUND: no such module or name; MITE_EUSER: their module raised. */
int spec_load(const char *what, const char *spec, PyObject **out, struct mite_error *error);

/* The current exception as an error about the spec: `cannot use WHAT "SPEC": ...`. A mite._host.Refused is MITE_EINVAL
 * with its text, anything else MITE_EUSER. Clears it. */
int spec_error(const char *what, const char *spec, struct mite_error *error);
