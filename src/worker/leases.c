/*
 * Design notes
 *
 * Items come in blocks, one a message, and live in them: their ids, their arguments, their links. A block is counted by
 * its items, until their leases have gone back, and by arguments that journeys still hold; so an item that is handed
 * out, put back or told of costs no memory.
 *
 * An item is in one list, by its state, and in the map of ids, in which an id that is void and out may stand beside
 * the same id under a new lease.
 */
#include "worker/leases.h"

#include "base/log.h"
#include "base/map.h"
#include "value/msgpack.h"

#include <stdlib.h>
#include <sys/queue.h>

enum item_state {
    ITEM_UNUSED,
    ITEM_OUT,
    ITEM_RETURNED, /* goes back: in the next report */
    ITEM_TOLD,     /* a report says so that has not been answered */
    ITEM_STATES,
};

struct block;

struct item {
    struct value_args args; /* refs is 0 while nobody holds it */
    struct block *block;    /* counted */
    uint64_t lease;
    struct value id;
    enum item_state state;
    bool has_args, used, is_void;
    struct item *same_id; /* the next one with this id */
    TAILQ_ENTRY(item) link;
};

TAILQ_HEAD(item_list, item);

struct block {
    unsigned refs;
    struct arena arena; /* ids and arguments */
    struct item items[];
};

struct leased_pool {
    struct datapool base;
    bool recycles, touched; /* touched: an item was given out since the last report */
    int64_t hold;
    struct item_list lists[ITEM_STATES];
    size_t counts[ITEM_STATES];
    size_t void_out; /* of those out */
    int64_t highest_id;
    struct map by_id; /* id as msgpack → struct item */
    struct buf key;   /* for one look-up */
};

/* ---- blocks ---- */

static void block_unref(struct block *block)
{
    if (--block->refs == 0) {
        arena_done(&block->arena);
        free(block);
    }
}

static void args_released(struct args *args)
{
    block_unref(((struct item *)args)->block); /* its first member's first member */
}

static const struct args_ops item_ops = {.host = args_value_host, .to_value = args_value_copy, .free = args_released};

static struct args *lend_args(struct item *item)
{
    if (!item->has_args) {
        return NULL;
    }
    if (item->args.args.refs == 0) {
        item->block->refs++;
    }
    item->args.args.refs++;
    return &item->args.args;
}

/* ---- states ---- */

static void enter(struct leased_pool *pool, struct item *item, enum item_state state)
{
    item->state = state;
    TAILQ_INSERT_TAIL(&pool->lists[state], item, link);
    pool->counts[state]++;
}

static void leave(struct leased_pool *pool, struct item *item)
{
    TAILQ_REMOVE(&pool->lists[item->state], item, link);
    pool->counts[item->state]--;
}

static void move(struct leased_pool *pool, struct item *item, enum item_state state)
{
    leave(pool, item);
    enter(pool, item, state);
}

/* ---- ids ---- */

/* none without memory */
static struct str key_of(const struct leased_pool *pool, const struct value *id)
{
    struct buf *key = (struct buf *)&pool->key; /* scratch */

    buf_clear(key);
    msgpack_write(key, id);
    return key->failed ? STR_NONE : buf_view(key);
}

static struct item *first_with(const struct leased_pool *pool, const struct value *id)
{
    struct str key = key_of(pool, id);

    return key.p ? map_get(&pool->by_id, key) : NULL;
}

/* The one that is out; of two, the one that is void, for its journey was told to end. */
static struct item *find_out(const struct leased_pool *pool, const struct value *id)
{
    struct item *found = NULL;

    for (struct item *item = first_with(pool, id); item; item = item->same_id) {
        if (item->state == ITEM_OUT && (!found || item->is_void)) {
            found = item;
        }
    }
    return found;
}

static int remember_id(struct leased_pool *pool, struct item *item)
{
    struct str key = key_of(pool, &item->id);

    if (!key.p) {
        return MITE_ENOMEM;
    }
    item->same_id = map_get(&pool->by_id, key);
    return map_set(&pool->by_id, key, item, NULL);
}

