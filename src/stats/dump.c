#include "stats/dump.h"

#include "value/msgpack.h"

#include <math.h>

#define WHOLE_MAX   9007199254740992.0 /* 2^53: integers below it are exact */
#define NUMBER_SIZE 9                  /* bytes of a number at most */
#define LIST_HEAD   5                  /* bytes in front of a list's items at most */

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

/* Bytes that a series takes at most. */
static size_t size_of(const struct metric *metric, const struct series *series)
{
    return metric->shape.kind == METRIC_HISTOGRAM
               ? 3 * series->key.n + LIST_HEAD + (metric->shape.bin_count + 2) * NUMBER_SIZE
               : series->key.n + NUMBER_SIZE;
}

static uint32_t count_that_fit(const struct metric *metric, size_t room)
{
    uint32_t count = 0;

    for (const struct series *series = metric->first; series; series = series->next) {
        size_t size = size_of(metric, series);
        if (size > room) {
            break;
        }
        room -= size;
        count++;
    }
    return count;
}

static void write_value(struct buf *out, const struct metric *metric, const struct series *series)
{
    write_number(out, series->value);
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

static void write_sum(struct buf *out, const struct metric *metric, const struct series *series)
{
    msgpack_write_float(out, series->value);
}

static void write_total(struct buf *out, const struct metric *metric, const struct series *series)
{
    msgpack_write_int(out, (int64_t)metric_observations(metric, series));
}

static void write_map(struct buf *out, const char *name, const struct metric *metric, uint32_t count,
                      void (*write)(struct buf *out, const struct metric *metric, const struct series *series))
{
    const struct series *series = metric->first;

    msgpack_write_text(out, str_of(name));
    msgpack_write_map(out, count);
    for (uint32_t i = 0; i < count; i++, series = series->next) {
        buf_str(out, series->key);
        write(out, metric, series);
    }
}

static void write_bounds(struct buf *out, const struct metric_shape *shape)
{
    msgpack_write_text(out, STR("bins"));
    msgpack_write_list(out, (uint32_t)shape->bin_count);
    for (size_t i = 0; i < shape->bin_count; i++) {
        msgpack_write_float(out, shape->bins[i]);
    }
}

uint32_t dump_write(struct buf *out, const struct metric *metric, size_t room)
{
    uint32_t count = count_that_fit(metric, room);

    write_head(out, metric);
    if (metric->shape.kind == METRIC_HISTOGRAM) {
        write_map(out, "bin_counts", metric, count, write_bins);
        write_map(out, "sums", metric, count, write_sum);
        write_map(out, "total_counts", metric, count, write_total);
        write_bounds(out, &metric->shape);
    } else {
        write_map(out, "metrics", metric, count, write_value);
    }
    write_labels(out, &metric->shape);
    return count;
}
