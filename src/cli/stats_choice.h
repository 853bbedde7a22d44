/*
 * --stats-include-processors and --stats-exclude-processors: which of mite's own are meant, and whether those of other
 * packages are to be asked for.
 */
#pragma once

#include "cli/options.h"

struct stats_choice {
    unsigned own;      /* bits of enum event_processor */
    bool needs_python; /* some of third parties are named, or are installed and not excluded */
};

/* Without names to include, all but mite's optional ones. MITE_EINVAL: a name that nobody can have. */
int stats_choose(const struct options *options, struct stats_choice *out, struct mite_error *error);
