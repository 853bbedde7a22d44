/*
 * Leased pool: the items of one entry that the controller has lent to this runner. To the local controller it is a
 * datapool like any other; it gives out what is here and says MITE_EAGAIN when that is nothing.
 *
 * Of a pool that recycles an item that comes back is used again, as long as the runner may hold it; of others each goes
 * back to the controller as done. What goes back is kept until the controller is known to have heard of it.
 *
 * Life cycle: leased_pool_new, items as they come, reports; datapool_unref on the base (the scenario's) frees it.
 */
#pragma once

#include "scenario/datapool.h"
#include "work/protocol.h"

struct leased_pool;

struct leased_counts {
    size_t unused;      /* here to be given out */
    size_t out;         /* with journeys, and still the runner's own */
    size_t returned;    /* to be told of by the next report */
    int64_t highest_id; /* largest integer id ever seen; -1: none */
    bool low;           /* of a pool that does not recycle: half of what it may hold has gone since the last report */
};

int leased_pool_new(bool recycles, struct leased_pool **out);
struct datapool *leased_pool_base(struct leased_pool *pool);

/* Copied. A lease that is here already is passed over. MITE_ENOMEM: none of them has been added. */
int leased_pool_add(struct leased_pool *pool, const struct work_lease *items, size_t count);
/* It may hold so many: of a pool that recycles in all, of others unused ones. What is beyond goes back. */
void leased_pool_hold(struct leased_pool *pool, int64_t hold);
/* Leases up to this one are no longer the runner's: what is here is dropped, what is out is dropped when it comes. */
void leased_pool_void(struct leased_pool *pool, uint64_t up_to);
/* Whether the item with this id that is out is no longer the runner's. */
bool leased_pool_is_void(const struct leased_pool *pool, const struct value *id);

/* What goes back: the numbers for a report, in the arena. At most `most` of each; the others are for the next report.
 * MITE_ENOMEM, MITE_ELIMIT: nothing has been told. */
int leased_pool_tell(struct leased_pool *pool, struct arena *arena, size_t most, struct work_report *report);
/* The report was answered: what it told is forgotten; or it never was: it is told again. */
void leased_pool_told(struct leased_pool *pool, bool answered);

void leased_pool_count(const struct leased_pool *pool, struct leased_counts *out);
