/* The journeys of journeys.py, in C. */
#include <mite/mite.h>

MITE_JOURNEY(get)
{
    MITE_TRANSACTION(ctx, "get") {
        mite_get(ctx, mite_config(ctx, "url", ""));
    }
}

MITE_JOURNEY(sleeper)
{
    mite_sleep(ctx, 3600);
}
