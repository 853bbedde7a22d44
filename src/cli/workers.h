/*
 * --workers: runner processes of this machine, side by side. The parent starts them, starts one that crashed again
 * (later each time, and not for ever), passes signals on and ends when all have ended.
 */
#pragma once

#include "cli/options.h"
#include "engine/children.h"

/* A number from 1, or "auto": one for each core that this process may use. MITE_EINVAL. */
int workers_parse(const char *text, size_t *out, struct mite_error *error);

#define WORKERS_END_SIZE 120

/* By a signal, or with a status that no runner ends with: 0 and 1, 2 (its options are wrong) and 130 are its own. */
bool workers_crashed(const struct child_end *end);
/* "(process 812) was ended by signal 9 (Killed)" */
void workers_describe(const struct child_end *end, char out[WORKERS_END_SIZE]);

/*
 * Runs `count` processes with this process's own command line and --workers=1. `name` stands in front of what it says.
 * Returns the exit status: the first of 2, 3, 130, 1, 0 that one of them ended with for good.
 */
int workers_run(const char *name, const struct options *options, size_t count);

/* This process's command line with `more` at its end: to be freed with free(), in one piece. NULL: no memory, or the
 * system does not tell. */
char **workers_command_line(const char *more);
