/*
 * The live display: a block of a few lines at the bottom of a terminal that is redrawn in place, each time with one
 * write. Log lines go above it: while it is shown, it is the hook of base/log.h. The cursor is hidden within that one
 * write only, so no way of ending, not even SIGKILL, leaves a terminal without one.
 *
 * Life cycle: live_new, live_draw a few times a second, live_hide and live_show around whatever else takes the terminal
 * (a debugger), live_finish (the block goes), live_free.
 */
#pragma once

#include "base/error.h"
#include "sinks/progress.h"
#include "stats/totals.h"

struct live;

struct live_options {
    int fd;            /* a terminal, borrowed: stderr */
    const char *title; /* copied: the scenario's spec */
    bool colour;
};

/* True when `fd` is a terminal that can move its cursor. */
bool live_possible(int fd) PRIVATE_API(live_possible);

/* `totals` is borrowed; its windows are taken by the display. */
int live_new(struct totals *totals, const struct live_options *options, struct live **out, struct mite_error *error)
    PRIVATE_API(live_new);
void live_free(struct live *live) PRIVATE_API(live_free);

void live_draw(struct live *live, const struct progress *progress) PRIVATE_API(live_draw);
void live_hide(struct live *live) PRIVATE_API(live_hide);
void live_show(struct live *live) PRIVATE_API(live_show);
void live_finish(struct live *live) PRIVATE_API(live_finish);
