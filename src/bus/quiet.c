#include "bus/quiet.h"

#include "base/clock.h"

#define LOOK_NS (50 * NS_PER_MS)
#define LOOKS   2        /* the first may only tell that this process had to wait for its turn */
#define MOST_NS NS_PER_S /* of waiting */

static void on_look(struct timer *timer)
{
    struct quiet *quiet = (struct quiet *)timer;

    quiet->looks = *quiet->received == quiet->before ? quiet->looks + 1 : 0;
    quiet->before = *quiet->received;
    if (quiet->looks == LOOKS || clock_now_ns() >= quiet->start_ns + MOST_NS) {
        timer_stop(timer);
        quiet->done(quiet->arg);
    }
}

void quiet_init(struct quiet *quiet, struct loop *loop)
{
    timer_init(&quiet->timer, loop, on_look);
}

void quiet_wait(struct quiet *quiet, const uint64_t *received, void (*done)(void *arg), void *arg)
{
    quiet->received = received;
    quiet->before = *received;
    quiet->looks = 0;
    quiet->start_ns = clock_now_ns();
    quiet->done = done;
    quiet->arg = arg;
    timer_start(&quiet->timer, LOOK_NS, LOOK_NS);
}
