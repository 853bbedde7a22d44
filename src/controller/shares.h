/*
 * Shares: the arithmetic of a fleet, without a loop: how much of what each entry of the scenario wants each runner
 * runs, how fast it may grow, how many journeys it may start.
 *
 * - Targets add up to what is wanted, exactly, as far as the runners' --runner-max-journeys leave room.
 * - Rates that runners hold never add up to more than the spawn rate. A runner holds one while it has less than its
 *   target, by its part of what all lack; it gives it back when it next reports.
 * - Starts, where they are limited (--iterations, a model's max_starts), are granted in portions that never add up to
 *   more than the limit. A portion is a share of what is left, so that the last ones go to whoever uses them.
 *
 * Runners have slots, which are used again once they are left. Targets follow from shares_spread() after anything that
 * changes them; `stale` tells of a runner whose targets are not what it was told.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct share_entry {
    int64_t wanted;     /* as its model says, times its volume factor */
    int64_t max_starts; /* INT64_MAX: no limit */
    int64_t started;    /* on all runners, also those that have gone */
    int64_t completed;  /* the same */
    int64_t granted;    /* may have been started, by what runners were told */
    bool ended;         /* nothing of it starts any more */
    bool ends_all;      /* once it has ended and nothing of it runs, all entries end */
};

/* Of one runner in one entry. */
struct share {
    int64_t target;
    int64_t running, started, completed; /* as it has reported */
    int64_t starts_max;                  /* may have started so many by now, by any orders that it may still have */
    int64_t starts_next;                 /* by the newest orders alone */
    int64_t was_completed;               /* as it reported before that */
    bool busy;                           /* has started something since the report before */
};

/* Of a runner that is not here. */
struct share_past {
    int64_t started, completed; /* as it had reported */
    int64_t starts_max;         /* may have started so many */
};

struct share_runner {
    bool active;
    bool stale;           /* a target has changed since it was told */
    int64_t max_journeys; /* INT64_MAX: no limit */
    double rate;          /* that it holds, journeys a second */
    struct share *shares; /* owned; one an entry */
};

struct shares {
    struct share_entry *entries; /* owned */
    size_t entry_count;
    struct share_runner *runners; /* owned */
    size_t runner_count;          /* slots */
    double spawn_rate;            /* a second */
    double least_rate;            /* what is worth giving to one runner */
    int64_t iterations;           /* starts in all; INT64_MAX: no limit */
    int64_t started, granted;     /* sums over the entries */
    bool paused;                  /* nothing is wanted for now */
    bool due;                     /* the targets are to be made anew */
};

/* 0 or MITE_ENOMEM. A spawn rate or iterations of 0: 1,000 a second, no limit. */
int shares_init(struct shares *shares, size_t entry_count, double spawn_rate, int64_t iterations, double interval_s);
void shares_done(struct shares *shares);

/* A slot, or MITE_ENOMEM. max_journeys 0: no limit. */
int shares_join(struct shares *shares, int64_t max_journeys);
/* Behind shares_join(): it was here before, and what it had started and completed of an entry is counted already. */
void shares_resume(struct shares *shares, size_t runner, size_t entry, const struct share_past *past, int64_t running);
/* What is to be known of a runner when it is here no more. */
struct share_past shares_past(const struct shares *shares, size_t runner, size_t entry);
/* It is on its way out: it is to run nothing more. */
void shares_retire(struct shares *shares, size_t runner);
/* It has gone: what it ran is to be run by others. What it started stays counted, grants come back. */
void shares_leave(struct shares *shares, size_t runner);

/* What a runner says of one entry: counts since its process began. */
void shares_report(struct shares *shares, size_t runner, size_t entry, int64_t running, int64_t started,
                   int64_t completed);

/* Of a runner that an earlier controller had, until it joins again or is given up. */
void shares_add_past(struct shares *shares, size_t entry, const struct share_past *past);
/* It is: what it may have started besides, others may. */
void shares_give_up(struct shares *shares, size_t entry, struct share_past *past);

void shares_want(struct shares *shares, size_t entry, int64_t wanted);
void shares_end(struct shares *shares, size_t entry);
void shares_end_all(struct shares *shares);
void shares_pause(struct shares *shares, bool paused);
bool shares_over(const struct shares *shares); /* nothing starts any more */
int64_t shares_running(const struct shares *shares, size_t entry);

/* Makes all targets anew if anything has happened that changes them; runners whose targets change become stale. */
void shares_spread(struct shares *shares);
/* What a runner is told now; it then is not stale. */
double shares_rate(struct shares *shares, size_t runner);
/* Whether there is a limit on its starts. */
bool shares_limited(const struct shares *shares, size_t entry);
/* How many more than it has reported it may start; -1: no limit. */
int64_t shares_starts(struct shares *shares, size_t runner, size_t entry);

/* The part of `total` that belongs to a runner by its share of the targets of `entry`, remainders spread: over all
 * runners they add up to `total`. 0 while nothing is wanted. */
int64_t shares_part(const struct shares *shares, size_t runner, size_t entry, int64_t total);
