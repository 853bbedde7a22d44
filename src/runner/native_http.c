/*
 * Design notes
 *
 * - The client's callbacks only keep what came and wake the journey if it waits for that. Its message is sent when the
 *   journey awaits it: on the loop's stack where it waits already, and on the fiber where the journey's own callback is
 *   to see the response first. What was answered is reported exactly once, whatever way it ends.
 * - Sessions stay with their visit: the next journey finds an empty jar and an open session.
 */
#include "runner/native_http.h"

#include "runner/http_report.h"

#include <stdlib.h>

/* ---- a response's memory ---- */

static struct mite_response *response_take(struct mite_context *ctx)
{
    struct mite_response *response = LIST_FIRST(&ctx->native->spare_responses);

    if (response) {
        LIST_REMOVE(response, link);
    } else if ((response = calloc(1, sizeof *response))) {
        arena_init(&response->arena, 0);
    } else {
        native_raise(ctx, "MemoryError", STR("MemoryError: no memory for a request"));
    }
    response->ctx = ctx;
    response->number = ++ctx->requests;
    LIST_INSERT_HEAD(&ctx->responses, response, link);
    return response;
}

/* What it holds, on the loop's stack. */
static void let_go(void *arg)
{
    struct mite_response *response = arg;

    if (response->exchange) {
        http_cancel(response->exchange);
        response->exchange = NULL;
    }
    http_response_unref(response->last);
    transaction_unref(response->transaction);
}

static void release(struct mite_response *response)
{
    struct native *native = response->ctx->native;
    struct arena arena = response->arena;

    fiber_call(let_go, response);
    LIST_REMOVE(response, link);
    arena_reset(&arena);
    *response = (struct mite_response){.arena = arena};
    LIST_INSERT_HEAD(&native->spare_responses, response, link);
}

void mite_release(struct mite_response *response)
{
    if (response && response->shown) {
        native_fail(response->ctx, "ValueError", "mite_release() in the callback that looks at the response");
    }
    if (response) {
        release(response);
    }
}

/* ---- reporting ---- */

struct metrics {
    struct mite_response *response;
    struct message message;
};

static void send_now(void *arg)
{
    struct metrics *metrics = arg;

    context_send(metrics->response->ctx->context, metrics->response->transaction, &metrics->message);
}

static void show(struct mite_response *response, struct http_response *hop)
{
    response->shown = hop;
    response->json_read = false;
}

static void report_hop(struct mite_response *response, struct http_response *hop, uint64_t wait_ns)
{
    struct native_session *session = &response->ctx->session;
    struct metrics metrics;

    if (session->callback && response->ctx->fiber) {
        show(response, hop);
        session->callback(response->ctx, response, session->callback_arg);
        show(response, NULL);
    }
    metrics.response = response;
    message_init(&metrics.message, MESSAGE_HTTP_METRICS);
    http_report_fill(&metrics.message, hop, wait_ns);
    metrics.message.fields = session->metrics;
    metrics.message.field_count = session->metric_count;
    fiber_call(send_now, &metrics);
}

/* The oldest first; chains are short. A callback that fails leaves the rest to the journey's end. */
static void report_hops(struct mite_response *response, uint64_t wait_ns)
{
    while (response->reported != response->last) {
        struct http_response *hop = response->last;
        while (hop->previous != response->reported) {
            hop = hop->previous;
        }
        report_hop(response, hop, hop == response->last ? wait_ns : 0);
        response->reported = hop;
    }
}

static void report_now(struct mite_response *response, bool waited)
{
    if (response->last) {
        report_hops(response, waited ? http_report_wait_ns(response->last) : 0);
    }
    transaction_unref(response->transaction);
    response->transaction = NULL;
}

/* Once: the transaction is the mark. The last response waited if the request ended by itself. */
static inline void report(struct mite_response *response, bool waited)
{
    if (response->transaction) {
        report_now(response, waited);
    }
}

/* ---- from the client, inside the loop's turn ---- */

static void on_response(void *arg, struct http_response *hop)
{
    struct mite_response *response = arg;
    struct http_response *before = response->last;

    response->last = http_response_ref(hop);
    http_response_unref(before);
}

