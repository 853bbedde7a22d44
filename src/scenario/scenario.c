#include "scenario/scenario.h"

#include <stdlib.h>

int scenario_init(struct scenario *scenario, const char *name)
{
    *scenario = (struct scenario){.name = str_copy(str_of(name))};
    return scenario->name ? 0 : MITE_ENOMEM;
}

int scenario_add(struct scenario *scenario, const char *journey_spec, struct datapool *pool, struct volume_model *model,
                 struct mite_error *error)
{
    struct str module, name;
    int rc = spec_split(journey_spec, &module, &name, error);

    if (rc < 0) {
        return rc;
    }
    struct scenario_entry *entries = realloc(scenario->entries, (scenario->count + 1) * sizeof *entries);
    char *spec = str_copy(str_of(journey_spec));
    if (entries) {
        scenario->entries = entries;
    }
    if (!entries || !spec) {
        free(spec);
        return error_set(error, MITE_ENOMEM, "no memory for the scenario");
    }
    entries[scenario->count] =
        (struct scenario_entry){.id = (int64_t)scenario->count + 1, .journey_spec = spec, .pool = pool, .model = model};
    scenario->count++;
    return 0;
}

void scenario_done(struct scenario *scenario)
{
    for (size_t i = 0; i < scenario->count; i++) {
        free(scenario->entries[i].journey_spec);
        datapool_unref(scenario->entries[i].pool);
        volume_model_free(scenario->entries[i].model);
    }
    free(scenario->entries);
    free(scenario->name);
    *scenario = (struct scenario){0};
}

int64_t scenario_duration_s(const struct scenario *scenario)
{
    int64_t longest = -1;

    for (size_t i = 0; i < scenario->count; i++) {
        int64_t duration = scenario->entries[i].model->duration_s;
        if (duration < 0) {
            return -1;
        }
        longest = duration > longest ? duration : longest;
    }
    return longest;
}

/* At the last colon: a path may have one, a name never. */
int spec_split(const char *spec, struct str *module, struct str *name, struct mite_error *error)
{
    const char *colon = strrchr(spec, ':');

    if (!colon || colon == spec || !colon[1]) {
        struct str file = {spec, colon ? (size_t)(colon - spec) : strlen(spec)};
        return str_ends_in(file, ".c") || str_ends_in(file, ".so")
                   ? error_set(error, MITE_EINVAL, "\"%s\" is no spec: write " STR_FMT ":NAME", spec, STR_ARG(file))
                   : error_set(error, MITE_EINVAL, "\"%s\" is no spec: write MODULE:NAME, such as mite.example:journey",
                               spec);
    }
    if (module) {
        *module = (struct str){spec, (size_t)(colon - spec)};
    }
    if (name) {
        *name = str_of(colon + 1);
    }
    return 0;
}
