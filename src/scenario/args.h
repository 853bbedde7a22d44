/*
 * A journey's arguments: what one datapool item carries. Counted. They come as a value tree, or as something of the
 * host that made them (a Python tuple), which then needs no conversion on its way to a journey of the same host.
 */
#pragma once

#include "base/error.h"
#include "value/value.h"

struct args;

struct args_ops {
    const void *host; /* tells whose objects these are; a host takes its own without conversion */
    /* The list of arguments as a value in the arena. MITE_EINVAL: something in it that a message cannot carry. */
    int (*to_value)(const struct args *args, struct arena *arena, struct value *out, struct mite_error *error);
    void (*free)(struct args *args);
};

struct args {
    const struct args_ops *ops;
    unsigned refs;
};

/* Arguments that are a value tree: those of args_new() and of mite's own datapools. */
struct value_args {
    struct args args;
    struct value list; /* its memory belongs to whoever made it */
};

/* From a list value, copied. NULL without memory. */
struct args *args_new(const struct value *list) PRIVATE_API(args_new);
/* The list when `args` is a value tree (borrowed), NULL otherwise. */
const struct value *args_value(const struct args *args) PRIVATE_API(args_value);

/* For ops of further owners of value_args: their host and how they become a value. */
extern const char args_value_host[] PRIVATE_API(args_value_host);
int args_value_copy(const struct args *args, struct arena *arena, struct value *out, struct mite_error *error)
    PRIVATE_API(args_value_copy);

static inline struct args *args_ref(struct args *args)
{
    if (args) {
        args->refs++;
    }
    return args;
}

static inline void args_unref(struct args *args)
{
    if (args && --args->refs == 0) {
        args->ops->free(args);
    }
}
