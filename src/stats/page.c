/* What the page keeps, and how it is written; page_take.c adds dumps. */
#include "stats/page.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define HELP_OTHERS "From a stats processor"

static const struct {
    const char *name, *help;
} helps[] = {
    {"mite_journey_error_total", "Errors and exceptions of journeys"},
    {"mite_transaction_total", "Transactions that ended"},
    {"mite_actual_count", "Journeys that run, by scenario"},
    {"mite_required_count", "Journeys that the volume model wants to run, by scenario"},
    {"mite_runner_count", "Runners that are connected to the controller"},
    {"mite_messages_dropped_total", "Messages that a component had no room for"},
    {"mite_http_response_total", "HTTP responses"},
    {"mite_http_response_time_seconds", "Time from the start of a request to the end of its response"},
    {"mite_dns_time", "Time that name lookup took, in seconds"},
};

static void metric_free(void *metric)
{
    metric_done(metric);
    free(metric);
}

void page_init(struct page *page, size_t max_series)
{
    *page = (struct page){.max_series = max_series};
    map_init(&page->metrics);
    buf_init(&page->key, 0);
}

void page_done(struct page *page)
{
    map_done(&page->metrics, metric_free);
    buf_done(&page->key);
}

const char *page_overflowed(struct page *page)
{
    struct map_entry *entry;

    for (uint32_t i = 0; (entry = map_next(&page->metrics, &i));) {
        if (metric_overflowed(entry->value)) {
            return entry->key.p;
        }
    }
    return NULL;
}

/* ---- writing ---- */

static const char *help_of(struct str name)
{
    for (size_t i = 0; i < sizeof helps / sizeof helps[0]; i++) {
        if (str_is(name, helps[i].name)) {
            return helps[i].help;
        }
    }
    return HELP_OTHERS;
}

static void write_head(struct buf *out, const char *name, const char *help, enum metric_kind kind)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};

    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kinds[kind]);
}

static void write_number(struct buf *out, double number)
{
    char text[STR_DOUBLE_SIZE];

    if (isnan(number)) {
        buf_text(out, "NaN");
    } else if (isinf(number)) {
        buf_text(out, number > 0 ? "+Inf" : "-Inf");
    } else {
        str_from_double(text, number);
        buf_text(out, text);
    }
}

/* NAME[SUFFIX]{LABELS} NUMBER */
static void write_sample(struct buf *out, const struct metric *metric, const char *suffix, const struct series *series,
                         double number)
{
    buf_str(out, metric->shape.name);
    buf_text(out, suffix);
    if (series->key.n > 0) {
        buf_char(out, '{');
        buf_str(out, series->key);
        buf_char(out, '}');
    }
    buf_char(out, ' ');
    write_number(out, number);
    buf_char(out, '\n');
}

/* Six decimals, as dashboards have it; the shortest form where that would not tell a bound from the one before it. */
static void write_bound(struct buf *out, const double *bins, size_t index)
{
    char text[512], before[512] = "0.000000";

    snprintf(text, sizeof text, "%.6f", bins[index]);
    if (index > 0) {
        snprintf(before, sizeof before, "%.6f", bins[index - 1]);
    }
    if (strcmp(text, before) == 0 && bins[index] != 0) {
        str_from_double(text, bins[index]);
    }
    buf_text(out, text);
}

static void write_bucket(struct buf *out, const struct metric *metric, const struct series *series, size_t index)
{
    buf_str(out, metric->shape.name);
    buf_text(out, "_bucket{");
    buf_str(out, series->key);
    buf_text(out, series->key.n > 0 ? ",le=\"" : "le=\"");
    if (index < metric->shape.bin_count) {
        write_bound(out, metric->shape.bins, index);
    } else {
        buf_text(out, "+Inf");
    }
    buf_text(out, "\"} ");
    write_number(out, (double)series->counts[index]);
    buf_char(out, '\n');
}

static void write_metric(struct buf *out, const struct metric *metric)
{
    struct series *series;

    write_head(out, metric->shape.name.p, help_of(metric->shape.name), metric->shape.kind);
    for (uint32_t i = 0; (series = metric_next(metric, &i));) {
        if (metric->shape.kind != METRIC_HISTOGRAM) {
            write_sample(out, metric, "", series, series->value);
            continue;
        }
        for (size_t bin = 0; bin <= metric->shape.bin_count; bin++) {
            write_bucket(out, metric, series, bin);
        }
        write_sample(out, metric, "_sum", series, series->value);
        write_sample(out, metric, "_count", series, (double)series->counts[metric->shape.bin_count]);
    }
}

void page_write(struct buf *out, const struct page *page)
{
    struct map_entry *entry;

    for (uint32_t i = 0; (entry = map_next(&page->metrics, &i));) {
        write_metric(out, entry->value);
    }
}

void page_write_counter(struct buf *out, const char *name, const char *help, uint64_t number)
{
    write_head(out, name, help, METRIC_COUNTER);
    buf_printf(out, "%s %llu\n", name, (unsigned long long)number);
}
