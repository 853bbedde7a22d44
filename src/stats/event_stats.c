#include "stats/event_stats.h"

#include "stats/buckets.h"
#include "stats/dump.h"
#include "stats/event.h"
#include "stats/labels.h"

#include <math.h>

#define LABELS     6
#define NUMBER_MAX 9007199254740992.0 /* 2^53: sums of numbers up to it stay finite, whatever a sender makes up */

enum event_type {
    TYPE_TXN = 1 << 0,
    TYPE_ERROR = 1 << 1,
    TYPE_EXCEPTION = 1 << 2,
    TYPE_HTTP_METRICS = 1 << 3,
    TYPE_CONTROLLER_REPORT = 1 << 4,
    TYPE_MESSAGES_DROPPED = 1 << 5,
};

static const struct {
    struct str name;
    unsigned type;
} types[] = {
    {{"http_metrics", 12}, TYPE_HTTP_METRICS},
    {{"txn", 3}, TYPE_TXN},
    {{"error", 5}, TYPE_ERROR},
    {{"exception", 9}, TYPE_EXCEPTION},
    {{"controller_report", 17}, TYPE_CONTROLLER_REPORT},
    {{"messages_dropped", 16}, TYPE_MESSAGES_DROPPED},
};

/* Where the number of a message comes from. */
enum source {
    ONE,    /* it counts as one */
    NUMBER, /* a field */
    BY_KEY, /* a field that is a map: one for each key, which is the last label */
};

struct definition {
    const char *name;
    enum event_processor processor;
    unsigned types;
    enum metric_kind kind;
    enum event_field labels[LABELS];
    size_t label_count;
    enum source source;
    enum event_field field;
    const char *key_label; /* of BY_KEY */
    const char *buckets;   /* of histograms: the environment variable */
};

/* In the order of a dump. */
static const struct definition definitions[EVENT_STATS_METRICS] = {
    {"mite_journey_error_total",
     EVENT_PROCESSOR_MITE,
     TYPE_ERROR | TYPE_EXCEPTION,
     METRIC_COUNTER,
     {EVENT_TEST, EVENT_JOURNEY, EVENT_TRANSACTION, EVENT_LOCATION, EVENT_EX_TYPE, EVENT_MESSAGE},
     6,
     ONE},
    {"mite_transaction_total",
     EVENT_PROCESSOR_MITE,
     TYPE_TXN,
     METRIC_COUNTER,
     {EVENT_TEST, EVENT_JOURNEY, EVENT_TRANSACTION, EVENT_HAD_ERROR},
     4,
     ONE},
    {"mite_actual_count",
     EVENT_PROCESSOR_MITE,
     TYPE_CONTROLLER_REPORT,
     METRIC_GAUGE,
     {EVENT_TEST},
     1,
     BY_KEY,
     EVENT_ACTUAL,
     "scenario_id"},
    {"mite_required_count",
     EVENT_PROCESSOR_MITE,
     TYPE_CONTROLLER_REPORT,
     METRIC_GAUGE,
     {EVENT_TEST},
     1,
     BY_KEY,
     EVENT_REQUIRED,
     "scenario_id"},
    {"mite_runner_count",
     EVENT_PROCESSOR_MITE,
     TYPE_CONTROLLER_REPORT,
     METRIC_GAUGE,
     {EVENT_TEST},
     1,
     NUMBER,
     EVENT_NUM_RUNNERS},
    {"mite_messages_dropped_total",
     EVENT_PROCESSOR_MITE,
     TYPE_MESSAGES_DROPPED,
     METRIC_COUNTER,
     {EVENT_COMPONENT},
     1,
     BY_KEY,
     EVENT_DROPPED,
     "type"},
    {"mite_http_response_total",
     EVENT_PROCESSOR_HTTP,
     TYPE_HTTP_METRICS,
     METRIC_COUNTER,
     {EVENT_TEST, EVENT_JOURNEY, EVENT_TRANSACTION, EVENT_METHOD, EVENT_RESPONSE_CODE},
     5,
     ONE},
    {"mite_http_response_time_seconds",
     EVENT_PROCESSOR_HTTP,
     TYPE_HTTP_METRICS,
     METRIC_HISTOGRAM,
     {EVENT_TRANSACTION},
     1,
     NUMBER,
     EVENT_TOTAL_TIME,
     NULL,
     "MITE_HTTP_HISTOGRAM_BUCKETS"},
    {"mite_dns_time",
     EVENT_PROCESSOR_DNS,
     TYPE_HTTP_METRICS,
     METRIC_HISTOGRAM,
     {EVENT_TRANSACTION},
     1,
     NUMBER,
     EVENT_DNS_TIME,
     NULL,
     "MITE_DNS_HISTOGRAM_BUCKETS"},
};

const char *const event_processor_names[EVENT_PROCESSORS] = {"mite", "mite_http", "mite_dns"};

/* ---- life ---- */

