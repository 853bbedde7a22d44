/*
 * Debuggers on the terminal: breakpoint() inside a journey, and with --debugging the post-mortem one when a journey
 * fails. Around each the program is told (python_options.debugger), so that displays and the watchdog step aside.
 */
#pragma once

#include "python/module.h"

/* Puts our wrapper around sys.breakpointhook. `options` is borrowed. 0, or -1 with an exception. */
int debugger_start(const struct python_options *options);
void debugger_stop(void);

/* A journey ended: gives the terminal back when a breakpoint() had taken it and nothing is traced any more. */
void debugger_journey_ended(void);

/* A journey ended with this exception: with --debugging opens the post-mortem debugger, once, and then asks for the
 * end. */
void debugger_journey_failed(PyObject *exception);
