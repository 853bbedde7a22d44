#include "cli/stats_choice.h"

#include "base/str.h"
#include "cli/python.h"
#include "stats/event_stats.h"

struct names {
    unsigned own;
    bool any;
    struct str stranger; /* the first that is none of mite's own; p NULL: none is */
};

static unsigned own_bit(struct str name)
{
    for (unsigned i = 0; i < EVENT_PROCESSORS; i++) {
        if (str_is(name, event_processor_names[i])) {
            return 1u << i;
        }
    }
    return 0;
}

/* Names with commas between them; NULL: none. */
static struct names read_names(const char *text)
{
    struct names names = {.own = 0};

    while (text && *text) {
        const char *begin = text + strspn(text, " ,");
        size_t length = strcspn(begin, " ,");
        struct str name = {begin, length};
        text = begin + length;
        if (length > 0) {
            unsigned bit = own_bit(name);
            names.any = true;
            names.own |= bit;
            if (bit == 0 && !names.stranger.p) {
                names.stranger = name;
            }
        }
    }
    return names;
}

static int refuse(struct str name, struct mite_error *error)
{
    return error_set(error, MITE_EINVAL,
                     "there is no stats processor \"" STR_FMT "\": this mite was built without Python and has mite, "
                     "mite_dns, mite_http",
                     STR_ARG(name));
}

int stats_choose(const struct options *options, struct stats_choice *out, struct mite_error *error)
{
    struct names include = read_names(options->stats_include_processors),
                 exclude = read_names(options->stats_exclude_processors);
    struct str stranger = include.stranger.p ? include.stranger : exclude.stranger;
    const struct python_api *python;

    *out = (struct stats_choice){.own = (include.any ? include.own : EVENT_PROCESSORS_USUAL) & ~exclude.own};
    bool has_python = cli_python(&python, NULL) == 0;
    if (stranger.p && !has_python) {
        return refuse(stranger, error);
    }
    out->needs_python =
        stranger.p || (has_python && !include.any && python->stats_registered(event_processor_names, EVENT_PROCESSORS));
    return 0;
}
