/*
 * Design notes. A dump is looked at twice: first all of it is checked, and the metrics that it brings are made; then
 * its numbers are added. So a bad one changes nothing: what was made for it goes again. What was checked is not checked
 * again.
 */
#include "stats/page.h"

#include "stats/dump.h"
#include "value/msgpack.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define DECODED_MAX (16ul * DUMP_MAX) /* what a dump may take in memory: a peer sends it */

/* One map of a dump, taken apart. */
struct part {
    struct metric_shape shape; /* its arrays lie in the arena */
    const struct value *metrics, *bin_counts, *sums, *total_counts;
    bool made; /* the page had no such metric before */
};

/* ---- checking ---- */

static bool is_name(struct str name, bool colons)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colons && c == ':');
        if (!letter && !(i > 0 && c >= '0' && c <= '9')) {
            return false;
        }
    }
    return name.n > 0 && name.n <= METRIC_LABEL_MAX;
}

static bool is_label(const struct metric_shape *shape, struct str name)
{
    if (!is_name(name, false) || (shape->kind == METRIC_HISTOGRAM && str_is(name, "le"))) {
        return false;
    }
    for (size_t i = 0; i < shape->label_count; i++) {
        if (str_equal(shape->labels[i], name)) {
            return false;
        }
    }
    return true;
}

static int read_labels(struct metric_shape *shape, const struct value *wire, struct arena *arena,
                       struct mite_error *error)
{
    if (!wire || wire->type != VALUE_LIST || wire->count > METRIC_LABELS_MAX) {
        return error_set(error, MITE_EPROTO, "metric " STR_FMT " has no list of at most %d labels",
                         STR_ARG(shape->name), METRIC_LABELS_MAX);
    }
    struct str *labels = arena_alloc(arena, wire->count * sizeof *labels);

    if (!labels) {
        return error_set(error, MITE_ENOMEM, "no memory for a dump");
    }
    shape->labels = labels;
    for (uint32_t i = 0; i < wire->count; i++) {
        struct str name = value_str(&wire->items[i]);
        if (!name.p || !is_label(shape, name)) {
            return error_set(error, MITE_EPROTO, "metric " STR_FMT ": label %u is no name that Prometheus takes",
                             STR_ARG(shape->name), i + 1);
        }
        labels[i] = name;
        shape->label_count++;
    }
    return 0;
}

static int read_bins(struct metric_shape *shape, const struct value *wire, struct arena *arena,
                     struct mite_error *error)
{
    if (!wire || wire->type != VALUE_LIST || wire->count > METRIC_BINS_MAX) {
        return error_set(error, MITE_EPROTO, "histogram " STR_FMT " has no list of at most %d bins",
                         STR_ARG(shape->name), METRIC_BINS_MAX);
    }
    double *bins = arena_alloc(arena, wire->count * sizeof *bins);

    if (!bins) {
        return error_set(error, MITE_ENOMEM, "no memory for a dump");
    }
    shape->bins = bins;
    shape->bin_count = wire->count;
    for (uint32_t i = 0; i < wire->count; i++) {
        bins[i] = value_number(&wire->items[i], NAN);
        if (!isfinite(bins[i]) || (i > 0 && bins[i] <= bins[i - 1])) {
            return error_set(error, MITE_EPROTO, "histogram " STR_FMT ": its bins are no rising numbers",
                             STR_ARG(shape->name));
        }
    }
    return 0;
}

static bool is_number(const struct metric_shape *shape, const struct value *wire)
{
    double number = value_number(wire, NAN);

    return isfinite(number) ||
           (shape->kind == METRIC_GAUGE && wire->type == VALUE_FLOAT); /* gauges may have no value, or no end */
}

static bool is_count(const struct metric_shape *shape, const struct value *wire)
{
    return wire->type == VALUE_INT && wire->integer >= 0 && wire->integer <= INT64_C(1) << 53;
}

static bool is_bin_counts(const struct metric_shape *shape, const struct value *wire)
{
    if (wire->type != VALUE_LIST || wire->count != shape->bin_count) {
        return false;
    }
    for (uint32_t i = 0; i < wire->count; i++) {
        if (!is_count(shape, &wire->items[i]) || (i > 0 && wire->items[i].integer < wire->items[i - 1].integer)) {
            return false;
        }
    }
    return true;
}

