/*
 * --journeys-allow: a runner that loads only journeys whose spec is like one of these. A host that owns every other
 * spec, and refuses it: asked before the real ones.
 */
#pragma once

#include "cli/options.h"
#include "runner/journey.h"

/* `globs` is borrowed for the life of the process; an empty list allows any spec. */
struct journey_host *allow_host(const struct option_list *globs);
