#include "base/clock.h"
#include "cli/complain.h"
#include "cli/python.h"
#include "cli/run.h"
#include "cli/run_fleet.h"
#include "cli/run_workers.h"
#include "cli/setup.h"
#include "engine/watchdog.h"

#include <math.h>
#include <stdlib.h>

/* `status` is what the command ends with when rc says that this step failed; Ctrl-C is no fault of the step's. */
static bool step(struct run *run, int rc, int status, struct mite_error *error)
{
    if (rc < 0) {
        complain("mite", error);
        error_done(error);
        run->status = rc == MITE_ECANCELLED ? EXIT_SIGNALLED : status;
    }
    return rc >= 0;
}

static void on_debugger(void *arg, bool begins)
{
    struct run *run = arg;

    if (begins) {
        watchdog_pause();
        if (run->display_made) {
            display_pause(&run->display);
        }
    } else {
        if (run->display_made) {
            display_resume(&run->display);
        }
        watchdog_resume();
    }
}

static void on_debugger_done(void *arg)
{
    struct run *run = arg;

    run->debugged = true;
    run_cancel(run);
}

static void on_out_of_memory(void *arg)
{
    struct run *run = arg;
    struct runner_counts counts;

    runner_count(run->runner, &counts);
    fprintf(
        stderr,
        "mite: there is no memory for more than %lld journeys in Python: let fewer run at once, or spread them over "
        "more processes or machines\n",
        (long long)counts.running - 1); /* the one that could not start counts until it is told that it has ended */
    run->status = EXIT_BROKE;
    run_cancel(run);
}

static int open_hosts(struct run *run, struct mite_error *error)
{
    struct python_options python = {
        .exclude_working_directory = run->options->exclude_working_directory,
        .debugging = run->options->debugging,
        .memory_tracing = run->options->memory_tracing,
        .config = &run->config,
        .http = &run->http,
        .debugger = on_debugger,
        .debugger_done = on_debugger_done,
        .blocked = culprit_blocks,
        .out_of_memory = on_out_of_memory,
        .arg = run,
    };

    return hosts_open(&run->hosts, run->options, &python, error);
}

static int read_thresholds(struct run *run, struct mite_error *error)
{
    const struct options *options = run->options;

    run->thresholds.max_errors = (uint64_t)options->max_errors_threshold;
    run->thresholds.max_response_ms = options->max_response_time_ms;
    run->thresholds.mean_response_ms = options->mean_response_time_ms;
    run->thresholds.deviation_response_ms = options->standard_deviation_response_time_ms;
    run->thresholds.deviation_requests_per_s = options->standard_deviation_req_sec;
    return thresholds_parse_percentiles(&run->thresholds, options->benchmark_percentiles, error);
}

static int add_hint(struct mite_error *error, const char *hint)
{
    struct mite_error why = *error;

    return error_set(error, why.code, "%s (%s)", why.text, hint);
}

static int make_files(struct run *run, struct mite_error *error)
{
    const struct options *options = run->options;
    struct collector_options collector = {
        .dir = options->collector_dir,
        .roll_after = (uint64_t)options->collector_roll,
        .json = options->collector_use_json,
        .max_bytes = (uint64_t)options->collector_max_bytes,
    };
    int rc = 0;

    if (run->kind == RUN_CONTROLLER) { /* events go elsewhere */
        return 0;
    }
    if (options->collector && options->collector_filter) {
        rc = run->hosts.python->load_filter(options->collector_filter, &collector.filter, &collector.filter_arg, error);
    }
    if (rc == 0 && options->collector) {
        rc = collector_new(&collector, &run->collector, error);
        rc = rc == 0 ? 0 : add_hint(error, "--collector-dir names another, --no-collector writes none");
    }
    if (rc == 0) {
        rc = recorder_new(options->recorder_dir, &run->recorder, error);
        rc = rc == 0 ? 0 : add_hint(error, "--recorder-dir names another");
    }
    return rc;
}

/* Totals first: whatever comes behind it may look at figures that hold the message already. */
static int connect_sinks(struct run *run, struct mite_error *error)
{
    struct processors *processors = &run->processors;

    fanout_init(&run->fanout);
    fanout_add(&run->fanout, &run->totals.sink);
    if (run->recorder) {
        fanout_add(&run->fanout, recorder_sink(run->recorder));
    }
    if (run->collector) {
        fanout_add(&run->fanout, collector_sink(run->collector));
    }
    if (processors->message_log) {
        fanout_add(&run->fanout, message_log());
    }
    if (processors->debug_messages) {
        fanout_add(&run->fanout, debug_message_log());
    }
    for (size_t i = 0; i < processors->count; i++) {
        fanout_add(&run->fanout, processors->sinks[i]);
    }
    return 0;
}

static void on_finished(void *arg)
{
    struct run *run = arg;

    run->finished = true;
    if (run_fleet_flushed(run)) {
        loop_stop(run->loop);
    }
}

static void on_draining(void *arg)
{
    run_stop(arg);
}

/* A model or a pool that fails before anything ran is a bad spec; later it is one error among the figures. */
static void on_entry_failed(void *arg, const struct scenario_entry *entry, const struct mite_error *error, bool fatal)
{
    struct run *run = arg;

    if (fatal) {
        complain("mite", error);
        run->status = EXIT_USAGE;
        engine_stop(run);
        return;
    }

    struct message_origin origin = {.test = str_of(run->scenario.name),
                                    .runner_id = 1,
                                    .journey = str_of(entry->journey_spec),
                                    .scenario_id = entry->id};
    struct message message = {
        .kind = MESSAGE_EXCEPTION,
        .type = message_type_of(MESSAGE_EXCEPTION),
        .time = clock_wall_s(),
        .origin = &origin,
        .failure = {.message = str_of(error->text),
                    .ex_type = STR("ScenarioError"),
                    .location = str_of(run->scenario.name),
                    .stacktrace = str_of(error->detail ? error->detail : "")},
    };

    sink_message(&run->fanout.sink, &message);
}

