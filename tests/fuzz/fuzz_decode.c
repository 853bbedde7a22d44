/*
 * A compressed body of any bytes, cut into pieces anywhere: no more than the limit comes out, and the same as with all
 * of it at once, by a decoder that has had another body before. The first byte says which codings, the second how long
 * the pieces are.
 */
#include "fuzz.h"

#include "base/error.h"
#include "http/decode.h"

#define LIMIT 100000

static int decode(struct decoder_store *store, const uint8_t *codings, unsigned count, struct str bytes, size_t step,
                  struct buf *out, bool *whole)
{
    struct decoder *decoder = decoder_take(store, codings, count);
    int rc = 0;

    FUZZ_ASSERT(decoder);
    for (size_t at = 0; rc == 0 && at < bytes.n; at += step) {
        struct str piece = {bytes.p + at, bytes.n - at < step ? bytes.n - at : step};
        rc = decoder_feed(decoder, piece, out, LIMIT);
    }
    *whole = decoder_is_whole(decoder);
    decoder_give_back(store, decoder);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct decoder_store store = {.count = 0};
    uint8_t codings[2];
    struct buf at_once, in_pieces;
    bool whole, whole_in_pieces;

    if (size < 3) {
        return 0;
    }
    struct str bytes = {(const char *)data + 2, size - 2};
    codings[0] = data[0] & 3;
    codings[1] = data[0] >> 2 & 3;
    unsigned count = 1 + (data[0] >> 7);
    buf_init(&at_once, 0);
    buf_init(&in_pieces, 0);
    int rc = decode(&store, codings, count, bytes, bytes.n, &at_once, &whole);
    int rc_in_pieces = decode(&store, codings, count, bytes, 1 + data[1], &in_pieces, &whole_in_pieces);
    FUZZ_ASSERT(at_once.size <= LIMIT && in_pieces.size <= LIMIT);
    FUZZ_ASSERT(rc == 0 || rc == MITE_EPROTO || rc == MITE_ELIMIT);
    bool good = rc == 0 && whole; /* of what is bad, less may be enough to see it */
    FUZZ_ASSERT(good == (rc_in_pieces == 0 && whole_in_pieces));
    if (good) {
        FUZZ_ASSERT(str_equal(buf_view(&at_once), buf_view(&in_pieces)));
    }
    decoder_store_done(&store);
    buf_done(&at_once);
    buf_done(&in_pieces);
    return 0;
}
