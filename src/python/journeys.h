/*
 * Journeys in Python as the runner sees them: a struct journey_host whose journeys are coroutine functions. Each run is
 * one asyncio task with a context of its own; the context object carries the run.
 */
#pragma once

#include "python/api.h"
#include "python/context.h"

/* Static. The options are borrowed as long as journeys run. */
struct journey_host *journeys_host(const struct python_options *options);

/* The spec of the journey that the running task belongs to; "?" when it belongs to none. Borrowed. */
const char *journeys_running(void);
