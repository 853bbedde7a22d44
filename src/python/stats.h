/*
 * Stats of third parties, which `mite stats` runs beside its own: mite._stats.Stats behind struct python_stats.
 */
#pragma once

#include "python/module.h"

/* See python_api.load_stats. */
int stats_load(const char *include, const char *exclude, struct python_stats **out, struct mite_error *error);
