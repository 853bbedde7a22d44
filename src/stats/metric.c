#include "stats/metric.h"

#include <stdlib.h>

/* ---- shapes ---- */

static bool copy_texts(struct metric_shape *to, const struct metric_shape *from)
{
    struct str *labels = calloc(from->label_count + 1, sizeof *labels);

    to->labels = labels;
    to->name.p = str_copy(from->name);
    to->name.n = from->name.n;
    if (!labels || !to->name.p) {
        return false;
    }
    for (size_t i = 0; i < from->label_count; i++) {
        labels[i].p = str_copy(from->labels[i]);
        if (!labels[i].p) {
            return false;
        }
        labels[i].n = from->labels[i].n;
        to->label_count++;
    }
    return true;
}

static bool copy_shape(struct metric_shape *to, const struct metric_shape *from)
{
    to->kind = from->kind;
    if (!copy_texts(to, from)) {
        return false;
    }
    double *bins = malloc((from->bin_count + 1) * sizeof *bins);

    to->bins = bins;
    if (!bins) {
        return false;
    }
    for (size_t i = 0; i < from->bin_count; i++) {
        bins[i] = from->bins[i];
    }
    to->bin_count = from->bin_count;
    return true;
}

static void shape_done(struct metric_shape *shape)
{
    for (size_t i = 0; i < shape->label_count; i++) {
        free((char *)shape->labels[i].p);
    }
    free((struct str *)shape->labels);
    free((char *)shape->name.p);
    free((double *)shape->bins);
}

bool metric_has_shape(const struct metric *metric, const struct metric_shape *shape)
{
    const struct metric_shape *own = &metric->shape;

    if (own->kind != shape->kind || !str_equal(own->name, shape->name) || own->label_count != shape->label_count ||
        own->bin_count != shape->bin_count) {
        return false;
    }
    for (size_t i = 0; i < own->label_count; i++) {
        if (!str_equal(own->labels[i], shape->labels[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < own->bin_count; i++) {
        if (own->bins[i] != shape->bins[i]) {
            return false;
        }
    }
    return true;
}

/* ---- life ---- */

/* How many counts a series has. */
static size_t count_of_counts(const struct metric *metric)
{
    return metric->shape.kind == METRIC_HISTOGRAM ? metric->shape.bin_count + 1 : 0;
}

static struct series *series_new(const struct metric *metric)
{
    return calloc(1, sizeof(struct series) + count_of_counts(metric) * sizeof(uint64_t));
}

int metric_init(struct metric *metric, const struct metric_shape *shape, struct str other_key, size_t max_series)
{
    *metric = (struct metric){.max_series = max_series};
    metric->end = &metric->first;
    map_init(&metric->by_key);
    metric->other_key = str_copy(other_key);
    if (!metric->other_key || !copy_shape(&metric->shape, shape)) {
        metric_done(metric);
        return MITE_ENOMEM;
    }
    if (shape->kind != METRIC_GAUGE) {
        metric->other = series_new(metric);
        if (!metric->other) {
            metric_done(metric);
            return MITE_ENOMEM;
        }
        metric->other->key = (struct str){metric->other_key, other_key.n};
    }
    return 0;
}

void metric_done(struct metric *metric)
{
    map_done(&metric->by_key, free);
    free(metric->other);
    free(metric->other_key);
    shape_done(&metric->shape);
    *metric = (struct metric){0};
}

/* ---- series ---- */

/* NULL: no room or no memory. */
static struct series *add(struct metric *metric, struct str key)
{
    if (metric->by_key.entry_count >= metric->max_series) {
        return NULL;
    }
    struct series *series = series_new(metric);

    if (!series || map_set(&metric->by_key, key, series, NULL) != 0) {
        free(series);
        return NULL;
    }
    series->key = metric->by_key.entries[metric->by_key.entry_count - 1].key;
    return series;
}

struct series *metric_series(struct metric *metric, struct str key)
{
    struct series *series = map_get(&metric->by_key, key);

    if (!series && metric->other && str_equal(key, metric->other->key)) {
        series = metric->other; /* others had too many as well */
        metric->full = true;
    }
    if (!series) {
        series = add(metric, key);
    }
    if (!series) {
        series = metric->other;
        metric->full = true;
    }
    return series;
}

void metric_changed(struct metric *metric, struct series *series)
{
    if (!series->listed) {
        series->listed = true;
        series->next = NULL;
        *metric->end = series;
        metric->end = &series->next;
    }
}

void metric_observe(struct metric *metric, struct series *series, double number)
{
    const double *bins = metric->shape.bins;
    size_t low = 0, high = metric->shape.bin_count;

    while (low < high) { /* the first bin that is not below the number */
        size_t middle = (low + high) / 2;
        if (bins[middle] < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    series->counts[low]++;
    metric_add(metric, series, number);
}

uint64_t metric_observations(const struct metric *metric, const struct series *series)
{
    uint64_t sum = 0;

    for (size_t i = 0; i <= metric->shape.bin_count; i++) {
        sum += series->counts[i];
    }
    return sum;
}

bool metric_overflowed(struct metric *metric)
{
    bool first = metric->full && !metric->full_told;

    metric->full_told = metric->full;
    return first;
}

void metric_list_all(struct metric *metric)
{
    struct series *series;

    for (uint32_t i = 0; (series = metric_next(metric, &i));) {
        metric_changed(metric, series);
    }
}

static void begin_anew(struct metric *metric, struct series *series)
{
    series->value = 0;
    memset(series->counts, 0, count_of_counts(metric) * sizeof *series->counts);
}

void metric_told(struct metric *metric, uint32_t count)
{
    for (; count > 0; count--) {
        struct series *series = metric->first;
        metric->first = series->next;
        series->listed = false;
        if (metric->shape.kind != METRIC_GAUGE) {
            begin_anew(metric, series);
        }
    }
    if (!metric->first) {
        metric->end = &metric->first;
    }
}

struct series *metric_next(const struct metric *metric, uint32_t *index)
{
    struct map_entry *entry = map_next(&metric->by_key, index);

    if (entry) {
        return entry->value;
    }
    if (metric->full && metric->other && *index <= metric->by_key.entry_count) {
        *index = metric->by_key.entry_count + 1;
        return metric->other;
    }
    return NULL;
}
