/*
 * Totals: the figures of a run, counted from its messages. A sink; every display, report and threshold reads it.
 *
 * What counts as what: a request is one `http_metrics`, an error is one `error` or `exception`, a journey is the end of
 * its root transaction. A latency is total_time; the time that a finished request waited for its journey to go on
 * (wait_time) is kept beside it, never added.
 *
 * Life cycle: totals_init, (totals_start when the load starts), messages, totals_stop at the end of the run,
 * totals_done. All fields may be read at any time; only the functions here write them.
 */
#pragma once

#include "bus/sink.h"
#include "stats/groups.h"
#include "stats/hist.h"

#define TOTALS_EXAMPLE_MAX 500 /* bytes kept of an example message */

/* One transaction of one journey: key (journey, path). The root's path is "__root__": its row is the journey itself. */
struct transaction_group {
    struct group key;
    uint64_t count;  /* ended */
    uint64_t errors; /* of those, with had_error */
    struct hist duration;
    struct journey_group *journey; /* of a root, once one of its journeys has ended; borrowed */
};

/* Requests of one method in one transaction: key (transaction path, method); p NULL for those outside transactions. */
struct request_group {
    struct group key;
    uint64_t count;
    uint64_t bad_status; /* of those, status 400 and above */
    struct hist latency;
};

/* Errors of one kind: key (ex_type, location, transaction path). */
struct failure_group {
    struct group key;
    uint64_t count;
    char *example; /* message of the first, masked and cut; owned, may be NULL */
    bool told;     /* the example has been reported: totals_delta.h sends each once */
};

/* Key (journey). */
struct journey_group {
    struct group key;
    uint64_t ended;
    uint64_t errors; /* error and exception messages */
};

struct totals_window {
    uint64_t start_ns;
    uint64_t requests, errors;
    struct hist latency;
};

/* Requests per whole second of the run, without a list of them. */
struct totals_seconds {
    uint64_t start_ns;   /* of the second that is being counted */
    uint64_t requests;   /* in it so far */
    uint64_t seconds;    /* whole ones before it */
    double mean, moment; /* over those: mean, and sum of squared differences from it */
    uint64_t last;       /* requests in the newest whole second */
};

struct totals {
    struct sink sink;
    uint64_t (*clock)(void);    /* monotonic nanoseconds, coarse: it is read for every request */
    uint64_t start_ns, stop_ns; /* stop_ns 0: still running */

    uint64_t requests, bad_status, errors, journeys;
    uint64_t failed_journeys; /* of journeys, root transactions with had_error */
    uint64_t bytes_received;
    struct hist latency; /* of all requests */
    struct hist wait;    /* 2 digits */
    struct totals_window window;
    struct totals_seconds seconds;
    struct groups transactions, request_groups, failures, journey_groups;
};

/* 0 or MITE_ENOMEM. */
int totals_init(struct totals *totals) PRIVATE_API(totals_init);
void totals_done(struct totals *totals) PRIVATE_API(totals_done);

/* The load starts now: the clock of the run, of the window and of the seconds. Counts stay. */
void totals_start(struct totals *totals) PRIVATE_API(totals_start);
/* The run has ended: what elapsed stands still from here. Messages that still come are counted. */
void totals_stop(struct totals *totals) PRIVATE_API(totals_stop);

uint64_t totals_elapsed_ns(const struct totals *totals) PRIVATE_API(totals_elapsed_ns);

uint64_t totals_window_ns(const struct totals *totals) PRIVATE_API(totals_window_ns); /* length of the window so far */

/* Forgets the window and starts the next. Whoever shows windows calls it, also a last time at the end, so that nothing
 * is left out. */
void totals_next_window(struct totals *totals) PRIVATE_API(totals_next_window);

/* For a run that is taken over: it has started before, and what was counted until now is not of the window and the
 * second that are now. */
void totals_take_over(struct totals *totals, uint64_t start_ns);

/* Requests that others have counted enter the second that is now. */
void totals_add_to_second(struct totals *totals, uint64_t requests);

/* Requests per second over whole seconds so far; in a run shorter than one, over what there was, with deviation 0. */
void totals_request_rate(struct totals *totals, double *mean, double *deviation) PRIVATE_API(totals_request_rate);
