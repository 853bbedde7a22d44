/* The journeys of journeys.py, in C. */
#include <mite/mite.h>

#include <stdio.h>
#include <time.h>

MITE_JOURNEY(nothing)
{
    (void)ctx;
}

MITE_JOURNEY(get)
{
    MITE_TRANSACTION(ctx, "get") {
        mite_get(ctx, mite_config(ctx, "url", ""));
    }
}

MITE_JOURNEY(ten)
{
    MITE_TRANSACTION(ctx, "ten") {
        for (int i = 0; i < 10; i++) {
            mite_get(ctx, mite_config(ctx, "url", ""));
        }
    }
}

/* The last of so many says when all of them are asleep. */
MITE_JOURNEY(sleeper)
{
    static int64_t asleep;

    if (++asleep == mite_config_int(ctx, "sleepers", 0)) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        printf("asleep %lld.%09ld\n", (long long)now.tv_sec, now.tv_nsec);
        fflush(stdout);
    }
    mite_sleep(ctx, 3600);
}
