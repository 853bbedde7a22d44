/*
 * The worker from inside, shared by its three files alone: worker.c is what both dialects have in common, dialect.c and
 * plain.c are one each.
 */
#pragma once

#include "engine/timer.h"
#include "worker/link.h"
#include "worker/local.h"
#include "worker/worker.h"

enum worker_phase {
    WORKER_HELLO, /* an answer to it is awaited */
    WORKER_DIALECT,
    WORKER_PLAIN,
    WORKER_BYE,
    WORKER_OVER,
};

/* One of the worker's. */
struct worker_timer {
    struct timer timer;    /* first member */
    struct worker *worker; /* borrowed */
};

/* Reports and orders. */
struct dialect {
    struct work_offer offer;
    struct local *local;         /* owned; NULL: no orders yet */
    struct totals whole;         /* since the process began, but for what is in `fresh` */
    uint64_t seq;                /* of the report that is under way, or was the last */
    uint64_t epoch;              /* of the controller whose leases and marks these are */
    uint64_t sent_ns;            /* when that report was made */
    uint64_t cpu_ns;             /* CPU time of the process then */
    uint64_t gap_ns;             /* from then to the next one; less than the interval when something hurries */
    bool introduces;             /* no orders have been obeyed since a hello: the next report introduces the runner */
    bool idle;                   /* told to stop, and nothing runs */
    bool idle_told;              /* by the report that is under way */
    bool cancelled;              /* told to end what runs */
    struct worker_timer due;     /* the next report */
    struct worker_timer silence; /* no answer for too long */
};

struct plain {
    int64_t *running; /* owned; by scenario id - 1 */
    size_t running_count;
    int64_t total;             /* of them */
    struct arena completed;    /* what `leases` point to */
    struct work_lease *leases; /* owned: items to send back */
    size_t lease_count, lease_capacity;
    unsigned looks; /* a former controller's journeys have to end: so often we still look; 0: they have */
    bool stopping;  /* the controller said so */
    bool ended;     /* something has ended since the last request */
    bool last;      /* the request under way is the last one */
    uint64_t asked_ns;
    struct worker_timer due; /* the next request */
};

struct worker {
    struct loop *loop;
    struct worker_options options;
    struct worker_hooks hooks;
    struct runner *runner; /* borrowed */
    struct link *link;
    enum worker_phase phase;
    char test[WORK_TEXT_MAX + 1];
    int64_t runner_id;
    bool draining;
    bool welcomed; /* a controller has answered, ever */
    bool lost;     /* and now there is none */
    bool refused;  /* the newest hello was; it has been said */
    uint64_t bad_messages;
    char trouble[512];       /* the newest; "" none ever */
    bool troubled;           /* and the next report tells it */
    struct map prepared;     /* specs that may be run */
    struct buf out;          /* a message that is made */
    struct buf held;         /* an answer that waits until a journey is prepared, or another one has ended */
    struct arena arena;      /* of the message that is being read */
    struct arena report;     /* of the one that is being made */
    struct worker_timer bye; /* what its answer may take */
    unsigned timers;         /* that have not closed */
    struct dialect dialect;
    struct plain plain;
};

/* ---- worker.c ---- */

int worker_timer_init(struct worker *worker, struct worker_timer *timer, void (*fire)(struct timer *timer));
static inline struct worker *worker_of(struct timer *timer)
{
    return ((struct worker_timer *)timer)->worker;
}
void worker_say(struct worker *worker, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* What came makes no sense: counted, logged once a kind; empties the error. */
void worker_bad_message(struct worker *worker, struct mite_error *error);
/* It is no answer to what is under way. Nor does it make no sense if it answers what went before: a request that was
 * sent again may be answered twice. */
void worker_unexpected(struct worker *worker, struct str body, struct mite_error *error);
/* The controller has answered, with sense. */
void worker_heard(struct worker *worker);
void worker_say_hello(struct worker *worker);
void worker_say_bye(struct worker *worker);
void worker_end(struct worker *worker);
/* If it is to end, runs nothing, and no controller is there to be told. */
void worker_end_alone(struct worker *worker);
/* False: `spec` must be prepared first; what came is held and will be handled again. */
bool worker_may_run(struct worker *worker, struct str spec, bool has_datapool);
bool worker_hold(struct worker *worker, struct str answer); /* false: no memory */
void worker_set_config(struct worker *worker, const struct pair *config, size_t count);
/* Sends what worker->out holds. MITE_ENOMEM: then nothing is under way. */
int worker_send(struct worker *worker, uint64_t patience_ns);

/* Journeys that the runner runs now. */
int64_t worker_running(const struct worker *worker);

/* ---- dialect.c ---- */

int dialect_init(struct worker *worker);
void dialect_begin(struct worker *worker, const struct work_offer *offer);
void dialect_received(struct worker *worker, struct str body);
void dialect_drain(struct worker *worker);
void dialect_completed(struct worker *worker, int64_t scenario_id, const struct value *data_id, bool failed_at_once);
void dialect_idle(struct worker *worker);
/* Its local controller goes; nothing runs any more. */
void dialect_forget(struct worker *worker);
void dialect_done(struct worker *worker);

/* ---- plain.c ---- */

int plain_init(struct worker *worker);
void plain_begin(struct worker *worker);
void plain_received(struct worker *worker, struct str body);
void plain_disconnected(struct worker *worker);
void plain_drain(struct worker *worker);
void plain_completed(struct worker *worker, int64_t scenario_id, const struct value *data_id);
void plain_done(struct worker *worker);