static void forget_id(struct leased_pool *pool, struct item *item)
{
    struct item *first = first_with(pool, &item->id);

    if (first != item) {
        while (first && first->same_id != item) {
            first = first->same_id;
        }
        if (first) {
            first->same_id = item->same_id;
        }
    } else if (item->same_id) {
        map_set(&pool->by_id, buf_view(&pool->key), item->same_id, NULL); /* replaces: takes no memory */
    } else {
        map_remove(&pool->by_id, buf_view(&pool->key));
    }
}

/* The item is gone; its arguments may still be with a journey. */
static void drop(struct leased_pool *pool, struct item *item)
{
    leave(pool, item);
    forget_id(pool, item);
    block_unref(item->block);
}

/* ---- as a datapool ---- */

static void checkout(struct datapool *base, datapool_checkout_done *done, void *arg)
{
    struct leased_pool *pool = (struct leased_pool *)base;
    struct item *item = TAILQ_FIRST(&pool->lists[ITEM_UNUSED]);

    if (!item) {
        done(arg, MITE_EAGAIN, NULL, NULL);
        return;
    }
    item->used = true;
    pool->touched = true;
    move(pool, item, ITEM_OUT);
    struct datapool_item given = {.id = item->id, .args = lend_args(item)};
    done(arg, 0, &given, NULL);
}

static size_t held(const struct leased_pool *pool)
{
    return pool->counts[ITEM_UNUSED] + pool->counts[ITEM_OUT] - pool->void_out;
}

static void checkin(struct datapool *base, const struct value *id, datapool_checkin_done *done, void *arg)
{
    struct leased_pool *pool = (struct leased_pool *)base;
    struct item *item = find_out(pool, id);

    if (!item) {
        log_once(LOG_WARNING, "leased pool checkin", "an item was checked in that is not out of its datapool");
    } else if (item->is_void) {
        pool->void_out--;
        drop(pool, item);
    } else if (pool->recycles && (int64_t)held(pool) <= pool->hold) {
        move(pool, item, ITEM_UNUSED);
    } else {
        move(pool, item, ITEM_RETURNED);
    }
    done(arg);
}

static void pool_free(struct datapool *base)
{
    struct leased_pool *pool = (struct leased_pool *)base;

    for (int state = 0; state < ITEM_STATES; state++) {
        struct item *item;
        while ((item = TAILQ_FIRST(&pool->lists[state]))) {
            drop(pool, item);
        }
    }
    map_done(&pool->by_id, NULL);
    buf_done(&pool->key);
    free(pool);
}

static const struct datapool_ops pool_ops = {.checkout = checkout, .checkin = checkin, .free = pool_free};

/* ---- what the controller says ---- */

int leased_pool_new(bool recycles, struct leased_pool **out)
{
    struct leased_pool *pool = calloc(1, sizeof *pool);

    if (!pool) {
        return MITE_ENOMEM;
    }
    pool->base = (struct datapool){.ops = &pool_ops, .refs = 1};
    pool->recycles = recycles;
    pool->highest_id = -1;
    for (int state = 0; state < ITEM_STATES; state++) {
        TAILQ_INIT(&pool->lists[state]);
    }
    map_init(&pool->by_id);
    buf_init(&pool->key, 0);
    *out = pool;
    return 0;
}

struct datapool *leased_pool_base(struct leased_pool *pool)
{
    return &pool->base;
}

/* One that is void is another controller's: the numbers of this one begin anew. */
static bool has_lease(const struct leased_pool *pool, const struct work_lease *lease)
{
    for (const struct item *item = first_with(pool, &lease->data_id); item; item = item->same_id) {
        if (item->lease == lease->lease && !item->is_void) {
            return true;
        }
    }
    return false;
}

static int add_one(struct leased_pool *pool, struct block *block, struct item *item, const struct work_lease *lease)
{
    *item = (struct item){.args = {.args = {.ops = &item_ops}},
                          .block = block,
                          .lease = lease->lease,
                          .has_args = lease->args.type == VALUE_LIST};
    int rc = value_copy(&block->arena, &lease->data_id, &item->id);
    if (rc == 0) {
        rc = value_copy(&block->arena, &lease->args, &item->args.list);
    }
    if (rc == 0) {
        rc = remember_id(pool, item);
    }
    if (rc == 0) {
        block->refs++;
        enter(pool, item, ITEM_UNUSED);
    }
    return rc;
}

