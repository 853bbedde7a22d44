/*
 * Design notes. Two tables say everything that writing, adding, clearing, checking and reading must walk: the plain
 * counts of struct totals, and its four sets of groups with the counts and the histogram of a row. Reading checks the
 * whole map first; adding from it then cannot fail.
 */
#include "stats/totals_delta.h"

#include "stats/hist_wire.h"
#include "stats/wire_numbers.h"

#include <stdlib.h>

#define SUMS 6

static const size_t sums[SUMS] = {
    offsetof(struct totals, requests),        offsetof(struct totals, bad_status),
    offsetof(struct totals, errors),          offsetof(struct totals, journeys),
    offsetof(struct totals, failed_journeys), offsetof(struct totals, bytes_received),
};

#define NONE SIZE_MAX

/* A set of groups: where it is, and what a row has. */
struct kind {
    const char *name;
    size_t groups;
    size_t counts[2]; /* in the row's struct; the second may be NONE */
    size_t hist, example;
};

static const struct kind kinds[] = {
    {"transactions",
     offsetof(struct totals, transactions),
     {offsetof(struct transaction_group, count), offsetof(struct transaction_group, errors)},
     offsetof(struct transaction_group, duration),
     NONE},
    {"requests",
     offsetof(struct totals, request_groups),
     {offsetof(struct request_group, count), offsetof(struct request_group, bad_status)},
     offsetof(struct request_group, latency),
     NONE},
    {"failures",
     offsetof(struct totals, failures),
     {offsetof(struct failure_group, count), NONE},
     NONE,
     offsetof(struct failure_group, example)},
    {"journeys",
     offsetof(struct totals, journey_groups),
     {offsetof(struct journey_group, ended), offsetof(struct journey_group, errors)},
     NONE,
     NONE},
};
#define KINDS (sizeof kinds / sizeof *kinds)

static void *at(const void *base, size_t offset)
{
    return (char *)base + offset;
}

static uint64_t *count_at(const struct group *group, const struct kind *kind, int i)
{
    return at(group, kind->counts[i]);
}

static bool row_empty(const struct group *group, const struct kind *kind)
{
    return *count_at(group, kind, 0) == 0 && (kind->counts[1] == NONE || *count_at(group, kind, 1) == 0);
}

static uint32_t row_length(const struct kind *kind)
{
    return 2U + (kind->counts[1] != NONE) + (kind->hist != NONE) + (kind->example != NONE);
}

/* ---- writing ---- */

/* A text that was cut within a character travels as bytes: a reader refuses text that is no UTF-8. */
static void write_text(struct buf *out, struct str text)
{
    if (!text.p) {
        msgpack_write_nil(out);
    } else if (str_is_utf8(text)) {
        msgpack_write_text(out, text);
    } else {
        msgpack_write_bytes(out, text);
    }
}

static void write_row(struct buf *out, const struct group *group, const struct kind *kind)
{
    msgpack_write_list(out, row_length(kind));
    if (group->is_other) {
        msgpack_write_bool(out, true);
    } else {
        msgpack_write_list(out, GROUP_PARTS);
        for (size_t i = 0; i < GROUP_PARTS; i++) {
            write_text(out, group->part[i]);
        }
    }
    wire_write_number(out, *count_at(group, kind, 0));
    if (kind->counts[1] != NONE) {
        wire_write_number(out, *count_at(group, kind, 1));
    }
    if (kind->hist != NONE) {
        hist_write(out, at(group, kind->hist));
    }
    if (kind->example != NONE) {
        const struct failure_group *failure = (const struct failure_group *)group;
        write_text(out, failure->told ? STR_NONE : str_of(failure->example));
    }
}

static void write_groups(struct buf *out, const struct groups *groups, const struct kind *kind)
{
    uint32_t rows = 0;

    for (size_t i = 0; i < groups_count(groups); i++) {
        rows += !row_empty(groups_at(groups, i), kind);
    }
    msgpack_write_list(out, rows);
    for (size_t i = 0; i < groups_count(groups); i++) {
        if (!row_empty(groups_at(groups, i), kind)) {
            write_row(out, groups_at(groups, i), kind);
        }
    }
}

void totals_write(struct buf *out, const struct totals *totals)
{
    msgpack_write_map(out, 3 + KINDS);
    msgpack_write_text(out, STR("counts"));
    msgpack_write_list(out, SUMS);
    for (size_t i = 0; i < SUMS; i++) {
        wire_write_number(out, *(uint64_t *)at(totals, sums[i]));
    }
    msgpack_write_text(out, STR("latency"));
    hist_write(out, &totals->latency);
    msgpack_write_text(out, STR("wait"));
    hist_write(out, &totals->wait);
    for (size_t i = 0; i < KINDS; i++) {
        msgpack_write_text(out, str_of(kinds[i].name));
        write_groups(out, at(totals, kinds[i].groups), &kinds[i]);
    }
}

