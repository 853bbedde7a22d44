/*
 * Stacks for fibers, pooled: pieces of large mappings without huge pages, each with a guard below it.
 *
 *   address space   | guard (one page) | low ......... grows down ......... high |
 *
 * Guards, the best that there is:
 *   1. MADV_GUARD_INSTALL (Linux 6.13): a mark in the page table, at no cost;
 *   2. a page without access: it splits the mapping, and the kernel limits those (vm.max_map_count, 65,530 by
 *      default), so that about 30,000 stacks can have one;
 *   3. a canary: the upper end of the guard page holds zeros, and whoever owns the stack looks now and then whether it
 *      still does. Reading a page that was never written maps the system's page of zeros: it costs no memory, and all
 *      canaries share one line of the cache. Entered with one line in the log.
 *
 * Memory: a stack that is put back stays warm for the next one. Every 16th time what lies deeper than its two topmost
 * pages goes back to the system, so that one that was used deeply once does not keep it for ever. Every 1,024th put
 * takes the memory of those stacks that have lain idle since the look before, all but 256.
 *
 * Life cycle: stack_pool_new, stack_get and stack_put, stack_pool_free when all were put back. stack_get allocates only
 * when more stacks are out than ever before; stack_put never. One thread.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct stack_pool;

struct stack {
    char *low, *high;     /* the first byte that may be used, and the one behind the last */
    unsigned guard_bytes; /* below low */
    unsigned uses;        /* how often it was put back */
    bool canary;          /* the guard is no protected page: ask stack_canary_alive() */
};

/* `stack_bytes`: address space for each, guard included; rounded up to pages, at least four. */
int stack_pool_new(size_t stack_bytes, struct stack_pool **out, struct mite_error *error);
/* NULL is a no-op. */
void stack_pool_free(struct stack_pool *pool);

int stack_get(struct stack_pool *pool, struct stack *out); /* 0 or MITE_ENOMEM */
void stack_put(struct stack_pool *pool, struct stack *stack);

/* What is looked at of a canary. Frames that write less often than this slip through. */
#define STACK_CANARY_BYTES 1024

/* Both signal-safe. */
static inline bool stack_canary_alive(const struct stack *stack)
{
    const unsigned long *words = (const unsigned long *)(stack->low - STACK_CANARY_BYTES);
    unsigned long all = 0;

    for (size_t i = 0; i < STACK_CANARY_BYTES / sizeof *words; i++) {
        all |= words[i];
    }
    return all == 0;
}

static inline bool stack_guards(const struct stack *stack, const void *address)
{
    const char *at = address;

    return at < stack->low && at >= stack->low - stack->guard_bytes;
}
