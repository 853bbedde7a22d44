/*
 * Design notes
 *
 * - A session keeps its client's memory, an exchange keeps its session's: each may be freed by its owner at any time,
 * also from inside a callback.
 * - While an exchange calls up (`calling`), http_cancel() only marks it; whoever called up looks at the mark behind
 * each callback and touches nothing else of the exchange's owner before.
 * - Exchanges are used again, with the memory of their texts: a request that is like others before it allocates nothing
 *   here. A response is its own block (response.h).
 */
#include "http/client.h"

#include "base/buf.h"
#include "base/clock.h"
#include "http/curl.h"
#include "http/header_lines.h"
#include "http/url.h"

#include <stdlib.h>
#include <unistd.h>

#define DEFAULT_CONNECT_TIMEOUT_NS (10 * NS_PER_S)
#define DEFAULT_TIMEOUT_NS         (60 * NS_PER_S)
#define DEFAULT_MAX_BODY           (UINT64_C(256) << 20)
#define KEPT_TEXT                  65536 /* of an idle exchange */

struct http_client {
    unsigned refs; /* its owner's and its sessions' */
    bool closed;
    struct http_transport *transport; /* NULL once closed */
    struct http_exchange *active;     /* doubly linked */
    struct http_exchange *idle;       /* linked by `next` */
    uint64_t connect_timeout_ns, timeout_ns, max_body_bytes;
    bool verify;
    struct http_counts counts;
};

struct http_session {
    unsigned refs; /* its owner's and its exchanges' */
    struct http_client *client;
    struct cookie_jar *jar;
};

struct http_exchange {
    struct http_exchange *next, *previous;
    struct http_session *session;
    const struct http_handlers *handlers;
    void *arg;
    struct http_transfer *transfer; /* NULL between hops */
    bool calling, cancelled;

    struct http_hop hop; /* views into `text` and `cookie` and into what `url` views */
    struct url url;
    struct buf text, cookie;
    struct buf url_text[2]; /* `url` may lie in one, the target of its redirect in the other */
    unsigned url_slot;

    bool follow;
    unsigned redirects, max_redirects;
    uint64_t redirect_ns;       /* of the hops so far */
    struct http_response *last; /* counted */
};

/* ---- clients ---- */

static void finished(void *arg, struct http_response *response, enum http_failure failure, int curl_code,
                     const struct mite_error *error);

int http_client_new(struct loop *loop, const struct http_client_options *options, struct http_client **out,
                    struct mite_error *error)
{
    struct http_client *client = calloc(1, sizeof *client);

    if (!client) {
        return error_set(error, MITE_ENOMEM, "no memory for the HTTP client");
    }
    int rc = curl_transport_new(loop, options, &client->transport, error);
    if (rc < 0) {
        free(client);
        return rc;
    }
    client->refs = 1;
    client->transport->finished = finished;
    client->connect_timeout_ns = options->connect_timeout_ns ? options->connect_timeout_ns : DEFAULT_CONNECT_TIMEOUT_NS;
    client->timeout_ns = options->timeout_ns ? options->timeout_ns : DEFAULT_TIMEOUT_NS;
    client->max_body_bytes = options->max_body_bytes ? options->max_body_bytes : DEFAULT_MAX_BODY;
    client->verify = !options->insecure;
    *out = client;
    return 0;
}

static void client_unref(struct http_client *client)
{
    if (--client->refs == 0) {
        free(client);
    }
}

static void exchange_free(struct http_exchange *exchange)
{
    buf_done(&exchange->text);
    buf_done(&exchange->cookie);
    buf_done(&exchange->url_text[0]);
    buf_done(&exchange->url_text[1]);
    free(exchange);
}

void http_client_free(struct http_client *client)
{
    struct http_exchange *exchange, *next;

    if (!client) {
        return;
    }
    client->closed = true;
    for (exchange = client->active; exchange; exchange = next) {
        next = exchange->next;
        http_cancel(exchange);
    }
    for (exchange = client->idle; exchange; exchange = next) {
        next = exchange->next;
        exchange_free(exchange);
    }
    client->idle = NULL;
    client->transport->ops->free(client->transport);
    client->transport = NULL;
    client_unref(client);
}

