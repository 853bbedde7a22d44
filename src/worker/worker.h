/*
 * Worker: a runner whose controller is another process. It says hello, learns which dialect that controller speaks
 * (work/protocol.h), and has its runner do what it is told, until the test is over or it is asked to end.
 *
 *     link.c      the socket: one request at a time, sent again until it is answered
 *     worker.c    hello, configuration, the end
 *     dialect.c   reports and orders, the two totals, silence
 *     local.c     the local controller, which works between two reports
 *     leases.c    the items that it has been lent
 *     plain.c     the controller of the Python program
 *
 * Life cycle: worker_new; the owner makes a runner with worker_controller_ops and gives it to worker_start; the loop
 * runs; worker_drain when the process is asked to end; `over`; then the runner is freed, and the worker after it.
 */
#pragma once

#include "base/log.h"
#include "bus/socket.h"
#include "runner/runner.h"
#include "scenario/config.h"
#include "stats/totals.h"
#include "work/protocol.h"

struct worker;

struct worker_options {
    struct bus *bus;     /* borrowed */
    const char *address; /* of the controller; borrowed */
    const char *name;    /* routing id: WORK_ROUTING_PREFIX and what no other runner has; borrowed */
    const char *host, *version;
    int64_t max_journeys;    /* 0: no limit */
    double max_loop_delay_s; /* plain: asks for work at least that often; 1 when 0 */
    double min_loop_delay_s; /* plain: and no more often */
    struct totals *fresh;    /* borrowed; a sink of the runner's messages: what was counted since the last report */
    struct config *config;   /* borrowed: the controller's, and its changes */
};

/* Called from the loop. Only `over` may free anything, and that not the worker. */
struct worker_hooks {
    /* A sentence for the operator: connected, lost, back. */
    void (*say)(void *arg, enum log_level level, const char *text);
    /* A journey is about to be run for the first time. 0, or MITE_EAGAIN: not before worker_prepared(). */
    int (*prepare)(void *arg, const char *spec, bool has_datapool);
    /* Fills in what the process knows: dropped (in the arena), aborted, queued. */
    void (*describe)(void *arg, struct arena *arena, struct work_report *report);
    void (*over)(void *arg); /* nothing is left to do; once */
    void *arg;
};

/* MITE_EINVAL: the address. */
int worker_new(struct loop *loop, const struct worker_options *options, const struct worker_hooks *hooks,
               struct worker **out, struct mite_error *error);
/* What the runner's messages are to name as their test; valid as long as the worker. */
const char *worker_test(const struct worker *worker);
extern const struct work_controller_ops worker_controller_ops; /* of the runner; its controller is the worker */
/* Borrowed until worker_free. Says hello. */
void worker_start(struct worker *worker, struct runner *runner);

/* What `prepare` put off may go on. */
void worker_prepared(struct worker *worker);
/* A sentence that the controller's operator should read too, as far as it has ears for that. */
void worker_trouble(struct worker *worker, const char *text);

/* Start nothing more; when what runs has ended, tell the controller, say bye, `over`. Twice does nothing. */
void worker_drain(struct worker *worker);
/* End what runs; with worker_drain. */
void worker_cancel(struct worker *worker);

uint64_t worker_bad_messages(const struct worker *worker); /* that made no sense; logged once a kind */
void worker_free(struct worker *worker);                   /* NULL is a no-op */
