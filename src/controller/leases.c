/*
 * Design notes. Whatever is asked of a pool is an errand, because the answer may come later, even when the leases are
 * gone: then the errand is an orphan that gives back the item that it may still get.
 */
#include "controller/leases.h"

#include <stdlib.h>

/* Checkouts at once: an own class whose coroutine takes its time is not asked for everything in one turn. */
#define ASKED_MAX 1000

struct lease_errand {
    struct leases *leases;   /* NULL once they are gone */
    struct lease_pool *in;   /* valid while `leases` is */
    struct datapool *pool;   /* counted reference */
    struct lease_item *item; /* of a checkin: owned, its id is borrowed by the pool until the answer */
    LIST_ENTRY(lease_errand) link;
};

/* ---- life ---- */

static struct lease_pool *pool_at(struct leases *leases, struct datapool *pool)
{
    for (size_t i = 0; i < leases->pool_count; i++) {
        if (leases->pools[i].pool == pool) {
            return &leases->pools[i];
        }
    }
    struct lease_pool *made = &leases->pools[leases->pool_count++];
    *made = (struct lease_pool){.pool = datapool_ref(pool), .leases = leases, .highest_id = -1};
    TAILQ_INIT(&made->stock);
    return made;
}

int leases_init(struct leases *leases, const struct scenario *scenario, const struct lease_hooks *hooks)
{
    *leases = (struct leases){
        .pools = calloc(scenario->count + 1, sizeof *leases->pools),
        .of_entry = calloc(scenario->count + 1, sizeof *leases->of_entry),
        .entry_count = scenario->count,
        .hooks = *hooks,
    };
    map_init(&leases->by_number);
    LIST_INIT(&leases->errands);
    if (!leases->pools || !leases->of_entry) {
        leases_done(leases);
        return MITE_ENOMEM;
    }
    for (size_t i = 0; i < scenario->count; i++) {
        if (scenario->entries[i].pool) {
            leases->of_entry[i] = pool_at(leases, scenario->entries[i].pool);
        }
    }
    return 0;
}

static void item_free(struct lease_item *item)
{
    args_unref(item->args);
    arena_done(&item->arena);
    free(item);
}

static void free_items(struct lease_items *items)
{
    struct lease_item *item;

    while ((item = TAILQ_FIRST(items))) {
        TAILQ_REMOVE(items, item, link);
        item_free(item);
    }
}

void leases_done(struct leases *leases)
{
    struct lease_errand *errand;

    while (!LIST_EMPTY(&leases->errands)) {
        errand = LIST_FIRST(&leases->errands);
        LIST_REMOVE(errand, link);
        errand->leases = NULL;
    }
    for (size_t i = 0; i < leases->pool_count; i++) {
        free_items(&leases->pools[i].stock);
        datapool_unref(leases->pools[i].pool);
    }
    map_done(&leases->by_number, NULL);
    free(leases->pools);
    free(leases->of_entry);
    *leases = (struct leases){0};
}

int lease_holder_init(struct lease_holder *holder, size_t entry_count)
{
    TAILQ_INIT(&holder->items);
    holder->by_entry = calloc(entry_count + 1, sizeof *holder->by_entry);
    return holder->by_entry ? 0 : MITE_ENOMEM;
}

void lease_holder_done(struct lease_holder *holder)
{
    if (holder->by_entry) {
        free_items(&holder->items);
        free(holder->by_entry);
        holder->by_entry = NULL;
    }
}

/* ---- errands ---- */

static struct lease_errand *errand_new(struct lease_pool *pool, struct lease_item *item)
{
    struct lease_errand *errand = malloc(sizeof *errand);

    if (errand) {
        *errand =
            (struct lease_errand){.leases = pool->leases, .in = pool, .pool = datapool_ref(pool->pool), .item = item};
        LIST_INSERT_HEAD(&pool->leases->errands, errand, link);
    }
    return errand;
}

/* Returns the pool that it was for, NULL when the leases are gone. */
static struct lease_pool *errand_done(struct lease_errand *errand)
{
    struct lease_pool *pool = errand->leases ? errand->in : NULL;

    if (pool) {
        LIST_REMOVE(errand, link);
    }
    if (errand->item) {
        item_free(errand->item);
    }
    datapool_unref(errand->pool);
    free(errand);
    return pool;
}

static void checked_in(void *arg)
{
    struct lease_pool *pool = errand_done(arg);

    if (!pool) {
        return;
    }
    pool->returning--;
    pool->dry = false;
    if (pool->pool->kind != DATAPOOL_ONCE) {
        pool->leases->hooks.stocked(pool->leases->hooks.arg, pool);
    }
}

static void checked_in_unheard(void *arg)
{
}

