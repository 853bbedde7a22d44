/*
 * One run: the parts of a test command, or of `mite controller`, and the order in which they live.
 *
 *   run_open    everything that can be wrong before load: config, scenario, journeys, directories, processors
 *   run_go      the load, until the models end, the user stops it, or something breaks
 *   run_close   ends every part, prints the summary, returns the exit status
 *
 * run_close is called after run_open even when that failed: it copes with a half-built run.
 */
#pragma once

#include "bus/sender.h"
#include "cli/culprit.h"
#include "cli/display.h"
#include "cli/exit.h"
#include "cli/hosts.h"
#include "cli/options.h"
#include "cli/processors.h"
#include "cli/webhook.h"
#include "controller/controller.h"
#include "controller/fleet.h"
#include "runner/runner.h"
#include "sinks/collector.h"
#include "sinks/recorder.h"
#include "stats/thresholds.h"

enum run_kind { RUN_SCENARIO, RUN_JOURNEY, RUN_ONCE, RUN_CONTROLLER };

struct run {
    const struct options *options;
    enum run_kind kind;

    struct config config;
    struct http_resolve resolve[OPTION_LIST_MAX];
    struct http_client_options http;
    struct hosts hosts; /* of journeys, in C and in Python */
    struct scenario scenario;
    struct webhook webhook;

    struct loop *loop;
    struct runner *runner;
    struct controller *controller; /* here, with a runner: or a fleet of other processes (run_fleet.h) */
    struct bus *bus;
    struct fleet *fleet;
    struct run_workers *workers; /* --workers */
    size_t worker_count;         /* 0: none */
    struct sender *sender;       /* of the controller's own events */
    struct timer grace;          /* what running journeys get at the end, then what cancelled ones get */
    bool grace_made, signals_made, watchdog_made, display_made;

    struct fanout fanout;
    struct totals totals;
    struct thresholds thresholds;
    struct collector *collector;
    struct recorder *recorder;
    struct processors processors;
    struct display display;

    bool loading;   /* run_go has begun: what was measured is worth a summary */
    bool finished;  /* the load came to its end, whatever way */
    bool draining;  /* nothing new starts */
    bool cancelled; /* running journeys were told to end at once */
    bool debugged;  /* a post-mortem debugger was left */
    struct patience patience;
    int signal; /* SIGINT or SIGTERM, once one came */
    int status; /* EXIT_USAGE or EXIT_BROKE once that is certain */
    struct http_counts http_counts;
    struct controller_counts counts;
    struct runner_counts runner_counts;
    struct fleet_counts fleet_counts;
    struct buf dropped; /* "12 txn, 3 http_metrics": events that runners had to drop */
};

/* All three, on a run of its own; returns the exit status. */
int run_command(const struct options *options, enum run_kind kind);

int run_open(struct run *run, const struct options *options, enum run_kind kind);
void run_go(struct run *run);
int run_close(struct run *run);

/* The summary, and the report where one is wanted, on stdout. */
void run_print_results(struct run *run, size_t *crossed);

/* From the beginning until the results are out, a crash still gives what was measured. */
int run_watch_crashes(struct run *run, struct mite_error *error);
void run_forget_crashes(void);

/* Who runs the journeys (run_engine.c). */
int engine_make(struct run *run, const struct controller_hooks *hooks, struct mite_error *error);
int engine_start(struct run *run, struct mite_error *error);
bool engine_made(const struct run *run);
void engine_stop(struct run *run);
void engine_cancel(struct run *run);
void engine_count(const struct run *run, struct controller_counts *out);
void engine_end(struct run *run); /* and the loop */

/* How long the load goes on, as options and models say, from the start of the scenario's clock; -1: not known. */
double run_duration_s(const struct run *run);

/* Start nothing new; running journeys get --graceful-stop to end. Again: cancel them. */
void run_stop(struct run *run);
void run_cancel(struct run *run);

/* What cancelled journeys get to end: code of theirs may run, but a journey that swallows its cancellation must not
 * hold the run open. */
#define RUN_CANCEL_GRACE_NS (2 * NS_PER_S)
