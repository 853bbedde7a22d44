/*
 * Who runs the journeys of a run: a controller and a runner in this process, or a fleet of runner processes. The rest
 * of the run does not know which.
 */
#include "base/log.h"
#include "cli/python.h"
#include "cli/run.h"
#include "cli/run_fleet.h"
#include "engine/watchdog.h"

#include <signal.h>

static struct controller_options limits_of(const struct run *run)
{
    const struct options *options = run->options;

    return (struct controller_options){
        .spawn_rate = options->spawn_rate,
        .max_loop_delay_s = options->max_loop_delay_s,
        .delay_start_s = options->delay_start_s,
        .duration_s = options->duration_s,
        .iterations = run->kind == RUN_ONCE ? 1 : options->iterations,
        .failure_backoff = options->failure_backoff,
    };
}

static int make_runner(struct run *run, struct mite_error *error)
{
    struct runner_options options = {.test = run->scenario.name, .max_journeys = run->options->runner_max_journeys};
    int rc =
        runner_new(run->loop, &options, &run->fanout.sink, &controller_work_ops, run->controller, &run->runner, error);

    if (rc == 0) {
        runner_add_host(run->runner, native_journey_host(run->hosts.native));
    }
    if (rc == 0 && run->hosts.python) {
        runner_add_host(run->runner, run->hosts.python->journey_host());
    }
    return rc;
}

int engine_make(struct run *run, const struct controller_hooks *hooks, struct mite_error *error)
{
    struct controller_options limits = limits_of(run);

    if (run_has_fleet(run)) {
        int made = run_fleet_make(run, &limits, hooks, error);
        return made == 0 && run->workers ? make_runner(run, error) : made; /* to load journeys ahead */
    }
    int rc = controller_new(run->loop, &run->scenario, &limits, &run->fanout.sink, hooks, &run->controller, error);
    return rc == 0 ? make_runner(run, error) : rc;
}

int engine_start(struct run *run, struct mite_error *error)
{
    if (run->fleet) {
        return run_fleet_start(run, error);
    }
    int64_t id =
        controller_add_runner(run->controller, &runner_work_ops, run->runner, run->options->runner_max_journeys, error);
    if (id < 0) {
        return (int)id;
    }
    runner_set_id(run->runner, id);
    return 0;
}

bool engine_made(const struct run *run)
{
    return run->controller || run->fleet;
}

void engine_stop(struct run *run)
{
    if (run->fleet) {
        fleet_stop(run->fleet);
        return;
    }
    controller_stop(run->controller);
    if (run->runner) {
        runner_ask_stop(run->runner);
    }
}

void engine_cancel(struct run *run)
{
    if (run->fleet) {
        fleet_cancel(run->fleet);
    } else {
        runner_cancel_all(run->runner);
    }
}

void engine_count(const struct run *run, struct controller_counts *out)
{
    struct fleet_counts counts;

    if (run->fleet) {
        fleet_count(run->fleet, &counts);
        *out = counts.journeys;
    } else {
        controller_count(run->controller, out);
    }
}

/* Leftover journeys end with the detaching, while runner and context are still there to hear of it. */
void engine_end(struct run *run)
{
    /* Connections that are closed here may write to peers that have gone. */
    const struct sigaction ignored = {.sa_handler = SIG_IGN};
    struct sigaction before;
    struct mite_error error = {0};

    sigaction(SIGPIPE, &ignored, &before);

    if (engine_made(run)) {
        engine_count(run, &run->counts);
    }
    if (run->runner) {
        runner_cancel_all(run->runner);
        runner_count(run->runner, &run->runner_counts);
    }
    hosts_detach(&run->hosts, run->loop);
    if (run->watchdog_made) {
        watchdog_stop();
    }
    hosts_http_counts(&run->hosts, &run->http_counts);
    if (run->display_made && !run->loading) {
        display_finish(&run->display);
    }
    runner_free(run->runner);
    controller_free(run->controller);
    run_fleet_end(run);
    if (run->loop && loop_free(run->loop, &error) < 0) {
        log_line(LOG_DEBUG, "%s", error.text);
        error_done(&error);
    }
    sigaction(SIGPIPE, &before, NULL);
    run_fleet_close(run);
    if (run->display_made) {
        display_done(&run->display);
    }
}