static int add_metric(struct event_stats *stats, size_t index, size_t max_series, struct mite_error *error)
{
    const struct definition *definition = &definitions[index];
    struct buckets buckets = {.count = 0};
    struct str labels[LABELS + 1];
    size_t count = 0;

    if (definition->buckets) {
        int code = buckets_from_environment(definition->buckets, &buckets, error);
        if (code != 0) {
            return code;
        }
    }
    for (size_t i = 0; i < definition->label_count; i++) {
        labels[count++] = event_field_name(definition->labels[i]);
    }
    if (definition->key_label) {
        labels[count++] = str_of(definition->key_label);
    }
    labels_begin(&stats->key, count);
    for (size_t i = 0; i < count; i++) {
        labels_add_text(&stats->key, STR("other"));
    }
    struct metric_shape shape = {definition->kind, str_of(definition->name), labels, count, buckets.bounds,
                                 buckets.count};

    if (stats->key.failed ||
        metric_init(&stats->metrics[stats->count], &shape, buf_view(&stats->key), max_series) != 0) {
        return error_set(error, MITE_ENOMEM, "no memory for statistics");
    }
    stats->definitions[stats->count++] = (unsigned char)index;
    return 0;
}

int event_stats_init(struct event_stats *stats, unsigned processors, size_t max_series, struct mite_error *error)
{
    *stats = (struct event_stats){0};
    buf_init(&stats->key, 0);
    for (size_t i = 0; i < EVENT_STATS_METRICS; i++) {
        int code = definitions[i].processor & processors ? add_metric(stats, i, max_series, error) : 0;
        if (code != 0) {
            event_stats_done(stats);
            return code;
        }
    }
    return 0;
}

void event_stats_done(struct event_stats *stats)
{
    while (stats->count > 0) {
        metric_done(&stats->metrics[--stats->count]);
    }
    buf_done(&stats->key);
}

/* ---- messages ---- */

static unsigned type_of(const struct event *event)
{
    struct str name = event_text(event, EVENT_TYPE);

    for (size_t i = 0; name.p && i < sizeof types / sizeof types[0]; i++) {
        if (str_equal(name, types[i].name)) {
            return types[i].type;
        }
    }
    return 0;
}

/* The key of the message's label set, but for the one that a map's key gives. */
static void write_key(struct buf *key, const struct definition *definition, const struct event *event)
{
    labels_begin(key, definition->label_count + (definition->key_label != NULL));
    for (size_t i = 0; i < definition->label_count; i++) {
        labels_add(key, event->field[definition->labels[i]]);
    }
}

static void count(struct metric *metric, const struct buf *key, double number)
{
    struct series *series = key->failed ? NULL : metric_series(metric, buf_view(key));

    if (!series) {
        return;
    }
    switch (metric->shape.kind) {
    case METRIC_COUNTER:
        metric_add(metric, series, number);
        break;
    case METRIC_GAUGE:
        metric_set(metric, series, number);
        break;
    case METRIC_HISTOGRAM:
        metric_observe(metric, series, number);
        break;
    }
}

static bool is_number(struct str value, double *out)
{
    return cursor_number(value, out) && fabs(*out) <= NUMBER_MAX;
}

static int count_by_key(struct event_stats *stats, struct metric *metric, struct str map)
{
    struct cursor cursor = cursor_of(map);
    struct cursor_item head;
    size_t size = stats->key.size;
    double number;
    int code = 0;

    if (!map.p || !cursor_next(&cursor, &head) || head.kind != CURSOR_MAP) {
        return MITE_EINVAL;
    }
    for (uint32_t i = 0; i < head.count; i++) {
        stats->key.size = size;
        labels_add(&stats->key, cursor_value(&cursor));
        if (!is_number(cursor_value(&cursor), &number) || (metric->shape.kind == METRIC_COUNTER && number < 0)) {
            code = MITE_EINVAL;
            continue;
        }
        count(metric, &stats->key, number);
    }
    return code;
}

static int take_into(struct event_stats *stats, size_t index, const struct event *event)
{
    const struct definition *definition = &definitions[stats->definitions[index]];
    struct metric *metric = &stats->metrics[index];
    double number = 1;

    write_key(&stats->key, definition, event);
    if (definition->source == BY_KEY) {
        return count_by_key(stats, metric, event->field[definition->field]);
    }
    if (definition->source == NUMBER && !is_number(event->field[definition->field], &number)) {
        return MITE_EINVAL;
    }
    count(metric, &stats->key, number);
    return 0;
}

int event_stats_take(struct event_stats *stats, struct str bytes)
{
    struct event event;
    int result = event_read(bytes, &event);

    if (result != 0) {
        return result;
    }
    unsigned type = type_of(&event);

    for (size_t i = 0; i < stats->count; i++) {
        if (definitions[stats->definitions[i]].types & type) {
            int code = take_into(stats, i, &event);
            result = result == 0 ? code : result;
        }
    }
    return result == 0 && !event_text(&event, EVENT_TYPE).p ? MITE_EPROTO : result;
}

const char *event_stats_overflowed(struct event_stats *stats)
{
    for (size_t i = 0; i < stats->count; i++) {
        if (metric_overflowed(&stats->metrics[i])) {
            return stats->metrics[i].shape.name.p;
        }
    }
    return NULL;
}

bool event_stats_dump(struct event_stats *stats, struct buf *out)
{
    uint32_t told[EVENT_STATS_METRICS] = {0};

    for (size_t i = 0; i < stats->count; i++) {
        struct metric *metric = &stats->metrics[i];
        if (metric->shape.kind == METRIC_GAUGE && !stats->left) {
            metric_list_all(metric);
        }
        told[i] = dump_write(out, metric, DUMP_MAX / EVENT_STATS_METRICS);
    }
    stats->left = out->failed;
    for (size_t i = 0; i < stats->count && !out->failed; i++) {
        metric_told(&stats->metrics[i], told[i]);
        stats->left |= stats->metrics[i].first != NULL;
    }
    return stats->left;
}
