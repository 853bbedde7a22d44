#include "base/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#define FIRST_BLOCK 1024
#define LARGEST_BLOCK ((size_t)1 << 20)

struct arena_block {
    struct arena_block *older;
    size_t size; /* of bytes[] */
    alignas(max_align_t) char bytes[];
};

void arena_init(struct arena *arena, size_t max_bytes)
{
    *arena = (struct arena){.max_bytes = max_bytes};
}

void arena_done(struct arena *arena)
{
    while (arena->blocks) {
        struct arena_block *block = arena->blocks;

        arena->blocks = block->older;
        free(block);
    }
    arena_init(arena, arena->max_bytes);
}

/* The newest block is the largest of a series, so that is the one to keep. */
void arena_reset(struct arena *arena)
{
    struct arena_block *kept = arena->blocks;

    if (kept) {
        arena->blocks = kept->older;
        kept->older = NULL;
        arena_done(arena);
        arena->blocks = kept;
        arena->next = kept->bytes;
        arena->end = kept->bytes + kept->size;
    }
    arena->used_bytes = 0;
}

static bool add_block(struct arena *arena, size_t size)
{
    size_t room = arena->blocks ? arena->blocks->size * 2 : FIRST_BLOCK;

    room = room > LARGEST_BLOCK ? LARGEST_BLOCK : room;
    room = room < size ? size : room;

    struct arena_block *block = malloc(sizeof(*block) + room);

    if (!block) {
        return false;
    }
    *block = (struct arena_block){.older = arena->blocks, .size = room};
    arena->blocks = block;
    arena->next = block->bytes;
    arena->end = block->bytes + room;
    return true;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t align = alignof(max_align_t), rounded = (size + align - 1) & ~(align - 1);

    if (rounded < size || (arena->max_bytes && rounded > arena->max_bytes - arena->used_bytes)) {
        return NULL;
    }
    if (rounded > (size_t)(arena->end - arena->next) && !add_block(arena, rounded)) {
        return NULL;
    }

    void *memory = arena->next;

    arena->next += rounded;
    arena->used_bytes += rounded;
    return memory;
}

struct str arena_str(struct arena *arena, struct str s)
{
    char *copy = s.p ? arena_alloc(arena, s.n + 1) : NULL;

    if (!copy) {
        return STR_NONE;
    }
    memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    return (struct str){copy, s.n};
}
