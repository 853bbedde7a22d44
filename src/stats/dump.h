/*
 * What `mite stats` tells the exporter: a list with a map for each metric, as the Python program writes and reads it.
 *
 *     {"type": "Counter" or "Gauge", "name": ..., "metrics": {LABELS: number}, "labels": [name...]}
 *     {"type": "Histogram", "name": ..., "bin_counts": {LABELS: [n...]}, "sums": {LABELS: number},
 *      "total_counts": {LABELS: n}, "bins": [bound...], "labels": [name...]}
 *
 * LABELS is the list of the label values. Numbers are what came since the last dump, of gauges the latest; each of
 * bin_counts counts what is at most its bin, total_counts everything. What does not fit into DUMP_MAX goes out with the
 * next dump: nothing that reads one needs more than sixteen times that to take it apart.
 */
#pragma once

#include "base/buf.h"
#include "stats/metric.h"

#define DUMP_MAX (16u << 20) /* bytes */

/* Appends the map of a metric whose keys are label sets (labels.h), with as many of the series that are to be told as
 * go into `room` bytes. Returns how many: metric_told() when the dump is safe. */
uint32_t dump_write(struct buf *out, const struct metric *metric, size_t room);
