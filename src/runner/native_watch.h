/*
 * Tells of a journey in C that does not yield: the hooks of engine/watchdog.h for it.
 */
#pragma once

#include "engine/watchdog.h"

extern const struct watchdog_hooks native_watch_hooks;
