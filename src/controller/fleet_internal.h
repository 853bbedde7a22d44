/*
 * The fleet from inside, shared by its files alone:
 *
 *     fleet.c          life, clock, windows, the end
 *     fleet_peers.c    what peers say, each handled once
 *     fleet_runners.c  who they are: joining, leaving, being lost
 *     fleet_orders.c   what runners of ours are told
 *     fleet_plain.c    work for runners that are given it request by request
 *     fleet_control.c  mite ctl
 *     fleet_figures.c  what runners count
 *     fleet_state.c    --state: what is journaled
 *     fleet_restart.c  and what a restarted controller makes of it
 */
#pragma once

#include "controller/fleet.h"
#include "controller/journal.h"
#include "controller/leases.h"
#include "controller/shares.h"
#include "controller/windows.h"
#include "engine/timer.h"
#include "work/protocol.h"

/* Beyond the time after which a runner gives itself up: by then it has let go of what it held. */
#define FLEET_PATIENCE_NS (NS_PER_S / 2)
#define FLEET_PEER_MAX    64 /* bytes of a routing id that we remember */
/* What one runner may claim of anything: sums over all of them stay far from their limits. */
#define FLEET_COUNT_MAX (INT64_C(1) << 40)

/* Who has said bye is forgotten. */
enum runner_state {
    RUNNER_GREETED, /* has said hello, no more */
    RUNNER_LIVE,
    RUNNER_LOST, /* was silent for too long; may come back */
};

struct fleet_runner {
    int64_t id;
    bool plain;
    enum runner_state state;
    char peer[FLEET_PEER_MAX + 1]; /* routing id: of one of ours for good, of a plain one that of its hello */
    int slot;                      /* in the shares, while it lives */
    struct lease_holder holder;
    uint64_t heard_ns, idle_ns; /* idle 0: it is not */
    uint64_t dies_ns;           /* its process is dead: what it had sent may come until then; 0: it lives */
    bool had_work;              /* it has lived: it is among those seen, and in the journal */
    bool came_back;             /* it was lost once, and is counted so */
    struct share_past *past;    /* owned; one an entry: when it was lost, or as the journal knows */

    /* Of ours. */
    uint64_t seq;        /* of the last report that was handled */
    struct buf answer;   /* to it, for when it comes again */
    uint64_t void_up_to; /* the newest lease when it was lost: of those up to there none is its own */
    bool void_told;
    bool introduced;     /* with the report that is being answered */
    bool counted;        /* its statistics are in the totals, */
    uint64_t counted_ns; /* up to then */
    bool nudged;         /* since its last report */
    char *host, *version;
    int64_t pid;
    int64_t max_journeys; /* 0: no limit */
    double cpu;
    uint64_t queued, aborted;
    struct map dropped; /* type → uint64_t: as it last reported */

    /* Of plain ones. */
    double tokens; /* by which it may grow */
    uint64_t asks;

    uint64_t config_version; /* that it knows */

    /* With --state. */
    bool awaited;       /* an earlier controller knew it, to this one it has not introduced itself yet */
    struct totals *own; /* owned: what it has counted */
};

enum fleet_phase {
    FLEET_WAITING, /* no runner yet, or in the delay */
    FLEET_RUNNING,
    FLEET_DRAINING, /* nothing starts any more */
    FLEET_FINISHED,
};

struct fleet {
    struct timer timer; /* first: closing frees the fleet */
    const struct scenario *scenario;
    struct fleet_options options;
    struct controller_hooks hooks;
    struct totals *totals;
    struct sink *reports;
    struct bus *bus;
    struct bus_socket *socket;
    /* What answers go out by; tests have their own. */
    int (*send)(struct fleet *fleet, struct str peer, struct str body);
    void *send_arg;

    struct shares shares;
    struct leases leases;
    struct windows windows;
    double *factors;                         /* owned: of each entry's volume */
    int64_t *model_wants;                    /* owned: what models said, without them */
    struct message_count *required, *actual; /* owned */

    struct fleet_runner **runners; /* owned, in order of their coming */
    size_t runner_count;
    struct map by_id, by_peer; /* by_peer: of ours */
    int64_t next_id;
    uint64_t epoch;

    enum fleet_phase phase;
    bool clock_started, cancelled;
    uint64_t timeout_ns, interval_ns;
    uint64_t start_ns; /* of the scenario's clock: less than no time ago, or before this machine started (it wraps) */
    uint64_t end_ns, next_report_ns, begin_ns; /* begin: when the delay is over; 0: no runner yet */
    uint64_t looked_ns;                        /* for silent runners */
    uint64_t bad_messages, aborted;
    size_t runners_lost, runners_back, runners_seen, runners_plain;
    struct map dropped; /* type → uint64_t, of all runners */

    struct arena arena; /* of the message that is being handled */
    struct buf out;
    struct work_lease *handed; /* owned: the items of the orders that are being made */
    size_t handed_count, handed_room;
    size_t handed_bytes; /* of their arguments, in memory */
    bool stocked;        /* items have come for whom could have none */
    size_t turn;         /* of the runners: who is told of that first */
    double early;        /* requests of the totals' window that were made before it began */
    uint64_t early_ns;   /* when that window began */

    /* --state */
    struct journal journal;
    uint64_t retry_ns;     /* when a journal that failed is tried again */
    uint64_t first_config; /* the configuration's version before anybody changed it */
    struct totals *left;   /* owned; what runners that have said bye had counted; NULL: nothing */
    bool stale;            /* the journal says what is not so any more */
    bool stopped;          /* by somebody, not by its models */
    bool resumed;          /* an earlier controller began */
};

