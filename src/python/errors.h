/*
 * Errors between C and Python: one function for each direction, and the sentences that messages and reports make of an
 * exception. Frames of our own packages are left out of tracebacks, so that they begin and end in the user's code.
 */
#pragma once

#include "python/module.h"

/* The current exception, normalised, with its traceback; cleared. New reference. One must be set. */
PyObject *errors_take(void);

/* The other way: makes it the current one. Steals. */
void errors_put(PyObject *exception);

/* Python → C: the current exception becomes `FORMAT: Type: text`, detail their traceback. Clears it. Always MITE_EUSER.
 */
int errors_to_c(struct mite_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* C → Python: sets the exception that fits the code. Always NULL. */
PyObject *errors_to_python(const struct mite_error *error);

/* The current exception goes to the log as one line `FORMAT: Type: text (FILE:LINE)`; a kind of line is written once
 * and counted from then on. Clears it. */
void errors_log_once(const char *kind, const char *format, ...) __attribute__((format(printf, 2, 3)));

bool errors_is_cancelled(PyObject *exception); /* asyncio.CancelledError */

/* What a message says of an exception. One that has no frame of the user's is told to be from `code` (a code object,
 * may be NULL): so it is with a call that does not fit its function. The views are into `text` and live as long as it
 * is not touched. Without memory they are empty. Never leaves an exception behind. */
void errors_describe(PyObject *exception, PyObject *code, struct buf *text, struct message_failure *out);
