/*
 * A run whose journeys run in other processes: `mite controller`, whose runners come from anywhere, and --workers,
 * whose runners are children of this process.
 */
#pragma once

#include "cli/run.h"
#include "controller/fleet.h"

bool run_has_fleet(const struct run *run);

int run_fleet_make(struct run *run, const struct controller_options *limits, const struct controller_hooks *hooks,
                   struct mite_error *error);
int run_fleet_start(struct run *run, struct mite_error *error);
/* The load is over: false when the loop must go on until our own events have gone out. */
bool run_fleet_flushed(struct run *run);
/* What there is to wait for; NULL: nothing. */
const char *run_fleet_note(const struct run *run);
/* Keeps the counts that the summary needs. */
void run_fleet_count(struct run *run);
/* While the loop is there, and after it. */
void run_fleet_end(struct run *run);
void run_fleet_close(struct run *run);

/* Lines for the summary, each given to add(arg, line). */
void run_fleet_notes(const struct run *run, void (*add)(void *arg, const char *line), void *arg);
