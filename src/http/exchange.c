/*
 * Design notes
 *
 * - A session keeps its client's memory, an exchange keeps its session's: each may be freed by its owner at any time,
 *   also from inside a callback.
 * - While an exchange calls up (`calling`), http_cancel() only marks it. Whoever called up looks at the mark behind the
 *   callback, before anything else.
 * - Exchanges are used again, with the memory of their texts: a request that is like others before it allocates nothing
 *   here. A response is its own block (response.h).
 */
#include "http/exchange.h"

#include "base/clock.h"
#include "http/header_lines.h"
#include "http/response.h"

#include <curl/curl.h>
#include <stdlib.h>

#define KEPT_TEXT 65536 /* of an idle exchange */

/* ---- life ---- */

struct http_exchange *exchange_take(struct http_session *session)
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
        buf_init(&exchange->credentials, 0);
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

void exchange_release(struct http_exchange *exchange)
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
    exchange->carried.transfer = NULL;
    exchange->calling = exchange->cancelled = false;
    if (client->closed) {
        exchange_free(exchange);
    } else {
        if (exchange->text.capacity > KEPT_TEXT) {
            buf_done(&exchange->text);
            exchange->parsed = 0;
        }
        exchange->next = client->idle;
        client->idle = exchange;
    }
    http_session_free(session);
}

void exchange_free(struct http_exchange *exchange)
{
    buf_done(&exchange->text);
    buf_done(&exchange->credentials);
    buf_done(&exchange->cookie);
    buf_done(&exchange->url_text[0]);
    buf_done(&exchange->url_text[1]);
    free(exchange);
}

/* ---- a hop ---- */

static int set_cookie_header(struct http_exchange *exchange)
{
    struct cookie_jar *jar = exchange->session->jar;
    struct http_hop *hop = &exchange->hop;

    hop->cookie = STR_NONE;
    if (cookie_jar_count(jar) == 0 || header_lines_has(hop->header_lines, STR("Cookie"))) {
        return 0;
    }
    buf_clear(&exchange->cookie);
    int rc = cookie_jar_header(jar, &exchange->cookie, exchange->url.host, exchange->url.path,
                               exchange->url.tls || url_is_loopback(&exchange->url), (int64_t)clock_wall_s());
    if (exchange->cookie.size > 0) {
        hop->cookie = buf_view(&exchange->cookie);
    }
    return rc;
}

int exchange_set_credentials(struct http_exchange *exchange, const struct url *url)
{
    struct buf *buf = &exchange->credentials;

    if (!url->user.p) {
        return 0;
    }
    buf_clear(buf);
    buf_append(buf, url->user.p, url->user.n);
    buf_char(buf, '\0');
    buf_append(buf, url->password.p, url->password.n);
    if (buf->failed) {
        return MITE_ENOMEM;
    }
    exchange->hop.user = (struct str){buf->data, url->user.n};
    exchange->hop.password = (struct str){buf->data + url->user.n + 1, url->password.n};
    return 0;
}

int exchange_send(struct http_exchange *exchange, struct mite_error *error)
{
    struct http_client *client = exchange->session->client;

    if (set_cookie_header(exchange) < 0) {
        return error_set(error, MITE_ENOMEM, "no memory for a request");
    }
    exchange->hop.start_ns = clock_now_ns();
    int rc = route_start(&client->route, &exchange->hop, &exchange->carried, error);
    if (rc == 0) {
        client->counts.started++;
    }
    return rc;
}

void http_cancel(struct http_exchange *exchange)
{
    struct http_client *client = exchange->session->client;

    if (exchange->carried.transfer) {
        route_cancel(&exchange->carried);
        client->counts.aborted++;
    }
    exchange->cancelled = true;
    if (!exchange->calling) {
        exchange_release(exchange);
    }
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
    header_lines_drop(&hop->header_lines, STR("Host"));
}

static int follow(struct http_exchange *exchange, const struct http_response *response, const struct url *target,
                  struct mite_error *error)
{
    struct http_hop *hop = &exchange->hop;

