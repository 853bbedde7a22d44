/*
 * Scenarios written in Python: a function whose triplets become a struct scenario.
 */
#pragma once

#include "python/module.h"

int scenario_exec(PyObject *module);

/* See python_api.load_scenario. `sender` is borrowed for the length of the run; NULL: messages of the function are
 * dropped. */
int scenario_load(const char *spec, struct config *config, struct sink *sender, struct scenario *out,
                  struct mite_error *error);