void http_client_counts(const struct http_client *client, struct http_counts *out)
{
    *out = client->counts;
    if (client->transport) {
        out->connections = client->transport->traffic.connections;
        out->received_bytes = client->transport->traffic.received_bytes;
    }
}

/* ---- sessions ---- */

struct http_session *http_session_new(struct http_client *client)
{
    struct http_session *session = calloc(1, sizeof *session);
    struct cookie_jar *jar = cookie_jar_new();

    if (!session || !jar) {
        free(session);
        cookie_jar_free(jar);
        return NULL;
    }
    session->refs = 1;
    session->jar = jar;
    session->client = client;
    client->refs++;
    return session;
}

void http_session_free(struct http_session *session)
{
    if (session && --session->refs == 0) {
        cookie_jar_free(session->jar);
        client_unref(session->client);
        free(session);
    }
}

struct cookie_jar *http_session_cookies(struct http_session *session)
{
    return session->jar;
}

/* ---- exchanges ---- */

static struct http_exchange *exchange_take(struct http_session *session)
{
    struct http_client *client = session->client;
    struct http_exchange *exchange = client->idle;

    if (exchange) {
        client->idle = exchange->next;
    } else {
        exchange = calloc(1, sizeof *exchange);
        if (!exchange) {
            return NULL;
        }
        buf_init(&exchange->text, SIZE_MAX / 4);
        buf_init(&exchange->cookie, 0);
        buf_init(&exchange->url_text[0], 0);
        buf_init(&exchange->url_text[1], 0);
    }
    exchange->next = client->active;
    exchange->previous = NULL;
    if (exchange->next) {
        exchange->next->previous = exchange;
    }
    client->active = exchange;
    exchange->session = session;
    session->refs++;
    return exchange;
}

/* The end of an exchange, whatever way it took. */
static void exchange_release(struct http_exchange *exchange)
{
    struct http_session *session = exchange->session;
    struct http_client *client = session->client;

    if (exchange->next) {
        exchange->next->previous = exchange->previous;
    }
    *(exchange->previous ? &exchange->previous->next : &client->active) = exchange->next;
    http_response_unref(exchange->last);
    exchange->last = NULL;
    exchange->session = NULL;
    exchange->transfer = NULL;
    exchange->calling = exchange->cancelled = false;
    if (client->closed) {
        exchange_free(exchange);
    } else {
        if (exchange->text.capacity > KEPT_TEXT) {
            buf_done(&exchange->text);
        }
        exchange->next = client->idle;
        client->idle = exchange;
    }
    http_session_free(session);
}

static void set_cookie_header(struct http_exchange *exchange)
{
    struct cookie_jar *jar = exchange->session->jar;
    struct http_hop *hop = &exchange->hop;

    hop->cookie = STR_NONE;
    if (cookie_jar_count(jar) == 0 || header_lines_has(hop->header_lines, STR("Cookie"))) {
        return;
    }
    buf_clear(&exchange->cookie);
    cookie_jar_header(jar, &exchange->cookie, exchange->url.host, exchange->url.path,
                      exchange->url.tls || url_is_loopback(&exchange->url), (int64_t)clock_wall_s());
    if (exchange->cookie.size > 0) {
        hop->cookie = buf_view(&exchange->cookie);
    }
}

static int send_hop(struct http_exchange *exchange, struct mite_error *error)
{
    struct http_client *client = exchange->session->client;

    set_cookie_header(exchange);
    int rc = client->transport->ops->start(client->transport, &exchange->hop, &exchange->transfer, error);
    if (rc == 0) {
        client->counts.started++;
    }
    return rc;
}