/* A map from label sets to what `is_good` takes. */
static int check_map(const struct metric_shape *shape, const struct value *dump, const char *name,
                     bool (*is_good)(const struct metric_shape *shape, const struct value *wire),
                     const struct value **out, struct mite_error *error)
{
    const struct value *map = value_get(dump, name);

    if (!map || map->type != VALUE_MAP) {
        return error_set(error, MITE_EPROTO, "metric " STR_FMT " has no map \"%s\"", STR_ARG(shape->name), name);
    }
    for (uint32_t i = 0; i < map->count; i++) {
        const struct pair *pair = &map->pairs[i];
        if (pair->key.type != VALUE_LIST || pair->key.count != shape->label_count) {
            return error_set(error, MITE_EPROTO, "metric " STR_FMT ": a key of \"%s\" has not one value for each label",
                             STR_ARG(shape->name), name);
        }
        if (!is_good(shape, &pair->value)) {
            return error_set(error, MITE_EPROTO, "metric " STR_FMT ": a number in \"%s\" is none", STR_ARG(shape->name),
                             name);
        }
    }
    *out = map;
    return 0;
}

static int read_kind(struct metric_shape *shape, const struct value *dump, struct mite_error *error)
{
    static const char *const types[] = {"Counter", "Gauge", "Histogram"};
    const struct value *type = value_get(dump, "type"), *name = value_get(dump, "name");
    struct str kind = type ? value_str(type) : STR_NONE;

    shape->name = name ? value_str(name) : STR_NONE;
    if (!is_name(shape->name, true)) {
        return error_set(error, MITE_EPROTO, "a metric has no name that Prometheus takes");
    }
    if (str_is(shape->name, PAGE_BAD_MESSAGES)) {
        return error_set(error, MITE_EPROTO,
                         "metric " PAGE_BAD_MESSAGES " is the exporter's own: name yours otherwise");
    }
    for (size_t i = 0; kind.p && i < sizeof types / sizeof types[0]; i++) {
        if (str_is(kind, types[i])) {
            shape->kind = (enum metric_kind)i;
            return 0;
        }
    }
    return error_set(error, MITE_EPROTO, "metric " STR_FMT " is no Counter, Gauge or Histogram", STR_ARG(shape->name));
}

static int read_numbers(struct part *part, const struct value *dump, struct arena *arena, struct mite_error *error)
{
    struct metric_shape *shape = &part->shape;

    if (shape->kind != METRIC_HISTOGRAM) {
        return check_map(shape, dump, "metrics", is_number, &part->metrics, error);
    }
    int code = read_bins(shape, value_get(dump, "bins"), arena, error);
    if (code == 0) {
        code = check_map(shape, dump, "bin_counts", is_bin_counts, &part->bin_counts, error);
    }
    if (code == 0) {
        code = check_map(shape, dump, "sums", is_number, &part->sums, error);
    }
    return code == 0 ? check_map(shape, dump, "total_counts", is_count, &part->total_counts, error) : code;
}

static int read_part(struct part *part, const struct value *dump, struct arena *arena, struct mite_error *error)
{
    *part = (struct part){0};
    if (dump->type != VALUE_MAP) {
        return error_set(error, MITE_EPROTO, "a dump is a list of maps, not of type %s", value_type_name(dump->type));
    }
    int code = read_kind(&part->shape, dump, error);
    if (code == 0) {
        code = read_labels(&part->shape, value_get(dump, "labels"), arena, error);
    }
    return code == 0 ? read_numbers(part, dump, arena, error) : code;
}

/* ---- keys ---- */

static void write_escaped(struct buf *out, struct str text)
{
    size_t length;

    for (size_t i = 0; i < text.n && i < METRIC_LABEL_MAX; i += length) {
        length = str_utf8_length((struct str){text.p + i, text.n - i});
        if (length == 0) {
            length = 1;
            buf_char(out, '?');
        } else if (text.p[i] == '\n') {
            buf_text(out, "\\n");
        } else {
            if (text.p[i] == '"' || text.p[i] == '\\') {
                buf_char(out, '\\');
            }
            buf_append(out, text.p + i, length);
        }
    }
}

/* As Python shows floats: 1.0, not 1. */
static void write_float(struct buf *out, double number)
{
    char text[STR_DOUBLE_SIZE];

    if (!isfinite(number)) {
        buf_text(out, isnan(number) ? "nan" : number > 0 ? "inf" : "-inf");
        return;
    }
    str_from_double(text, number);
    buf_text(out, text);
    if (!strpbrk(text, ".e")) {
        buf_text(out, ".0");
    }
}

