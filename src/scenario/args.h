/*
 * A journey's arguments: what one datapool item carries. Counted. They come as a value tree, or as something of the host
 * that made them (a Python tuple), which then needs no conversion on its way to a journey of the same host.
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

/* From a list value, copied. NULL without memory. */
struct args *args_new(const struct value *list) PRIVATE_API(args_new);
/* The value when `args` was made by args_new(), NULL otherwise. */
const struct value *args_value(const struct args *args) PRIVATE_API(args_value);

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
