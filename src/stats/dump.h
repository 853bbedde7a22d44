/*
 * What `mite stats` tells the exporter: a list with a map for each metric, as the Python program writes and reads it.
 *
 *     {"type": "Counter" or "Gauge", "name": ..., "metrics": {LABELS: number}, "labels": [name...]}
 *     {"type": "Histogram", "name": ..., "bin_counts": {LABELS: [n...]}, "sums": {LABELS: number},
 *      "total_counts": {LABELS: n}, "bins": [bound...], "labels": [name...]}
 *
 * LABELS is the list of the label values. Numbers are what came since the last dump, of gauges the latest; each of
 * bin_counts counts what is at most its bin, total_counts everything.
 */
#pragma once

#include "base/buf.h"
#include "stats/metric.h"

/* Appends the map of a metric whose keys are label sets (labels.h): what changed, of a gauge everything. */
void dump_write(struct buf *out, const struct metric *metric);
