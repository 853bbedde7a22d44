/*
 * Volume model: how many instances of a journey run at once in the window from start to end, whole seconds since the
 * start of the scenario. A table of functions, filled here for the models of the DSL and by the Python plugin for
 * anything callable.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct volume_model;

struct volume_model_ops {
    /* *wanted gets the number, never negative. MITE_EEND: the model has stopped, for good (StopVolumeModel).
     * MITE_EUSER, MITE_EINVAL: it failed or gave no number; the sentence says how. */
    int (*at)(struct volume_model *model, int64_t start_s, int64_t end_s, int64_t *wanted, struct mite_error *error);
    void (*free)(struct volume_model *model);
};

struct volume_model {
    const struct volume_model_ops *ops;
    int64_t duration_s;  /* stops at the first window that starts behind it; -1: not known or without end */
    int64_t max_starts;  /* journeys in all; -1: no limit (oneshot models have 1) */
    bool stops_scenario; /* its end ends the whole scenario (oneshot_vm(stop_scenario=True)) */
};

/* One stretch of the DSL. A ramp's open ends are taken from its neighbours when the chain is made. */
enum volume_stretch_kind { VOLUME_NOTHING, VOLUME_CONSTANT, VOLUME_RAMP };

struct volume_stretch {
    enum volume_stretch_kind kind;
    double duration_s;
    double from, to; /* a constant has both alike */
    bool has_from, has_to;
};

/* The chain is copied. MITE_EINVAL: an end that is missing or given where a neighbour has it, a negative figure.
 * Python's classes check by the same function at their first call. */
int volume_chain_new(const struct volume_stretch *stretches, size_t count, struct volume_model **out,
                     struct mite_error *error) PRIVATE_API(volume_chain_new);
/* `volume` until `duration_s` (-1: for ever). */
int volume_constant_new(int64_t volume, int64_t duration_s, struct volume_model **out, struct mite_error *error)
    PRIVATE_API(volume_constant_new);

/* The resolved chain's value, for those who have their own object around it: what `at` does. That of the window's
 * start, rounded; MITE_EEND when the window starts behind the chain's end. */
int volume_chain_at(const struct volume_stretch *stretches, size_t count, int64_t start_s, int64_t end_s,
                    int64_t *wanted, struct mite_error *error) PRIVATE_API(volume_chain_at);
/* Fills in open ends in place, once. */
int volume_chain_resolve(struct volume_stretch *stretches, size_t count, struct mite_error *error)
    PRIVATE_API(volume_chain_resolve);

static inline void volume_model_free(struct volume_model *model)
{
    if (model) {
        model->ops->free(model);
    }
}
