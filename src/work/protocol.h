/*
 * The work protocol: what runners and their controller say to each other, as msgpack.
 *
 * Two dialects share one socket. The plain one is that of the Python program (requests 1 to 3, answered one for one):
 *
 *     [1, nil]                                          hello
 *         -> [runner_id, test, [[key, value]...]]
 *     [2, [runner_id, {scenario_id: running}, [[scenario_id, data_id]...], max_work or nil]]
 *         -> [[[scenario_id, data_id, spec, args or nil]...], [[key, value]...], stop]
 *     [3, runner_id]                                    bye
 *         -> nil
 *
 * Ours begins with the same hello. A peer whose routing id is `mite1:UUID` gets a fourth element in its answer, the
 * offer, and then speaks so:
 *
 *     [4, seq, runner_id, epoch, {report}]
 *         -> [seq, {orders}], or [seq, nil]: unknown here, say hello again
 *     [0]                                               from the controller, unasked: report now
 *     [5, command, arguments...]                        mite ctl; from any peer
 *         -> {answer}
 *
 * Delivery is exactly once, by stop and wait: a runner has one report under way, keeps its bytes and sends the same
 * again (on a new socket) when no answer came in time. The controller handles each seq of a runner once, and answers a
 * repeated one with the same orders; an older one it ignores. What a report tells (items that are done, statistics) and
 * what orders hand out (items) can therefore neither be lost nor come twice.
 *
 * A report is due every `interval`, at once when asked for, and early when items run low or somebody waits for those
 * that are to go back. Orders say how many instances of each journey the runner keeps running (its target), and it
 * replaces those that end by itself: what the controller does not depend on how fast they end. Items travel in blocks,
 * each under a lease: a number that the controller never uses twice. Of a pool that recycles a runner holds up to
 * `hold` items and takes turns among them by itself; of others it holds up to `hold` unused ones, and each goes back as
 * done after its journey.
 *
 * Who has had no answer for `timeout` (counted from when its last answered report was sent) starts nothing more and
 * cancels the journeys that hold items; the controller gives those items to others half a second after that.
 *
 * A runner says hello when it starts and when it is told that it is unknown; nobody else is welcomed. Its next report
 * introduces it and carries its statistics from the start of its process. What a report that was not answered said of
 * done and unused leases goes into that one again: the controller passes over leases that it does not know any more.
 * With the epoch that it knew already the leases that it holds stay its own; with another they are nobody's, and it
 * tells of each entry the highest id that it has had. When it has been told to stop, or is leaving, and nothing runs
 * any more it reports that once (idle) and says bye.
 *
 * Reports, orders and the offer are maps: a key that is not known is passed over, one that is missing is nothing (0,
 * false, none). docs/protocol.md has the keys. Everything read here comes from a peer: sizes, depths, types and ids are
 * checked; what a message points to lives in the arena that was passed.
 *
 *     fields.h   one field of a message, checked, and back
 *     request.c  what runners and mite ctl say
 *     answer.c   what the controller says
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "value/value.h"

#define WORK_ROUTING_PREFIX "mite1:"
#define WORK_DIALECT        1
#define WORK_ENTRIES_MAX    10000  /* of one message */
#define WORK_ITEMS_MAX      100000 /* of one message */
#define WORK_TEXT_MAX       4096   /* bytes of a journey's spec, a host's name, a sentence, a configuration key */
#define WORK_ARGUMENTS_MAX  64     /* of a command */

enum work_request_kind {
    WORK_HELLO = 1,
    WORK_ASK = 2, /* plain */
    WORK_BYE = 3,
    WORK_REPORT = 4, /* dialect */
    WORK_CONTROL = 5,
};

struct work_running {
    int64_t scenario_id, running;
};

/* An item as it travels: in a plain answer (lease 0), in orders, or back (plain: only scenario and data id). */
struct work_lease {
    int64_t scenario_id;
    uint64_t lease; /* from 1 */
    struct value data_id;
    struct str journey_spec; /* plain answers alone */
    struct value args;       /* list or nil */
};

/* What a runner says of one entry. Counts are since its process began. */
struct work_entry_report {
    int64_t scenario_id;
    int64_t running, started, completed;
    int64_t wants;      /* more items than it has */
    int64_t highest_id; /* largest integer id of an item that it has had; -1: none */
};

