/*
 * Memory of a block of a journey in C: for journeys that go on and on. What the journey is given meanwhile comes from
 * the innermost block; what must last longer (deferred calls, sockets) comes from the journey's own memory.
 */
#include "runner/native_http.h"

#include <stdlib.h>

struct native_scratch {
    struct arena arena;
    struct native_scratch *outer; /* or the next spare one */
    uint64_t requests;            /* that the journey had made at the beginning */
};

struct mite_scratch mite_scratch_begin(struct mite_context *ctx)
{
    struct native *native = ctx->native;
    struct native_scratch *scratch = native->spare_scratches;

    if (scratch) {
        native->spare_scratches = scratch->outer;
    } else if ((scratch = malloc(sizeof *scratch))) {
        arena_init(&scratch->arena, 0);
    } else {
        native_raise(ctx, "MemoryError", STR("MemoryError: no memory for a block"));
    }
    scratch->outer = ctx->scratch;
    scratch->requests = ctx->requests;
    ctx->scratch = scratch;
    ctx->memory = &scratch->arena;
    return (struct mite_scratch){ctx, scratch};
}

static bool is_open(const struct mite_context *ctx, const void *block)
{
    const struct native_scratch *scratch = ctx->scratch;

    while (scratch && scratch != block) {
        scratch = scratch->outer;
    }
    return scratch != NULL;
}

static void end_innermost(struct mite_context *ctx)
{
    struct native_scratch *scratch = ctx->scratch;

    native_http_release_since(ctx, scratch->requests);
    native_sockets_forget(ctx, &scratch->arena);
    ctx->scratch = scratch->outer;
    ctx->memory = ctx->scratch ? &ctx->scratch->arena : &ctx->arena;
    arena_reset(&scratch->arena);
    scratch->outer = ctx->native->spare_scratches;
    ctx->native->spare_scratches = scratch;
}

void mite_scratch_end(struct mite_scratch *block)
{
    struct mite_context *ctx = block->ctx;

    block->ctx = NULL;
    for (bool more = ctx && is_open(ctx, block->memory); more;) {
        more = ctx->scratch != block->memory;
        end_innermost(ctx);
    }
}

void native_scratches_end(struct mite_context *ctx)
{
    while (ctx->scratch) {
        end_innermost(ctx);
    }
}

void native_scratches_close(struct native *native)
{
    struct native_scratch *scratch;

    while ((scratch = native->spare_scratches)) {
        native->spare_scratches = scratch->outer;
        arena_done(&scratch->arena);
        free(scratch);
    }
}
