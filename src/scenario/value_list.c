#include "scenario/value_list.h"

#include <stdlib.h>

int value_items_add(struct value_items *items, const struct value *value)
{
    if (items->count == items->capacity) {
        size_t capacity = items->capacity ? items->capacity * 2 : 64;
        struct value *grown = capacity > UINT32_MAX ? NULL : realloc(items->items, capacity * sizeof *grown);
        if (!grown) {
            return capacity > UINT32_MAX ? MITE_ELIMIT : MITE_ENOMEM;
        }
        items->items = grown;
        items->capacity = capacity;
    }
    items->items[items->count++] = *value;
    return 0;
}

int value_items_finish(struct value_items *items, struct arena *arena, struct value *out)
{
    struct value *copy = arena_alloc(arena, items->count * sizeof *copy);

    if (copy) {
        memcpy(copy, items->items ? items->items : copy, items->count * sizeof *copy);
        *out = value_list(copy, (uint32_t)items->count);
    }
    value_items_done(items);
    return copy ? 0 : MITE_ENOMEM;
}

void value_items_done(struct value_items *items)
{
    free(items->items);
    *items = (struct value_items){0};
}
