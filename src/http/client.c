#include "http/client.h"

#include "base/clock.h"
#include "http/exchange.h"
#include "http/header_lines.h"

#include <stdlib.h>
#include <unistd.h>

#define DEFAULT_CONNECT_TIMEOUT_NS (10 * NS_PER_S)
#define DEFAULT_TIMEOUT_NS         (60 * NS_PER_S)
#define DEFAULT_MAX_BODY           (UINT64_C(256) << 20)

/* ---- clients ---- */

int http_client_new(struct loop *loop, const struct http_client_options *options, struct http_client **out,
                    struct mite_error *error)
{
    struct http_client *client = calloc(1, sizeof *client);

    if (!client) {
        return error_set(error, MITE_ENOMEM, "no memory for the HTTP client");
    }
    int rc = route_open(&client->route, loop, options, exchange_finished, exchange_hand_over, error);
    if (rc < 0) {
        free(client);
        return rc;
    }
    client->refs = 1;
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
    route_close(&client->route);
    client_unref(client);
}

void http_client_counts(const struct http_client *client, struct http_counts *out)
{
    *out = client->counts;
    route_counts(&client->route, out);
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

static struct str copy(struct buf *text, struct str s)
{
    struct str kept = {text->data + text->size, s.n};

    *(char *)mempcpy(text->data + text->size, s.p, s.n) = '\0';
    text->size += s.n + 1;
    return kept;
}

/* Copies with a zero behind, into memory that is there already: views do not move. */
static inline struct str keep(struct buf *text, struct str s)
{
    return s.p ? copy(text, s) : STR_NONE;
}

/* Users ask for the same thing again and again: an exchange that is used again often has that URL taken apart. */
static int set_url(struct http_exchange *exchange, struct str asked, bool same, struct mite_error *error)
{
    struct str text = keep(&exchange->text, asked);

    exchange->url_slot = 0;
    if (same) {
        return 0;
    }
    int rc = url_parse(text, &exchange->url_text[0], &exchange->url, error);
    exchange->parsed = rc < 0 ? 0 : text.n;
    return rc;
}

static int fill_hop(struct http_exchange *exchange, const struct http_request *request, struct mite_error *error)
{
    const struct http_client *client = exchange->session->client;
    struct http_hop *hop = &exchange->hop;
    struct buf *text = &exchange->text;

    const char *before = text->data;
    bool same = exchange->parsed > 0 && str_equal((struct str){before, exchange->parsed}, request->url);
    buf_clear(text);
    if (buf_reserve(text, size_of(request)) < 0) {
        return error_set(error, MITE_ENOMEM, "no memory for a request");
    }
    int rc = set_url(exchange, request->url, same && text->data == before, error);
    if (rc < 0) {
        return rc;
    }
    uint64_t timeout_ns = request->timeout_ns ? request->timeout_ns : client->timeout_ns;
    *hop = (struct http_hop){
        .method = keep(text, request->method),
        .url = exchange->url.text,
        .parts = &exchange->url,
        .body = keep(text, request->body),
        .user = keep(text, request->user),
        .password = keep(text, request->password),
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
    if (rc == 0 && !hop->user.p && exchange_set_credentials(exchange, &exchange->url) < 0) {
        rc = error_set(error, MITE_ENOMEM, "no memory for a request");
    }
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
        int rc = cookie_jar_set(exchange->session->jar, &cookie);
        if (rc < 0) {
            return error_set(error, rc, "the cookie \"" STR_FMT "\" %s", STR_ARG(cookie.name),
                             rc == MITE_EINVAL   ? "has a character in it that no header can carry"
                             : rc == MITE_ELIMIT ? "is larger than 4 KiB"
                                                 : "finds no memory");
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
        rc = exchange_send(exchange, error);
    }
    if (rc < 0) {
        exchange_release(exchange);
        return rc;
    }
    *out = exchange;
    return 0;
}
