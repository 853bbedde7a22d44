/*
 * What is left of a run when the process crashes, or is given up for code that never yields. save() runs in the forked
 * child: what is for disk first, for it needs no memory, then the figures. Nothing here may ask the interpreter, whose
 * thread stands still in the middle of something.
 */
#include "base/clock.h"
#include "base/log.h"
#include "cli/run.h"
#include "cli/run_fleet.h"
#include "cli/run_workers.h"
#include "engine/crash.h"
#include "runner/native.h"

#include <signal.h>

/* The user's line that crashed; where none is among the frames, for mite's own code ran, a journey's last call into
 * mite tells: a text in the journey's library, which is not looked at when that may be what is gone. In `last`, or the
 * crash. */
static struct str location(const struct run *run, const struct crash *crash, char *last, size_t size)
{
    if (crash->location[0] || crash->signal == SIGBUS) {
        return str_of(crash->location);
    }
    if (run->hosts.native) {
        native_last_call(run->hosts.native, crash->subject, last, size);
    }
    return str_of(last);
}

/* The crash as a message of the journey that it is in, or of none that is known. */
static void describe(const struct run *run, const struct crash *crash, struct message_origin *nobody,
                     struct message *out)
{
    static char last_call[sizeof crash->location];
    const struct context *context = crash->subject;
    const struct transaction *in = context ? context->current : NULL;

    *nobody = (struct message_origin){.test = str_of(run->scenario.name), .runner_id = 1, .journey = STR("?")};
    *out = (struct message){
        .kind = MESSAGE_EXCEPTION,
        .type = message_type_of(MESSAGE_EXCEPTION),
        .time = clock_wall_s(),
        .origin = context ? &context->origin : nobody,
        .test = nobody->test,
        .transaction = in ? in->path : STR_NONE,
        .transaction_id = in ? in->id : 0,
        .failure = {.message = str_of(crash->what),
                    .ex_type = crash->signal ? STR("Crash") : STR("Blocked"),
                    .location = location(run, crash, last_call, sizeof last_call),
                    .stacktrace = str_of(crash->trace)},
    };
}

/* Requests that were under way are cut off like those at the end of a run. */
static void count_aborted(struct run *run)
{
    struct http_counts *counts = &run->http_counts;

    hosts_http_counts(&run->hosts, counts);
    counts->aborted = counts->started - counts->responses - counts->failed;
}

static void save(void *arg, const struct crash *crash)
{
    struct run *run = arg;
    struct message_origin nobody;
    struct message message;
    size_t crossed;

    if (!run->loading) {
        return;
    }
    describe(run, crash, &nobody, &message);
    if (run->collector) {
        sink_message(collector_sink(run->collector), &message);
        collector_close(run->collector);
    }
    sink_message(&run->totals.sink, &message);
    totals_stop(&run->totals);
    if (run->display_made) {
        display_pause(&run->display);
    }
    log_flush_repeats();
    engine_count(run, &run->counts);
    if (run->fleet) {
        run_fleet_count(run);
    } else {
        count_aborted(run);
    }
    run_print_results(run, &crossed);
    if (run->workers) {
        run_workers_remove_files(run->workers);
    }
}

/* ---- crashes ---- */

int run_watch_crashes(struct run *run, struct mite_error *error)
{
    struct crash_options options = {.exit_status = EXIT_BROKE, .own_program = true};
    int rc = crash_start(&options, error);

    if (rc == 0) {
        crash_set_who(culprit_of_crash, NULL);
        crash_set_report(save, run);
    }
    return rc;
}

void run_forget_crashes(void)
{
    crash_set_report(NULL, NULL);
}
