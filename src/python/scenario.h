/*
 * Scenarios written in Python: a function whose triplets become a struct scenario.
 */
#pragma once

#include "python/module.h"

int scenario_exec(PyObject *module);

/* Where messages of `sender` arguments go; borrowed until it is taken back by NULL: they are dropped from then on. */
void scenario_set_sender(struct sink *sink);

/* See python_api.load_scenario. Sets the sender. */
int scenario_load(const char *spec, struct config *config, struct sink *sender, struct scenario *out,
                  struct mite_error *error);