/* fleet.c */
void fleet_look_soon(struct fleet *fleet);
/* The first runner is there, and ready. */
void fleet_clock(struct fleet *fleet);
void fleet_entry_failed(struct fleet *fleet, size_t entry, const struct mite_error *error);
/* Targets anew, and a nudge to those whose work they change. */
void fleet_spread(struct fleet *fleet);
/* An entry whose pool is used up ends when nobody has an item any more that was not used. */
void fleet_check_pools(struct fleet *fleet);
void fleet_set_factor(struct fleet *fleet, size_t entry, double factor);

/* fleet_peers.c */
void fleet_received(void *arg, struct str peer, struct str body);
/* Sends fleet->out. */
void fleet_answer(struct fleet *fleet, struct str peer);
void fleet_bad(struct fleet *fleet, struct str peer, const char *kind, const char *sentence);

/* fleet_runners.c */
struct fleet_runner *fleet_find(const struct fleet *fleet, int64_t id);
struct fleet_runner *fleet_find_peer(const struct fleet *fleet, struct str peer);
/* NULL: no room for one more, or no memory. id 0: the next one. */
struct fleet_runner *fleet_greet(struct fleet *fleet, struct str peer, bool plain, int64_t id);
/* The same without asking for room; for id 0 too. */
struct fleet_runner *fleet_add(struct fleet *fleet, struct str peer, bool plain, int64_t id);
int fleet_join(struct fleet *fleet, struct fleet_runner *runner);
/* It takes part, for the first time or again; or it does not until it comes back. */
void fleet_set_live(struct fleet *fleet, struct fleet_runner *runner);
void fleet_set_lost(struct fleet *fleet, struct fleet_runner *runner);
/* It has said bye, or will not say it any more. */
void fleet_leave(struct fleet *fleet, struct fleet_runner *runner);
/* What it counted stays; nothing else does. */
void fleet_forget(struct fleet *fleet, struct fleet_runner *runner);
void fleet_lose_silent(struct fleet *fleet, uint64_t now_ns);
void fleet_runners_free(struct fleet *fleet);
/* "3 on web-7 (pid 812)" */
const char *fleet_runner_name(const struct fleet_runner *runner, char *out, size_t size);

/* fleet_orders.c: the answer to a report, in runner->answer. */
void fleet_write_orders(struct fleet *fleet, struct fleet_runner *runner);
/* What is new of the configuration to one who knows a version, in the arena; then it knows the newest. */
const struct pair *fleet_config(struct fleet *fleet, uint64_t *known, size_t *count);
/* The arguments of an item as a value; false when no message can carry them: its entry has failed. */
bool fleet_item_value(struct fleet *fleet, const struct lease_item *item, struct value *out);
/* An answer that carries so much of these is long enough. */
#define FLEET_ANSWER_BYTES ((size_t)16 << 20)
/* Items of an entry that a runner may have at once: its part of a pool that has not enough for all. */
int64_t fleet_most_items(const struct fleet *fleet, const struct fleet_runner *runner, size_t entry);
/* Items of an entry that a runner may have without using them. */
int64_t fleet_unused(const struct fleet *fleet, const struct lease_pool *pool);

/* fleet_plain.c */
void fleet_ask(struct fleet *fleet, struct str peer, const struct work_request *request);

/* fleet_state.c. Without --state they do nothing. Each is called before anybody hears of what it tells. */
#define FLEET_STATE_FORMAT 1
void fleet_state_began(struct fleet *fleet);
void fleet_state_joined(struct fleet *fleet, const struct fleet_runner *runner);
/* It is lost, or has left for good; the items of iterable pools that are lost with it. */
void fleet_state_gone(struct fleet *fleet, const struct fleet_runner *runner, bool for_good, uint64_t items_lost);
/* What came back with a report and the items that the answer hands out (fleet->handed, or these). */
void fleet_state_exchange(struct fleet *fleet, const struct fleet_runner *runner, uint64_t seq,
                          const struct work_lease *handed, size_t handed_count, const uint64_t *done, size_t done_count,
                          const uint64_t *unused, size_t unused_count);
/* What it has started and may start, where that is limited. */
void fleet_state_starts(struct fleet *fleet, struct fleet_runner *runner);
void fleet_state_config(struct fleet *fleet, struct str key);
void fleet_state_volume(struct fleet *fleet, size_t entry);
void fleet_state_flag(struct fleet *fleet, const char *kind, bool flag); /* "paused", "stopped" */
/* All that is so now, in place of what the file says. */
int fleet_state_rewrite(struct fleet *fleet, struct mite_error *error);
/* Now and then: does that where the file has grown long, is wrong (fleet->stale), or could not be written. */
void fleet_state_look(struct fleet *fleet, uint64_t now_ns);
void fleet_state_close(struct fleet *fleet);

/* fleet_figures.c: what runners count, into the totals and, with --state, into their own. */
void fleet_take_stats(struct fleet *fleet, struct fleet_runner *runner, const struct work_report *report);
/* Before that: makes room. MITE_ENOMEM: the report must not be taken, it comes again. */
int fleet_expect_stats(struct fleet *fleet, struct fleet_runner *runner, const struct work_report *report);
/* Where there are none yet; 0 or MITE_ENOMEM. */
int fleet_make_figures(struct totals **figures, struct mite_error *error);
/* It is leaving: its own become those of all that have left. */
void fleet_keep_figures(struct fleet *fleet, struct fleet_runner *runner);
void fleet_figures_free(struct totals *figures); /* NULL is a no-op */

/* fleet_restart.c: reads the file, and goes on with what it tells. */
int fleet_state_open(struct fleet *fleet, struct mite_error *error);

/* fleet_control.c */
void fleet_control(struct fleet *fleet, struct str peer, const struct work_request *request);
