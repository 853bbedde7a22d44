#include "stats/dump.h"

#include "value/msgpack.h"

#include <math.h>

#define WHOLE_MAX 9007199254740992.0 /* 2^53: integers below it are exact */

static void write_number(struct buf *out, double number)
{
    if (fabs(number) < WHOLE_MAX && number == floor(number)) {
        msgpack_write_int(out, (int64_t)number);
    } else {
        msgpack_write_float(out, number);
    }
}

static void write_labels(struct buf *out, const struct metric_shape *shape)
{
    msgpack_write_text(out, STR("labels"));
    msgpack_write_list(out, (uint32_t)shape->label_count);
    for (size_t i = 0; i < shape->label_count; i++) {
        msgpack_write_text(out, shape->labels[i]);
    }
}

static void write_head(struct buf *out, const struct metric *metric)
{
    static const char *const types[] = {"Counter", "Gauge", "Histogram"};

    msgpack_write_map(out, metric->shape.kind == METRIC_HISTOGRAM ? 7 : 4);
    msgpack_write_text(out, STR("type"));
    msgpack_write_text(out, str_of(types[metric->shape.kind]));
    msgpack_write_text(out, STR("name"));
    msgpack_write_text(out, metric->shape.name);
}

static void write_counter(struct buf *out, const struct metric *metric)
{
    msgpack_write_map(out, metric->changed_count);
    for (const struct series *series = metric->changed; series; series = series->next_changed) {
        buf_str(out, series->key);
        write_number(out, series->value);
    }
}

static void write_gauge(struct buf *out, const struct metric *metric)
{
    struct series *series;

    msgpack_write_map(out, metric->by_key.live_count);
    for (uint32_t i = 0; (series = metric_next(metric, &i));) {
        buf_str(out, series->key);
        write_number(out, series->value);
    }
}

static void write_bins(struct buf *out, const struct metric *metric, const struct series *series)
{
    uint64_t sum = 0;

    msgpack_write_list(out, (uint32_t)metric->shape.bin_count);
    for (size_t i = 0; i < metric->shape.bin_count; i++) {
        sum += series->counts[i];
        msgpack_write_int(out, (int64_t)sum);
    }
}

static void write_histogram(struct buf *out, const struct metric *metric)
{
    const struct series *series;

    msgpack_write_text(out, STR("bin_counts"));
    msgpack_write_map(out, metric->changed_count);
    for (series = metric->changed; series; series = series->next_changed) {
        buf_str(out, series->key);
        write_bins(out, metric, series);
    }
    msgpack_write_text(out, STR("sums"));
    msgpack_write_map(out, metric->changed_count);
    for (series = metric->changed; series; series = series->next_changed) {
        buf_str(out, series->key);
        msgpack_write_float(out, series->value);
    }
    msgpack_write_text(out, STR("total_counts"));
    msgpack_write_map(out, metric->changed_count);
    for (series = metric->changed; series; series = series->next_changed) {
        buf_str(out, series->key);
        msgpack_write_int(out, (int64_t)metric_observations(metric, series));
    }
    msgpack_write_text(out, STR("bins"));
    msgpack_write_list(out, (uint32_t)metric->shape.bin_count);
    for (size_t i = 0; i < metric->shape.bin_count; i++) {
        msgpack_write_float(out, metric->shape.bins[i]);
    }
}

void dump_write(struct buf *out, const struct metric *metric)
{
    write_head(out, metric);
    if (metric->shape.kind == METRIC_HISTOGRAM) {
        write_histogram(out, metric);
    } else {
        msgpack_write_text(out, STR("metrics"));
        if (metric->shape.kind == METRIC_COUNTER) {
            write_counter(out, metric);
        } else {
            write_gauge(out, metric);
        }
    }
    write_labels(out, &metric->shape);
}
