/*
 * Scenario: which journeys run, with which data, how many at once.
 */
#pragma once

#include "scenario/config.h"
#include "scenario/datapool.h"
#include "scenario/volume_model.h"

struct scenario_entry {
    int64_t id;                 /* from 1 */
    char *journey_spec;         /* owned */
    struct datapool *pool;      /* counted reference, or NULL */
    struct volume_model *model; /* owned */
};

struct scenario {
    char *name; /* owned: the spec it came from; the `test` of every message */
    struct scenario_entry *entries;
    size_t count;
};

int scenario_init(struct scenario *scenario, const char *name) PRIVATE_API(scenario_init);
/* Takes model and pool reference on success only. */
int scenario_add(struct scenario *scenario, const char *journey_spec, struct datapool *pool, struct volume_model *model,
                 struct mite_error *error) PRIVATE_API(scenario_add);
void scenario_done(struct scenario *scenario) PRIVATE_API(scenario_done);

/* The longest of its models in seconds, -1 when one has no known end or there are none. */
int64_t scenario_duration_s(const struct scenario *scenario) PRIVATE_API(scenario_duration_s);

/* "package.module:name" into its halves (views); either may be NULL. MITE_EINVAL says what a spec
 * looks like. */
int spec_split(const char *spec, struct str *module, struct str *name, struct mite_error *error)
    PRIVATE_API(spec_split);
