/*
 * Fleet: the controller of a distributed test. Where controller.h starts each journey itself in its own process, this
 * one shares the work out to runner processes over a SERVICE socket (work/protocol.h) and adds up what they report.
 * Both ask the models through the same windows and report to the same hooks.
 *
 *     shares.h        the arithmetic: targets and rates of each runner, without a loop
 *     leases.h        which item is out to whom
 *     journal.h       --state: what a restarted controller must know
 *
 * Life cycle: fleet_new, fleet_bind, then the loop; the clock of the scenario starts with the first runner. fleet_stop
 * or the models' own end; `finished` when every runner that lives is idle and its last statistics are in; fleet_free.
 */
#pragma once

#include "bus/socket.h"
#include "controller/controller.h"
#include "stats/totals.h"

struct fleet;

struct fleet_options {
    struct controller_options scheduling; /* over all runners together */
    double runner_timeout_s;              /* silence after which a runner is called dead; 10 when 0 */
    double report_interval_s;             /* 0.25 when 0 */
    size_t max_runners;                   /* 0: 10,000 */
    const char *state_file;               /* borrowed; NULL: no journal */
    bool quiet;                           /* runners are the owner's own: their coming is no news */
    struct config *config;                /* borrowed: sent to runners, changed by mite ctl */
};

struct fleet_counts {
    struct controller_counts journeys; /* over all runners */
    uint64_t aborted;                  /* requests that runners cut off at the end */
    uint64_t bad_messages;             /* that made no sense; logged once a kind */
    size_t runners;                    /* that live now */
    size_t runners_seen;
    size_t runners_lost;    /* of those seen: lost, and not back */
    size_t runners_unheard; /* of those lost: what they had counted was known to an earlier controller alone */
    size_t runners_back;    /* of those seen: were lost for a while */
    size_t runners_plain;   /* of those seen: they report no statistics */
    uint64_t items_lost;    /* of pools that do not recycle, gone with a runner */
};

/* Scenario, totals (into which runners' statistics are merged) and sink (for controller_report) are borrowed. */
int fleet_new(struct loop *loop, struct bus *bus, const struct scenario *scenario, const struct fleet_options *options,
              struct totals *totals, struct sink *reports, const struct controller_hooks *hooks, struct fleet **out,
              struct mite_error *error);
int fleet_bind(struct fleet *fleet, const char *address, struct mite_error *error);
const char *fleet_address(const struct fleet *fleet);

/* The runner process of this number on this machine has died: its work goes to others at once. */
void fleet_died(struct fleet *fleet, int64_t pid);

void fleet_stop(struct fleet *fleet);   /* start nothing new */
void fleet_cancel(struct fleet *fleet); /* and end what runs */
void fleet_count(const struct fleet *fleet, struct fleet_counts *out);
/* Of the requests in the totals' window, those that were made before it began: reports come a little later. */
double fleet_early_requests(const struct fleet *fleet);
/* Events that runners had to drop, by type. */
void fleet_each_dropped(const struct fleet *fleet, void (*each)(void *arg, struct str type, uint64_t count), void *arg);
void fleet_free(struct fleet *fleet); /* NULL is a no-op */
