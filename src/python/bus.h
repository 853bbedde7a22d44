/*
 * Sockets of the core as Python objects: behind mite.zmq and mite.nanomsg. Each has a loop of its own, which is turned
 * inside its methods: so they work in a script without asyncio, and in anybody's asyncio loop.
 */
#pragma once

#include "python/module.h"

int bus_exec(PyObject *module);
