/*
 * Compressed bodies as they come, piece by piece: gzip, deflate (with zlib's frame, as the standard says, or without,
 * as some servers send it), br and zstd, one over the other if a server likes that. A small body that unpacks into a
 * huge one ends at the limit: what is not wanted is never made.
 *
 * Decoders are used again (but for br, whose library cannot): making one costs more than to unpack a small body.
 */
#pragma once

#include "base/buf.h"
#include "http/h1_parse.h"

struct decoder;

/* Those that nobody uses now. All zero to begin with; ended by decoder_store_done() when all were given back. */
struct decoder_store {
    struct decoder *idle[H1_UNKNOWN_CODING]; /* owned, for each coding */
    unsigned count;
};

/* `codings` in the order they were applied; the last one is undone first. NULL: no memory, or a coding is unknown. */
struct decoder *decoder_take(struct decoder_store *store, const uint8_t *codings, unsigned count);
void decoder_give_back(struct decoder_store *store, struct decoder *decoder); /* NULL is a no-op */
void decoder_store_done(struct decoder_store *store);

/* Appends what `piece` unpacks to, up to `limit` bytes in `out`. 0, MITE_EPROTO (broken), MITE_ELIMIT or MITE_ENOMEM.
 */
int decoder_feed(struct decoder *decoder, struct str piece, struct buf *out, uint64_t limit);

/* All has been fed: was it whole? An empty body is. */
bool decoder_is_whole(const struct decoder *decoder);
