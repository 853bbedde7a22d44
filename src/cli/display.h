/*
 * What a run shows while it runs: the live block on a terminal, mite's two lines every 2 s anywhere else, both on
 * stderr. Driven by a timer on the loop.
 *
 * Life cycle: display_init, display_start, display_pause/resume around a debugger, display_finish (shows the last
 * window), then the timer closes with the loop; display_done after that.
 */
#pragma once

#include "engine/timer.h"
#include "sinks/console.h"
#include "sinks/live.h"

struct display_options {
    const char *title;
    bool lines; /* the live block or the 2-second lines are wanted at all */
    bool journey_logging;
    int64_t duration_s; /* -1: not known */
    /* Fills the journeys, the time and the note of a progress. */
    void (*progress)(void *arg, struct progress *out);
    void *arg;
};

struct display {
    struct display_options options;
    struct live *live; /* owned; NULL without a terminal */
    struct console console;
    struct totals *totals;
    struct timer timer;
    bool started;
    uint64_t cpu_ns, cpu_at_ns; /* of the last look at our own CPU time */
};

int display_init(struct display *display, struct loop *loop, struct totals *totals,
                 const struct display_options *options, struct mite_error *error);
void display_start(struct display *display);
void display_pause(struct display *display);
void display_resume(struct display *display);
void display_finish(struct display *display);
void display_done(struct display *display);
