/*
 * The Python plugin as the commands see it: loaded when the first Python spec comes up, or the interpreter that runs
 * us.
 */
#pragma once

#include "base/error.h"
#include "python/api.h"

/* MITE_ENOTFOUND: this mite was built without Python, or its plugin cannot be loaded. */
int cli_python(const struct python_api **out, struct mite_error *error);
