/*
 * Design notes
 *
 * - A context is one block of memory with the texts it views, a transaction too. Transactions with short paths come
 *   from a free list, contexts with short texts too, so that a journey like others before it costs no allocation.
 * - An open transaction keeps its context, a context keeps its root: the circle is broken by ending the root, which
 *   whoever opened it does in any case.
 * - context->current always points to an open transaction: it moves outwards when that one ends, past those that ended
 *   before their inner ones.
 */
#include "runner/context.h"

#include "base/clock.h"

#include <stdlib.h>

#define SEPARATOR " :: "

/* Paths that fit are recycled, and contexts whose texts do. */
#define COMMON_PATH_BYTES 120
#define COMMON_TEXT_BYTES 120
#define MAX_SPARES        1024

/* ---- context ---- */

/* Borrowed. Of the loop's thread: what crashes in another one is not this journey's doing. */
static _Thread_local struct context *running __attribute__((tls_model("initial-exec")));

/* What of a data id lies outside its value. */
static struct str id_text(const struct value *id)
{
    struct str text = value_str(id);

    return text.p ? text : STR("");
}

static struct context *spare_contexts; /* linked by `host` */
static unsigned spare_context_count;

/* All zero. */
static struct context *context_alloc(size_t text_bytes)
{
    struct context *context = spare_contexts;

    if (text_bytes > COMMON_TEXT_BYTES) {
        return calloc(1, sizeof *context + text_bytes);
    }
    if (!context) {
        return calloc(1, sizeof *context + COMMON_TEXT_BYTES);
    }
    spare_contexts = context->host;
    spare_context_count--;
    memset(context, 0, sizeof *context);
    return context;
}

static void context_free(struct context *context, size_t text_bytes)
{
    if (text_bytes > COMMON_TEXT_BYTES || spare_context_count == MAX_SPARES) {
        free(context);
        return;
    }
    context->host = spare_contexts;
    spare_contexts = context;
    spare_context_count++;
}

struct context *context_new(struct sink *sink, const struct message_origin *origin)
{
    struct str id = id_text(&origin->scenario_data_id);
    struct context *context = context_alloc(origin->journey.n + 1 + id.n);

    if (!context) {
        return NULL;
    }
    char *text = (char *)(context + 1);
    if (origin->journey.n > 0) {
        memcpy(text, origin->journey.p, origin->journey.n);
    }
    text[origin->journey.n] = '\0';
    context->refs = 1;
    context->sink = sink;
    context->origin = *origin;
    context->journey_name = text;
    context->origin.journey.p = text;
    if (id.n > 0) {
        context->origin.scenario_data_id.text = memcpy(text + origin->journey.n + 1, id.p, id.n);
    }
    return context;
}

struct context *context_ref(struct context *context)
{
    context->refs++;
    return context;
}

void context_unref(struct context *context)
{
    if (!context || --context->refs > 0) {
        return;
    }
    if (context == running) {
        running = NULL;
    }
    transaction_unref(context->root);
    context_detach(context);
    context_free(context, context->origin.journey.n + 1 + id_text(&context->origin.scenario_data_id).n);
}

void context_detach(struct context *context)
{
    context->sink = NULL;
    context->origin.test = STR("");
    if (context->link.le_prev) {
        LIST_REMOVE(context, link);
        context->link.le_prev = NULL;
    }
}

void context_set_running(struct context *context)
{
    running = context;
}

struct context *context_running(void)
{
    return running;
}

void context_send(struct context *context, struct transaction *in, struct message *message)
{
    if (!context->sink) {
        return;
    }
    context->messages++;
    context->errors += message->kind == MESSAGE_ERROR || message->kind == MESSAGE_EXCEPTION;
    if (message->time == 0) {
        message->time = clock_wall_s();
    }
    message->origin = &context->origin;
    message->test = context->origin.test;
    message->transaction = in ? in->path : STR_NONE;
    message->transaction_id = in ? in->id : 0;
    sink_message(context->sink, message);
}

/* ---- transactions ---- */

static struct transaction *spares; /* linked by `parent` */
static unsigned spare_count;

static struct transaction *transaction_alloc(size_t path_bytes)
{
    struct transaction *transaction = spares;

    if (path_bytes > COMMON_PATH_BYTES) {
        return malloc(sizeof *transaction + path_bytes);
    }
    if (!transaction) {
        return malloc(sizeof *transaction + COMMON_PATH_BYTES);
    }
    spares = transaction->parent;
    spare_count--;
    return transaction;
}

static void transaction_free(struct transaction *transaction)
{
    if (transaction->path.n > COMMON_PATH_BYTES || spare_count == MAX_SPARES) {
        free(transaction);
        return;
    }
    transaction->parent = spares;
    spares = transaction;
    spare_count++;
}

/* At exit, so that what the free list holds does not look like a leak. */
__attribute__((destructor)) static void free_spares(void)
{
    while (spares) {
        struct transaction *transaction = spares;
        spares = transaction->parent;
        free(transaction);
    }
    while (spare_contexts) {
        struct context *context = spare_contexts;
        spare_contexts = context->host;
        free(context);
    }
}

static void write_path(char *path, struct str outer, struct str name)
{
    if (outer.n > 0) {
        memcpy(path, outer.p, outer.n);
        path += outer.n;
        memcpy(path, SEPARATOR, strlen(SEPARATOR));
        path += strlen(SEPARATOR);
    }
    if (name.n > 0) {
        memcpy(path, name.p, name.n);
    }
}

struct transaction *transaction_begin(struct context *context, struct transaction *parent, struct str name)
{
    struct str outer = parent ? parent->path : STR("");
    size_t bytes = outer.n + (outer.n ? strlen(SEPARATOR) : 0) + name.n;
    struct transaction *transaction = transaction_alloc(bytes);

    if (!transaction) {
        return NULL;
    }
    char *path = (char *)(transaction + 1);
    write_path(path, outer, name);
    uint64_t now_ns = clock_now_ns();
    *transaction = (struct transaction){
        .refs = 1,
        .context = context_ref(context),
        .parent = parent ? transaction_ref(parent) : NULL,
        .id = ++context->last_transaction_id,
        .path = {path, bytes},
        .start_wall_s = clock_wall_at(now_ns),
        .start_ns = now_ns,
    };
    context->current = transaction;
    return transaction;
}

/* Takes an open transaction out of its context. */
static void leave(struct transaction *transaction)
{
    struct context *context = transaction->context;

    transaction->ended = true;
    transaction->context = NULL;
    while (context->current && context->current->ended) {
        context->current = context->current->parent;
    }
    context_unref(context);
}

void transaction_end(struct transaction *transaction, bool had_error)
{
    if (transaction->ended) {
        return;
    }
    uint64_t duration_ns = clock_now_ns() - transaction->start_ns;
    double end_s = transaction->start_wall_s + ns_to_s(duration_ns);
    struct message message;

    message_init(&message, MESSAGE_TXN);
    message.time = end_s;
    message.txn = (struct message_txn){
        .start_time = transaction->start_wall_s,
        .end_time = end_s,
        .duration_ns = duration_ns,
        .had_error = had_error,
    };
    transaction->had_error = had_error;
    context_send(transaction->context, transaction, &message);
    leave(transaction);
}

struct transaction *transaction_ref(struct transaction *transaction)
{
    transaction->refs++;
    return transaction;
}

void transaction_unref(struct transaction *transaction)
{
    while (transaction && --transaction->refs == 0) {
        struct transaction *parent = transaction->parent;
        if (!transaction->ended) {
            leave(transaction);
        }
        transaction_free(transaction);
        transaction = parent;
    }
}