void http_cancel(struct http_exchange *exchange)
{
    struct http_client *client = exchange->session->client;

    if (exchange->transfer) {
        client->transport->ops->cancel(client->transport, exchange->transfer);
        exchange->transfer = NULL;
        client->counts.aborted++;
    }
    exchange->cancelled = true;
    if (!exchange->calling) {
        exchange_release(exchange);
    }
}

static void call_done(struct http_exchange *exchange, enum http_failure failure, int curl_code,
                      const struct mite_error *error)
{
    struct http_outcome outcome = {
        .failure = failure,
        .curl_code = curl_code,
        .curl_text = curl_easy_strerror((CURLcode)curl_code),
        .error = failure == HTTP_OK ? NULL : error,
        .response = exchange->last,
    };

    exchange->calling = true;
    exchange->handlers->done(exchange->arg, &outcome);
    exchange_release(exchange);
}

/* ---- redirects ---- */

static bool is_followed(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Where a 3xx answer points to. The text of `out` is in the storage that exchange->url does not use. False when it
 * points nowhere; `error` is empty unless that is because its Location is no URL. */
static bool redirect_target(struct http_exchange *exchange, const struct http_response *response, struct url *out,
                            struct mite_error *error)
{
    if (response->status < 300 || response->status > 399) {
        return false;
    }
    struct str location = http_response_header(response, "Location");
    return location.n > 0 &&
           url_join(&exchange->url, location, &exchange->url_text[!exchange->url_slot], out, error) == 0;
}

/* What describes a body that is not sent any more. */
static void drop_body(struct http_hop *hop)
{
    static const char *const names[] = {
        "Content-Type",      "Content-Length", "Content-Encoding", "Content-Language", "Content-Location",
        "Transfer-Encoding", "Expect"};

    hop->body = STR_NONE;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        header_lines_drop(&hop->header_lines, str_of(names[i]));
    }
}

/* Another origin gets nothing that was meant for this one. */
static void drop_credentials(struct http_hop *hop)
{
    hop->user = hop->password = STR_NONE;
    header_lines_drop(&hop->header_lines, STR("Authorization"));
    header_lines_drop(&hop->header_lines, STR("Cookie"));
}

static int follow(struct http_exchange *exchange, const struct http_response *response, const struct url *target,
                  struct mite_error *error)
{
    struct http_hop *hop = &exchange->hop;

    if (exchange->redirect_ns >= hop->whole_timeout_ns) {
        return error_set(error, MITE_ETIMEDOUT, STR_FMT " " STR_FMT ": redirects took longer than %.3g s",
                         STR_ARG(hop->method), STR_ARG(hop->url), ns_to_s(hop->whole_timeout_ns));
    }
    hop->timeout_ns = hop->whole_timeout_ns - exchange->redirect_ns;
    if (response->status <= 303 && !str_is(hop->method, "HEAD")) {
        hop->method = STR("GET");
        drop_body(hop);
    }
    if (!url_same_origin(&exchange->url, target)) {
        drop_credentials(hop);
    }
    if (target->user.p) {
        hop->user = target->user;
        hop->password = target->password;
    }
    exchange->url = *target;
    exchange->url_slot = !exchange->url_slot;
    hop->url = target->text;
    return send_hop(exchange, error);
}

/* ---- what comes back ---- */

static void receive_cookies(struct http_exchange *exchange, const struct http_response *response)
{
    bool secure = exchange->url.tls || url_is_loopback(&exchange->url);

    for (size_t i = 0; i < response->header_count; i++) {
        const struct http_header *header = &response->headers[i];
        if (header->name.n == 10 && str_equal_nocase(header->name, STR("Set-Cookie"))) {
            cookie_jar_receive(exchange->session->jar, header->value, exchange->url.host, exchange->url.path, secure,
                               (int64_t)clock_wall_s());
        }
    }
}

