#include "stats/hist_wire.h"

#include "stats/wire_numbers.h"
#include "value/msgpack.h"

#include <math.h>

enum { COUNT, UNPLACED, MIN, MAX, SUM, SQUARES, BUCKETS, FIELDS };

/* ---- writing ---- */

static void put_number(struct buf *out, uint64_t n)
{
    for (; n >= 0x80; n >>= 7) {
        buf_char(out, (char)(n | 0x80));
    }
    buf_char(out, (char)n);
}

static void put_page(struct buf *out, const uint64_t *page, unsigned first, unsigned *last)
{
    for (unsigned i = 0; i < HIST_PAGE_SIZE; i++) {
        if (page[i] > 0) {
            put_number(out, first + i - *last);
            put_number(out, page[i]);
            *last = first + i;
        }
    }
}

void hist_write(struct buf *out, const struct hist *hist)
{
    struct buf buckets;
    unsigned last = 0;

    if (hist->count == 0) {
        msgpack_write_nil(out);
        return;
    }
    hist_settle(hist);
    buf_init(&buckets, 0);
    for (unsigned i = 0; i < HIST_PAGES; i++) {
        if (hist->pages[i]) {
            put_page(&buckets, hist->pages[i], i << HIST_PAGE_BITS, &last);
        }
    }
    msgpack_write_list(out, FIELDS);
    wire_write_number(out, hist->count);
    wire_write_number(out, hist->unplaced);
    wire_write_number(out, hist->min_ns);
    wire_write_number(out, hist->max_ns);
    wire_write_number(out, hist->sum_ns);
    msgpack_write_float(out, hist->sum_of_squares);
    msgpack_write_bytes(out, buf_view(&buckets));
    out->failed = out->failed || buckets.failed;
    buf_done(&buckets);
}

/* ---- reading ---- */

static bool get_number(struct str *bytes, uint64_t *out)
{
    uint64_t n = 0;

    for (unsigned shift = 0; bytes->n > 0 && shift < 63; shift += 7) {
        unsigned char byte = (unsigned char)*bytes->p;
        bytes->p++;
        bytes->n--;
        n |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = n;
            return true;
        }
    }
    return false;
}

struct bucket {
    unsigned index;
    uint64_t count;
};

/* False at the end and where the bytes make no sense; then they are not used up. */
static bool next_bucket(struct str *bytes, const struct hist *like, bool first, struct bucket *bucket)
{
    struct str rest = *bytes;
    uint64_t gap, count;

    if (!get_number(&rest, &gap) || !get_number(&rest, &count) || count == 0 || count > WIRE_NUMBER_MAX ||
        (gap == 0 && !first) || gap >= hist_bucket_count(like) - bucket->index) {
        return false;
    }
    *bytes = rest;
    bucket->index += (unsigned)gap;
    bucket->count = count;
    return true;
}

static bool good_buckets(struct str bytes, const struct hist *like, uint64_t placed, uint64_t min_ns, uint64_t max_ns)
{
    struct bucket bucket = {0};
    uint64_t seen = 0;

    for (bool first = true; bytes.n > 0; first = false) {
        if (!next_bucket(&bytes, like, first, &bucket) || bucket.index < hist_bucket(like, min_ns) ||
            bucket.index > hist_bucket(like, max_ns) || bucket.count > placed - seen) {
            return false;
        }
        seen += bucket.count;
    }
    return seen == placed;
}

static bool good(const struct value *wire, const struct hist *like)
{
    uint64_t n[SQUARES];

    if (wire->type != VALUE_LIST || wire->count != FIELDS || wire->items[SQUARES].type != VALUE_FLOAT ||
        wire->items[BUCKETS].type != VALUE_BYTES) {
        return false;
    }
    for (int i = 0; i < SQUARES; i++) {
        if (!wire_read_number(&wire->items[i], i == SUM ? UINT64_MAX : WIRE_NUMBER_MAX, &n[i])) {
            return false;
        }
    }
    double mean = (double)n[SUM] / (double)n[COUNT], squares = wire->items[SQUARES].number;
    return n[COUNT] > 0 && n[UNPLACED] <= n[COUNT] && n[MIN] <= n[MAX] && n[MAX] <= HIST_MAX_NS &&
           mean >= (double)n[MIN] * 0.999 && mean <= (double)n[MAX] * 1.001 && isfinite(squares) && squares >= 0 &&
           good_buckets(value_str(&wire->items[BUCKETS]), like, n[COUNT] - n[UNPLACED], n[MIN], n[MAX]);
}

int hist_check(const struct value *wire, const struct hist *like, struct mite_error *error)
{
    return wire->type == VALUE_NIL || good(wire, like) ? 0 : error_set(error, MITE_EPROTO, "a histogram that is none");
}

void hist_read(struct hist *into, const struct value *wire)
{
    uint64_t n[SQUARES];
    struct bucket bucket = {0};

    if (wire->type == VALUE_NIL) {
        return;
    }
    for (int i = 0; i < SQUARES; i++) {
        wire_read_number(&wire->items[i], UINT64_MAX, &n[i]);
    }
    struct str bytes = value_str(&wire->items[BUCKETS]);
    for (bool first = true; next_bucket(&bytes, into, first, &bucket); first = false) {
        hist_place(into, bucket.index, bucket.count);
    }
    into->count += n[COUNT];
    into->unplaced += n[UNPLACED];
    into->sum_ns += n[SUM];
    into->sum_of_squares += wire->items[SQUARES].number;
    into->min_ns = n[MIN] < into->min_ns ? n[MIN] : into->min_ns;
    into->max_ns = n[MAX] > into->max_ns ? n[MAX] : into->max_ns;
}