static void write_label(struct buf *out, const struct value *value)
{
    switch (value->type) {
    case VALUE_NIL:
        break;
    case VALUE_BOOL:
        buf_text(out, value->boolean ? "True" : "False");
        break;
    case VALUE_INT:
        buf_printf(out, "%lld", (long long)value->integer);
        break;
    case VALUE_UINT:
        buf_printf(out, "%llu", (unsigned long long)value->large);
        break;
    case VALUE_FLOAT:
        write_float(out, value->number);
        break;
    case VALUE_TEXT:
    case VALUE_BYTES:
        write_escaped(out, value_str(value));
        break;
    default:
        buf_text(out, value_type_name(value->type));
    }
}

/* The labels as the page shows them. `values` NULL: of the series "other". */
static struct str write_key(struct buf *key, const struct metric_shape *shape, const struct value *values)
{
    static const struct value other = {.type = VALUE_TEXT, .count = 5, .text = "other"};

    buf_clear(key);
    for (size_t i = 0; i < shape->label_count; i++) {
        buf_text(key, i > 0 ? "," : "");
        buf_str(key, shape->labels[i]);
        buf_text(key, "=\"");
        write_label(key, values ? &values[i] : &other);
        buf_char(key, '"');
    }
    return buf_view(key);
}

/* What the longest key takes at most, so that it is there before numbers are added. */
static size_t longest_key(const struct metric_shape *shape)
{
    size_t size = 0;

    for (size_t i = 0; i < shape->label_count; i++) {
        size += shape->labels[i].n + 2 * METRIC_LABEL_MAX + 8; /* ,NAME="VALUE", all of it escaped */
    }
    return size;
}

/* ---- metrics ---- */

/* Whether a line of a histogram has this name. */
static bool is_line_of(struct str name, struct str histogram)
{
    if (name.n <= histogram.n || memcmp(name.p, histogram.p, histogram.n) != 0) {
        return false;
    }
    struct str end = {name.p + histogram.n, name.n - histogram.n};

    return str_is(end, "_bucket") || str_is(end, "_sum") || str_is(end, "_count");
}

/* Two metrics whose lines could not be told apart: one of them is a histogram, the other has the name of its lines. */
static int check_clash(const struct page *page, const struct metric_shape *shape, struct mite_error *error)
{
    struct map_entry *entry;

    for (uint32_t i = 0; (entry = map_next(&page->metrics, &i));) {
        const struct metric_shape *other = &((struct metric *)entry->value)->shape;
        if ((other->kind == METRIC_HISTOGRAM && is_line_of(shape->name, other->name)) ||
            (shape->kind == METRIC_HISTOGRAM && is_line_of(other->name, shape->name))) {
            return error_set(error, MITE_EPROTO,
                             "metrics " STR_FMT " and " STR_FMT
                             " would have lines of one name, since one is a histogram: rename one of them",
                             STR_ARG(shape->name), STR_ARG(other->name));
        }
    }
    return 0;
}

static int add_metric(struct page *page, const struct metric_shape *shape, struct mite_error *error)
{
    if (page->metrics.live_count == PAGE_METRICS_MAX) {
        return error_set(error, MITE_ELIMIT, "metric " STR_FMT " is one more than %d", STR_ARG(shape->name),
                         PAGE_METRICS_MAX);
    }
    int code = check_clash(page, shape, error);
    if (code != 0) {
        return code;
    }
    struct metric *metric = malloc(sizeof *metric);

    if (!metric || metric_init(metric, shape, write_key(&page->key, shape, NULL), page->max_series) != 0) {
        free(metric);
        return error_set(error, MITE_ENOMEM, "no memory for metric " STR_FMT, STR_ARG(shape->name));
    }
    if (map_set(&page->metrics, shape->name, metric, NULL) != 0) {
        metric_done(metric);
        free(metric);
        return error_set(error, MITE_ENOMEM, "no memory for metric " STR_FMT, STR_ARG(shape->name));
    }
    return 0;
}