int leased_pool_add(struct leased_pool *pool, const struct work_lease *items, size_t count)
{
    struct block *block = malloc(sizeof *block + count * sizeof block->items[0]);
    size_t added = 0;
    int rc = 0;

    if (!block) {
        return MITE_ENOMEM;
    }
    block->refs = 1; /* ours, while it is filled */
    arena_init(&block->arena, 0);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (!has_lease(pool, &items[i])) {
            rc = add_one(pool, block, &block->items[added], &items[i]);
            added += rc == 0;
        }
    }
    for (size_t i = 0; i < added; i++) {
        const struct value *id = &block->items[i].id;
        if (rc < 0) {
            drop(pool, &block->items[i]);
        } else if (id->type == VALUE_INT && id->integer > pool->highest_id) {
            pool->highest_id = id->integer;
        }
    }
    block_unref(block);
    return rc;
}

void leased_pool_hold(struct leased_pool *pool, int64_t hold)
{
    pool->hold = hold;
    while (pool->counts[ITEM_UNUSED] > 0 &&
           (int64_t)(pool->recycles ? held(pool) : pool->counts[ITEM_UNUSED]) > pool->hold) {
        move(pool, TAILQ_LAST(&pool->lists[ITEM_UNUSED], item_list), ITEM_RETURNED);
    }
}

void leased_pool_void(struct leased_pool *pool, uint64_t up_to)
{
    for (int state = 0; state < ITEM_STATES; state++) {
        struct item *next;
        for (struct item *item = TAILQ_FIRST(&pool->lists[state]); item; item = next) {
            next = TAILQ_NEXT(item, link);
            if (item->lease > up_to) {
                continue;
            }
            if (state != ITEM_OUT) {
                drop(pool, item);
            } else if (!item->is_void) {
                item->is_void = true;
                pool->void_out++;
            }
        }
    }
}

bool leased_pool_is_void(const struct leased_pool *pool, const struct value *id)
{
    const struct item *item = find_out(pool, id);

    return item && item->is_void;
}

/* ---- reports ---- */

/* Room behind what a report holds already, whose array becomes the new one. */
static uint64_t *longer(struct arena *arena, const uint64_t *leases, size_t count, size_t more)
{
    uint64_t *longer = arena_alloc(arena, (count + more) * sizeof *longer);

    if (longer && count > 0) {
        memcpy(longer, leases, count * sizeof *longer);
    }
    return longer;
}

int leased_pool_tell(struct leased_pool *pool, struct arena *arena, size_t most, struct work_report *report)
{
    size_t more = pool->counts[ITEM_RETURNED];
    struct item *item, *next;

    if (more == 0) {
        pool->touched = false;
        return 0;
    }
    uint64_t *done = longer(arena, report->done, report->done_count, more);
    uint64_t *unused = longer(arena, report->unused, report->unused_count, more);
    if (!done || !unused) {
        return MITE_ENOMEM;
    }
    report->done = done;
    report->unused = unused;
    for (item = TAILQ_FIRST(&pool->lists[ITEM_RETURNED]); item; item = next) {
        next = TAILQ_NEXT(item, link);
        if (item->used && report->done_count < most) {
            done[report->done_count++] = item->lease;
            move(pool, item, ITEM_TOLD);
        } else if (!item->used && report->unused_count < most) {
            unused[report->unused_count++] = item->lease;
            move(pool, item, ITEM_TOLD);
        }
    }
    pool->touched = false;
    return 0;
}

void leased_pool_told(struct leased_pool *pool, bool answered)
{
    struct item *item;

    while ((item = TAILQ_FIRST(&pool->lists[ITEM_TOLD]))) {
        if (answered) {
            drop(pool, item);
        } else {
            move(pool, item, ITEM_RETURNED);
        }
    }
}

void leased_pool_count(const struct leased_pool *pool, struct leased_counts *out)
{
    size_t unused = pool->counts[ITEM_UNUSED];

    *out = (struct leased_counts){
        .unused = unused,
        .out = pool->counts[ITEM_OUT] - pool->void_out,
        .returned = pool->counts[ITEM_RETURNED],
        .highest_id = pool->highest_id,
        .low = !pool->recycles && pool->touched && (int64_t)(2 * unused) <= pool->hold,
    };
}
