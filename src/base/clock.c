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

/* How far the wall clock is ahead of the monotonic one. It hardly ever changes, and never fast unless somebody sets it:
 * looked up every few milliseconds, it makes a second clock of the first, and a request reads each moment once. */
#define LEAD_AGE_NS (10 * NS_PER_MS)

struct lead {
    uint64_t ns, looked_up_ns; /* 0: never */
};

static _Thread_local struct lead lead __attribute__((tls_model("initial-exec")));

/* Between two looks at the one clock that lie close together: nothing has come between them. */
static void look_up_lead(void)
{
    uint64_t before, wall, after;
    int tries = 4;

    do {
        before = read_ns(CLOCK_MONOTONIC);
        wall = read_ns(CLOCK_REALTIME);
        after = read_ns(CLOCK_MONOTONIC);
    } while (after - before > NS_PER_US && --tries > 0);
    lead = (struct lead){wall - (before + (after - before) / 2), after};
}

double clock_wall_at(uint64_t mono_ns)
{
    if (mono_ns >= lead.looked_up_ns + LEAD_AGE_NS || lead.looked_up_ns == 0) {
        look_up_lead();
    }
    return ns_to_s(mono_ns + lead.ns);
}

double clock_wall_s(void)
{
    return clock_wall_at(clock_now_ns());
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
