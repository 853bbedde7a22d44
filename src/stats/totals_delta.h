/*
 * Totals on the wire: what a runner has counted since it last told its controller, as one msgpack map with sparse
 * histograms, and back into totals that add up many runners exactly.
 *
 * A runner keeps two: `fresh`, its sink, and `whole`. When a report is made, `fresh` is written, merged into `whole`
 * and cleared; to a controller that knows nothing yet it sends `whole`.
 */
#pragma once

#include "base/buf.h"
#include "stats/totals.h"

void totals_write(struct buf *out, const struct totals *totals);
/* Adds all of `from`: counts, groups, histograms, and to the window and the second that `into` is in. */
void totals_add(struct totals *into, const struct totals *from);
/* The same from the wire. MITE_EPROTO, MITE_ELIMIT: nothing has been added. */
int totals_read(struct totals *into, struct arena *arena, const struct value *map, struct mite_error *error);
/* Counts to zero; clocks and memory kept. */
void totals_clear(struct totals *totals);
bool totals_empty(const struct totals *totals);
