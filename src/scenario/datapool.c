/*
 * Design notes
 *
 * The items of a pool, their values and their arguments are one store, so that checking out allocates nothing. The
 * store is counted by the pool and by every item's arguments that are out: a journey may keep its arguments longer than
 * the pool lives.
 */
#include "scenario/datapool.h"

#include "base/log.h"

#include <stdlib.h>

struct item {
    struct value_args base; /* refs is 0 while nobody holds it */
    struct store *store;    /* borrowed */
    bool out;
};

struct store {
    unsigned refs;
    struct arena arena; /* holds the values */
    size_t count;
    struct item items[];
};

struct pool {
    struct datapool base;
    struct store *store; /* counted */
    size_t *free_items;  /* recyclable: a ring of the items that are in, `count` long; owned */
    size_t first, waiting;
};

/* ---- store ---- */

static void store_unref(struct store *store)
{
    if (--store->refs == 0) {
        arena_done(&store->arena);
        free(store);
    }
}

static void item_released(struct args *args)
{
    store_unref(((struct item *)args)->store);
}

static const struct args_ops item_ops = {.host = args_value_host, .to_value = args_value_copy, .free = item_released};

static int store_new(const struct value *items, struct store **out, struct mite_error *error)
{
    if (items->type != VALUE_LIST) {
        return error_set(error, MITE_EINVAL, "a datapool's items must be a list, not %s", value_type_name(items->type));
    }
    struct store *store = calloc(1, sizeof *store + items->count * sizeof store->items[0]);
    if (!store) {
        return error_set(error, MITE_ENOMEM, "no memory for a datapool");
    }
    store->refs = 1;
    store->count = items->count;
    arena_init(&store->arena, 0);
    for (size_t i = 0; i < store->count; i++) {
        struct item *item = &store->items[i];
        int rc = items->items[i].type == VALUE_LIST ? value_copy(&store->arena, &items->items[i], &item->base.list)
                                                    : MITE_EINVAL;
        if (rc < 0) {
            store_unref(store);
            return rc == MITE_EINVAL
                       ? error_set(error, rc, "item %zu of a datapool is %s; a journey's arguments are a tuple or list",
                                   i, value_type_name(items->items[i].type))
                       : error_set(error, rc, "no memory for a datapool");
        }
        item->base.args.ops = &item_ops;
        item->store = store;
    }
    *out = store;
    return 0;
}

/* A reference for whoever checks the item out. */
static struct args *item_args(struct item *item)
{
    if (item->base.args.refs == 0) {
        item->store->refs++;
    }
    return args_ref(&item->base.args);
}

/* ---- pools ---- */

static void pool_free(struct datapool *base)
{
    struct pool *pool = (struct pool *)base;

    store_unref(pool->store);
    free(pool->free_items);
    free(pool);
}

static void give(struct pool *pool, size_t index, int64_t id, datapool_checkout_done *done, void *arg)
{
    struct item *item = &pool->store->items[index];
    struct datapool_item out = {.id = value_int(id), .args = item_args(item)};

    item->out = true;
    done(arg, 0, &out, NULL);
}

static void recyclable_checkout(struct datapool *base, datapool_checkout_done *done, void *arg)
{
    struct pool *pool = (struct pool *)base;

    if (pool->waiting == 0) {
        done(arg, pool->store->count == 0 ? MITE_EEND : MITE_EAGAIN, NULL, NULL);
        return;
    }
    size_t index = pool->free_items[pool->first];
    pool->first = (pool->first + 1) % pool->store->count;
    pool->waiting--;
    give(pool, index, (int64_t)index, done, arg);
}

static bool is_out(const struct store *store, const struct value *id)
{
    return id->type == VALUE_INT && id->integer >= 0 && (uint64_t)id->integer < store->count &&
           store->items[id->integer].out;
}

static void recyclable_checkin(struct datapool *base, const struct value *id, datapool_checkin_done *done, void *arg)
{
    struct pool *pool = (struct pool *)base;

    if (is_out(pool->store, id)) {
        pool->store->items[id->integer].out = false;
        pool->free_items[(pool->first + pool->waiting++) % pool->store->count] = (size_t)id->integer;
    } else {
        log_once(LOG_WARNING, "datapool checkin", "an item was checked in that is not out of its datapool");
    }
    done(arg);
}

static void iterable_checkout(struct datapool *base, datapool_checkout_done *done, void *arg)
{
    struct pool *pool = (struct pool *)base;

    if (pool->waiting == 0) {
        done(arg, MITE_EEND, NULL, NULL);
        return;
    }
    size_t index = pool->first++;
    pool->waiting--;
    give(pool, index, (int64_t)index + 1, done, arg);
}

/* Each item once: what comes back is used up. */
static void iterable_checkin(struct datapool *base, const struct value *id, datapool_checkin_done *done, void *arg)
{
    done(arg);
}

static const struct datapool_ops recyclable_ops = {
    .checkout = recyclable_checkout, .checkin = recyclable_checkin, .free = pool_free};
static const struct datapool_ops iterable_ops = {
    .checkout = iterable_checkout, .checkin = iterable_checkin, .free = pool_free};

static int pool_new(const struct datapool_ops *ops, const struct value *items, struct pool **out,
                    struct mite_error *error)
{
    struct store *store = NULL;
    int rc = store_new(items, &store, error);

    if (!store) {
        return rc;
    }
    struct pool *pool = calloc(1, sizeof *pool);
    if (!pool) {
        store_unref(store);
        return error_set(error, MITE_ENOMEM, "no memory for a datapool");
    }
    pool->base = (struct datapool){.ops = ops, .refs = 1};
    pool->store = store;
    pool->waiting = store->count;
    *out = pool;
    return 0;
}

int datapool_recyclable_new(const struct value *items, struct datapool **out, struct mite_error *error)
{
    struct pool *pool = NULL;
    int rc = pool_new(&recyclable_ops, items, &pool, error);

    if (!pool) {
        return rc;
    }
    pool->free_items = malloc((pool->waiting + 1) * sizeof *pool->free_items);
    if (!pool->free_items) {
        pool_free(&pool->base);
        return error_set(error, MITE_ENOMEM, "no memory for a datapool");
    }
    for (size_t i = 0; i < pool->waiting; i++) {
        pool->free_items[i] = i;
    }
    pool->base.kind = DATAPOOL_RECYCLES;
    pool->base.count = (int64_t)pool->waiting;
    *out = &pool->base;
    return 0;
}

int datapool_iterable_new(const struct value *items, struct datapool **out, struct mite_error *error)
{
    struct pool *pool = NULL;
    int rc = pool_new(&iterable_ops, items, &pool, error);

    if (!pool) {
        return rc;
    }
    pool->base.kind = DATAPOOL_ONCE;
    *out = &pool->base;
    return 0;
}