    if (exchange->redirect_ns >= hop->whole_timeout_ns) {
        return error_set(error, MITE_ETIMEDOUT, "redirects took longer than %g s", ns_to_s(hop->whole_timeout_ns));
    }
    hop->timeout_ns = hop->whole_timeout_ns - exchange->redirect_ns;
    if (response->status <= 303 && !str_is(hop->method, "HEAD")) {
        hop->method = STR("GET");
        drop_body(hop);
    }
    if (!url_same_origin(&exchange->url, target)) {
        drop_credentials(hop);
    }
    if (exchange_set_credentials(exchange, target) < 0) {
        return error_set(error, MITE_ENOMEM, "no memory for a redirect");
    }
    exchange->url = *target;
    exchange->parsed = 0;
    exchange->url_slot = !exchange->url_slot;
    hop->url = target->text;
    return exchange_send(exchange, error);
}

/* ---- what comes back ---- */

static void receive_cookies(struct http_exchange *exchange, const struct http_response *response)
{
    struct http_header header;

    for (const char *at = NULL; http_response_next_header(response, &at, &header);) {
        if (str_equal_nocase(header.name, STR("Set-Cookie"))) {
            cookie_jar_receive(exchange->session->jar, header.value, exchange->url.host, exchange->url.path,
                               exchange->url.tls || url_is_loopback(&exchange->url), (int64_t)clock_wall_s());
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

/* An end that is not the transport's: the sentence gets the request in front. */
static void fail(struct http_exchange *exchange, enum http_failure failure, int curl_code, struct mite_error *error)
{
    struct buf shown;

    buf_init(&shown, 0);
    url_mask(exchange->hop.url, &shown);
    error_prefix(error, STR_FMT " %s", STR_ARG(exchange->hop.method), buf_view(&shown).p);
    buf_done(&shown);
    call_done(exchange, failure, curl_code, error);
}

static void redirect(struct http_exchange *exchange, const struct http_response *response, const struct url *target)
{
    struct mite_error error = {0};

    if (exchange->redirects++ >= exchange->max_redirects) {
        error_set(&error, MITE_ELIMIT, "more than %u redirects", exchange->max_redirects);
        fail(exchange, HTTP_REDIRECTS, CURLE_TOO_MANY_REDIRECTS, &error);
    } else if (follow(exchange, response, target, &error) < 0) {
        bool late = error.code == MITE_ETIMEDOUT;
        fail(exchange, late ? HTTP_TIMEOUT : HTTP_LOCAL, late ? CURLE_OPERATION_TIMEDOUT : CURLE_OUT_OF_MEMORY, &error);
    }
}

static void on_response(struct http_exchange *exchange, struct http_response *response)
{
    struct mite_error error;
    struct url target;

    error_init(&error);
    if (response->sets_cookies) {
        receive_cookies(exchange, response);
    }
    bool points = redirect_target(exchange, response, &target, &error);
    if (points && response_set_redirect_url(response, target.text, target.fragment) < 0) {
        points = false;
        error_set(&error, MITE_ENOMEM, "no memory for a redirect");
    }
    if (!call_response(exchange, response)) {
        return;
    }
    if (!exchange->follow || !is_followed(response->status) || (!points && error.code == 0)) {
        call_done(exchange, HTTP_OK, CURLE_OK, NULL);
    } else if (points) {
        redirect(exchange, response, &target);
    } else if (error.code == MITE_ENOMEM) {
        fail(exchange, HTTP_LOCAL, CURLE_OUT_OF_MEMORY, &error);
    } else {
        error_prefix(&error, "its redirect");
        fail(exchange, HTTP_BAD_URL, CURLE_URL_MALFORMAT, &error);
    }
}

void exchange_finished(void *arg, struct http_response *response, enum http_failure failure, int curl_code,
                       const struct mite_error *error)
{
    struct http_exchange *exchange = arg;
    struct http_client *client = exchange->session->client;
    struct http_counts *counts = &client->counts;

    exchange->carried.transfer = NULL;
    if (failure == HTTP_OK) {
        counts->responses++;
        counts->native += exchange->carried.by == client->route.native;
        on_response(exchange, response);
    } else {
        counts->failed++;
        call_done(exchange, failure, curl_code, error);
    }
}

/* libcurl goes on, within the time that is left. */
void exchange_hand_over(void *arg)
{
    struct http_exchange *exchange = arg;
    struct http_hop *hop = &exchange->hop;
    struct mite_error error = {0};
    uint64_t spent_ns = clock_now_ns() - hop->start_ns;

    hop->timeout_ns = spent_ns < hop->timeout_ns ? hop->timeout_ns - spent_ns : 1;
    if (route_go_on(&exchange->session->client->route, hop, &exchange->carried, &error) < 0) {
        exchange_finished(exchange, NULL, HTTP_LOCAL, CURLE_OUT_OF_MEMORY, &error);
    }
}
