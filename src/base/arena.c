#include "base/arena.h"

#include "base/error.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

#define FIRST_BLOCK   1024
#define LARGEST_BLOCK ((size_t)1 << 20)

struct arena_block {
    size_t size;               /* of bytes[] */
    struct arena_block *older; /* right before bytes[]: no size that free() would take for that of a block of its own */
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

/* The newest block is most often the largest, so that is the one to keep, unless a single huge value asked for it. */
void arena_reset(struct arena *arena)
{
    struct arena_block *kept = arena->blocks;

    if (kept && kept->size > LARGEST_BLOCK) {
        arena_done(arena);
    } else if (kept) {
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

/* Whole units of the strictest alignment, one at least; 0 for more than any object can have. */
static size_t round_up(size_t size)
{
    size_t unit = alignof(max_align_t);

    return size == 0 ? unit : size > PTRDIFF_MAX - sizeof(struct arena_block) ? 0 : (size + unit - 1) & ~(unit - 1);
}

static bool is_allowed(const struct arena *arena, size_t size)
{
    size_t rounded = round_up(size);

    return rounded != 0 && (!arena->max_bytes || rounded <= arena->max_bytes - arena->used_bytes);
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t rounded = round_up(size);

    if (!is_allowed(arena, size)) {
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

int arena_failure(const struct arena *arena, size_t size)
{
    return is_allowed(arena, size) ? MITE_ENOMEM : MITE_ELIMIT;
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
