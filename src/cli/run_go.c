#include "base/clock.h"
#include "base/log.h"
#include "cli/complain.h"
#include "cli/run.h"
#include "controller/windows.h"
#include "engine/signals.h"
#include "engine/watchdog.h"

#include <string.h>

#define BLOCKED_LIMIT_NS (1 * NS_PER_S)

static void on_grace_over(struct timer *timer)
{
    struct run *run = (struct run *)((char *)timer - offsetof(struct run, grace));

    if (run->cancelled || run->finished) {
        run->finished = true;
        loop_stop(run->loop);
        return;
    }
    log_line(LOG_INFO, "%g s of --graceful-stop are over: the journeys that still run are cancelled",
             run->options->graceful_stop_s);
    run_cancel(run);
}

void run_stop(struct run *run)
{
    if (run->draining || !engine_made(run)) {
        return;
    }
    run->draining = true;
    run->patience.stopping = true;
    run->patience.deadline_ns = clock_now_ns() + run->patience.stop_ns;
    engine_stop(run);
    if (run->grace_made && !run->cancelled) {
        timer_start(&run->grace, ns_from_s(run->options->graceful_stop_s), 0);
    }
}

void run_cancel(struct run *run)
{
    if (run->cancelled || !engine_made(run)) {
        return;
    }
    run->cancelled = true;
    run_stop(run);
    run->patience.deadline_ns = clock_now_ns() + RUN_CANCEL_GRACE_NS;
    timer_start(&run->grace, RUN_CANCEL_GRACE_NS, 0);
    engine_cancel(run);
}

static void on_signal(void *arg, int number, int count)
{
    struct run *run = arg;

    if (count == 1) {
        run->signal = number;
        log_line(LOG_INFO, "stopping: journeys have %g s to finish; a second signal ends them at once",
                 run->options->graceful_stop_s);
        run_stop(run);
    } else {
        run_cancel(run);
    }
}

double run_duration_s(const struct run *run)
{
    const struct options *options = run->options;
    double end_s = (double)windows_end_s(&run->scenario, options->max_loop_delay_s);

    return options->duration_s > 0 && (end_s < 0 || options->duration_s < end_s) ? options->duration_s : end_s;
}

static void set_deadline(struct run *run)
{
    double duration_s = run_duration_s(run);

    if (duration_s >= 0) {
        run->patience.deadline_ns =
            clock_now_ns() + ns_from_s(run->options->delay_start_s) + ns_from_s(duration_s) + run->patience.stop_ns;
    }
}

static int go(struct run *run, struct mite_error *error)
{
    struct watchdog_hooks blocked = culprit_hooks(&run->patience);
    int rc = timer_init(&run->grace, run->loop, on_grace_over);

    if (rc < 0) {
        return rc;
    }
    run->grace_made = true;
    rc = signals_start(run->loop, on_signal, run, error);
    if (rc < 0) {
        return rc;
    }
    run->signals_made = true;
    rc = watchdog_start(run->loop, BLOCKED_LIMIT_NS, &blocked, error);
    if (rc < 0) {
        return rc;
    }
    run->watchdog_made = true;
    if (!run->fleet) {
        set_deadline(run);
    }
    totals_start(&run->totals);
    display_start(&run->display);
    rc = engine_start(run, error);
    if (rc < 0) {
        return rc;
    }
    rc = loop_run(run->loop, error);
    return rc == 0 && !run->finished
               ? error_set(error, MITE_EUSER, "the run broke off: code of a journey's has stopped the event loop")
               : rc;
}

void run_go(struct run *run)
{
    struct mite_error error = {0};

    run->loading = true;
    if (go(run, &error) < 0) {
        complain("mite", &error);
        error_done(&error);
        run->status = run->status ? run->status : EXIT_BROKE;
    }
    totals_stop(&run->totals);
    display_finish(&run->display);
    run->patience.stopping = true;
    run->patience.deadline_ns = clock_now_ns(); /* clean-ups that are left had their time */
    if (run->signals_made) {
        signals_stop();
    }
    if (run->grace_made) {
        timer_close(&run->grace, NULL);
    }
}
