/*
 * Makes one allocation fail, each in turn:
 *
 *   bool failed = true;
 *   for (long n = 0; failed; n++) {
 *       failmalloc_start(n);
 *       code = what_is_tested();
 *       failed = failmalloc_stop();
 *       assert_int_equal(code, failed ? MITE_ENOMEM : 0);
 *   }
 *
 * Only those of the thread that calls. A test that includes this is linked with --wrap for malloc, calloc and realloc
 * (meson.build: `failing_tests`).
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static _Thread_local long failmalloc_left = -1; /* allocations before the one that fails; negative: none fails */
static _Thread_local bool failmalloc_hit;

static bool failmalloc_now(void)
{
    bool now = failmalloc_left == 0;

    failmalloc_left -= failmalloc_left >= 0;
    failmalloc_hit |= now;
    return now;
}

void *__wrap_malloc(size_t size)
{
    return failmalloc_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return failmalloc_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return failmalloc_now() ? NULL : __real_realloc(memory, size);
}

/* The n-th allocation from here on fails, counted from 0. */
static inline void failmalloc_start(long n)
{
    failmalloc_left = n;
    failmalloc_hit = false;
}

/* Whether one has failed since. */
static inline bool failmalloc_stop(void)
{
    failmalloc_left = -1;
    return failmalloc_hit;
}
