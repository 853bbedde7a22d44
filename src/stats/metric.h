/*
 * A metric: one number, or one histogram, for each set of label values. `mite stats` adds up in it what came since its
 * last dump, the exporter what all dumps said.
 *
 * A label set is known by one text, its key, whose form is the owner's (stats: dump.h, exporter: page.h); to look up a
 * known one hashes and compares that and allocates nothing. There are at most `max_series`: what belongs to a further
 * one is counted in the series "other"; of a gauge it is left out, since gauges of many things have no sum.
 *
 * Life cycle: metric_init, metric_series for each number, metric_done; it stays where it is. The series that changed
 * and were not told yet hang in a list, so that a dump of many label sets costs what was counted, not what was ever
 * seen.
 */
#pragma once

#include "base/error.h"
#include "base/map.h"

#define METRIC_LABELS_MAX 64
#define METRIC_BINS_MAX   200
#define METRIC_LABEL_MAX  1024 /* bytes of a label's value; what is longer is cut */

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* What a metric is like. */
struct metric_shape {
    enum metric_kind kind;
    struct str name;
    const struct str *labels;
    size_t label_count;
    const double *bins; /* upper bounds, rising; of histograms */
    size_t bin_count;
};

struct series {
    struct str key; /* borrowed from the metric's map, or its other_key */
    double value;   /* of a histogram: the sum of what was observed */
    bool listed;
    struct series *next; /* in the list */
    uint64_t counts[]; /* of histograms, by bin, one more for what is above all: what came through metric_observe is in
                          one of them; the exporter keeps them as dumps have them, each with those before it */
};

struct metric {
    struct metric_shape shape; /* owned copies */
    struct map by_key;         /* key -> struct series, owned */
    size_t max_series;
    char *other_key;      /* owned */
    struct series *other; /* owned; counters and histograms */
    bool full;            /* something belonged to "other", or was left out */
    bool full_told;
    struct series *first, **end; /* of the list of those that are to be told */
};

/* Copies shape and key. MITE_ENOMEM. */
int metric_init(struct metric *metric, const struct metric_shape *shape, struct str other_key, size_t max_series);
void metric_done(struct metric *metric); /* copes with a zeroed one */

bool metric_has_shape(const struct metric *metric, const struct metric_shape *shape);

/* The series of this key, made when there is none. Without room or memory: "other", of a gauge NULL. */
struct series *metric_series(struct metric *metric, struct str key);

/* Puts it on the list, if it is not there: every function that changes numbers does. */
void metric_changed(struct metric *metric, struct series *series);
static inline void metric_add(struct metric *metric, struct series *series, double number)
{
    series->value += number;
    metric_changed(metric, series);
}
static inline void metric_set(struct metric *metric, struct series *series, double number)
{
    series->value = number;
    metric_changed(metric, series);
}
void metric_observe(struct metric *metric, struct series *series, double number);
uint64_t metric_observations(const struct metric *metric, const struct series *series);

/* True once, when there were more label sets than it keeps: for who says so. */
bool metric_overflowed(struct metric *metric);

/* Puts all on the list, as if they had changed. */
void metric_list_all(struct metric *metric);

/* The first `count` of the list have been told: they leave it, and unless it is a gauge begin at zero again. */
void metric_told(struct metric *metric, uint32_t count);

/* Series, for walking: those with a key, then "other" when it was used. */
struct series *metric_next(const struct metric *metric, uint32_t *index);