static void on_done(void *arg, const struct http_outcome *outcome)
{
    struct mite_response *response = arg;
    struct mite_context *ctx = response->ctx;
    struct buf *text = &ctx->native->scratch;

    response->exchange = NULL;
    if (outcome->failure != HTTP_OK) {
        response->ex_type = outcome->failure == HTTP_REDIRECTS ? "RequestError" : "AcurlError";
        buf_clear(text);
        buf_printf(text, "acurl.%s: ", response->ex_type);
        http_report_failure(text, outcome);
        response->failure = arena_str(&response->arena, buf_view(text)).p;
        response->failure = response->failure ? response->failure : "acurl.AcurlError: no memory";
    }
    if (ctx->awaited == response && !ctx->session.callback) {
        report(response, !response->failure);
    }
    native_wake(ctx, response);
}

static const struct http_handlers handlers = {.response = on_response, .done = on_done};

/* ---- requests ---- */

struct starting {
    struct mite_response *response;
    const struct http_request *request;
};

static int open_session(struct mite_context *ctx, struct mite_error *error)
{
    struct native *native = ctx->native;
    int rc = native->http ? 0 : http_client_new(native->loop, native->options.http, &native->http, error);

    if (rc == 0 && !ctx->session.http) {
        ctx->session.http = http_session_new(native->http);
        rc = ctx->session.http ? 0 : error_set(error, MITE_ENOMEM, "no memory for a session");
    }
    return rc;
}

static void keep_refusal(struct mite_response *response, const struct mite_error *error)
{
    struct buf *text = &response->ctx->native->scratch;

    buf_clear(text);
    buf_text(text, "acurl.AcurlError: ");
    response->ex_type = "AcurlError";
    if (!http_report_refusal(text, error)) {
        response->ex_type = "MemoryError";
        buf_clear(text);
        buf_printf(text, "MemoryError: %s", error->text);
    }
    response->failure = arena_str(&response->arena, buf_view(text)).p;
    response->failure = response->failure ? response->failure : "acurl.AcurlError: no memory";
}

static void start_now(void *arg)
{
    struct starting *starting = arg;
    struct mite_response *response = starting->response;
    struct mite_error error;

    error_init(&error);
    int rc = open_session(response->ctx, &error);
    if (rc == 0) {
        rc = http_request(response->ctx->session.http, starting->request, &handlers, response, &response->exchange,
                          &error);
    }
    if (rc < 0) {
        keep_refusal(response, &error);
        error_done(&error);
    }
}

static struct mite_response *start(struct mite_context *ctx, const char *method, const char *url,
                                   const struct mite_http_options *given)
{
    struct mite_http_options older;
    struct mite_response *response = response_take(ctx);
    struct http_request request;
    struct starting starting = {.response = response, .request = &request};

    if (!given || given->size < sizeof older) {
        memset(&older, 0, sizeof older);
        given = given ? memcpy(&older, given, given->size) : &older;
    }
    native_request(response, method, url, given, &request);
    response->may_fail = given->may_fail;
    response->transaction = transaction_ref(ctx->context->current);
    fiber_call(start_now, &starting);
    return response;
}

static struct mite_response *await(struct mite_context *ctx, struct mite_response *response)
{
    while (response->exchange) {
        if (!native_wait(ctx, response)) {
            fiber_exit();
        }
    }
    report(response, !response->failure);
    if (response->failure && !response->may_fail) {
        native_raise(ctx, response->ex_type, str_of(response->failure));
    }
    return response;
}

struct mite_response *mite_request(struct mite_context *ctx, const char *method, const char *url,
                                   const struct mite_http_options *options)
{
    return await(ctx, start(ctx, method, url, options));
}

struct mite_pending *mite_start_request(struct mite_context *ctx, const char *method, const char *url,
                                        const struct mite_http_options *options)
{
    return (struct mite_pending *)start(ctx, method, url, options);
}

struct mite_response *mite_await(struct mite_context *ctx, struct mite_pending *pending)
{
    struct mite_response *response = (struct mite_response *)pending;

    native_need(ctx, response, "mite_await", "the request");
    if (response->ctx != ctx) {
        native_fail(ctx, "ValueError", "mite_await() was given a request that is none of this journey's now");
    }
    return await(ctx, response);
}

/* ---- the session ---- */

void mite_on_response(struct mite_context *ctx,
                      void (*callback)(struct mite_context *ctx, struct mite_response *response, void *arg), void *arg)
{
    ctx->session.callback = callback;
    ctx->session.callback_arg = arg;
}

