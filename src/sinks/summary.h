/*
 * The final summary, on stdout: tables of transactions and requests, errors by kind, what was left out, crossed
 * thresholds. Its last line is fixed and in plain digits, for programs to read:
 *
 *     N requests, N errors, N journeys in S.S s, N bytes received
 */
#pragma once

#include "base/buf.h"
#include "sinks/collector.h"
#include "sinks/recorder.h"
#include "stats/thresholds.h"

struct summary {
    struct totals *totals;               /* borrowed */
    const struct thresholds *thresholds; /* borrowed; NULL: none are checked */
    const struct collector *collector;   /* borrowed; NULL: there was none */
    const struct recorder *recorder;     /* borrowed; NULL: there was none */
    uint64_t aborted;                    /* requests cut off at the end */
    const char *const *notes;            /* borrowed: further lines to tell, without newline */
    size_t note_count;
    const char *title; /* borrowed: the scenario's spec */
    int width;         /* columns; 80 when 0 */
    bool colour;
};

/* Appends the text. Returns how many thresholds were crossed. */
size_t summary_write(struct buf *out, const struct summary *summary) PRIVATE_API(summary_write);

/* Just the last line, with its newline. */
void summary_last_line(struct buf *out, const struct totals *totals) PRIVATE_API(summary_last_line);
