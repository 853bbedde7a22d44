/*
 * What the files of journeys in C (native*.c) share: `struct mite_context`, one visit of a journey, and how a visit
 * waits, fails and ends.
 *
 * A visit is taken from its host's list when the journey starts and goes back there when it has ended, with its memory:
 * a journey like others before it allocates nothing here. Code that a journey calls runs on the fiber's stack; whatever
 * is not small (sinks, libcurl) goes through fiber_call().
 */
#pragma once

#define MITE_IMPLEMENTATION
#include "mite/mite.h"

#include "base/buf.h"
#include "engine/blocking.h"
#include "engine/fiber.h"
#include "engine/timer.h"
#include "runner/native.h"

#include <sys/queue.h>

struct native_tls;

LIST_HEAD(response_list, mite_response);
LIST_HEAD(socket_list, mite_socket);
TAILQ_HEAD(visit_queue, mite_context);

/* What a journey has of HTTP; all zero before its first use. */
struct native_session {
    struct http_session *http;
    void (*callback)(struct mite_context *ctx, struct mite_response *response, void *arg);
    void *callback_arg;
    struct arena arenas[2]; /* one holds the metrics, the other the next ones while they are made */
    unsigned arena;
    struct field *metrics;
    size_t metric_count;
};

struct mite_context {
    struct native *native;
    struct context *context; /* borrowed while the journey runs */
    const struct mite_entry *entry;
    struct fiber *fiber; /* NULL before it has begun */
    struct args *given;  /* borrowed like the context; NULL: none */
    struct value args;   /* the same as a list */
    const char *wrong;   /* why there are no args, in the arena; NULL: there are */
    struct arena arena;
    struct native_scratch *scratch; /* the innermost block with memory of its own; NULL: none */
    struct arena *memory;           /* the innermost block's, or `arena` */
    const char *file;               /* where the journey called last; NULL: nowhere yet */
    int line;
    bool cancelled, failed;
    bool unwind_asked;   /* it was cancelled and will be looked at */
    const void *awaited; /* what it waits for, until native_wake(); NULL: it does not */
    bool firm;           /* what it waits for cannot be called off */
    struct deferred_call *deferred;
    struct native_session session;
    struct response_list responses;       /* that the journey holds, the last request first */
    uint64_t requests;                    /* that it has made */
    struct socket_list sockets;           /* that it has open */
    const char *not_connected;            /* why the last connection was none; NULL: it was one */
    const struct arena *not_connected_in; /* where that text lies */
    struct blocking_job job;
    struct timer timer;
    const void *timed; /* what the timer bounds the wait for */
    bool timer_made, timed_out;
    void (*ended)(void *arg, struct context *context, enum journey_outcome outcome);
    void *ended_arg;
    TAILQ_ENTRY(mite_context) link;        /* in one of the host's queues */
    TAILQ_ENTRY(mite_context) cancel_link; /* among those to be unwound, while `unwind_asked` */
};

struct native {
    struct journey_host host;
    struct native_options options;
    struct loop *loop; /* NULL unless open */
    struct fiber_pool *fibers;
    struct http_client *http;       /* NULL before the first request */
    struct http_counts http_counts; /* of the client that is gone */
    struct visit_queue starting, running, spares;
    struct visit_queue cancelled;   /* of these, by `cancel_link`: to be unwound */
    bool start_asked, cancel_asked; /* a deferred call will look */
    bool closing;
    struct response_list spare_responses;
    struct blocking *blocking; /* NULL before the first call that blocks */
    struct native_scratch *spare_scratches;
    struct native_tls *tls;   /* settings of TLS connections */
    unsigned lookups;         /* of names, under way */
    struct buf scratch;       /* for rendering what is copied at once */
    unsigned short random[3]; /* erand48()'s: no two processes draw the same */
};

/* ---- waiting (native.c) ---- */

/* Lets others run until native_wake() comes for the same thing. Does not return when the journey is cancelled
 * meanwhile, unless it is `firm`. False: it has not come, for the host closes and ends clean-ups that wait. */
bool native_wait(struct mite_context *ctx, const void *what);
/* The same for at most so long: false too when it has not come until then. */
bool native_wait_ns(struct mite_context *ctx, const void *what, uint64_t ns);
/* Aborts with a sentence where it is not the journey's fiber that runs, or that has ended: nothing can wait or fail
 * there. */
void native_must_run(const struct mite_context *ctx);
/* From the loop. A visit that does not wait for this is left alone. */
void native_wake(struct mite_context *ctx, const void *what);

/* ---- failing (native_fail.c) ---- */

/* Sends an exception in the innermost transaction, ends the transactions and the journey. The message becomes
 * `Type: text`. */
_Noreturn void native_fail(struct mite_context *ctx, const char *ex_type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with the whole message. */
_Noreturn void native_raise(struct mite_context *ctx, const char *ex_type, struct str message);
/* Fails the journey (TypeError) whose `function` was called without `what` it cannot do without. `ctx` NULL: the
 * journey whose code runs; where none does the process is aborted with the sentence. */
_Noreturn void native_missing(struct mite_context *ctx, const char *function, const char *what);
static inline void native_need(struct mite_context *ctx, const void *pointer, const char *function, const char *what)
{
    if (!pointer) {
        native_missing(ctx, function, what);
    }
}
/* Sends the exception only: for what fails outside of the fiber. */
void native_report(struct mite_context *ctx, const char *ex_type, struct str message);

/* ---- ending ---- */

/* Takes a visit out of the queues of those that run. */
void native_leave(struct mite_context *ctx);

/* Ends open transactions, the innermost first, up to `outermost` (included; NULL: all but the root). */
void native_end_transactions(struct mite_context *ctx, struct transaction *outermost, bool had_error);
void native_run_deferred(struct mite_context *ctx);
void native_http_end(struct mite_context *ctx); /* reports and gives back what is left of requests and the session */
void native_scratches_end(struct mite_context *ctx);
void native_scratches_close(struct native *native);
/* Gives back what came of the requests after the first `requests`. */
void native_http_release_since(struct mite_context *ctx, uint64_t requests);
void native_session_free(struct mite_context *ctx);
void native_http_close(struct native *native); /* the client and spare responses */
void native_sockets_end(struct mite_context *ctx);
/* What failed while a block had this memory: the texts are about to go. */
void native_sockets_forget(struct mite_context *ctx, const struct arena *memory);
void native_sockets_close(struct native *native);
/* Ends the threads. Visits whose call has still not returned are let go: for the runner they have ended, their memory
 * stays as it is; false when there are any. */
bool native_blocking_close(struct native *native);

/* ---- values (native_values.c) ---- */

/* Values and fields of mite.h are ours, and pairs: the same bytes. */
static inline const struct value *native_value(const struct mite_value *value)
{
    return (const struct value *)value;
}
static inline const struct mite_value *native_public(const struct value *value)
{
    return (const struct mite_value *)value;
}

/* Fields as those of a message, into room for `count`. Fails the journey, which called `function`, for what no message
 * can carry. */
void native_fields(struct mite_context *ctx, const char *function, const struct mite_field *fields, size_t count,
                   struct field *out);
/* Options that HTTP and sockets have in common, in nanoseconds or looked at. Fail the journey for what makes no sense.
 */
uint64_t native_timeout_ns(struct mite_context *ctx, const char *name, int64_t ms);
void native_check_key(struct mite_context *ctx, const char *cert_file, const char *key_file);
/* A copy in the journey's memory. Fails the journey without memory. */
const char *native_copy(struct mite_context *ctx, struct str text);