void mite_metrics_fields(struct mite_context *ctx, const struct mite_field *fields, size_t count)
{
    struct native_session *session = &ctx->session;
    struct arena *arena = &session->arenas[!session->arena];
    struct field *copies = arena_alloc(arena, count * sizeof *copies);
    int rc = copies ? 0 : MITE_ENOMEM;

    if (rc == 0) {
        native_fields(ctx, "mite_metrics", fields, count, copies);
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct value value = copies[i].value;
        copies[i].key = arena_str(arena, copies[i].key);
        rc = copies[i].key.p ? value_copy(arena, &value, &copies[i].value) : MITE_ENOMEM;
    }
    if (rc < 0) {
        native_raise(ctx, "MemoryError", STR("MemoryError: no memory for metrics"));
    }
    arena_reset(&session->arenas[session->arena]);
    session->arena = !session->arena;
    session->metrics = copies;
    session->metric_count = count;
}

/* Callback and metrics, also refused ones; the arenas keep a block. */
static void forget(struct native_session *session)
{
    session->callback = NULL;
    if (session->arenas[0].used_bytes + session->arenas[1].used_bytes > 0) {
        session->metrics = NULL;
        session->metric_count = 0;
        arena_reset(&session->arenas[0]);
        arena_reset(&session->arenas[1]);
    }
}

static void free_session(void *arg)
{
    struct native_session *session = arg;

    http_session_free(session->http);
    session->http = NULL;
}

void mite_new_session(struct mite_context *ctx)
{
    fiber_call(free_session, &ctx->session);
    forget(&ctx->session);
}

struct cookie_call {
    struct mite_context *ctx;
    struct cookie cookie;
    struct mite_error error;
    int rc;
};

static void set_cookie_now(void *arg)
{
    struct cookie_call *call = arg;

    call->rc = open_session(call->ctx, &call->error);
    if (call->rc == 0) {
        call->rc = cookie_jar_set(http_session_cookies(call->ctx->session.http), &call->cookie);
    }
}

void mite_set_cookie(struct mite_context *ctx, const char *domain, const char *name, const char *value)
{
    struct cookie_call call = {
        .ctx = ctx,
        .cookie = {.name = str_of(name), .value = str_of(value), .domain = str_of(domain), .path = STR("/")},
    };

    native_need(ctx, domain, "mite_set_cookie", "the domain");
    native_need(ctx, name, "mite_set_cookie", "the cookie's name");
    native_need(ctx, value, "mite_set_cookie", "the cookie's value");
    fiber_call(set_cookie_now, &call);
    error_done(&call.error);
    if (call.rc < 0) {
        native_fail(ctx, call.rc == MITE_ENOMEM ? "MemoryError" : "ValueError", "cookie \"%s\" for \"%s\" %s", name,
                    domain,
                    call.rc == MITE_ELIMIT   ? "is larger than 4 KiB"
                    : call.rc == MITE_ENOMEM ? "found no memory"
                                             : "has characters that no header carries");
    }
}

const char *mite_cookie(struct mite_context *ctx, const char *name)
{
    const struct cookie_jar *jar = ctx->session.http ? http_session_cookies(ctx->session.http) : NULL;

    native_need(ctx, name, "mite_cookie", "the cookie's name");
    for (size_t i = 0; jar && i < cookie_jar_count(jar); i++) {
        const struct cookie *cookie = cookie_jar_at(jar, i);
        if (str_is(cookie->name, name)) {
            return native_copy(ctx, cookie->value);
        }
    }
    return NULL;
}

void mite_clear_cookies(struct mite_context *ctx)
{
    if (ctx->session.http) {
        cookie_jar_clear(http_session_cookies(ctx->session.http));
    }
}

/* ---- ends ---- */

void native_http_release_since(struct mite_context *ctx, uint64_t requests)
{
    struct mite_response *next;

    for (struct mite_response *response = LIST_FIRST(&ctx->responses); response && response->number > requests;
         response = next) {
        next = LIST_NEXT(response, link);
        report(response, !response->exchange && !response->failure);
        release(response);
    }
}

void native_http_end(struct mite_context *ctx)
{
    native_http_release_since(ctx, 0);
    ctx->requests = 0;
    mite_clear_cookies(ctx);
    forget(&ctx->session);
}

void native_session_free(struct mite_context *ctx)
{
    free_session(&ctx->session);
}

void native_http_close(struct native *native)
{
    struct mite_response *response;

    while ((response = LIST_FIRST(&native->spare_responses))) {
        LIST_REMOVE(response, link);
        arena_done(&response->arena);
        free(response);
    }
    if (native->http) {
        http_client_counts(native->http, &native->http_counts);
        http_client_free(native->http);
        native->http = NULL;
    }
}

void native_http_counts(const struct native *native, struct http_counts *out)
{
    if (native->http) {
        http_client_counts(native->http, out);
    } else {
        *out = native->http_counts;
    }
}
