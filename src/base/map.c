#include "base/map.h"

#include "base/error.h"
#include "base/hash.h"

#include <stdlib.h>

#define FIRST_SLOTS 16
#define FEW         8 /* entries that are compared one by one in less time than a key is hashed */
#define REMOVED     UINT32_MAX

void map_init(struct map *map)
{
    *map = (struct map){0};
}

void map_done(struct map *map, void (*free_value)(void *))
{
    for (uint32_t i = 0; i < map->entry_count; i++) {
        if (map->entries[i].key.p && free_value) {
            free_value(map->entries[i].value);
        }
        free((char *)map->entries[i].key.p);
    }
    free(map->entries);
    free(map->slots);
    *map = (struct map){0};
}

/* The slot that holds the key, or NULL. */
static uint32_t *find_slot(const struct map *map, struct str key, uint64_t hash)
{
    uint32_t mask = map->slot_count - 1;

    if (map->live_count == 0) {
        return NULL;
    }
    for (uint32_t i = (uint32_t)hash & mask; map->slots[i] != 0; i = (i + 1) & mask) {
        uint32_t slot = map->slots[i];

        if (slot != REMOVED && map->entries[slot - 1].hash == hash && str_equal(map->entries[slot - 1].key, key)) {
            return &map->slots[i];
        }
    }
    return NULL;
}

static void *get_of_few(const struct map *map, struct str key)
{
    for (uint32_t i = 0; i < map->entry_count; i++) {
        const struct map_entry *entry = &map->entries[i];

        if (entry->key.p && str_equal(entry->key, key)) {
            return entry->value;
        }
    }
    return NULL;
}

void *map_get(const struct map *map, struct str key)
{
    if (map->entry_count <= FEW) {
        return get_of_few(map, key);
    }
    uint32_t *slot = find_slot(map, key, hash_bytes(key));

    return slot ? map->entries[*slot - 1].value : NULL;
}

static void place(struct map *map, uint32_t entry)
{
    uint32_t mask = map->slot_count - 1, i = (uint32_t)map->entries[entry].hash & mask;

    while (map->slots[i] != 0) {
        i = (i + 1) & mask;
    }
    map->slots[i] = entry + 1;
}

/* New tables without the removed entries, a third of them free at least, so that a map whose keys come and go is not
 * rebuilt at every turn. The old ones stay when there is no memory. */
static int rebuild(struct map *map)
{
    uint32_t slot_count = FIRST_SLOTS;

    while (slot_count / 2 <= map->live_count + map->live_count / 2) {
        slot_count *= 2;
    }

    uint32_t *slots = calloc(slot_count, sizeof(*slots));
    struct map_entry *entries = malloc(slot_count / 2 * sizeof(*entries));

    if (!slots || !entries) {
        free(slots);
        free(entries);
        return MITE_ENOMEM;
    }

    uint32_t count = 0;

    for (uint32_t i = 0; i < map->entry_count; i++) {
        if (map->entries[i].key.p) {
            entries[count++] = map->entries[i];
        }
    }
    free(map->entries);
    free(map->slots);
    map->entries = entries;
    map->slots = slots;
    map->entry_count = count;
    map->entry_capacity = slot_count / 2;
    map->slot_count = slot_count;
    for (uint32_t i = 0; i < count; i++) {
        place(map, i);
    }
    return 0;
}

int map_set(struct map *map, struct str key, void *value, void **old)
{
    uint64_t hash = hash_bytes(key);
    uint32_t *slot = find_slot(map, key, hash);

    if (slot) {
        if (old) {
            *old = map->entries[*slot - 1].value;
        }
        map->entries[*slot - 1].value = value;
        return 0;
    }

    char *copy = malloc(key.n + 1);

    if (!copy || (map->entry_count == map->entry_capacity && rebuild(map) < 0)) {
        free(copy);
        return MITE_ENOMEM;
    }
    if (key.n) {
        memcpy(copy, key.p, key.n);
    }
    copy[key.n] = '\0';
    map->entries[map->entry_count] = (struct map_entry){.key = {copy, key.n}, .value = value, .hash = hash};
    place(map, map->entry_count++);
    map->live_count++;
    if (old) {
        *old = NULL;
    }
    return 0;
}

void *map_remove(struct map *map, struct str key)
{
    uint32_t *slot = find_slot(map, key, hash_bytes(key));

    if (!slot) {
        return NULL;
    }

    struct map_entry *entry = &map->entries[*slot - 1];
    void *value = entry->value;

    *slot = REMOVED;
    free((char *)entry->key.p);
    entry->key = STR_NONE;
    entry->value = NULL;
    map->live_count--;
    return value;
}

struct map_entry *map_next(const struct map *map, uint32_t *index)
{
    while (*index < map->entry_count) {
        struct map_entry *entry = &map->entries[(*index)++];

        if (entry->key.p) {
            return entry;
        }
    }
    return NULL;
}
