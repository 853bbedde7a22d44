/*
 * The fleet from inside, shared by its files alone:
 *
 *     fleet.c          life, clock, windows, the end
 *     fleet_peers.c    what peers say, each handled once
 *     fleet_runners.c  who they are: joining, leaving, being lost
 *     fleet_orders.c   what runners of ours are told
 *     fleet_plain.c    work for runners that are given it request by request
 *     fleet_control.c  mite ctl
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
/* Journeys that one runner may claim: sums over all of them stay far from their limits. */
#define FLEET_COUNT_MAX (INT64_C(1) << 40)

enum runner_state {
    RUNNER_GREETED, /* has said hello, no more */
    RUNNER_LIVE,
    RUNNER_GONE, /* has said bye */
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
    bool had_work;

    /* Of ours. */
    uint64_t seq;      /* of the last report that was handled */
    struct buf answer; /* to it, for when it comes again */
    uint64_t void_up_to;
    bool introduced; /* with the report that is being answered */
    bool counted;    /* its statistics are in the totals */
    bool nudged;     /* since its last report */
    bool lacks;      /* it was given fewer items than it should hold */
    char *host, *version;
    int64_t pid;
    double cpu;
    uint64_t queued, aborted;
    struct map dropped; /* type → uint64_t: as it last reported */

    /* Of plain ones. */
    double tokens; /* by which it may grow */
    uint64_t asks;

    uint64_t config_version; /* that it knows */

    bool awaited;            /* an earlier controller knew it, this one has not heard of it yet */
    struct totals *own;      /* owned; with --state: what it has counted */
    int64_t *started_before; /* owned; of each entry, as an earlier controller knew when it had gone; NULL: none */
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
    uint64_t start_ns, end_ns, next_report_ns, begin_ns; /* begin: when the delay is over; 0: no runner yet */
    uint64_t bad_messages, aborted, runners_lost, runners_seen, runners_plain;
    struct map dropped; /* type → uint64_t, of all runners */

    struct arena arena; /* of the message that is being handled */
    struct buf out;
    struct work_lease *handed; /* owned: the items of the orders that are being made */
    size_t handed_count, handed_room;
    bool stocked;           /* items have come for whom could have none */
    struct journal journal; /* of --state */
    bool resumed;           /* an earlier controller began */
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
void fleet_bad(struct fleet *fleet, struct str peer, const char *kind, const char *sentence);

/* fleet_runners.c */
struct fleet_runner *fleet_find(const struct fleet *fleet, int64_t id);
struct fleet_runner *fleet_find_peer(const struct fleet *fleet, struct str peer);
/* NULL: no room for one more, or no memory. id 0: the next one. */
struct fleet_runner *fleet_greet(struct fleet *fleet, struct str peer, bool plain, int64_t id);
int fleet_join(struct fleet *fleet, struct fleet_runner *runner, int64_t max_journeys);
void fleet_leave(struct fleet *fleet, struct fleet_runner *runner, enum runner_state state);
void fleet_lose_silent(struct fleet *fleet, uint64_t now_ns);
void fleet_runners_free(struct fleet *fleet);
/* "3 on web-7 (pid 812)" */
const char *fleet_runner_name(const struct fleet_runner *runner, char *out, size_t size);

/* fleet_orders.c: the answer to a report, in runner->answer. */
void fleet_write_orders(struct fleet *fleet, struct fleet_runner *runner);
/* What is new of the configuration to one who knows a version, in the arena. */
const struct pair *fleet_config(struct fleet *fleet, uint64_t known, size_t *count);
/* The arguments of an item as a value; false when no message can carry them: its entry has failed. */
bool fleet_item_value(struct fleet *fleet, const struct lease_item *item, struct value *out);
/* Items of an entry that a runner may have without using them. */
int64_t fleet_unused(const struct fleet *fleet, const struct lease_pool *pool);

/* fleet_plain.c */
void fleet_ask(struct fleet *fleet, struct str peer, const struct work_request *request);

/* fleet_state.c. Without --state they do nothing. */
/* Statistics of a runner, also into its own; 0 or the code of totals_read(). */
int fleet_state_count(struct fleet *fleet, struct fleet_runner *runner, const struct value *stats,
                      struct mite_error *error);
#define FLEET_STATE_FORMAT 1
void fleet_state_write_header(struct fleet *fleet, struct buf *out);
void fleet_state_write_leases(struct buf *out, const uint64_t *leases, size_t count);
/* Sees to it that it has figures of its own; 0 or MITE_ENOMEM. */
int fleet_state_own(struct fleet_runner *runner, struct mite_error *error);
/* fleet_restart.c: reads the file, and goes on with what it tells. */
int fleet_state_open(struct fleet *fleet, struct mite_error *error);
void fleet_state_began(struct fleet *fleet);
void fleet_state_joined(struct fleet *fleet, const struct fleet_runner *runner);
void fleet_state_gone(struct fleet *fleet, const struct fleet_runner *runner);
/* Before the answer goes out: what came back with it, and the items (fleet->handed, or these) that it hands out. */
void fleet_state_exchange(struct fleet *fleet, const struct fleet_runner *runner, uint64_t seq,
                          const struct work_lease *handed, size_t handed_count, const uint64_t *done, size_t done_count,
                          const uint64_t *unused, size_t unused_count);
void fleet_state_steered(struct fleet *fleet, const char *what, struct str key, double number);
/* The figures of all runners anew, this one's apart, which come again. */
void fleet_state_recount(struct fleet *fleet, struct fleet_runner *runner);
void fleet_state_close(struct fleet *fleet);

/* fleet_control.c */
void fleet_control(struct fleet *fleet, struct str peer, const struct work_request *request);
