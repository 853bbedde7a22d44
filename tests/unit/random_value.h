/* Value trees of every shape from a seed, for what must come back as it went. */
#pragma once

#include "value/value.h"

#include <float.h>

static inline uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static inline struct str random_text(struct arena *arena, uint64_t *seed)
{
    static const char *const pieces[] = {
        "a", "key", "\n", "\"", "\\", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\x7f", "\x01"};
    char text[400] = "";
    size_t count = random_next(seed) % 8 == 0 ? 60 : random_next(seed) % 4;

    for (size_t i = 0; i < count; i++) {
        strcat(text, pieces[random_next(seed) % (sizeof pieces / sizeof *pieces)]);
    }
    return arena_str(arena, str_of(text));
}

static inline int64_t random_int(uint64_t *seed)
{
    static const int64_t edges[] = {0,         -1,        -32,     -33,       127,        128,       -128,
                                    -129,      255,       256,     INT16_MAX, UINT16_MAX, INT32_MIN, INT32_MAX,
                                    INT64_MIN, INT64_MAX, 1 << 16, -40000,    UINT32_MAX};

    return random_next(seed) % 2 ? edges[random_next(seed) % (sizeof edges / sizeof *edges)]
                                 : (int64_t)random_next(seed) >> random_next(seed) % 64;
}

static inline double random_float(uint64_t *seed)
{
    static const double edges[] = {0, 1, -1.5, 0.1, 1e15, 1e16, 1e300, DBL_MAX, DBL_MIN, 5e-324, 1795245656.7183335};
    uint64_t bits = random_next(seed);
    double f;

    memcpy(&f, &bits, sizeof f);
    return random_next(seed) % 2 || f != f || f - f != 0 ? edges[bits % (sizeof edges / sizeof *edges)] : f;
}

/* Nests `depth` deep at most. */
static inline struct value random_value(struct arena *arena, uint64_t *seed, unsigned depth)
{
    enum value_type type = (enum value_type)(random_next(seed) % (depth ? VALUE_MAP + 1 : VALUE_LIST));
    uint32_t count = (uint32_t)(random_next(seed) % 6);

    switch (type) {
    case VALUE_NIL:
        return value_nil();
    case VALUE_BOOL:
        return value_bool(random_next(seed) % 2);
    case VALUE_INT:
        return value_int(random_int(seed));
    case VALUE_UINT:
        return (struct value){.type = VALUE_UINT, .large = random_next(seed) | UINT64_C(1) << 63};
    case VALUE_FLOAT:
        return value_float(random_float(seed));
    case VALUE_TEXT:
        return value_text(random_text(arena, seed));
    case VALUE_BYTES: {
        uint64_t bytes[5] = {random_next(seed), random_next(seed)};

        return value_bytes(arena_str(arena, (struct str){(const char *)bytes, random_next(seed) % sizeof bytes}));
    }
    case VALUE_LIST: {
        struct value *items = arena_alloc(arena, count * sizeof *items);

        for (uint32_t i = 0; i < count; i++) {
            items[i] = random_value(arena, seed, depth - 1);
        }
        return value_list(items, count);
    }
    case VALUE_MAP: {
        struct pair *pairs = arena_alloc(arena, count * sizeof *pairs);

        for (uint32_t i = 0; i < count; i++) {
            /* Mostly text, as in messages; numbered, because JSON keeps the last of equal keys. */
            pairs[i].key = random_next(seed) % 8 ? value_text(arena_str(arena, (struct str){&"012345"[i], 1}))
                                                 : random_value(arena, seed, depth - 1);
            pairs[i].value = random_value(arena, seed, depth - 1);
        }
        return value_map(pairs, count);
    }
    }
    return value_nil();
}
