/*
 * The core's sinks as Python objects: behind mite.collector, mite.recorder and mite.logoutput. And msgpack, as the core
 * reads and writes it: behind mite.utils.
 */
#pragma once

#include "python/module.h"

int sinks_exec(PyObject *module);

extern PyMethodDef sinks_functions[]; /* of the module */