/* Takes the item. */
static void check_in(struct lease_pool *pool, struct lease_item *item)
{
    struct lease_errand *errand = errand_new(pool, item);

    if (errand) {
        pool->returning++;
        pool->pool->ops->checkin(pool->pool, &item->id, checked_in, errand);
        return;
    }
    pool->pool->ops->checkin(pool->pool, &item->id, checked_in_unheard, NULL);
    item_free(item);
}

/* ---- the stock ---- */

static struct lease_item *item_new(struct lease_pool *pool, const struct datapool_item *from)
{
    struct lease_item *item = calloc(1, sizeof *item);

    if (!item) {
        return NULL;
    }
    arena_init(&item->arena, 0);
    if (value_copy(&item->arena, &from->id, &item->id) < 0) {
        arena_done(&item->arena);
        free(item);
        return NULL;
    }
    item->args = from->args;
    item->pool = pool;
    return item;
}

/* Items that it has given and not got back. */
static int64_t away(const struct lease_pool *pool)
{
    return pool->out + pool->in_stock + pool->returning;
}

static void put_in_stock(struct lease_pool *pool, struct lease_item *item, bool first)
{
    item->holder = NULL;
    item->lease = 0;
    if (first) {
        TAILQ_INSERT_HEAD(&pool->stock, item, link);
    } else {
        TAILQ_INSERT_TAIL(&pool->stock, item, link);
    }
    pool->in_stock++;
    pool->size = pool->size > 0 && pool->size < away(pool) ? away(pool) : pool->size;
}

static void refused(struct lease_pool *pool, int code, const struct mite_error *error)
{
    struct leases *leases = pool->leases;

    if (code == MITE_EAGAIN || code == MITE_ECANCELLED) {
        pool->dry = true;
        pool->size = away(pool);
    } else if (!pool->over) {
        pool->over = true;
        leases->hooks.over(leases->hooks.arg, pool, code, code == MITE_EEND ? NULL : error);
    }
}

static void checked_out(void *arg, int code, const struct datapool_item *from, const struct mite_error *error)
{
    struct lease_errand *errand = arg;
    struct lease_pool *pool = errand->leases ? errand->in : NULL;
    struct lease_item *item = code == 0 && pool ? item_new(pool, from) : NULL;

    if (code == 0 && !item) {
        args_unref(from->args);
        errand->pool->ops->checkin(errand->pool, &from->id, checked_in_unheard, NULL);
    }
    errand_done(errand);
    if (!pool) {
        return;
    }
    pool->asked--;
    if (item) {
        put_in_stock(pool, item, false);
        pool->leases->hooks.stocked(pool->leases->hooks.arg, pool);
    } else if (code < 0) {
        refused(pool, code, error);
    }
}

void leases_stock(struct lease_pool *pool, int64_t wanted)
{
    while (!pool->dry && !pool->over && pool->in_stock + pool->asked < wanted && pool->asked < ASKED_MAX) {
        struct lease_errand *errand = errand_new(pool, NULL);
        if (!errand) {
            return;
        }
        pool->asked++;
        pool->pool->ops->checkout(pool->pool, checked_out, errand);
    }
}

/* ---- out and back ---- */

static struct str number_key(const uint64_t *number)
{
    return (struct str){(const char *)number, sizeof *number};
}

static bool hand_out(struct leases *leases, struct lease_item *item, size_t entry, struct lease_holder *holder,
                     uint64_t lease, uint64_t seq)
{
    struct lease_pool *pool = item->pool;

    if (map_set(&leases->by_number, number_key(&lease), item, NULL) < 0) {
        return false;
    }
    TAILQ_REMOVE(&pool->stock, item, link);
    pool->in_stock--;
    pool->out++;
    if (item->id.type == VALUE_INT && item->id.integer > pool->highest_id) {
        pool->highest_id = item->id.integer;
    }
    leases->last = lease > leases->last ? lease : leases->last;
    item->lease = lease;
    item->seq = seq;
    item->entry = entry;
    item->holder = holder;
    holder->by_entry[entry]++;
    TAILQ_INSERT_TAIL(&holder->items, item, link);
    return true;
}

struct lease_item *leases_take(struct leases *leases, size_t entry, struct lease_holder *holder, uint64_t seq)
{
    struct lease_item *item = TAILQ_FIRST(&leases->of_entry[entry]->stock);

    return item && hand_out(leases, item, entry, holder, leases->last + 1, seq) ? item : NULL;
}

void leases_restore(struct leases *leases, struct lease_item *item, size_t entry, struct lease_holder *holder,
                    uint64_t lease, uint64_t seq)
{
    if (!hand_out(leases, item, entry, holder, lease, seq)) {
        leases_drop(item->pool, item); /* without memory it is nobody's, rather than two runners' */
    }
}

