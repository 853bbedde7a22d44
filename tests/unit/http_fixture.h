/*
 * A loop with a client and a session on it, and what the last exchange brought. Each test program includes this once.
 */
#pragma once

#include "base/clock.h"
#include "http/client.h"
#include "tls_end.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct loop *loop;
    struct http_client *client;
    struct http_session *session;
    char base_url[64];              /* of the server; no slash at the end */
    struct http_exchange *exchange; /* NULL once it is over */
    struct http_response *response; /* counted */
    enum http_failure failure;
    int curl_code, responses, ends;
    char sentence[512], curl_text[128];
    bool cancel_in_response, free_in_response, free_in_done;
};

/* Each phase ends when the one before it has; those of a connection that was there already are 0. */
static void check_timings(const struct http_response *response)
{
    const struct http_timings *t = &response->timings;
    bool is_new = t->connect_ns > 0;
    uint64_t ends[] = {t->dns_ns, t->connect_ns, t->tls_ns, t->pretransfer_ns, t->first_byte_ns, t->total_ns}, last = 0;

    for (size_t i = is_new ? 0 : 3; i < sizeof ends / sizeof *ends; i++) {
        if (ends[i] > 0 || i >= 3) {
            if (ends[i] == 0 || ends[i] < last) {
                fail_msg("phases end at %llu, %llu, %llu, %llu, %llu and %llu ns", (unsigned long long)t->dns_ns,
                         (unsigned long long)t->connect_ns, (unsigned long long)t->tls_ns,
                         (unsigned long long)t->pretransfer_ns, (unsigned long long)t->first_byte_ns,
                         (unsigned long long)t->total_ns);
            }
            last = ends[i];
        }
    }
    assert_true(is_new || t->dns_ns + t->tls_ns == 0);
    assert_int_equal(t->tls_ns > 0, is_new && memcmp(response->url.p, "https", 5) == 0);
    assert_true(t->start_ns > 0 && t->start_ns + t->total_ns <= clock_now_ns());
}

/* What the machine's environment has of proxies is not for these tests. */
static inline void forget_proxies(void)
{
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
}

static inline size_t header_count(const struct http_response *response)
{
    struct http_header header;
    size_t count = 0;

    for (const char *at = NULL; http_response_next_header(response, &at, &header);) {
        count++;
    }
    return count;
}

static void fixture_on_response(void *arg, struct http_response *response)
{
    struct fixture *f = arg;

    check_timings(response);
    f->responses++;
    http_response_unref(f->response);
    f->response = http_response_ref(response);
    if (f->cancel_in_response) {
        http_cancel(f->exchange);
        f->exchange = NULL;
        loop_stop(f->loop);
    }
    if (f->free_in_response) {
        http_client_free(f->client);
        f->client = NULL;
        f->exchange = NULL;
        loop_stop(f->loop);
    }
}

static void fixture_on_done(void *arg, const struct http_outcome *outcome)
{
    struct fixture *f = arg;

    f->ends++;
    f->exchange = NULL;
    f->failure = outcome->failure;
    f->curl_code = outcome->curl_code;
    snprintf(f->curl_text, sizeof f->curl_text, "%s", outcome->curl_text);
    snprintf(f->sentence, sizeof f->sentence, "%s", outcome->error ? outcome->error->text : "");
    if (outcome->failure == HTTP_OK) {
        assert_ptr_equal(outcome->response, f->response);
        assert_null(outcome->error);
    }
    if (f->free_in_done) {
        http_client_free(f->client);
        f->client = NULL;
    }
    loop_stop(f->loop);
}

static const struct http_handlers fixture_handlers = {.response = fixture_on_response, .done = fixture_on_done};

/* The programs run over each transport, plain and over TLS (tls_end.h): the environment says which. */
static inline bool over_curl(void)
{
    const char *name = getenv("MITE_TEST_TRANSPORT");

    return name && strcmp(name, "curl") == 0;
}

static void open_client(struct fixture *f, const struct http_client_options *wanted)
{
    struct mite_error error = {0};
    struct http_client_options with_transport = *wanted, *options = &with_transport;

    if (over_curl()) {
        options->transport = HTTP_TRANSPORT_CURL;
    }
    if (over_tls() && !options->ca_file) {
        options->ca_file = tls_end_authority();
    }
    http_session_free(f->session);
    http_client_free(f->client);
    assert_int_equal(http_client_new(f->loop, options, &f->client, &error), 0);
    f->session = http_session_new(f->client);
    assert_non_null(f->session);
}

static void fixture_open(struct fixture *f)
{
    *f = (struct fixture){.ends = 0};
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(loop_new(&f->loop, NULL), 0);
    open_client(f, &(struct http_client_options){0});
}

/* Every handle must be closed by the end of it. */
static void fixture_close(struct fixture *f)
{
    struct mite_error error = {0};

    http_session_free(f->session);
    http_client_free(f->client);
    http_response_unref(f->response);
    if (loop_free(f->loop, &error) < 0) {
        fail_msg("%s", error.text);
    }
}

static const char *url_of(struct fixture *f, const char *path)
{
    static char url[512];

    snprintf(url, sizeof url, "%s%s", f->base_url, path);
    return url;
}

static struct http_request get(struct fixture *f, const char *path)
{
    return (struct http_request){.method = STR("GET"),
                                 .url = str_of(url_of(f, path)),
                                 .verify = -1,
                                 .follow_redirects = true,
                                 .max_redirects = 5};
}

static void start(struct fixture *f, const struct http_request *request)
{
    struct mite_error error = {0};

    f->responses = f->ends = 0;
    if (http_request(f->session, request, &fixture_handlers, f, &f->exchange, &error) < 0) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(f->ends, 0);
}

static void run(struct fixture *f, const struct http_request *request)
{
    struct mite_error error = {0};

    start(f, request);
    assert_int_equal(loop_run(f->loop, &error), 0);
    assert_int_equal(f->ends, 1);
}

static inline void run_get(struct fixture *f, const char *path)
{
    struct http_request request = get(f, path);

    run(f, &request);
}

static inline void assert_str(struct str s, const char *text)
{
    if (!str_is(s, text)) {
        fail_msg("\"" STR_FMT "\" is not \"%s\"", STR_ARG(s), text);
    }
}

static inline void assert_ok(struct fixture *f, int status, const char *body)
{
    if (f->failure != HTTP_OK) {
        fail_msg("%s", f->sentence);
    }
    assert_int_equal(f->response->status, status);
    assert_str(f->response->body, body);
}

static void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part)) {
        fail_msg("no \"%s\" in \"%s\"", part, text);
    }
}

static inline void assert_failed(struct fixture *f, enum http_failure failure, int curl_code, const char *sentence)
{
    assert_int_equal(f->failure, failure);
    assert_int_equal(f->curl_code, curl_code);
    assert_contains(f->sentence, sentence);
}
