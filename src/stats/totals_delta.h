/*
 * Totals on the wire: what a runner has counted since it last told its controller, as one msgpack map with sparse
 * histograms, and back into totals that add up many runners exactly.
 *
 * A runner keeps two: `fresh`, its sink, and `whole`. When a report is made, `fresh` is written, added to `whole` and
 * cleared; to a controller that knows nothing yet it sends `whole`.
 *
 *     {"counts": [requests, bad status, errors, journeys, failed journeys, bytes received],
 *      "latency": HIST, "wait": HIST,                                  hist_wire.h
 *      "transactions": [[KEY, count, errors, HIST]...],                groups of which something was counted
 *      "requests": [[KEY, count, bad status, HIST]...],
 *      "failures": [[KEY, count, example or nil]...],
 *      "journeys": [[KEY, ended, errors]...]}
 *
 * KEY is the list of the group's three texts (nil: none), or true: the group of all others.
 */
#pragma once

#include "base/buf.h"
#include "stats/totals.h"

void totals_write(struct buf *out, const struct totals *totals);
/* Adds all of `from`: counts, groups, histograms, and to the window and the second that `into` is in. */
void totals_add(struct totals *into, const struct totals *from);
/* The same from the wire. MITE_EPROTO, MITE_ELIMIT: nothing has been added. */
int totals_read(struct totals *into, const struct value *map, struct mite_error *error);
/* Counts to zero; clocks, groups and memory kept. Examples of failures count as told: they are not written again. */
void totals_clear(struct totals *totals);
bool totals_empty(const struct totals *totals);