static void unlink_item(struct leases *leases, struct lease_item *item)
{
    map_remove(&leases->by_number, number_key(&item->lease));
    TAILQ_REMOVE(&item->holder->items, item, link);
    item->holder->by_entry[item->entry]--;
    item->pool->out--;
}

static struct lease_item *held(const struct leases *leases, const struct lease_holder *holder, uint64_t lease)
{
    struct lease_item *item = map_get(&leases->by_number, number_key(&lease));

    return item && item->holder == holder ? item : NULL;
}

bool leases_return_done(struct leases *leases, struct lease_holder *holder, uint64_t lease)
{
    struct lease_item *item = held(leases, holder, lease);

    if (item) {
        unlink_item(leases, item);
        check_in(item->pool, item);
    }
    return item != NULL;
}

/* Back into the stock; of a pool that recycles behind the others, as if it had been checked in and out. */
static void give_back(struct leases *leases, struct lease_item *item)
{
    unlink_item(leases, item);
    put_in_stock(item->pool, item, item->pool->pool->kind != DATAPOOL_RECYCLES);
}

bool leases_return_unused(struct leases *leases, struct lease_holder *holder, uint64_t lease)
{
    struct lease_item *item = held(leases, holder, lease);

    if (item) {
        give_back(leases, item);
        leases->hooks.stocked(leases->hooks.arg, item->pool);
    }
    return item != NULL;
}

uint64_t leases_find(const struct leases *leases, const struct lease_holder *holder, size_t entry,
                     const struct value *id)
{
    const struct lease_item *item;

    TAILQ_FOREACH(item, &holder->items, link)
    {
        if (item->entry == entry && value_equal(&item->id, id)) {
            return item->lease;
        }
    }
    return 0;
}

uint64_t leases_lose(struct leases *leases, struct lease_holder *holder)
{
    struct lease_item *item, *next;
    uint64_t lost = 0;

    for (item = TAILQ_FIRST(&holder->items); item; item = next) {
        next = TAILQ_NEXT(item, link);
        unlink_item(leases, item);
        if (item->pool->pool->kind == DATAPOOL_ONCE) {
            lost++;
            item_free(item);
        } else {
            check_in(item->pool, item);
        }
    }
    leases->lost += lost;
    return lost;
}

size_t leases_take_back(struct leases *leases, struct lease_holder *holder, uint64_t seq)
{
    struct lease_item *item, *next;
    size_t count = 0;

    for (item = TAILQ_FIRST(&holder->items); item; item = next) {
        next = TAILQ_NEXT(item, link);
        if (item->seq == seq) {
            give_back(leases, item);
            count++;
        }
    }
    return count;
}

void leases_clear_stock(struct leases *leases)
{
    for (size_t i = 0; i < leases->pool_count; i++) {
        struct lease_pool *pool = &leases->pools[i];
        struct lease_item *item;
        while ((item = TAILQ_FIRST(&pool->stock))) {
            TAILQ_REMOVE(&pool->stock, item, link);
            pool->in_stock--;
            check_in(pool, item);
        }
    }
}

void leases_drop(struct lease_pool *pool, struct lease_item *item)
{
    TAILQ_REMOVE(&pool->stock, item, link);
    pool->in_stock--;
    item_free(item);
}

/* Those above `known`, which others have had; what we have handed out ourselves and got back unused stays. Returns how
 * many it dropped. */
static int64_t drop_between(struct lease_pool *pool, int64_t known, int64_t up_to)
{
    struct lease_item *item, *next;
    int64_t before = pool->in_stock;

    for (item = TAILQ_FIRST(&pool->stock); item; item = next) {
        next = TAILQ_NEXT(item, link);
        if (item->id.type == VALUE_INT && item->id.integer > known && item->id.integer <= up_to) {
            pool->highest_id = item->id.integer > pool->highest_id ? item->id.integer : pool->highest_id;
            leases_drop(pool, item);
        }
    }
    return before - pool->in_stock;
}

void leases_skip(struct lease_pool *pool, int64_t up_to)
{
    int64_t known = pool->highest_id;

    do {
        int64_t more = up_to - pool->highest_id;
        leases_stock(pool, pool->in_stock + (more < ASKED_MAX ? more : ASKED_MAX));
    } while (drop_between(pool, known, up_to) > 0 && pool->highest_id < up_to);
}

void leases_unblock(struct leases *leases)
{
    for (size_t i = 0; i < leases->pool_count; i++) {
        leases->pools[i].dry = false;
        leases->pools[i].size = 0;
    }
}

bool leases_busy(const struct leases *leases)
{
    return !LIST_EMPTY(&leases->errands);
}
