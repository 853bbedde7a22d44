/*
 * SIGINT, SIGTERM and, where nohup has not put it off, SIGHUP (the terminal is gone): counted by a handler that does
 * nothing else, so that a second one is seen even when a journey blocks the loop, then delivered on the loop. SIGPIPE
 * is ignored. The old dispositions come back with signals_stop(). One a process.
 */
#pragma once

#include "engine/loop.h"

/* on_signal(arg, number, count): count is 1 for the first, 2 for the second... called on the loop. */
int signals_start(struct loop *loop, void (*on_signal)(void *arg, int number, int count), void *arg,
                  struct mite_error *error) PRIVATE_API(signals_start);
void signals_stop(void) PRIVATE_API(signals_stop);

/* How many came so far; safe anywhere, also while the loop is blocked. */
int signals_count(void) PRIVATE_API(signals_count);
