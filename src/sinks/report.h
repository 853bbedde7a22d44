/*
 * --report: two tables beside the summary's. Latency: average, minimum, maximum, standard deviation, the share of
 * requests within it, and the chosen percentiles against their thresholds. Requests per second: average and deviation.
 * They are right for a run of any length, also for one without a request.
 */
#pragma once

#include "base/buf.h"
#include "stats/thresholds.h"

/* Appends the text. All borrowed. */
void report_write(struct buf *out, struct totals *totals, const struct thresholds *thresholds, bool colour)
    PRIVATE_API(report_write);