/* In the first report of an epoch. */
struct work_introduction {
    struct str host, version;
    int64_t pid;
    int64_t max_journeys; /* 0: no limit */
};

struct work_dropped {
    struct str type;
    uint64_t count;
};

struct work_report {
    uint64_t seq; /* from 1 */
    int64_t runner_id;
    uint64_t epoch;                               /* of the controller that it thinks it has */
    const struct work_introduction *introduction; /* NULL: not the first of this epoch */
    const struct work_entry_report *entries;
    size_t entry_count;
    const uint64_t *done, *unused; /* leases that go back: after a journey; never used */
    size_t done_count, unused_count;
    struct value stats;                 /* map of totals_write(): since the last report; nil: none */
    bool stats_from_start;              /* since its process began: the first of an epoch */
    const struct work_dropped *dropped; /* events, since its process began */
    size_t dropped_count;
    uint64_t aborted;   /* requests cut off, since its process began */
    uint64_t queued;    /* events that wait to be sent */
    double cpu;         /* of one core, 0 to 1, since the last report */
    bool leaving;       /* asked to end by its own side: what it is to run is for others */
    bool idle;          /* told to stop, or leaving, and nothing runs any more */
    struct str trouble; /* a sentence for the operator, once; none: all is well */
};

struct work_offer {
    uint64_t epoch; /* of this controller; the same after a restart with --state */
    double timeout_s, interval_s;
};

/* What a runner is to do with one entry, always all of them. */
struct work_entry_orders {
    int64_t scenario_id;
    int64_t target;      /* instances to keep running */
    int64_t starts_left; /* may start so many more than it has reported as started; -1: no limit */
    int64_t hold;        /* items to hold */
    bool has_pool, recycles;
    struct str journey_spec; /* only in answer to an introduction; none otherwise */
};

struct work_orders {
    uint64_t seq;
    bool known; /* false: say hello again; nothing else is set */
    const struct work_entry_orders *entries;
    size_t entry_count;
    const struct work_lease *items;
    size_t item_count;
    uint64_t void_up_to; /* leases up to this one that the runner still has are no longer its own; 0: none */
    double spawn_rate;   /* journeys a second that this runner may grow by; 0: it may not grow now */
    bool failure_backoff;
    const struct pair *config; /* changes, all of them in answer to an introduction */
    size_t config_count;
    bool stop;   /* start nothing new; `idle` follows */
    bool cancel; /* end what still runs */
};

struct work_request {
    enum work_request_kind kind;
    int64_t runner_id; /* of WORK_ASK, WORK_BYE */
    /* WORK_ASK */
    const struct work_running *running;
    size_t running_count;
    const struct work_lease *completed;
    size_t completed_count;
    int64_t max_work; /* -1: no limit */
    /* WORK_REPORT */
    struct work_report report;
    /* WORK_CONTROL: the command and what follows */
    struct str command;
    const struct value *arguments;
    size_t argument_count;
};

/* MITE_EPROTO and MITE_ELIMIT: the sentence says what is wrong with it. */
int work_read_request(struct arena *arena, struct str bytes, struct work_request *out, struct mite_error *error);
void work_write_request(struct buf *out, const struct work_request *request);

struct work_welcome {
    int64_t runner_id;
    struct str test;
    const struct pair *config;
    size_t config_count;
    const struct work_offer *offer; /* NULL: plain */
};
int work_read_welcome(struct arena *arena, struct str bytes, struct work_welcome *out, struct mite_error *error);
void work_write_welcome(struct buf *out, const struct work_welcome *welcome);

/* Answer to WORK_ASK. */
struct work_assignment {
    const struct work_lease *items;
    size_t item_count;
    const struct pair *config;
    size_t config_count;
    bool stop;
};
int work_read_assignment(struct arena *arena, struct str bytes, struct work_assignment *out, struct mite_error *error);
void work_write_assignment(struct buf *out, const struct work_assignment *assignment);

/* MITE_EAGAIN: it is no orders but the controller's wish for a report. */
int work_read_orders(struct arena *arena, struct str bytes, struct work_orders *out, struct mite_error *error);
void work_write_orders(struct buf *out, const struct work_orders *orders);
void work_write_nudge(struct buf *out);
