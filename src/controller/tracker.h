/*
 * Tracker: the arithmetic of the controller, without a loop or a clock of its own. It knows what each entry of the
 * scenario wants and how much of it each runner runs, and answers one question: may a journey be started now, and of
 * which entry?
 *
 * - A journey that has ended gives a credit: another one may start in its place at once, of whichever entry is furthest
 *   from what it wants. A credit that nobody wants is dropped.
 * - Beyond that the number of running journeys grows by tokens only, which come in at the spawn rate.
 * - A journey that failed at once gives its credit only when the backoff, 1,000 a second in total, lets it.
 *
 * A start goes through tracker_next() (it is pending: its item is being checked out), then tracker_started() or
 * tracker_not_started(); a started one ends with tracker_completed().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tracker_entry {
    int64_t wanted;  /* what its model says for the current window */
    int64_t running; /* started and not completed, on all runners */
    int64_t pending; /* between tracker_next() and its outcome */
    int64_t started;
    int64_t max_starts; /* -1: no limit */
    int64_t allowed;    /* starts up to which it may go for now; INT64_MAX: no limit */
    bool ended;         /* nothing of it starts any more */
    bool blocked;       /* its datapool has nothing free: not before an item comes back or the next window */
    bool ends_all;      /* once it has ended and nothing of it runs, all entries end */
};

struct tracker_runner {
    int64_t running;
    int64_t max_running; /* INT64_MAX: no limit */
    int64_t *by_entry;   /* of those running; owned */
};

/* Permissions that come in at a steady rate. */
struct token_bucket {
    double rate; /* a second */
    double tokens;
};

struct tracker {
    struct tracker_entry *entries; /* owned */
    size_t entry_count;
    struct tracker_runner *runners; /* owned */
    size_t runner_count;
    int64_t iterations;                 /* starts in all; INT64_MAX: no limit */
    int64_t running, pending;           /* sums over the entries */
    int64_t started, completed;         /* started = running + completed */
    int64_t credits;                    /* starts that replace something that ended */
    int64_t held;                       /* ended journeys whose credit waits for the backoff */
    int64_t backed_off;                 /* how many ever had to wait so */
    struct token_bucket spawn, backoff; /* a backoff rate of 0: off */
    uint64_t now_ns;                    /* up to which the buckets are filled */
    bool starved;                       /* a start was refused only for want of a spawn token */
};

/* 0 or MITE_ENOMEM. A spawn rate or iterations of 0 are the default: 1,000 a second, no limit. */
int tracker_init(struct tracker *tracker, size_t entry_count, double spawn_rate, int64_t iterations, bool backoff);
void tracker_done(struct tracker *tracker);
/* The runner's index, or MITE_ENOMEM. max_running 0: no limit. */
int tracker_add_runner(struct tracker *tracker, int64_t max_running);

/* The clock of the scenario starts: one start, at least, is allowed now. */
void tracker_start(struct tracker *tracker, uint64_t now_ns);
/* Time has passed: tokens come in, held credits are released. */
void tracker_advance(struct tracker *tracker, uint64_t now_ns);

/* What an entry wants in the window that begins. */
void tracker_want(struct tracker *tracker, size_t entry, int64_t wanted);
/* It may start until `allowed` have been started in all; more may be allowed later. */
void tracker_allow(struct tracker *tracker, size_t entry, int64_t allowed);
/* From now on. 0: no growth, not even by what has come in. */
void tracker_set_spawn_rate(struct tracker *tracker, double spawn_rate);
void tracker_block(struct tracker *tracker, size_t entry);
void tracker_unblock(struct tracker *tracker, size_t entry);
void tracker_end(struct tracker *tracker, size_t entry);
void tracker_end_all(struct tracker *tracker);

/* The entry that may start a journey now, which then is pending; -1: none. */
int tracker_next(struct tracker *tracker);
/* The runner that has the least to do and room for one more; -1: none. */
int tracker_pick_runner(const struct tracker *tracker, size_t entry);
void tracker_started(struct tracker *tracker, size_t entry, size_t runner);
/* What it had taken is a credit again. */
void tracker_not_started(struct tracker *tracker, size_t entry);
void tracker_completed(struct tracker *tracker, size_t entry, size_t runner, bool failed_at_once);

/* Nothing starts any more. What runs or is pending may still be there. */
bool tracker_over(const struct tracker *tracker);
int64_t tracker_wanted(const struct tracker *tracker);
/* How long until a token comes that somebody waits for; UINT64_MAX: nobody waits. */
uint64_t tracker_wait_ns(const struct tracker *tracker);