/* ---- adding ---- */

/* An example is cut at its start already; a peer's is cut here. */
static void keep_example(struct group *group, const struct kind *kind, struct str example)
{
    struct failure_group *failure = (struct failure_group *)group;

    if (kind->example != NONE && !failure->example && example.p) {
        example.n = example.n < TOTALS_EXAMPLE_MAX ? example.n : TOTALS_EXAMPLE_MAX;
        failure->example = str_copy(example);
    }
}

static struct group *find(struct groups *groups, const struct str part[GROUP_PARTS], bool other)
{
    if (other) {
        groups->other_used = true;
        return groups->other;
    }
    return groups_find(groups, part[0], part[1], part[2]);
}

static void add_groups(struct groups *into, const struct groups *from, const struct kind *kind)
{
    for (size_t i = 0; i < groups_count(from); i++) {
        const struct group *row = groups_at(from, i);
        if (row_empty(row, kind)) {
            continue;
        }
        struct group *group = find(into, row->part, row->is_other);
        *count_at(group, kind, 0) += *count_at(row, kind, 0);
        if (kind->counts[1] != NONE) {
            *count_at(group, kind, 1) += *count_at(row, kind, 1);
        }
        if (kind->hist != NONE) {
            hist_merge(at(group, kind->hist), at(row, kind->hist));
        }
        if (kind->example != NONE) {
            keep_example(group, kind, str_of(((const struct failure_group *)row)->example));
        }
    }
}

/* The newest requests and errors, for what is shown as it happens. */
static void add_to_window(struct totals *into, uint64_t requests, uint64_t errors)
{
    into->window.requests += requests;
    into->window.errors += errors;
    totals_add_to_second(into, requests);
}

void totals_add(struct totals *into, const struct totals *from)
{
    for (size_t i = 0; i < SUMS; i++) {
        *(uint64_t *)at(into, sums[i]) += *(uint64_t *)at(from, sums[i]);
    }
    hist_merge(&into->latency, &from->latency);
    hist_merge(&into->wait, &from->wait);
    hist_merge(&into->window.latency, &from->latency);
    for (size_t i = 0; i < KINDS; i++) {
        add_groups(at(into, kinds[i].groups), at(from, kinds[i].groups), &kinds[i]);
    }
    add_to_window(into, from->requests, from->errors);
}

/* ---- reading ---- */

static bool good_text(const struct value *v)
{
    return v->type == VALUE_NIL || v->type == VALUE_TEXT || v->type == VALUE_BYTES;
}

static bool good_key(const struct value *key)
{
    if (key->type == VALUE_BOOL) {
        return key->boolean;
    }
    if (key->type != VALUE_LIST || key->count != GROUP_PARTS) {
        return false;
    }
    for (size_t i = 0; i < GROUP_PARTS; i++) {
        if (!good_text(&key->items[i])) {
            return false;
        }
    }
    return true;
}

static int check_row(const struct totals *like, const struct value *row, const struct kind *kind,
                     struct mite_error *error)
{
    uint64_t n;

    if (row->type != VALUE_LIST || row->count != row_length(kind) || !good_key(&row->items[0]) ||
        !wire_read_number(&row->items[1], WIRE_NUMBER_MAX, &n) ||
        (kind->counts[1] != NONE && !wire_read_number(&row->items[2], WIRE_NUMBER_MAX, &n)) ||
        (kind->example != NONE && !good_text(&row->items[row->count - 1]))) {
        return error_set(error, MITE_EPROTO, "statistics with a row of \"%s\" that is none", kind->name);
    }
    return kind->hist == NONE ? 0 : hist_check(&row->items[row->count - 1], &like->latency, error);
}

static int check_groups(const struct totals *like, const struct value *rows, const struct kind *kind,
                        struct mite_error *error)
{
    if (!rows || rows->type != VALUE_LIST) {
        return error_set(error, MITE_EPROTO, "statistics without a list of \"%s\"", kind->name);
    }
    if (rows->count > GROUPS_MAX + 1) {
        return error_set(error, MITE_ELIMIT, "statistics with %u rows of \"%s\": %d are allowed", (unsigned)rows->count,
                         kind->name, GROUPS_MAX + 1);
    }
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < rows->count; i++) {
        rc = check_row(like, &rows->items[i], kind, error);
    }
    return rc;
}