/* Hands the response up. False when the exchange was cancelled meanwhile, and is gone. */
static bool call_response(struct http_exchange *exchange, struct http_response *response)
{
    response->previous = exchange->last;
    exchange->last = response;
    response->timings.redirect_ns = exchange->redirect_ns;
    exchange->redirect_ns += response->timings.total_ns;
    if (exchange->handlers->response) {
        exchange->calling = true;
        exchange->handlers->response(exchange->arg, response);
        exchange->calling = false;
        if (exchange->cancelled) {
            exchange_release(exchange);
            return false;
        }
    }
    return true;
}

static void end_too_many(struct http_exchange *exchange)
{
    struct mite_error error = {0};

    error_set(&error, MITE_ELIMIT, STR_FMT " " STR_FMT ": more than %u redirects", STR_ARG(exchange->hop.method),
              STR_ARG(exchange->hop.url), exchange->max_redirects);
    call_done(exchange, HTTP_REDIRECTS, CURLE_TOO_MANY_REDIRECTS, &error);
}

static void end_bad_redirect(struct http_exchange *exchange, struct mite_error *error)
{
    error_prefix(error, STR_FMT " " STR_FMT ": its redirect", STR_ARG(exchange->hop.method),
                 STR_ARG(exchange->hop.url));
    call_done(exchange, HTTP_BAD_URL, CURLE_URL_MALFORMAT, error);
}

static void end_unsent(struct http_exchange *exchange, const struct mite_error *error)
{
    if (error->code == MITE_ETIMEDOUT) {
        call_done(exchange, HTTP_TIMEOUT, CURLE_OPERATION_TIMEDOUT, error);
    } else {
        call_done(exchange, HTTP_LOCAL, CURLE_OUT_OF_MEMORY, error);
    }
}

static void on_response(struct http_exchange *exchange, struct http_response *response)
{
    struct mite_error error = {0};
    struct url target;

    receive_cookies(exchange, response);
    bool points = redirect_target(exchange, response, &target, &error);
    if (points && response_set_redirect_url(response, target.text, target.fragment) < 0) {
        points = false;
    }
    if (!call_response(exchange, response)) {
        return;
    }
    if (!exchange->follow || !is_followed(response->status) || (!points && error.code == 0)) {
        call_done(exchange, HTTP_OK, CURLE_OK, NULL);
    } else if (!points) {
        end_bad_redirect(exchange, &error);
    } else if (exchange->redirects++ >= exchange->max_redirects) {
        end_too_many(exchange);
    } else if (follow(exchange, response, &target, &error) < 0) {
        end_unsent(exchange, &error);
    }
}

static void finished(void *arg, struct http_response *response, enum http_failure failure, int curl_code,
                     const struct mite_error *error)
{
    struct http_exchange *exchange = arg;
    struct http_counts *counts = &exchange->session->client->counts;

    exchange->transfer = NULL;
    if (failure == HTTP_OK) {
        counts->responses++;
        on_response(exchange, response);
    } else {
        counts->failed++;
        call_done(exchange, failure, curl_code, error);
    }
}

/* ---- requests ---- */

static int check(const struct http_client *client, const struct http_request *request, struct mite_error *error)
{
    if (client->closed) {
        return error_set(error, MITE_ECANCELLED, "the HTTP client is closed");
    }
    for (size_t i = 0; i < request->method.n; i++) {
        if (request->method.p[i] <= ' ' || request->method.p[i] >= 0x7f) {
            return error_set(error, MITE_EINVAL, "\"" STR_FMT "\" is no method", STR_ARG(request->method));
        }
    }
    if (request->method.n == 0) {
        return error_set(error, MITE_EINVAL, "a request needs a method");
    }
    if (request->body.p && str_is(request->method, "HEAD")) {
        return error_set(error, MITE_EINVAL, "a HEAD request carries no body");
    }
    return 0;
}

static size_t size_of(const struct http_request *request)
{
    size_t size = request->method.n + request->url.n + request->body.n + request->user.n + request->password.n +
                  request->cert_file.n + request->key_file.n + 8;

    for (size_t i = 0; i < request->header_count; i++) {
        size += request->headers[i].name.n + request->headers[i].value.n + 4;
    }
    return size;
}

