#include "cli/allow.h"

#include <fnmatch.h>

static const struct option_list *allowed; /* of this process; `owns` has no argument for it */

static bool is_refused(const char *spec)
{
    for (size_t i = 0; i < allowed->count; i++) {
        if (fnmatch(allowed->items[i], spec, 0) == 0) {
            return false;
        }
    }
    return allowed->count > 0;
}

static int refuse(struct journey_host *host, const char *spec, struct journey **out, struct mite_error *error)
{
    return error_set(error, MITE_ENOTFOUND, "journey \"%s\" is not among those that this runner may run (%s%s)", spec,
                     "--journeys-allow=", allowed->items[0]);
}

struct journey_host *allow_host(const struct option_list *globs)
{
    static struct journey_host host = {.name = "--journeys-allow", .owns = is_refused, .load = refuse};

    allowed = globs;
    return &host;
}
