#include "scenario/function_models.h"

#include "scenario/value_list.h"

#include <stdlib.h>

#define ITEMS_MAX 10000000 /* of a pool that keeps them all */

/* ---- datapools ---- */

struct function_pool {
    struct datapool base;
    item_function *next;
    void *arg;
    uint64_t index; /* of the next item */
    bool over;
};

static void checkout(struct datapool *base, datapool_checkout_done *done, void *arg)
{
    struct function_pool *pool = (struct function_pool *)base;
    struct value item = value_nil();
    struct mite_error error = {0};

    if (pool->over || !pool->next(pool->arg, pool->index, &item)) {
        pool->over = true;
        done(arg, MITE_EEND, NULL, NULL);
        return;
    }
    pool->index++;
    if (value_check(&item, &error) < 0) {
        error_prefix(&error, "item %llu of a datapool", (unsigned long long)pool->index - 1);
        done(arg, MITE_EINVAL, NULL, &error);
        return;
    }
    if (item.type != VALUE_LIST) {
        error_set(&error, MITE_EINVAL, "item %llu of a datapool is %s; a journey's arguments are a list",
                  (unsigned long long)pool->index - 1, value_type_name(item.type));
        done(arg, MITE_EINVAL, NULL, &error);
        return;
    }
    struct datapool_item out = {.id = value_int((int64_t)pool->index), .args = args_new(&item)};
    if (!out.args) {
        error_set(&error, MITE_ENOMEM, "no memory for an item of a datapool");
        done(arg, MITE_ENOMEM, NULL, &error);
        return;
    }
    done(arg, 0, &out, NULL);
}

static void checkin(struct datapool *base, const struct value *id, datapool_checkin_done *done, void *arg)
{
    done(arg);
}

static void pool_free(struct datapool *base)
{
    free(base);
}

static const struct datapool_ops pool_ops = {.checkout = checkout, .checkin = checkin, .free = pool_free};

int datapool_function_new(item_function *next, void *arg, struct datapool **out, struct mite_error *error)
{
    struct function_pool *pool = calloc(1, sizeof *pool);

    if (!pool) {
        return error_set(error, MITE_ENOMEM, "no memory for a datapool");
    }
    pool->base = (struct datapool){.ops = &pool_ops, .kind = DATAPOOL_ONCE, .refs = 1};
    pool->next = next;
    pool->arg = arg;
    *out = &pool->base;
    return 0;
}

int items_from_function(struct arena *arena, item_function *next, void *arg, struct value *out,
                        struct mite_error *error)
{
    struct value_items items = {0};
    struct value item = value_nil(), copy;
    int rc = 0;

    for (uint64_t index = 0; rc == 0 && next(arg, index, &item); index++) {
        if (index == ITEMS_MAX) {
            value_items_done(&items);
            return error_set(error, MITE_ELIMIT,
                             "the function of a recyclable datapool has made %d items and goes on: it must end, or the "
                             "pool be an iterable one",
                             ITEMS_MAX);
        }
        rc = value_check(&item, error);
        if (rc < 0) {
            value_items_done(&items);
            return error_prefix(error, "item %llu of a datapool", (unsigned long long)index);
        }
        rc = value_copy(arena, &item, &copy);
        if (rc == 0) {
            rc = value_items_add(&items, &copy);
        }
        item = value_nil();
    }
    if (rc == 0) {
        rc = value_items_finish(&items, arena, out);
    }
    value_items_done(&items);
    return rc == 0 ? 0 : error_set(error, rc, "no memory for the items of a datapool");
}

/* ---- volume models ---- */

struct function_model {
    struct volume_model base;
    int64_t (*volume)(void *arg, int64_t start_s, int64_t end_s);
    void *arg;
};

static int at(struct volume_model *base, int64_t start_s, int64_t end_s, int64_t *wanted, struct mite_error *error)
{
    struct function_model *model = (struct function_model *)base;
    int64_t volume = model->volume(model->arg, start_s, end_s);

    if (volume == -1) {
        return MITE_EEND;
    }
    *wanted = volume;
    return 0;
}

static void model_free(struct volume_model *model)
{
    free(model);
}

static const struct volume_model_ops model_ops = {.at = at, .free = model_free};

int volume_function_new(int64_t (*volume)(void *arg, int64_t start_s, int64_t end_s), void *arg,
                        struct volume_model **out, struct mite_error *error)
{
    struct function_model *model = calloc(1, sizeof *model);

    if (!model) {
        return error_set(error, MITE_ENOMEM, "no memory for a volume model");
    }
    model->base = (struct volume_model){.ops = &model_ops, .duration_s = -1, .max_starts = -1};
    model->volume = volume;
    model->arg = arg;
    *out = &model->base;
    return 0;
}