/* Copies with a zero behind, into memory that is there already: views do not move. */
static struct str keep(struct buf *text, struct str s)
{
    if (!s.p) {
        return STR_NONE;
    }
    struct str copy = {text->data + text->size, s.n};
    buf_str(text, s);
    buf_char(text, '\0');
    return copy;
}

static int fill_hop(struct http_exchange *exchange, const struct http_request *request, struct mite_error *error)
{
    const struct http_client *client = exchange->session->client;
    struct http_hop *hop = &exchange->hop;
    struct buf *text = &exchange->text;

    buf_clear(text);
    if (buf_reserve(text, size_of(request)) < 0) {
        return error_set(error, MITE_ENOMEM, "no memory for a request");
    }
    exchange->url_slot = 0;
    int rc = url_parse(keep(text, request->url), &exchange->url_text[0], &exchange->url, error);
    if (rc < 0) {
        return rc;
    }
    uint64_t timeout_ns = request->timeout_ns ? request->timeout_ns : client->timeout_ns;
    bool own = request->user.p != NULL;
    *hop = (struct http_hop){
        .method = keep(text, request->method),
        .url = exchange->url.text,
        .body = keep(text, request->body),
        .user = own ? keep(text, request->user) : exchange->url.user,
        .password = own ? keep(text, request->password) : exchange->url.password,
        .cert_file = keep(text, request->cert_file),
        .key_file = keep(text, request->key_file),
        .timeout_ns = timeout_ns,
        .whole_timeout_ns = timeout_ns,
        .connect_timeout_ns = request->connect_timeout_ns ? request->connect_timeout_ns : client->connect_timeout_ns,
        .max_body_bytes = client->max_body_bytes,
        .verify = request->verify < 0 ? client->verify : request->verify != 0,
        .arg = exchange,
    };
    hop->header_lines.p = text->data + text->size;
    rc = header_lines_append(text, request->headers, request->header_count, error);
    hop->header_lines.n = (size_t)(text->data + text->size - hop->header_lines.p);
    return rc;
}

static int check_file(struct str path, const char *what, struct mite_error *error)
{
    return !path.p || access(path.p, R_OK) == 0 ? 0 : error_errno(error, errno, "cannot read the %s %s", what, path.p);
}

static int add_cookies(struct http_exchange *exchange, const struct http_request *request, struct mite_error *error)
{
    for (size_t i = 0; i < request->cookie_count; i++) {
        struct cookie cookie = {
            .name = request->cookies[i].name,
            .value = request->cookies[i].value,
            .domain = exchange->url.host,
            .path = STR("/"),
        };
        if (cookie_jar_set(exchange->session->jar, &cookie) < 0) {
            return error_set(error, MITE_ENOMEM, "no memory for a cookie");
        }
    }
    return 0;
}

int http_request(struct http_session *session, const struct http_request *request, const struct http_handlers *handlers,
                 void *arg, struct http_exchange **out, struct mite_error *error)
{
    int rc = check(session->client, request, error);

    if (rc < 0) {
        return rc;
    }
    struct http_exchange *exchange = exchange_take(session);
    if (!exchange) {
        return error_set(error, MITE_ENOMEM, "no memory for a request");
    }
    rc = fill_hop(exchange, request, error);
    if (rc == 0) {
        rc = check_file(exchange->hop.cert_file, "client certificate", error);
    }
    if (rc == 0) {
        rc = check_file(exchange->hop.key_file, "client key", error);
    }
    if (rc == 0) {
        rc = add_cookies(exchange, request, error);
    }
    if (rc == 0) {
        exchange->handlers = handlers;
        exchange->arg = arg;
        exchange->follow = request->follow_redirects;
        exchange->max_redirects = request->max_redirects;
        exchange->redirects = 0;
        exchange->redirect_ns = 0;
        rc = send_hop(exchange, error);
    }
    if (rc < 0) {
        exchange_release(exchange);
        return rc;
    }
    *out = exchange;
    return 0;
}
