#include "base/clock.h"

#include <time.h>

static uint64_t read_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t clock_now_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

double clock_wall_s(void)
{
    return ns_to_s(read_ns(CLOCK_REALTIME));
}

double clock_wall_at(uint64_t mono_ns)
{
    uint64_t now = clock_now_ns();
    double wall = clock_wall_s();

    return mono_ns <= now ? wall - ns_to_s(now - mono_ns) : wall + ns_to_s(mono_ns - now);
}

uint64_t clock_cpu_ns(void)
{
    return read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t ns_from_s(double seconds)
{
    if (!(seconds > 0)) {
        return 0;
    }
    /* 2^64 is the first double that does not fit. */
    return seconds >= 18446744073.709551616 ? UINT64_MAX : (uint64_t)(seconds * 1e9);
}
