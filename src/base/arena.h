/*
 * Memory that is freed all at once: a chain of blocks and a pointer that only moves forward. Value trees live in one.
 */
#pragma once

#include "base/export.h"
#include "base/str.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    char *next, *end;           /* free part of the newest */
    size_t used_bytes;          /* asked for since init or reset */
    size_t max_bytes;           /* 0: no limit */
};

void arena_init(struct arena *arena, size_t max_bytes) PRIVATE_API(arena_init);
void arena_done(struct arena *arena) PRIVATE_API(arena_done);
void arena_reset(struct arena *arena) PRIVATE_API(arena_reset); /* keeps one block */

/* Aligned for any type, not zeroed; a size of 0 gives a pointer too. NULL without memory or past max_bytes. */
void *arena_alloc(struct arena *arena, size_t size) PRIVATE_API(arena_alloc);

/* Why arena_alloc() of this size gave NULL: MITE_ELIMIT or MITE_ENOMEM. */
int arena_failure(const struct arena *arena, size_t size) PRIVATE_API(arena_failure);
struct str arena_str(struct arena *arena, struct str s) PRIVATE_API(arena_str); /* copy; p NULL without memory */
