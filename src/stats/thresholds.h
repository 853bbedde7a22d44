/*
 * Thresholds: what a run must keep to, else it fails. Filled from the options, held against totals at the end.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "stats/totals.h"

#define THRESHOLD_PERCENTILES_MAX     32
#define THRESHOLD_PERCENTILES_DEFAULT "50:0,90:0,98:0,99:0"

struct percentile_limit {
    double percent;
    double limit_ms; /* fails at or above it; 0: off, only reported */
};

static inline bool percentile_limit_crossed(const struct percentile_limit *limit, double value_ms)
{
    return limit->limit_ms > 0 && value_ms >= limit->limit_ms;
}

struct thresholds {
    uint64_t max_errors; /* more than this many errors fail the run; 0: any */
    /* A limit of 0 is off; a value above the limit fails. */
    double max_response_ms, mean_response_ms, deviation_response_ms;
    double deviation_requests_per_s;
    struct percentile_limit percentiles[THRESHOLD_PERCENTILES_MAX]; /* ascending by percent */
    size_t percentile_count;
};

/* "P:MS,P:MS": percents above 0 up to 100, limits in milliseconds, each percent once. NULL: the default. MITE_EINVAL,
 * MITE_ELIMIT: the sentence names the item and what it should look like. Replaces what was there, on success only. */
int thresholds_parse_percentiles(struct thresholds *thresholds, const char *text, struct mite_error *error)
    PRIVATE_API(thresholds_parse_percentiles);

/* Appends a line (with newline) for each crossed threshold: which, value, limit. Returns how many. */
size_t thresholds_crossed(const struct thresholds *thresholds, struct totals *totals, struct buf *lines)
    PRIVATE_API(thresholds_crossed);
