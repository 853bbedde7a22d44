/*
 * Leases: which item of which datapool is out to which runner. An item comes from its pool into the stock, goes out
 * under a lease, a number that is never used twice, and comes back done (its journey is over: it is checked in) or
 * unused: then it goes out again before the pool is asked for another. So no item ever has two holders, and an item of
 * a pool that gives each once is handed out again only when nobody can have used it.
 *
 * When a holder is lost: items of pools that recycle and of the user's own classes are checked in; those of the others
 * may have been used and are counted as lost.
 *
 * Pools may answer later (a coroutine): `stocked` and `over` say so. Owned by the fleet; leases_done() lets go of
 * what is still under way.
 */
#pragma once

#include "base/map.h"
#include "scenario/scenario.h"

#include <sys/queue.h>

struct leases;

struct lease_item {
    struct value id; /* what it points to is in `arena` */
    struct arena arena;
    struct args *args; /* counted reference */
    uint64_t lease;    /* 0: in stock */
    uint64_t seq;      /* the report of its holder that it was handed out for */
    size_t entry;      /* while it is out: for which entry */
    struct lease_pool *pool;
    struct lease_holder *holder;
    TAILQ_ENTRY(lease_item) link; /* in its holder's list or the stock */
};

TAILQ_HEAD(lease_items, lease_item);

/* A runner; embedded in it. */
struct lease_holder {
    struct lease_items items;
    int64_t *by_entry; /* how many it holds of each; owned */
};

struct lease_pool {
    struct datapool *pool; /* counted reference */
    struct leases *leases;
    struct lease_items stock;
    int64_t in_stock, out;
    int64_t asked;      /* checkouts under way */
    int64_t returning;  /* checkins under way */
    int64_t highest_id; /* of items that ever left the stock; -1: none */
    int64_t size;       /* all that it has, for so many it had given when nothing was free; 0: not known */
    bool dry;           /* it had nothing free: not before something comes back, or the next window */
    bool over;          /* it gives nothing any more */
};

struct lease_hooks {
    void (*stocked)(void *arg, struct lease_pool *pool); /* there are items again */
    /* It gives no more: code MITE_EEND, or it failed. `error` is NULL for MITE_EEND. */
    void (*over)(void *arg, struct lease_pool *pool, int code, const struct mite_error *error);
    void *arg;
};

struct leases {
    struct lease_pool *pools; /* owned: one for each pool of the scenario */
    size_t pool_count;
    struct lease_pool **of_entry; /* owned; NULL: the entry has no pool */
    size_t entry_count;
    struct map by_number; /* of struct lease_item, those that are out */
    uint64_t last;        /* the newest lease */
    uint64_t lost;
    struct lease_hooks hooks;
    LIST_HEAD(, lease_errand) errands; /* under way at pools */
};

/* 0 or MITE_ENOMEM. */
int leases_init(struct leases *leases, const struct scenario *scenario, const struct lease_hooks *hooks);
void leases_done(struct leases *leases);
int lease_holder_init(struct lease_holder *holder, size_t entry_count);
void lease_holder_done(struct lease_holder *holder); /* it holds nothing any more */

/* Sees to it that `wanted` items are in stock, as far as the pool gives them. */
void leases_stock(struct lease_pool *pool, int64_t wanted);
/* An item out of the stock; NULL: there is none, or no memory. */
struct lease_item *leases_take(struct leases *leases, size_t entry, struct lease_holder *holder, uint64_t seq);
/* Both false when that holder has no such lease: nothing happens then. */
bool leases_return_done(struct leases *leases, struct lease_holder *holder, uint64_t lease);
bool leases_return_unused(struct leases *leases, struct lease_holder *holder, uint64_t lease);
/* The lease of an item that a holder has; 0: it has none. For runners that know no leases. */
uint64_t leases_find(const struct leases *leases, const struct lease_holder *holder, size_t entry,
                     const struct value *id);
/* The holder is lost, with all that it has. Returns how many items were lost. */
uint64_t leases_lose(struct leases *leases, struct lease_holder *holder);
/* After a restart: an item in stock is out again, under the lease that it had. */
void leases_restore(struct leases *leases, struct lease_item *item, size_t entry, struct lease_holder *holder,
                    uint64_t lease, uint64_t seq);
/* What was handed out for this report never arrived. Returns how many items that were. */
size_t leases_take_back(struct leases *leases, struct lease_holder *holder, uint64_t seq);

/* Nothing more is handed out: what is in stock goes back to its pools. */
void leases_clear_stock(struct leases *leases);
/* Passes over the items of a pool that gives each once, up to this id: others have had them. Not over those that we
 * have handed out ourselves: of these we know what became. */
void leases_skip(struct lease_pool *pool, int64_t up_to);

/* One item of the stock, that is of no use any more. */
void leases_drop(struct lease_pool *pool, struct lease_item *item);

/* A pool may be asked again. */
void leases_unblock(struct leases *leases);
/* Checkouts and checkins that have not been answered. */
bool leases_busy(const struct leases *leases);
