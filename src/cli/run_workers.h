/*
 * --workers of the test commands: runner processes on this machine that work for this process over sockets in a private
 * directory. Events come back over a third of them, as many as somebody here wants.
 *
 * A worker that crashes is named and another takes its place; the others carry on.
 */
#pragma once

#include "cli/run.h"

struct run_workers;

/* How many --workers are asked for; 0: the journeys run in this process. MITE_EINVAL: no number, or not together with
 * another option. */
int run_workers_wanted(const struct run *run, size_t *out, struct mite_error *error);

/* Makes the directory and listens for events. */
int run_workers_open(struct run *run, size_t count, struct mite_error *error);
const char *run_workers_controller_socket(const struct run_workers *workers);
int run_workers_start(struct run *run, struct mite_error *error);

/* The load is over: waits until the workers have ended and their last events are in, then calls loop_stop. */
void run_workers_finish(struct run *run);
/* Whoever still runs is killed. While the loop is there. */
void run_workers_end(struct run *run);
/* After the loop and the bus. */
void run_workers_close(struct run *run);
/* The directory goes, also in the child of a crash. */
void run_workers_remove_files(const struct run_workers *workers);
