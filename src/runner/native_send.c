/*
 * What a journey in C says: messages and transactions.
 */
#include "runner/native_visit.h"

#define FIELDS_ON_STACK 16

struct sending {
    struct mite_context *ctx;
    struct str type;
    struct field *fields;
    size_t count;
};

static void send_now(void *arg)
{
    struct sending *sending = arg;
    struct context *context = sending->ctx->context;
    struct message message = {0};

    message_from_fields(&message, sending->type, sending->fields, sending->count);
    context_send(context, context->current, &message);
}

void mite_send_fields(struct mite_context *ctx, const char *type, const struct mite_field *fields, size_t count)
{
    struct field on_stack[FIELDS_ON_STACK], *copies = on_stack;

    if (count > FIELDS_ON_STACK) {
        copies = mite_alloc(ctx, count * sizeof *copies);
    }
    native_need(ctx, type, "mite_send", "the message's type");
    if (!str_is_utf8(str_of(type))) {
        native_fail(ctx, "TypeError", "mite_send(): a message's type is a text in UTF-8");
    }
    native_fields(ctx, "mite_send", fields, count, copies);
    fiber_call(send_now, &(struct sending){ctx, str_of(type), copies, count});
}

struct mite_context *mite_here(struct mite_context *ctx, const char *file, int line)
{
    ctx->file = file;
    ctx->line = line;
    return ctx;
}

/* ---- transactions ---- */

int64_t mite_transaction_begin(struct mite_context *ctx, const char *name)
{
    struct context *context = ctx->context;
    struct str text = str_of(name);

    native_need(ctx, name, "mite_transaction_begin", "the transaction's name");
    if (!str_is_utf8(text)) {
        native_fail(ctx, "TypeError", "a transaction's name is a text in UTF-8");
    }
    struct transaction *transaction = transaction_begin(context, context->current, text);
    if (!transaction) {
        native_raise(ctx, "MemoryError", STR("MemoryError: no memory for a transaction"));
    }
    return transaction->id;
}

struct ending {
    struct mite_context *ctx;
    struct transaction *outermost;
    bool had_error;
};

static void end_now(void *arg)
{
    struct ending *ending = arg;
    struct context *context = ending->ctx->context;
    struct transaction *at = context->current;

    while (at && at != context->root) {
        struct transaction *outer = at->parent;
        bool last = at == ending->outermost;
        transaction_end(at, ending->had_error);
        transaction_unref(at); /* what mite_transaction_begin() left open */
        at = last ? NULL : outer;
    }
}

void native_end_transactions(struct mite_context *ctx, struct transaction *outermost, bool had_error)
{
    if (ctx->context->current != ctx->context->root) {
        fiber_call(end_now, &(struct ending){ctx, outermost, had_error});
    }
}

void mite_transaction_end(struct mite_context *ctx, int64_t number)
{
    for (struct transaction *at = ctx->context->current; at && at != ctx->context->root; at = at->parent) {
        if (at->id == number) {
            native_end_transactions(ctx, at, false);
            return;
        }
    }
}
