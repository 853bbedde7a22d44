/*
 * Datapool: gives each journey an item and takes it back. A table of functions, filled here for the three kinds of mite
 * and by the Python plugin for the user's own classes, whose checkout and checkin may be coroutines: so both answer
 * through a callback, which may come before the call returns.
 */
#pragma once

#include "scenario/args.h"

struct datapool;

struct datapool_item {
    struct value id;   /* an integer in mite's own pools, anything that msgpack carries in the user's; what it points to
                        * lives as long as the item is out */
    struct args *args; /* counted reference, handed over */
};

/*
 * Comes exactly once for each checkout, also when the host ends before it has an answer (MITE_ECANCELLED).
 * code 0: *item is taken by the callee. MITE_EAGAIN: none free now, skip. MITE_EEND: used up, its journey ends.
 * MITE_EUSER, MITE_EINVAL: it failed; the sentence says how (an item whose data is no tuple or list, too).
 */
typedef void datapool_checkout_done(void *arg, int code, const struct datapool_item *item,
                                    const struct mite_error *error);

/* Comes exactly once for each checkin, when the item is in or its checkin has failed. */
typedef void datapool_checkin_done(void *arg);

struct datapool_ops {
    void (*checkout)(struct datapool *pool, datapool_checkout_done *done, void *arg);
    /* The item's journey is over (or never started). Failures are logged once by the pool. `id` is borrowed for the
     * call. */
    void (*checkin)(struct datapool *pool, const struct value *id, datapool_checkin_done *done, void *arg);
    void (*free)(struct datapool *pool);
};

/* What becomes of an item that comes back: who hands items out to other processes must know. */
enum datapool_kind {
    DATAPOOL_OWN,      /* the user's own class: only it knows */
    DATAPOOL_RECYCLES, /* it is given again; ids are integers from 0 */
    DATAPOOL_ONCE,     /* nothing: each item once, in the order of the ids, integers from 1 */
};

struct datapool {
    const struct datapool_ops *ops;
    enum datapool_kind kind;
    unsigned refs; /* one pool may serve several journeys of a scenario */
    int64_t count; /* of one that recycles: all its items */
    uint64_t lost; /* items whose checkin failed */
};

/* `items`: a list of lists; copied. MITE_EINVAL names the item that is none. */
/* Ids from 0, first in, first out; MITE_EAGAIN when all are out, MITE_EEND when there never was one. */
int datapool_recyclable_new(const struct value *items, struct datapool **out, struct mite_error *error)
    PRIVATE_API(datapool_recyclable_new);
/* Ids from 1, each item once. */
int datapool_iterable_new(const struct value *items, struct datapool **out, struct mite_error *error)
    PRIVATE_API(datapool_iterable_new);

static inline struct datapool *datapool_ref(struct datapool *pool)
{
    if (pool) {
        pool->refs++;
    }
    return pool;
}

static inline void datapool_unref(struct datapool *pool)
{
    if (pool && --pool->refs == 0) {
        pool->ops->free(pool);
    }
}
