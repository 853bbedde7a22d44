/*
 * Context: what one running journey knows and says. It names the sender of each message, keeps the open transactions
 * and hands messages to its sink. Counted, for a user may keep it longer than its journey runs.
 *
 * Transactions form a tree: each knows the one around it. A host with concurrent tasks inside a journey tells which
 * one is the current (Python: a context variable); context->current is that of a host that has none.
 */
#pragma once

#include "bus/sink.h"

#include <sys/queue.h>

struct context;

struct transaction {
    unsigned refs;
    struct context *context;    /* counted while it is open, NULL once it has ended */
    struct transaction *parent; /* counted */
    int64_t id;                 /* in its context, from 1 */
    struct str path;            /* "__root__ :: outer :: inner"; lives as long as the transaction */
    double start_wall_s;
    uint64_t start_ns;
    bool had_error, ended;
};

struct context {
    unsigned refs;
    struct sink *sink; /* borrowed; NULL once the run is over: messages are dropped */
    struct message_origin origin;
    const char *journey_name;    /* lives as long as the context; origin.journey views it */
    struct transaction *root;    /* counted; NULL outside the runner (a test's context) */
    struct transaction *current; /* borrowed; the innermost open one */
    int64_t last_transaction_id;
    bool should_stop;          /* the run wants to end */
    uint64_t messages, errors; /* sent; of those, error and exception */
    void *host;                /* the journey host's own */
    LIST_ENTRY(context) link;  /* among the contexts of its runner; le_prev NULL: it has none */
};

LIST_HEAD(context_list, context);

/* Journey and a data id that is text are copied; what other data ids point to is borrowed as long as the item is out,
 * the test's name as long as there is a sink. NULL without memory. */
struct context *context_new(struct sink *sink, const struct message_origin *origin) PRIVATE_API(context_new);
struct context *context_ref(struct context *context) PRIVATE_API(context_ref);
void context_unref(struct context *context) PRIVATE_API(context_unref);
/* The run is over: the context outlives its sink and its runner. */
void context_detach(struct context *context) PRIVATE_API(context_detach);

/* Whose code runs: set by Python's host around each stretch of it, read by the crash handler. NULL: nobody's.
 * Borrowed. Of the calling thread; what runs a blocking job has the context as its owner instead (blocking.h). */
void context_set_running(struct context *context) PRIVATE_API(context_set_running);
struct context *context_running(void) PRIVATE_API(context_running);

/* Fills origin, transaction (`in` may be NULL: none) and, unless it is set, time, and hands the message on. */
void context_send(struct context *context, struct transaction *in, struct message *message) PRIVATE_API(context_send);

/* Opens a transaction inside `parent` (NULL: outermost). The name is copied. NULL without memory. One whose last
 * reference goes while it is open ends without a message. */
struct transaction *transaction_begin(struct context *context, struct transaction *parent, struct str name)
    PRIVATE_API(transaction_begin);
/* Sends its txn. Ending it twice does nothing. Keeps the caller's reference. */
void transaction_end(struct transaction *transaction, bool had_error) PRIVATE_API(transaction_end);
struct transaction *transaction_ref(struct transaction *transaction) PRIVATE_API(transaction_ref);
void transaction_unref(struct transaction *transaction) PRIVATE_API(transaction_unref);
