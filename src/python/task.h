/*
 * One asyncio task for C: runs a coroutine of the user's and says how it ended. The coroutine is handed to asyncio
 * inside a wrapper that sees its last step, so that nothing is scheduled to learn of the end, and nothing that it
 * raises (SystemExit and KeyboardInterrupt included) reaches the loop.
 */
#pragma once

#include "python/module.h"
#include "runner/context.h"

/* Both borrowed, exactly one is not NULL; the exception has its traceback. Called from the task's last step, exactly
 * once. */
typedef void task_done(void *arg, PyObject *result, PyObject *exception);

int task_exec(PyObject *module);

/*
 * `awaitable` is a coroutine or anything with __await__; `name` (a str) becomes the task's. Both borrowed. New
 * reference to the running task (not an asyncio.Task: that one is inside), to be kept until `done`; NULL with an
 * exception, no callback.
 */
PyObject *task_start(PyObject *awaitable, PyObject *name, task_done *done, void *arg);

/*
 * The same for a whole journey, which runs among context variables of its own (`variables`, a Context, borrowed).
 * `journey` is for whoever asks whose code runs; borrowed until `done`. Inside the `done` of another journey it may get
 * that one's place: the same task.
 */
PyObject *task_start_journey(PyObject *awaitable, PyObject *name, PyObject *variables, struct context *journey,
                             task_done *done, void *arg);

/* Asks it to end by CancelledError at its next step. */
void task_cancel(PyObject *task);