/* Makes sure that the metric is there, and room for its keys. */
static int need_metric(struct page *page, struct part *part, struct mite_error *error)
{
    const struct metric_shape *shape = &part->shape;
    const struct metric *metric = map_get(&page->metrics, shape->name);

    buf_clear(&page->key);
    if (buf_reserve(&page->key, longest_key(shape)) != 0) {
        return error_set(error, MITE_ENOMEM, "no memory for metric " STR_FMT, STR_ARG(shape->name));
    }
    if (!metric) {
        int code = add_metric(page, shape, error);
        part->made = code == 0;
        return code;
    }
    if (!metric_has_shape(metric, shape)) {
        return error_set(error, MITE_EPROTO,
                         "metric " STR_FMT " has another type, other labels or other buckets than before",
                         STR_ARG(shape->name));
    }
    return 0;
}

static void forget_made(struct page *page, const struct part *parts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (parts[i].made) {
            struct metric *metric = map_remove(&page->metrics, parts[i].shape.name);
            metric_done(metric);
            free(metric);
        }
    }
}

/* ---- adding ---- */

static struct series *series_of(struct page *page, struct metric *metric, const struct value *key)
{
    return metric_series(metric, write_key(&page->key, &metric->shape, key->items));
}

static void add_bins(struct series *series, const struct value *counts)
{
    for (uint32_t i = 0; i < counts->count; i++) {
        series->counts[i] += (uint64_t)counts->items[i].integer;
    }
}

static void add_numbers(struct page *page, struct metric *metric, const struct value *map)
{
    for (uint32_t i = 0; map && i < map->count; i++) {
        const struct value *number = &map->pairs[i].value;
        struct series *series = series_of(page, metric, &map->pairs[i].key);

        if (!series) {
            continue;
        }
        if (number->type == VALUE_LIST) {
            add_bins(series, number);
        } else if (metric->shape.kind == METRIC_GAUGE) {
            series->value = value_number(number, 0);
        } else {
            series->value += value_number(number, 0);
        }
    }
}

static void add_total_counts(struct page *page, struct metric *metric, const struct value *map)
{
    for (uint32_t i = 0; map && i < map->count; i++) {
        struct series *series = series_of(page, metric, &map->pairs[i].key);

        if (series) {
            series->counts[metric->shape.bin_count] += (uint64_t)map->pairs[i].value.integer;
        }
    }
}

static void add_part(struct page *page, const struct part *part)
{
    struct metric *metric = map_get(&page->metrics, part->shape.name);

    add_numbers(page, metric, part->metrics);
    add_numbers(page, metric, part->bin_counts);
    add_numbers(page, metric, part->sums);
    add_total_counts(page, metric, part->total_counts);
}

static int take(struct page *page, const struct value *dump, struct arena *arena, struct mite_error *error)
{
    struct part *parts = arena_alloc(arena, dump->count * sizeof *parts);

    if (!parts) {
        return error_set(error, MITE_ENOMEM, "no memory for a dump");
    }
    for (uint32_t i = 0; i < dump->count; i++) {
        int code = read_part(&parts[i], &dump->items[i], arena, error);
        if (code == 0) {
            code = need_metric(page, &parts[i], error);
        }
        if (code != 0) {
            forget_made(page, parts, i);
            return code;
        }
    }
    for (uint32_t i = 0; i < dump->count; i++) {
        add_part(page, &parts[i]);
    }
    return 0;
}

int page_take(struct page *page, const struct value *dump, struct mite_error *error)
{
    struct arena arena;

    if (dump->type != VALUE_LIST) {
        return error_set(error, MITE_EPROTO, "a dump is a list of maps, not of type %s", value_type_name(dump->type));
    }
    arena_init(&arena, DECODED_MAX);
    int code = take(page, dump, &arena, error);
    arena_done(&arena);
    return code;
}

int page_take_bytes(struct page *page, struct str bytes, struct mite_error *error)
{
    struct arena arena;
    struct value dump;
    size_t used;

    arena_init(&arena, DECODED_MAX);
    int code = msgpack_read(&arena, bytes, &used, &dump, error);
    if (code == MITE_EAGAIN) {
        code = error_set(error, MITE_EPROTO, "a dump is cut off");
    } else if (code == 0 && used != bytes.n) {
        code = error_set(error, MITE_EPROTO, "%zu bytes follow a dump", bytes.n - used);
    }
    if (code == 0) {
        code = page_take(page, &dump, error);
    }
    arena_done(&arena);
    return code;
}
