#include "scenario/args.h"

#include <stdlib.h>

/* What args_new() makes. */
struct owned_args {
    struct value_args base;
    struct arena arena; /* holds the list */
};

const char args_value_host[] = "values";

int args_value_copy(const struct args *args, struct arena *arena, struct value *out, struct mite_error *error)
{
    int rc = value_copy(arena, &((const struct value_args *)args)->list, out);

    return rc < 0 ? error_set(error, rc, "no memory for a journey's arguments") : 0;
}

static void owned_free(struct args *args)
{
    struct owned_args *owned = (struct owned_args *)args;

    arena_done(&owned->arena);
    free(owned);
}

static const struct args_ops owned_ops = {.host = args_value_host, .to_value = args_value_copy, .free = owned_free};

struct args *args_new(const struct value *list)
{
    struct owned_args *owned = calloc(1, sizeof *owned);

    if (!owned) {
        return NULL;
    }
    owned->base.args = (struct args){.ops = &owned_ops, .refs = 1};
    arena_init(&owned->arena, 0);
    if (value_copy(&owned->arena, list, &owned->base.list) < 0) {
        owned_free(&owned->base.args);
        return NULL;
    }
    return &owned->base.args;
}

const struct value *args_value(const struct args *args)
{
    return args->ops->host == args_value_host ? &((const struct value_args *)args)->list : NULL;
}
