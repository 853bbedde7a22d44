/*
 * A histogram on the wire: nil while empty, else a list of count, unplaced, minimum, maximum, sum, sum of squares and
 * the buckets that hold something, as bytes: for each, upwards, how far it is from the one before and its count, both
 * as LEB128 numbers. Two or three bytes a bucket, and nothing to allocate on either side.
 *
 * What comes from a peer goes through hist_check() first, hist_read() then takes it without a look.
 */
#pragma once

#include "base/buf.h"
#include "stats/hist.h"
#include "value/value.h"

void hist_write(struct buf *out, const struct hist *hist);
/* `like` has the digits that are expected. MITE_EPROTO: it is none, or contradicts itself. */
int hist_check(const struct value *wire, const struct hist *like, struct mite_error *error);
/* Adds it. */
void hist_read(struct hist *into, const struct value *wire);
