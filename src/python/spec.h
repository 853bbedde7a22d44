/*
 * From "package.module:name" to the object, and the sentences for specs that lead nowhere.
 */
#pragma once

#include "python/module.h"

/* `what` is what it should be: "journey", "datapool". *out: new reference. MITE_EINVAL: no spec by form;
 * MITE_ENOTFOUND: no such module or name; MITE_EUSER: their module raised. */
int spec_load(const char *what, const char *spec, PyObject **out, struct mite_error *error);

/* The current exception as `FORMAT: ...`. A mite._host.Refused is MITE_EINVAL with its text, anything else MITE_EUSER.
 * Clears it. */
int spec_error(struct mite_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
