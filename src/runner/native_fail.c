/*
 * How a journey in C fails: a message in its innermost transaction, the transactions' end, then the fiber's. And what
 * it leaves to be called at its end.
 */
#include "runner/native_visit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct deferred_call {
    struct deferred_call *next;
    void (*fn)(void *arg);
    void *arg;
};

/* One message on its way to the loop's stack. */
struct sending {
    struct mite_context *ctx;
    struct message *message;
};

static void send_now(void *arg)
{
    struct sending *sending = arg;
    struct context *context = sending->ctx->context;

    context_send(context, context->current, sending->message);
}

/* `FILE:LINE:journey` of the last call into mite, in the scratch buffer; "" before the first. */
static struct str location(struct mite_context *ctx)
{
    struct buf *out = &ctx->native->scratch;

    buf_clear(out);
    if (ctx->file) {
        buf_printf(out, "%s:%d:%s", ctx->file, ctx->line, ctx->entry->name);
    }
    return buf_view(out);
}

/* As messages carry it: what is no UTF-8 (a body, say) becomes a question mark, byte by byte. */
static struct str repaired(struct mite_context *ctx, struct str text)
{
    char *copy = str_is_utf8(text) ? NULL : arena_alloc(ctx->memory, text.n);
    size_t length;

    if (!copy) {
        return str_is_utf8(text) ? text : STR("?");
    }
    memcpy(copy, text.p, text.n);
    for (size_t i = 0; i < text.n; i += length) {
        length = str_utf8_length((struct str){copy + i, text.n - i});
        if (length == 0) {
            copy[i] = '?';
            length = 1;
        }
    }
    return (struct str){copy, text.n};
}

static void send_failure(struct mite_context *ctx, enum message_kind kind, const char *ex_type, struct str text,
                         const struct field *fields, size_t count)
{
    struct message message = {
        .kind = kind,
        .type = message_type_of(kind),
        .failure = {.message = repaired(ctx, text),
                    .ex_type = str_of(ex_type),
                    .location = repaired(ctx, location(ctx))},
        .fields = fields,
        .field_count = count,
    };
    struct buf frame;

    buf_init(&frame, 0);
    if (kind == MESSAGE_EXCEPTION) {
        if (ctx->file) {
            buf_printf(&frame, "  File \"%s\", line %d, in %s\n", ctx->file, ctx->line, ctx->entry->name);
        }
        message.failure.stacktrace = repaired(ctx, buf_view(&frame));
    }
    fiber_call(send_now, &(struct sending){ctx, &message});
    buf_done(&frame);
}

/* Only the first failure counts: what fails in a clean-up on the way out ends that clean-up. */
static _Noreturn void end(struct mite_context *ctx)
{
    native_must_run(ctx);
    if (!ctx->failed && !ctx->cancelled) {
        ctx->failed = true;
        native_end_transactions(ctx, NULL, true);
    }
    fiber_exit();
}

void native_report(struct mite_context *ctx, const char *ex_type, struct str message)
{
    send_failure(ctx, MESSAGE_EXCEPTION, ex_type, message, NULL, 0);
}

void native_raise(struct mite_context *ctx, const char *ex_type, struct str message)
{
    if (!ctx->failed && !ctx->cancelled) {
        native_report(ctx, ex_type, message);
    }
    end(ctx);
}

void native_fail(struct mite_context *ctx, const char *ex_type, const char *format, ...)
{
    struct buf text;
    va_list args;

    buf_init(&text, 0);
    buf_printf(&text, "%s: ", ex_type);
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    const char *copy = native_copy(ctx, buf_view(&text));
    buf_done(&text);
    native_raise(ctx, ex_type, str_of(copy));
}

void native_missing(struct mite_context *ctx, const char *function, const char *what)
{
    const struct fiber *fiber = fiber_current();

    if (!ctx && fiber) {
        ctx = fiber_arg(fiber);
    }
    if (!ctx) {
        dprintf(STDERR_FILENO, "mite: %s() was given NULL for %s\n", function, what);
        abort();
    }
    native_fail(ctx, "TypeError", "%s() was given NULL for %s", function, what);
}

/* Both texts are the exception's, which is about to go. */
void mite_threw(struct mite_context *ctx, const char *type, const char *text)
{
    const char *ex_type = native_copy(ctx, str_of(type));
    const char *message = text ? mite_format(ctx, "%s: %s", type, text) : mite_format(ctx, "%s was thrown", type);

    native_raise(ctx, ex_type, str_of(message));
}

/* ---- errors of the author's ---- */

/* `text` becomes the message of an error like a MiteError of Python's. */
static _Noreturn void raise_error(struct mite_context *ctx, struct str text, const struct mite_field *fields,
                                  size_t count)
{
    if (!ctx->failed && !ctx->cancelled) {
        struct field *copies = mite_alloc(ctx, count * sizeof *copies);
        const char *message =
            mite_format(ctx, "mite.exceptions.MiteError%s" STR_FMT, text.n ? ": " : "", STR_ARG(text));

        native_fields(ctx, "mite_fail_with", fields, count, copies);
        send_failure(ctx, MESSAGE_ERROR, "MiteError", str_of(message), copies, count);
    }
    end(ctx);
}

static struct str format_text(struct mite_context *ctx, const char *format, va_list args)
{
    struct buf text;

    buf_init(&text, 0);
    buf_vprintf(&text, format, args);
    const char *copy = native_copy(ctx, buf_view(&text));
    buf_done(&text);
    return str_of(copy);
}

void mite_fail_format(struct mite_context *ctx, const char *format, ...)
{
    va_list args;

    native_need(ctx, format, "mite_fail", "its format");
    va_start(args, format);
    struct str text = format_text(ctx, format, args);
    va_end(args);
    raise_error(ctx, text, NULL, 0);
}

void mite_fail_fields(struct mite_context *ctx, const char *text, const struct mite_field *fields, size_t count)
{
    native_need(ctx, text, "mite_fail_with", "its text");
    raise_error(ctx, str_of(text), fields, count);
}

/* The macro puts a blank before the author's format, so that there is always one. */
void mite_check_failed(struct mite_context *ctx, const char *condition, const char *format, ...)
{
    struct str text = str_of(condition);
    va_list args;

    if (format[1]) {
        va_start(args, format);
        text = format_text(ctx, format + 1, args);
        va_end(args);
    }
    raise_error(ctx, text, NULL, 0);
}

/* ---- at the end ---- */

void mite_defer(struct mite_context *ctx, void (*fn)(void *arg), void *arg)
{
    struct deferred_call *call = arena_alloc(&ctx->arena, sizeof *call);

    native_need(ctx, (void *)fn, "mite_defer", "its function");
    if (!call) {
        native_raise(ctx, "MemoryError", STR("MemoryError: no memory for a deferred call"));
    }
    *call = (struct deferred_call){.next = ctx->deferred, .fn = fn, .arg = arg};
    ctx->deferred = call;
}

/* What these calls do is still the journey's doing. */
void native_run_deferred(struct mite_context *ctx)
{
    struct deferred_call *call;

    while ((call = ctx->deferred)) {
        ctx->deferred = call->next;
        context_set_running(ctx->context);
        call->fn(call->arg);
        context_set_running(NULL);
    }
}
