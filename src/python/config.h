/*
 * Configuration for Python: the plain dict that is every context's `config`, and `mite.config.ConfigManager`, through
 * which scenarios read and change the values that the runners get.
 */
#pragma once

#include "python/module.h"

int config_exec(PyObject *module);

/* The dict of the run's configuration, one for all contexts, brought up to date when something has changed. New
 * reference, NULL with an exception. An empty dict while no run is set up. */
PyObject *config_shared(void);

/* Where the run's configuration is; borrowed until it is taken back by NULL. */
void config_set_source(struct config *config);

/* A ConfigManager of the run's configuration. It may outlive that, and is empty then. New reference. */
PyObject *config_manager(void);

/* A dict's pairs into the configuration. 0, or -1 with a TypeError that names what does not fit. */
int config_take_dict(struct config *config, PyObject *dict);
