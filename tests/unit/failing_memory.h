/*
 * Memory that runs out on demand: malloc and its family, laid over the C library's. A test makes the n-th allocation
 * from now on fail, for every n, and finds that what it calls says so and leaves nothing behind. To be included by one
 * file of a program. The address sanitizer has its own malloc, so there FAILING_MEMORY is 0.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define FAILING_MEMORY 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FAILING_MEMORY 0
#endif
#endif
#ifndef FAILING_MEMORY
#define FAILING_MEMORY 1
#endif

static long allocations_left = -1; /* until one fails; negative: none will */
static bool allocation_failed;     /* since memory_fail_after() */
static long live_allocations;

/* The allocation after `count` good ones fails, and every one behind it. */
static inline void memory_fail_after(long count)
{
    allocations_left = count;
    allocation_failed = false;
}

/* All is well again. True when an allocation had failed. */
static inline bool memory_restore(void)
{
    allocations_left = -1;
    return allocation_failed;
}

#if FAILING_MEMORY
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *memory);

static bool may_allocate(void)
{
    if (allocations_left == 0) {
        allocation_failed = true;
        return false;
    }
    allocations_left -= allocations_left > 0;
    return true;
}

void *malloc(size_t size)
{
    void *memory = may_allocate() ? __libc_malloc(size) : NULL;
    live_allocations += memory != NULL;
    return memory;
}

void *calloc(size_t count, size_t size)
{
    void *memory = may_allocate() ? __libc_calloc(count, size) : NULL;
    live_allocations += memory != NULL;
    return memory;
}

void *realloc(void *old, size_t size)
{
    void *memory = may_allocate() ? __libc_realloc(old, size) : NULL;
    live_allocations += !old && memory;
    return memory;
}

void free(void *memory)
{
    live_allocations -= memory != NULL;
    __libc_free(memory);
}
#endif
