/*
 * Design notes
 *
 * With --state each runner has figures of its own beside the totals: what it sends from the start of its process takes
 * the place of what an earlier controller knew of it.
 *
 * A window of the totals ends by the clock, reports come at times of their own. In the midst of a run what comes too
 * late for a window is as much as what the one before was too early for; the last window is short, and has the one
 * without the other. So what is `early` in a window is known, by the part of each report's time that lies before it.
 */
#include "base/clock.h"
#include "controller/fleet_internal.h"
#include "stats/totals_delta.h"

#include <stdlib.h>

int fleet_make_figures(struct totals **figures, struct mite_error *error)
{
    if (!*figures) {
        struct totals *made = malloc(sizeof *made);
        if (!made || totals_init(made) < 0) {
            free(made);
            return error_set(error, MITE_ENOMEM, "no memory for what a runner has counted");
        }
        *figures = made;
    }
    return 0;
}

void fleet_figures_free(struct totals *figures)
{
    if (figures) {
        totals_done(figures);
        free(figures);
    }
}

void fleet_keep_figures(struct fleet *fleet, struct fleet_runner *runner)
{
    if (runner->own && fleet->left) {
        totals_add(fleet->left, runner->own);
    } else if (runner->own) {
        fleet->left = runner->own;
        runner->own = NULL;
    }
}

/* The figures of all anew, without this one's, which come again. */
static void recount(struct fleet *fleet, struct fleet_runner *runner)
{
    if (!runner->own || totals_empty(runner->own)) {
        return;
    }
    totals_clear(runner->own);
    totals_clear(fleet->totals);
    if (fleet->left) {
        totals_add(fleet->totals, fleet->left);
    }
    for (size_t i = 0; i < fleet->runner_count; i++) {
        if (fleet->runners[i]->own) {
            totals_add(fleet->totals, fleet->runners[i]->own);
        }
    }
}

int fleet_expect_stats(struct fleet *fleet, struct fleet_runner *runner, const struct work_report *report)
{
    return fleet->journal.fd >= 0 && report->stats.type != VALUE_NIL ? fleet_make_figures(&runner->own, NULL) : 0;
}

/* Neither takes what the other does not. */
static int count(struct fleet *fleet, struct fleet_runner *runner, const struct value *stats, struct mite_error *error)
{
    int rc = totals_read(fleet->totals, stats, error);

    return rc == 0 && runner->own ? totals_read(runner->own, stats, error) : rc;
}

static void note_early(struct fleet *fleet, const struct fleet_runner *runner, uint64_t requests)
{
    uint64_t window_ns = fleet->totals->window.start_ns, from_ns = runner->counted_ns, to_ns = runner->heard_ns;

    if (fleet->early_ns != window_ns) {
        fleet->early_ns = window_ns;
        fleet->early = 0;
    }
    if (from_ns < window_ns && window_ns < to_ns) {
        fleet->early += (double)requests * (double)(window_ns - from_ns) / (double)(to_ns - from_ns);
    }
}

void fleet_take_stats(struct fleet *fleet, struct fleet_runner *runner, const struct work_report *report)
{
    struct mite_error error = {0};
    uint64_t before;

    if (report->stats.type == VALUE_NIL) {
        return;
    }
    if (report->stats_from_start && runner->counted) {
        fleet_bad(fleet, str_of(runner->peer), "fleet stats twice", "it sends again what is counted already");
        return;
    }
    if (report->stats_from_start) {
        recount(fleet, runner);
    }
    before = fleet->totals->requests;
    if (count(fleet, runner, &report->stats, &error) < 0) {
        fleet_bad(fleet, str_of(runner->peer), "fleet stats", error.text);
        error_done(&error);
        return;
    }
    note_early(fleet, runner, fleet->totals->requests - before);
    if (report->stats_from_start && fleet->resumed) {
        totals_take_over(fleet->totals, fleet->start_ns);
    }
    runner->counted = true;
}

double fleet_early_requests(const struct fleet *fleet)
{
    return fleet->early_ns == fleet->totals->window.start_ns ? fleet->early : 0;
}