static int check(const struct totals *like, const struct value *map, struct mite_error *error)
{
    const struct value *counts = value_get(map, "counts"), *latency = value_get(map, "latency"),
                       *wait = value_get(map, "wait");
    uint64_t n;
    int rc = 0;

    if (!counts || !latency || !wait || counts->type != VALUE_LIST || counts->count != SUMS) {
        return error_set(error, MITE_EPROTO, "statistics without counts, latency and wait");
    }
    for (size_t i = 0; i < SUMS; i++) {
        if (!wire_read_number(&counts->items[i], WIRE_NUMBER_MAX, &n)) {
            return error_set(error, MITE_EPROTO, "statistics with a count that is none");
        }
    }
    rc = hist_check(latency, &like->latency, error);
    rc = rc == 0 ? hist_check(wait, &like->wait, error) : rc;
    for (size_t i = 0; rc == 0 && i < KINDS; i++) {
        rc = check_groups(like, value_get(map, kinds[i].name), &kinds[i], error);
    }
    return rc;
}

static void read_row(struct groups *groups, const struct value *row, const struct kind *kind)
{
    const struct value *items = row->items, *last = &items[row->count - 1];
    bool other = items[0].type == VALUE_BOOL;
    struct str part[GROUP_PARTS] = {STR_NONE, STR_NONE, STR_NONE};
    uint64_t n = 0;

    for (size_t i = 0; !other && i < GROUP_PARTS; i++) {
        part[i] = value_str(&items[0].items[i]);
    }
    struct group *group = find(groups, part, other);
    for (int i = 0; i < 2 && kind->counts[i] != NONE; i++) {
        wire_read_number(&items[1 + i], WIRE_NUMBER_MAX, &n);
        *count_at(group, kind, i) += n;
    }
    if (kind->hist != NONE) {
        hist_read(at(group, kind->hist), last);
    }
    keep_example(group, kind, kind->example != NONE ? value_str(last) : STR_NONE);
}

int totals_read(struct totals *into, const struct value *map, struct mite_error *error)
{
    int rc = check(into, map, error);

    if (rc < 0) {
        return rc;
    }
    const struct value *counts = value_get(map, "counts"), *latency = value_get(map, "latency");
    uint64_t n[SUMS] = {0};

    for (size_t i = 0; i < SUMS; i++) {
        wire_read_number(&counts->items[i], WIRE_NUMBER_MAX, &n[i]);
        *(uint64_t *)at(into, sums[i]) += n[i];
    }
    hist_read(&into->latency, latency);
    hist_read(&into->window.latency, latency);
    hist_read(&into->wait, value_get(map, "wait"));
    for (size_t i = 0; i < KINDS; i++) {
        const struct value *rows = value_get(map, kinds[i].name);
        for (uint32_t row = 0; row < rows->count; row++) {
            read_row(at(into, kinds[i].groups), &rows->items[row], &kinds[i]);
        }
    }
    add_to_window(into, n[0], n[2]);
    return 0;
}

/* ---- clearing ---- */

static void clear_groups(struct groups *groups, const struct kind *kind)
{
    for (size_t i = 0; i < groups_count(groups); i++) {
        struct group *group = groups_at(groups, i);
        if (row_empty(group, kind)) {
            continue;
        }
        *count_at(group, kind, 0) = 0;
        if (kind->counts[1] != NONE) {
            *count_at(group, kind, 1) = 0;
        }
        if (kind->hist != NONE) {
            hist_clear(at(group, kind->hist));
        }
        if (kind->example != NONE) {
            ((struct failure_group *)group)->told = true;
        }
    }
}

void totals_clear(struct totals *totals)
{
    for (size_t i = 0; i < SUMS; i++) {
        *(uint64_t *)at(totals, sums[i]) = 0;
    }
    hist_clear(&totals->latency);
    hist_clear(&totals->wait);
    hist_clear(&totals->window.latency);
    totals->window.requests = totals->window.errors = 0;
    for (size_t i = 0; i < KINDS; i++) {
        clear_groups(at(totals, kinds[i].groups), &kinds[i]);
    }
}

bool totals_empty(const struct totals *totals)
{
    for (size_t i = 0; i < KINDS; i++) {
        const struct groups *groups = at(totals, kinds[i].groups);
        for (size_t row = 0; row < groups_count(groups); row++) {
            if (!row_empty(groups_at(groups, row), &kinds[i])) {
                return false;
            }
        }
    }
    return totals->requests == 0 && totals->errors == 0;
}
