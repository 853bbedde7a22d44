#include "cli/restarts.h"

#include "base/clock.h"

#include <stdlib.h>

#define FIRST_PAUSE_NS (NS_PER_S / 2)
#define HEALTHY_NS     (60 * NS_PER_S) /* who ran so long has all tries again */

/* For the slot that is due first. */
static void set_timer(struct restarts *restarts)
{
    uint64_t first_ns = UINT64_MAX, now_ns = clock_now_ns();

    for (size_t i = 0; i < restarts->count; i++) {
        uint64_t due_ns = restarts->slots[i].due_ns;
        first_ns = due_ns > 0 && due_ns < first_ns ? due_ns : first_ns;
    }
    if (first_ns != UINT64_MAX) {
        timer_start(&restarts->timer, first_ns > now_ns ? first_ns - now_ns : 0, 0);
    }
}

static void on_timer(struct timer *timer)
{
    struct restarts *restarts = (struct restarts *)timer;
    uint64_t now_ns = clock_now_ns();

    for (size_t i = 0; i < restarts->count; i++) {
        if (restarts->slots[i].due_ns > 0 && restarts->slots[i].due_ns <= now_ns) {
            restarts->slots[i].due_ns = 0;
            restarts->start(restarts->arg, i);
        }
    }
    set_timer(restarts);
}

int restarts_init(struct restarts *restarts, struct loop *loop, size_t count, void (*start)(void *arg, size_t slot),
                  void *arg)
{
    struct restart_slot *slots = calloc(count, sizeof *slots);

    if (!slots) {
        return MITE_ENOMEM;
    }
    *restarts = (struct restarts){.slots = slots, .count = count, .start = start, .arg = arg};
    return timer_init(&restarts->timer, loop, on_timer);
}

void restarts_started(struct restarts *restarts, size_t slot)
{
    restarts->slots[slot].started_ns = clock_now_ns();
}

uint64_t restarts_plan(struct restarts *restarts, size_t index)
{
    struct restart_slot *slot = &restarts->slots[index];
    uint64_t now_ns = clock_now_ns();

    slot->crashes = now_ns - slot->started_ns >= HEALTHY_NS ? 0 : slot->crashes;
    if (slot->crashes == RESTARTS_TRIES) {
        return 0;
    }
    uint64_t pause_ns = FIRST_PAUSE_NS << slot->crashes++;
    slot->due_ns = now_ns + pause_ns;
    set_timer(restarts);
    return pause_ns;
}

bool restarts_waiting(const struct restarts *restarts)
{
    for (size_t i = 0; i < restarts->count; i++) {
        if (restarts->slots[i].due_ns > 0) {
            return true;
        }
    }
    return false;
}

void restarts_forget(struct restarts *restarts)
{
    for (size_t i = 0; i < restarts->count; i++) {
        restarts->slots[i].due_ns = 0;
    }
}

void restarts_close(struct restarts *restarts)
{
    if (restarts->count > 0) {
        free(restarts->slots);
        restarts->count = 0;
        timer_close(&restarts->timer, NULL);
    }
}
