/*
 * Design notes
 *
 * A chain's value is that of the stretch in which the window starts; where two stretches meet the later one counts. The
 * chain stops when a window starts behind its end: one that starts exactly there has the value of the last stretch's
 * end, so that a ramp reaches its top.
 */
#include "scenario/volume_model.h"

#include <math.h>
#include <stdlib.h>

/* More journeys than any machine runs: a figure that is a mistake. */
#define MAX_VOLUME 1e9

struct chain {
    struct volume_model base;
    size_t count;
    struct volume_stretch stretches[];
};

/* ---- open ends ---- */

static bool bad_volume(double volume)
{
    return !(volume >= 0 && volume <= MAX_VOLUME);
}

static int check_figures(const struct volume_stretch *stretch, size_t number, struct mite_error *error)
{
    bool endless = isinf(stretch->duration_s) && stretch->kind == VOLUME_RAMP;

    if (!(stretch->duration_s >= 0) || endless) {
        return error_set(error, MITE_EINVAL, "stretch %zu of a volume model lasts %g s: it must be 0 or more%s", number,
                         stretch->duration_s, endless ? ", and a ramp must have an end" : "");
    }
    for (int i = 0; i < 2; i++) {
        double volume = i == 0 ? stretch->from : stretch->to;
        if ((i == 0 ? stretch->has_from : stretch->has_to) && bad_volume(volume)) {
            return error_set(error, MITE_EINVAL, "stretch %zu of a volume model has the volume %g: it must be 0 to %g",
                             number, volume, MAX_VOLUME);
        }
    }
    return 0;
}

/* `python` and `c`: what that end is called there. */
static int wrong_end(size_t number, const char *python, const char *c, bool missing, struct mite_error *error)
{
    return error_set(error, MITE_EINVAL, "stretch %zu of a volume model is a ramp %s `%s` (in C %s), %s", number,
                     missing ? "without" : "with", python, c,
                     missing ? "and has no neighbour there to take it from"
                             : "which it takes from its neighbour: leave it out");
}

/* The ends of ramp i: given where the chain ends, taken from the neighbour elsewhere. */
static int resolve_ramp(struct volume_stretch *stretches, size_t count, size_t i, struct mite_error *error)
{
    struct volume_stretch *ramp = &stretches[i];
    bool first = i == 0, last = i + 1 == count;

    if (ramp->has_from != first) {
        return wrong_end(i + 1, "frm", "MITE_RAMP_FROM", first, error);
    }
    if (ramp->has_to != last) {
        return wrong_end(i + 1, "to", "MITE_RAMP_TO", last, error);
    }
    if (!last && stretches[i + 1].kind == VOLUME_RAMP) {
        return error_set(error, MITE_EINVAL,
                         "stretches %zu and %zu of a volume model are both ramps: put a Constant between them", i + 1,
                         i + 2);
    }
    ramp->from = first ? ramp->from : stretches[i - 1].to;
    ramp->to = last ? ramp->to : stretches[i + 1].from;
    ramp->has_from = ramp->has_to = true;
    return 0;
}

int volume_chain_resolve(struct volume_stretch *stretches, size_t count, struct mite_error *error)
{
    int rc = count > 0 ? 0 : error_set(error, MITE_EINVAL, "a volume model has no stretch");

    for (size_t i = 0; i < count && rc == 0; i++) {
        if (stretches[i].kind == VOLUME_NOTHING) {
            stretches[i].from = stretches[i].to = 0;
        }
        rc = check_figures(&stretches[i], i + 1, error);
    }
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (stretches[i].kind == VOLUME_RAMP) {
            rc = resolve_ramp(stretches, count, i, error);
        }
    }
    return rc;
}

/* ---- value ---- */

static int64_t value_at(const struct volume_stretch *stretch, double offset_s)
{
    if (stretch->kind != VOLUME_RAMP) {
        return llround(stretch->from);
    }
    double share = stretch->duration_s > 0 ? offset_s / stretch->duration_s : 1;
    return llround(stretch->from + (stretch->to - stretch->from) * share);
}

int volume_chain_at(const struct volume_stretch *stretches, size_t count, int64_t start_s, int64_t end_s,
                    int64_t *wanted, struct mite_error *error)
{
    double offset_s = (double)start_s;

    for (size_t i = 0; i < count; i++) {
        bool last = i + 1 == count;
        if (offset_s < stretches[i].duration_s || (last && offset_s <= stretches[i].duration_s)) {
            *wanted = value_at(&stretches[i], offset_s);
            return 0;
        }
        offset_s -= stretches[i].duration_s;
    }
    return MITE_EEND;
}

/* ---- models ---- */

static int chain_at(struct volume_model *model, int64_t start_s, int64_t end_s, int64_t *wanted,
                    struct mite_error *error)
{
    struct chain *chain = (struct chain *)model;

    return volume_chain_at(chain->stretches, chain->count, start_s, end_s, wanted, error);
}

static void chain_free(struct volume_model *model)
{
    free(model);
}

static const struct volume_model_ops chain_ops = {.at = chain_at, .free = chain_free};

/* The last whole second that it has a value for, -1: without end. */
static int64_t chain_duration_s(const struct chain *chain)
{
    double total_s = 0;

    for (size_t i = 0; i < chain->count; i++) {
        total_s += chain->stretches[i].duration_s;
    }
    return total_s < (double)(INT64_MAX / 2) ? (int64_t)total_s : -1;
}

int volume_chain_new(const struct volume_stretch *stretches, size_t count, struct volume_model **out,
                     struct mite_error *error)
{
    struct chain *chain = calloc(1, sizeof *chain + count * sizeof *stretches);

    if (!chain) {
        return error_set(error, MITE_ENOMEM, "no memory for a volume model");
    }
    for (size_t i = 0; i < count; i++) {
        chain->stretches[i] = stretches[i];
    }
    chain->count = count;
    int rc = volume_chain_resolve(chain->stretches, count, error);
    if (rc < 0) {
        free(chain);
        return rc;
    }
    chain->base = (struct volume_model){.ops = &chain_ops, .duration_s = chain_duration_s(chain), .max_starts = -1};
    *out = &chain->base;
    return 0;
}

int volume_constant_new(int64_t volume, int64_t duration_s, struct volume_model **out, struct mite_error *error)
{
    struct volume_stretch stretch = {
        .kind = VOLUME_CONSTANT,
        .duration_s = duration_s < 0 ? INFINITY : (double)duration_s,
        .from = (double)volume,
        .to = (double)volume,
        .has_from = true,
        .has_to = true,
    };

    return volume_chain_new(&stretch, 1, out, error);
}
