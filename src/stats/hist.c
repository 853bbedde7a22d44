/*
 * Design notes. An octave (one doubling) is cut into 2^octave_bits equal buckets: 1024 for 3 digits, 128 for 2, so a
 * bucket is narrower than a thousandth (a hundredth) of its values, and its middle is wrong by at most half of that.
 * The first two octaves' worth of values, below 2^(octave_bits + 1) ns, have a bucket each. Index and value turn into
 * each other by shifts alone; indices of neighbouring octaves join without a gap.
 */
#include "stats/hist.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static inline unsigned bucket_of(const struct hist *hist, uint64_t value)
{
    unsigned top_bit = 63 - (unsigned)__builtin_clzll(value | UINT64_C(1) << hist->octave_bits);
    unsigned shift = top_bit - hist->octave_bits;
    return (shift << hist->octave_bits) + (unsigned)(value >> shift);
}

/* The middle of a bucket; the value itself where buckets are 1 ns wide. */
static uint64_t value_of(const struct hist *hist, unsigned bucket)
{
    unsigned octave = bucket >> hist->octave_bits;
    if (octave < 2) {
        return bucket;
    }
    unsigned shift = octave - 1;
    uint64_t low = (uint64_t)(bucket - (shift << hist->octave_bits)) << shift;
    return low + (UINT64_C(1) << shift) / 2;
}

void hist_init(struct hist *hist, int digits)
{
    memset(hist, 0, sizeof *hist);
    hist->min_ns = UINT64_MAX;
    hist->octave_bits = digits >= 3 ? 10 : 7;
}

void hist_done(struct hist *hist)
{
    for (size_t i = 0; i < HIST_PAGES; i++) {
        free(hist->pages[i]);
        hist->pages[i] = NULL;
    }
}

void hist_clear(struct hist *hist)
{
    for (size_t i = 0; i < HIST_PAGES; i++) {
        if (hist->pages[i]) {
            memset(hist->pages[i], 0, HIST_PAGE_SIZE * sizeof **hist->pages);
        }
    }
    hist->waiting_count = 0;
    hist->count = hist->unplaced = hist->max_ns = hist->sum_ns = 0;
    hist->min_ns = UINT64_MAX;
    hist->sum_of_squares = 0;
}

static uint64_t *page_touch(struct hist *hist, unsigned page)
{
    if (!hist->pages[page]) {
        hist->pages[page] = calloc(HIST_PAGE_SIZE, sizeof **hist->pages);
    }
    return hist->pages[page];
}

void hist_place(struct hist *hist, unsigned bucket, uint64_t count)
{
    uint64_t *page = page_touch(hist, bucket >> HIST_PAGE_BITS);
    if (page) {
        page[bucket & (HIST_PAGE_SIZE - 1)] += count;
    } else {
        hist->unplaced += count;
    }
}

void hist_settle(const struct hist *settled)
{
    struct hist *hist = (struct hist *)settled;
    for (unsigned i = 0; i < hist->waiting_count; i++) {
        hist_place(hist, hist->waiting[i], 1);
    }
    hist->waiting_count = 0;
}

void hist_record(struct hist *hist, uint64_t value_ns)
{
    value_ns = value_ns < HIST_MAX_NS ? value_ns : HIST_MAX_NS;
    hist->count++;
    hist->sum_ns += value_ns;
    hist->sum_of_squares += (double)value_ns * (double)value_ns;
    if (value_ns < hist->min_ns) {
        hist->min_ns = value_ns;
    }
    if (value_ns > hist->max_ns) {
        hist->max_ns = value_ns;
    }
    hist->waiting[hist->waiting_count++] = bucket_of(hist, value_ns);
    if (hist->waiting_count == HIST_WAITING) {
        hist_settle(hist);
    }
}

static void merge_page(struct hist *hist, unsigned index, const uint64_t *from)
{
    uint64_t *page = page_touch(hist, index);
    for (unsigned i = 0; i < HIST_PAGE_SIZE; i++) {
        if (page) {
            page[i] += from[i];
        } else {
            hist->unplaced += from[i];
        }
    }
}

