/*
 * A list of values that grows: what readers of files collect items in.
 */
#pragma once

#include "value/value.h"

struct value_items {
    struct value *items; /* owned */
    size_t count, capacity;
};

/* 0, MITE_ENOMEM or MITE_ELIMIT. Starts all zero. */
int value_items_add(struct value_items *items, const struct value *value);
/* As a list in the arena; frees the items, also on failure. 0 or MITE_ENOMEM. */
int value_items_finish(struct value_items *items, struct arena *arena, struct value *out);
void value_items_done(struct value_items *items);
