/*
 * Hash map from byte strings to pointers: open addressing, insertion order kept for iteration, seeded at start so that
 * a peer cannot choose colliding keys. Keys are copied, values are the caller's.
 */
#pragma once

#include "base/export.h"
#include "base/str.h"

#include <stdint.h>

struct map_entry {
    struct str key; /* owned by the map; p NULL once removed */
    void *value;
    uint64_t hash;
};

struct map {
    struct map_entry *entries; /* in order of insertion, removed ones in between */
    uint32_t *slots;           /* index into entries + 1; 0 empty */
    uint32_t entry_count, entry_capacity, slot_count, live_count;
};

void map_init(struct map *map) PRIVATE_API(map_init);                             /* no allocation */
void map_done(struct map *map, void (*free_value)(void *)) PRIVATE_API(map_done); /* free_value may be NULL */
void *map_get(const struct map *map, struct str key) PRIVATE_API(map_get);        /* NULL: not there */
/* Replaces; the old value, if any, goes to *old when old is not NULL. 0 or MITE_ENOMEM. */
int map_set(struct map *map, struct str key, void *value, void **old) PRIVATE_API(map_set);
void *map_remove(struct map *map, struct str key) PRIVATE_API(map_remove);

/* for (uint32_t i = 0; (entry = map_next(map, &i));) */
struct map_entry *map_next(const struct map *map, uint32_t *index) PRIVATE_API(map_next);
