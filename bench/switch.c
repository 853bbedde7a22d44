/*
 * Nanoseconds for a round trip: resuming a fiber that parks at once. The best of many short rounds, for what disturbs a
 * machine only ever makes it slower, and a round shall fit between two disturbances.
 */
#include "base/clock.h"
#include "engine/fiber.h"

#include <stdio.h>

#define ROUNDS      1000
#define ROUND_TRIPS 10000

static void park_for_ever(void *arg)
{
    for (;;) {
        fiber_park();
    }
}

int main(void)
{
    struct fiber_pool *pool;
    uint64_t best = UINT64_MAX;

    if (fiber_pool_new(64 << 10, &pool, NULL) < 0) {
        return 1;
    }

    struct fiber *fiber = fiber_new(pool, park_for_ever, NULL, NULL);

    for (int round = 0; fiber && round < ROUNDS; round++) {
        uint64_t start = clock_now_ns();

        for (int i = 0; i < ROUND_TRIPS; i++) {
            fiber_resume(fiber);
        }

        uint64_t took = clock_now_ns() - start;

        best = took < best ? took : best;
    }
    if (fiber) {
        fiber_unwind(fiber);
    }
    fiber_pool_free(pool);
    printf("%.1f\n", (double)best / ROUND_TRIPS);
    return fiber ? 0 : 1;
}
