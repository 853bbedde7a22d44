/*
 * The command line. mite_main() reads it and runs one command; the program and `python -m mite` both call it.
 */
#pragma once

#include "base/export.h"

#include <stdbool.h>

/* Returns the exit status. */
int mite_main(int argc, char **argv) MITE_API;

struct python_api;

/* `_mite` calls this when Python runs us: Python specs then use that interpreter instead of loading the plugin. */
void cli_set_python(const struct python_api *api) PRIVATE_API(cli_set_python);
/* Whether Python runs us. */
bool cli_in_python(void);
