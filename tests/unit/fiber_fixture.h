/* A pool of fibers for each test, which leaves none behind. */
#pragma once

#include "engine/fiber.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct fiber_pool *pool;

static int open_pool(void **state)
{
    return fiber_pool_new(0, &pool, NULL);
}

static int close_pool(void **state)
{
    if (fiber_pool_count(pool) != 0) {
        return -1;
    }
    fiber_pool_free(pool);
    return 0;
}