static void on_progress(void *arg, struct progress *progress)
{
    struct run *run = arg;
    struct controller_counts counts;

    engine_count(run, &counts);
    progress->wanted = counts.wanted;
    progress->running = counts.running;
    progress->started = counts.started;
    progress->elapsed_ns = counts.elapsed_ns;
    progress->early = run->fleet ? fleet_early_requests(run->fleet) : 0;
    progress->note = run->cancelled  ? "stopping: journeys were told to end at once"
                     : run->draining ? "stopping: Ctrl-C ends running journeys at once"
                     : run->fleet    ? run_fleet_note(run)
                                     : NULL;
}

static int make_engine(struct run *run, struct mite_error *error)
{
    struct controller_hooks hooks = {
        .finished = on_finished, .draining = on_draining, .entry_failed = on_entry_failed, .arg = run};

    return engine_make(run, &hooks, error);
}

static int make_display(struct run *run, struct mite_error *error)
{
    const struct options *options = run->options;
    struct display_options display = {
        .title = run->scenario.name,
        .lines = run->processors.http_stats && !options->hide_constant_logs,
        .journey_logging = options->journey_logging,
        .duration_s = (int64_t)ceil(run_duration_s(run)),
        .progress = on_progress,
        .arg = run,
    };
    int rc = display_init(&run->display, run->loop, &run->totals, &display, error);

    run->display_made = rc == 0;
    return rc;
}

/* A spec that leads nowhere is the user's; a machine without a compiler, or that lacks a library, is not. */
static bool step_spec(struct run *run, int rc, struct mite_error *error)
{
    return step(run, rc, rc == MITE_EIO ? EXIT_BROKE : EXIT_USAGE, error);
}

/* Journeys are loaded ahead, so that a wrong spec costs no load; those of runners elsewhere they alone may have. */
static bool load_journeys(struct run *run, struct mite_error *error)
{
    if (!run->runner) {
        return true;
    }
    for (size_t i = 0; i < run->scenario.count; i++) {
        const struct scenario_entry *entry = &run->scenario.entries[i];
        if (!step_spec(run, runner_preload(run->runner, entry->journey_spec, entry->pool, error), error)) {
            return false;
        }
    }
    return true;
}

static int load_scenario(struct run *run, struct mite_error *error)
{
    return run->kind == RUN_SCENARIO || run->kind == RUN_CONTROLLER
               ? setup_scenario(run->options, &run->hosts, &run->config, &run->fanout.sink, &run->scenario, error)
               : setup_journey(run->options, &run->hosts, run->kind == RUN_ONCE ? 1 : run->options->volume,
                               &run->scenario, error);
}

static int start_for_journeys(struct run *run, struct mite_error *error)
{
    return run->kind == RUN_CONTROLLER ? 0 : hosts_start_for_journeys(&run->hosts, &run->scenario, error);
}

/* A wrong address is the user's; one that is taken is not. */
static bool step_engine(struct run *run, int rc, struct mite_error *error)
{
    return step(run, rc, rc == MITE_EINVAL || rc == MITE_EPROTO ? EXIT_USAGE : EXIT_BROKE, error);
}

int run_open(struct run *run, const struct options *options, enum run_kind kind)
{
    struct mite_error error = {0};

    *run = (struct run){.options = options, .kind = kind};
    run->patience.stop_ns = ns_from_s(options->graceful_stop_s) + RUN_CANCEL_GRACE_NS;
    config_init(&run->config);
    run->webhook = (struct webhook){
        .url = options->logging_webhook ? options->logging_webhook : getenv("MITE_LOGGING_URL"), .http = &run->http};

    /* First: Python's faulthandler, where the user has it on, then comes back to ours. */
    bool good = step(run, run_watch_crashes(run, &error), EXIT_BROKE, &error) &&
                step(run, setup_http(options, run->resolve, &run->http, &error), EXIT_USAGE, &error) &&
                step(run, run_workers_wanted(run, &run->worker_count, &error), EXIT_USAGE, &error) &&
                step(run, read_thresholds(run, &error), EXIT_USAGE, &error) &&
                step(run, totals_init(&run->totals), EXIT_BROKE, &error) &&
                step_spec(run, open_hosts(run, &error), &error) &&
                step(run, hosts_start_for(&run->hosts, options, &error), EXIT_BROKE, &error) &&
                step(run, setup_config(options, run->hosts.python, &run->config, &error), EXIT_USAGE, &error) &&
                step(run, processors_load(&run->processors, options, run->hosts.python, &error), EXIT_USAGE, &error) &&
                step(run, make_files(run, &error), EXIT_BROKE, &error) &&
                step(run, connect_sinks(run, &error), EXIT_BROKE, &error) &&
                step_spec(run, load_scenario(run, &error), &error) &&
                step(run, loop_new(&run->loop, &error), EXIT_BROKE, &error) &&
                step(run, start_for_journeys(run, &error), EXIT_BROKE, &error) &&
                step(run, hosts_attach(&run->hosts, run->loop, &error), EXIT_BROKE, &error) &&
                step_engine(run, make_engine(run, &error), &error) && load_journeys(run, &error) &&
                step(run, make_display(run, &error), EXIT_BROKE, &error) &&
                step(run, webhook_start(&run->webhook, run->scenario.name, &error), EXIT_BROKE, &error);

    return good ? 0 : -1;
}
