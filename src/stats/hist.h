/*
 * Log-linear histogram of latencies: values in nanoseconds, each kept to 3 (or 2) significant digits, from 1 ns to 4.8
 * hours; what is longer counts as that. Counters live in pages that are allocated when first touched, so a
 * histogram of values that lie close together costs a few kilobytes. Minimum, maximum, count and sum are exact.
 *
 * Embedded in its owner: hist_init (allocates nothing), hist_record..., hist_done. A record costs a few nanoseconds;
 * which bucket it is for waits in a short list, and a few dozen are counted at once: the counters are spread over
 * kilobytes that are never in the cache, and so one wait for memory serves all of them. That allocates only at the
 * first touch of a page; where it fails the value still enters count, sum, minimum and maximum, and `unplaced` tells
 * how many values the percentiles leave out.
 */
#pragma once

#include "base/export.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HIST_PAGE_BITS 8
#define HIST_PAGE_SIZE (1 << HIST_PAGE_BITS) /* counters */
#define HIST_PAGES     140
#define HIST_MAX_NS    ((UINT64_C(1) << 44) - 1)
#define HIST_WAITING   32

struct hist {
    uint64_t count; /* all recorded values */
    uint64_t unplaced;
    uint64_t min_ns, max_ns; /* exact; min is UINT64_MAX while empty */
    uint64_t sum_ns;
    double sum_of_squares; /* ns² */
    unsigned octave_bits;  /* log2 of the buckets in one octave */
    unsigned waiting_count;
    uint32_t waiting[HIST_WAITING]; /* buckets that are not counted yet */
    uint64_t *pages[HIST_PAGES];    /* owned; NULL: never touched */
};

/* digits: 2 or 3. */
void hist_init(struct hist *hist, int digits) PRIVATE_API(hist_init);
void hist_done(struct hist *hist) PRIVATE_API(hist_done);
void hist_clear(struct hist *hist) PRIVATE_API(hist_clear); /* empty again, pages kept */

void hist_record(struct hist *hist, uint64_t value_ns) PRIVATE_API(hist_record);

/* Counts what waits: for whoever looks at the pages. All functions here do it by themselves. What the histogram says
 * stays the same, so it may be const. */
void hist_settle(const struct hist *hist);

/* Adds all of `from`; both have the same digits. */
void hist_merge(struct hist *hist, const struct hist *from) PRIVATE_API(hist_merge);

/* Counts values that somebody else has recorded, into one bucket; count, sum, minimum and maximum are the caller's. */
void hist_place(struct hist *hist, unsigned bucket, uint64_t count);
/* Which bucket a value is in, and how many there are. */
unsigned hist_bucket(const struct hist *hist, uint64_t value_ns);
unsigned hist_bucket_count(const struct hist *hist);

/* The smallest value that `percent` of all values do not exceed, to the histogram's digits; 0 and 100 give the exact
 * minimum and maximum; 0 while empty. */
uint64_t hist_percentile(const struct hist *hist, double percent) PRIVATE_API(hist_percentile);

/* Several at once, in one walk. `percents` ascend. */
void hist_percentiles(const struct hist *hist, const double *percents, size_t count, uint64_t *out_ns)
    PRIVATE_API(hist_percentiles);

/* In nanoseconds; 0 while empty. The deviation is that of the whole population. */
double hist_mean(const struct hist *hist) PRIVATE_API(hist_mean);
double hist_deviation(const struct hist *hist) PRIVATE_API(hist_deviation);

/* Share (0 to 1) of the values within one standard deviation of the mean, from the buckets; 0 while empty. */
double hist_share_within(const struct hist *hist) PRIVATE_API(hist_share_within);

/* 0 while empty, where the field would be UINT64_MAX. */
static inline uint64_t hist_min(const struct hist *hist)
{
    return hist->count ? hist->min_ns : 0;
}
