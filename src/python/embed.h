/*
 * The interpreter: started late, at the first Python spec, with the home of the Python that we were built with,
 * whatever stands first on PATH. A virtual environment of the same minor version gives its sys.prefix and its packages,
 * never its home.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>

/* Starts it, or takes the one that runs us; afterwards `_mite` is imported. MITE_EINVAL: a virtual environment of
 * another Python, a home that does not work. */
int embed_start(bool exclude_working_directory, struct mite_error *error);

/* Ends the interpreter, unless it was Python that started us. */
void embed_stop(void);

/* The directory of our packages: beside the plugin or the extension, or where they were installed. Owned; NULL without
 * memory. Needs no interpreter. */
char *embed_packages(void);

/* Calls each(arg, directory) for every directory that modules are imported from, whether it is there or not: the
 * working one, those of PYTHONPATH, of the virtual environment, of the user, of the system, and that of our packages.
 * Needs no interpreter. */
void embed_search(void (*each)(void *arg, const char *directory), void *arg);