unsigned hist_bucket(const struct hist *hist, uint64_t value_ns)
{
    return bucket_of(hist, value_ns < HIST_MAX_NS ? value_ns : HIST_MAX_NS);
}

unsigned hist_bucket_count(const struct hist *hist)
{
    return bucket_of(hist, HIST_MAX_NS) + 1;
}

void hist_merge(struct hist *hist, const struct hist *from)
{
    hist_settle(from);
    for (unsigned i = 0; i < HIST_PAGES; i++) {
        if (from->pages[i]) {
            merge_page(hist, i, from->pages[i]);
        }
    }
    hist->count += from->count;
    hist->unplaced += from->unplaced;
    hist->sum_ns += from->sum_ns;
    hist->sum_of_squares += from->sum_of_squares;
    if (from->min_ns < hist->min_ns) {
        hist->min_ns = from->min_ns;
    }
    if (from->max_ns > hist->max_ns) {
        hist->max_ns = from->max_ns;
    }
}

/* Walks the buckets that hold something, upwards. */
struct walk {
    const struct hist *hist;
    unsigned bucket; /* the next to look at */
    uint64_t value, count;
};

static bool walk_next(struct walk *walk)
{
    while (walk->bucket < HIST_PAGES * HIST_PAGE_SIZE) {
        const uint64_t *page = walk->hist->pages[walk->bucket >> HIST_PAGE_BITS];
        if (!page) {
            walk->bucket = ((walk->bucket >> HIST_PAGE_BITS) + 1) << HIST_PAGE_BITS;
            continue;
        }
        unsigned bucket = walk->bucket++;
        walk->count = page[bucket & (HIST_PAGE_SIZE - 1)];
        if (walk->count > 0) {
            walk->value = value_of(walk->hist, bucket);
            return true;
        }
    }
    return false;
}

static uint64_t clamp(const struct hist *hist, uint64_t value)
{
    return value < hist->min_ns ? hist->min_ns : value > hist->max_ns ? hist->max_ns : value;
}

void hist_percentiles(const struct hist *hist, const double *percents, size_t count, uint64_t *out_ns)
{
    hist_settle(hist);
    uint64_t placed = hist->count - hist->unplaced, seen = 0;
    struct walk walk = {.hist = hist};
    for (size_t i = 0; i < count; i++) {
        /* A hair less, so that 99.9 % of 1,000 is the 999th although 0.999 has no exact double. */
        double rank = ceil(percents[i] / 100 * (double)placed * (1 - 1e-12));
        if (rank < 1) {
            out_ns[i] = hist_min(hist);
        } else if (rank >= (double)placed) {
            out_ns[i] = hist->max_ns;
        } else {
            while ((double)seen < rank && walk_next(&walk)) {
                seen += walk.count;
            }
            out_ns[i] = clamp(hist, walk.value);
        }
    }
}

uint64_t hist_percentile(const struct hist *hist, double percent)
{
    uint64_t out = 0;
    hist_percentiles(hist, &percent, 1, &out);
    return out;
}

double hist_mean(const struct hist *hist)
{
    return hist->count ? (double)hist->sum_ns / (double)hist->count : 0;
}

double hist_deviation(const struct hist *hist)
{
    if (hist->count == 0 || hist->min_ns == hist->max_ns) {
        return 0;
    }
    double mean = hist_mean(hist);
    double variance = hist->sum_of_squares / (double)hist->count - mean * mean;
    return variance > 0 ? sqrt(variance) : 0;
}

double hist_share_within(const struct hist *hist)
{
    double mean = hist_mean(hist), deviation = hist_deviation(hist);
    uint64_t within = 0, placed = 0;
    hist_settle(hist);
    if (hist->min_ns == hist->max_ns) {
        return 1;
    }
    for (struct walk walk = {.hist = hist}; walk_next(&walk);) {
        placed += walk.count;
        if (fabs((double)clamp(hist, walk.value) - mean) <= deviation) {
            within += walk.count;
        }
    }
    return placed ? (double)within / (double)placed : 0;
}
