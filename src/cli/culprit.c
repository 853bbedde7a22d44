#include "cli/culprit.h"

#include "base/clock.h"
#include "base/log.h"
#include "cli/exit.h"
#include "engine/blocking.h"
#include "engine/signals.h"
#include "runner/native.h"
#include "runner/native_watch.h"

#include <stdio.h>

/* At the end the loop may be held up this long before it is given up. */
#define HELD_UP_NS (3 * NS_PER_S)

void culprit_of_crash(void *arg, struct crash_who *out)
{
    const struct context *context = blocking_owner();

    context = context ? context : native_running();
    context = context ? context : context_running();
    if (!context) {
        return;
    }
    out->journey = context->origin.journey.p;
    out->journey_bytes = context->origin.journey.n;
    if (context->current) {
        struct str label = message_transaction_label(context->current->path);
        out->transaction = label.p;
        out->transaction_bytes = label.n;
    }
    out->subject = context;
}

/* In a signal handler. No other code of the loop's thread runs before what blocks it ends, and it may never. */
static void on_blocked(void *arg, uint64_t blocked_ns)
{
    struct patience *patience = arg;

    /* The interpreter ends its own at the second one, so that only what it does not reach gets a third. */
    if (signals_count() > (native_running() ? 1 : 2)) {
        crash_give_up("it blocks the loop, and the run is to end at once", EXIT_SIGNALLED);
    }
    native_watch_hooks.blocked(NULL, blocked_ns);
    if (signals_count() > 0 && !patience->stopping && !patience->asked_to_stop) {
        uint64_t end_ns = clock_now_ns() + patience->stop_ns, planned_ns = patience->deadline_ns;
        patience->asked_to_stop = true;
        patience->deadline_ns = planned_ns && planned_ns < end_ns ? planned_ns : end_ns;
    }
    if (blocked_ns > HELD_UP_NS && patience->deadline_ns && clock_now_ns() > patience->deadline_ns) {
        crash_give_up("it blocks the loop past the end of the run", EXIT_BROKE);
    }
}

static void on_recovered(void *arg, uint64_t blocked_ns)
{
    native_watch_hooks.recovered(NULL, blocked_ns);
}

struct watchdog_hooks culprit_hooks(struct patience *patience)
{
    return (struct watchdog_hooks){.blocked = on_blocked, .recovered = on_recovered, .arg = patience};
}

void culprit_blocks(void *arg, const char *journey, const char *location, uint64_t blocked_ns)
{
    char who[128] = "code outside of any journey";

    if (journey) {
        snprintf(who, sizeof who, "journey \"%.100s\"", journey);
    }
    log_line(LOG_WARNING, "%s has blocked the loop for %.1f s at %s: nothing else runs meanwhile", who,
             ns_to_s(blocked_ns), location);
}
