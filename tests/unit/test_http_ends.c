/* Every way in which an exchange ends other than well: what fails, what is refused at once, what is cancelled when. */
#include "http_fixture.h"
#include "http_peer.h"

#include <unistd.h>

static const struct peer_route routes[] = {
    {"/", OK_ANSWER},
    {"/text",
     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-One: a\r\nX-One:  b \r\nContent-Length: 5\r\n\r\nhello"},
    {"/301", "HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"},
    {"/302-stall", "HTTP/1.1 302 Found\r\nLocation: /stall\r\nContent-Length: 0\r\n\r\n"},
    {"/gzip", GZIP_ANSWER, sizeof GZIP_ANSWER - 1},
    {"/bad-gzip", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"},
    {"/cut", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", 0, true},
    {"/drop", NULL, 0, true},
    {"/stall", NULL},
    {"/stall-body", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"},
    {"/garbage", "SSH-2.0-OpenSSH_9.2\r\n", 0, true},
    {NULL},
};

#include "http_stage.h"

/* ---- what goes wrong ---- */

/* A socket with a port of its own, which nobody else can take meanwhile. */
static int bound_socket(struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)address, size), 0);
    getsockname(fd, (struct sockaddr *)address, &size);
    return fd;
}

static void test_refused(void **state)
{
    struct fixture *f = *state;
    struct http_counts counts;
    struct http_request request = get(f, "/");
    struct sockaddr_in address;
    int deaf = bound_socket(&address);
    char url[64];

    snprintf(url, sizeof url, "%s://127.0.0.1:%d/x", tls_end_scheme(), ntohs(address.sin_port));
    request.url = str_of(url);
    run(f, &request);
    close(deaf);
    char expected[128];
    snprintf(expected, sizeof expected, "GET %s: connection refused", url);
    assert_failed(f, HTTP_CONNECT, 7, expected);
    assert_string_equal(f->curl_text, "Couldn't connect to server");
    http_client_counts(f->client, &counts);
    assert_int_equal(counts.failed, 1);
}

static void test_no_such_host(void **state)
{
    struct fixture *f = *state;
    struct http_request request = get(f, "/");

    request.url = STR("http://name.invalid/x");
    run(f, &request);
    assert_failed(f, HTTP_RESOLVE, 6, "GET http://name.invalid/x: ");
    assert_contains(f->sentence, "name.invalid");
}

static void test_closed(void **state)
{
    struct fixture *f = *state;

    run_get(f, "/drop");
    assert_failed(f, HTTP_CLOSED, 52, "/drop: the server closed the connection without an answer");
    run_get(f, "/cut");
    assert_failed(f, HTTP_CLOSED, 18, "/cut: the server closed the connection in the middle of its answer");
    assert_int_equal(f->responses, 0);
    run_get(f, "/");
    assert_ok(f, 200, "ok");
}

static void test_not_http(void **state)
{
    struct fixture *f = *state;

    run_get(f, "/garbage");
    assert_failed(f, HTTP_PROTOCOL, 1, "HTTP/0.9");
    run_get(f, "/bad-gzip");
    assert_int_equal(f->failure, HTTP_PROTOCOL);
}

/* Over a connection that is there: its handshake takes nothing of the time. */
static void run_in_200_ms(struct fixture *f, const char *path)
{
    run_get(f, "/");
    struct http_request request = get(f, path);
    request.timeout_ns = 200 * NS_PER_MS;
    run(f, &request);
}

static void test_timeout(void **state)
{
    struct fixture *f = *state;

    run_get(f, "/"); /* over the connection that this leaves */
    run_in_200_ms(f, "/stall");
    assert_failed(f, HTTP_TIMEOUT, 28, "/stall: no answer within 0.2 s");
    run_get(f, "/");
    run_in_200_ms(f, "/stall-body");
    assert_failed(f, HTTP_TIMEOUT, 28, "the answer was not whole within 0.2 s");
    run_get(f, "/");
    assert_ok(f, 200, "ok");
}

/* A listener that nobody accepts from, with its queue full: the kernel answers no further attempt. */
static void test_connect_timeout(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in address;
    int listener = bound_socket(&address), waiting[4];
    struct http_request request = get(f, "/");
    char url[64];

    assert_int_equal(listen(listener, 0), 0);
    for (int i = 0; i < 4; i++) {
        waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(waiting[i], (struct sockaddr *)&address, sizeof address);
    }
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    request.url = str_of(url);
    request.connect_timeout_ns = 30 * NS_PER_MS;
    for (int i = 0; i < 2; i++) {
        run(f, &request);
        assert_failed(f, HTTP_TIMEOUT, 28, "no connection within 0.03 s");
    }
    run_get(f, "/");
    assert_ok(f, 200, "ok");
    for (int i = 0; i < 4; i++) {
        close(waiting[i]);
    }
    close(listener);
}

static void test_max_body(void **state)
{
    struct fixture *f = *state;

    open_client(f, &(struct http_client_options){.max_body_bytes = 4});
    run_get(f, "/");
    assert_ok(f, 200, "ok");
    run_get(f, "/text");
    assert_failed(f, HTTP_TOO_LARGE, 63, "the body is larger than 4 bytes (--max-body-size)");
    run_get(f, "/gzip"); /* its decoded form counts */
    assert_failed(f, HTTP_TOO_LARGE, 63, "--max-body-size");
}

static void refuse(struct fixture *f, const struct http_request *request, int code, const char *sentence)
{
    struct mite_error error = {0};
    struct http_exchange *exchange = NULL;

    assert_int_equal(http_request(f->session, request, &fixture_handlers, f, &exchange, &error), code);
    assert_null(exchange);
    assert_contains(error.text, sentence);
    error_done(&error);
}

static void test_refused_at_once(void **state)
{
    struct fixture *f = *state;
    struct http_header bad[] = {{STR("X"), STR("a\r\nY: b")}, {STR("X Y"), STR("a")}};
    struct http_request request = get(f, "/");

    request.url = STR("ftp://me:secret@h/x");
    refuse(f, &request, MITE_EINVAL, "bad URL \"ftp://***@h/x\": only http and https are known");
    request.url = STR("http://a b/");
    refuse(f, &request, MITE_EINVAL, "bad URL \"http://a b/\": its host is no valid name");
    request = get(f, "/");
    request.headers = bad;
    request.header_count = 1;
    refuse(f, &request, MITE_EINVAL, "line break");
    request.headers = bad + 1;
    refuse(f, &request, MITE_EINVAL, "\"X Y\" is no name");
    request = get(f, "/");
    struct http_header cookie = {STR("a"), STR("b; c=d")};
    request.cookies = &cookie;
    request.cookie_count = 1;
    refuse(f, &request, MITE_EINVAL, "the cookie \"a\" has a character in it that no header can carry");
    request = get(f, "/");
    request.cert_file = STR("/no/such/file");
    refuse(f, &request, MITE_ENOTFOUND, "cannot read the client certificate /no/such/file: No such file");
    request = get(f, "/");
    request.method = STR("GET / HTTP/1.1\r\nX: y\r\n");
    refuse(f, &request, MITE_EINVAL, "no method");
}

/* Ours has no limit but that of a URL, libcurl has one for all of it. */
static void test_large_requests(void **state)
{
    struct fixture *f = *state;
    static char url[900000], value[900000];
    struct http_header header = {STR("X-Large"), {value, sizeof value}};
    struct http_request request = get(f, "/");
    struct peer_route large[] = {{NULL}, {NULL}};

    if (over_curl() && over_tls()) { /* 7.88 stalls in the middle of such a head */
        skip();
    }
    memset(url, 'x', sizeof url);
    memset(value, 'y', sizeof value);
    int n = snprintf(url, sizeof url, "%s/", f->base_url);
    url[n] = 'x';
    char *path = strndup(url + n - 1, sizeof url - (size_t)n + 1);
    large[0] = (struct peer_route){path, OK_ANSWER};
    peer.routes = large;
    request.url = (struct str){url, sizeof url};
    run(f, &request);
    assert_ok(f, 200, "ok");
    request.headers = &header;
    request.header_count = 1;
    if (over_curl()) {
        refuse(f, &request, MITE_EINVAL, "URL, headers and cookies are longer than libcurl takes: 1000000 bytes");
    } else {
        run(f, &request);
        assert_ok(f, 200, "ok");
    }
    free(path);
}

/* ---- cancelling ---- */

static void assert_quiet(struct fixture *f)
{
    for (int i = 0; i < 20; i++) {
        uv_run(loop_uv(f->loop), UV_RUN_NOWAIT);
    }
    assert_int_equal(f->ends, 0);
}

static void test_cancel_before_it_starts(void **state)
{
    struct fixture *f = *state;
    struct http_request request = get(f, "/");
    struct http_counts counts;

    start(f, &request);
    http_cancel(f->exchange);
    assert_quiet(f);
    http_client_counts(f->client, &counts);
    assert_int_equal(counts.aborted, 1);
    assert_in_range(peer.requests, 0, 1); /* to a server that is near it goes out at once */
    run_get(f, "/");
    assert_ok(f, 200, "ok");
}

static void cancel_now(void *arg)
{
    http_cancel(((struct fixture *)arg)->exchange);
}

static void test_cancel_while_it_connects(void **state)
{
    struct fixture *f = *state;
    struct http_request request = get(f, "/");

    start(f, &request);
    assert_int_equal(loop_defer(f->loop, cancel_now, f), 0); /* before the loop looks at the socket */
    assert_quiet(f);
    run_get(f, "/");
    assert_ok(f, 200, "ok");
}

static void test_cancel_while_it_waits(void **state)
{
    struct fixture *f = *state;
    struct http_request request = get(f, "/stall");

    start(f, &request);
    while (peer.requests == 0) {
        uv_run(loop_uv(f->loop), UV_RUN_ONCE);
    }
    http_cancel(f->exchange);
    while (peer.ended == 0) { /* its connection is of no use any more */
        uv_run(loop_uv(f->loop), UV_RUN_ONCE);
    }
    assert_quiet(f);
    run_get(f, "/");
    assert_ok(f, 200, "ok");
}

static void test_cancel_in_the_body(void **state)
{
    struct fixture *f = *state;
    struct http_request request = get(f, "/stall-body");

    start(f, &request);
    while (peer.requests == 0) {
        uv_run(loop_uv(f->loop), UV_RUN_ONCE);
    }
    assert_quiet(f);
    http_cancel(f->exchange);
    assert_quiet(f);
}

static void test_cancel_while_resolving(void **state)
{
    struct fixture *f = *state;
    struct http_request request = get(f, "/");

    request.url = STR("http://name.invalid/");
    start(f, &request);
    uv_run(loop_uv(f->loop), UV_RUN_NOWAIT);
    uint64_t before = clock_now_ns();
    http_cancel(f->exchange);
    assert_true(clock_now_ns() - before < NS_PER_S / 4);
    assert_quiet(f);
}

static void test_cancel_in_a_callback(void **state)
{
    struct fixture *f = *state;
    struct http_request request = get(f, "/301");

    f->cancel_in_response = true;
    start(f, &request);
    loop_run(f->loop, NULL);
    assert_int_equal(f->responses, 1);
    f->cancel_in_response = false;
    assert_quiet(f);
    assert_int_equal(peer.requests, 1);
}

static void test_free_in_a_callback(void **state)
{
    struct fixture *f = *state;
    struct http_request request = get(f, "/301");

    f->free_in_response = true;
    start(f, &request);
    loop_run(f->loop, NULL);
    f->free_in_response = false;
    assert_quiet(f);
    refuse(f, &request, MITE_ECANCELLED, "closed");

    open_client(f, &(struct http_client_options){0});
    f->free_in_done = true;
    run_get(f, "/");
}

static void test_free_under_way(void **state)
{
    struct fixture *f = *state;
    static const char *const paths[] = {"/stall", "/stall-body", "/302-stall", "/"};
    struct http_exchange *exchanges[4];

    for (int round = 0; round < 3; round++) {
        open_client(f, &(struct http_client_options){0});
        f->ends = 0;
        for (int i = 0; i < 4; i++) {
            struct http_request request = get(f, paths[i]);
            assert_int_equal(http_request(f->session, &request, &fixture_handlers, f, &exchanges[i], NULL), 0);
        }
        for (int i = 0; i < round * 3; i++) {
            uv_run(loop_uv(f->loop), UV_RUN_NOWAIT);
        }
        f->ends = 0;
        http_session_free(f->session);
        f->session = NULL;
        http_client_free(f->client);
        f->client = NULL;
        assert_quiet(f);
    }
}

int main(void)
{
    forget_proxies();
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_refused),
        TEST(test_no_such_host),
        TEST(test_closed),
        TEST(test_not_http),
        TEST(test_timeout),
        TEST(test_connect_timeout),
        TEST(test_max_body),
        TEST(test_refused_at_once),
        TEST(test_large_requests),
        TEST(test_cancel_before_it_starts),
        TEST(test_cancel_while_it_connects),
        TEST(test_cancel_while_it_waits),
        TEST(test_cancel_in_the_body),
        TEST(test_cancel_while_resolving),
        TEST(test_cancel_in_a_callback),
        TEST(test_free_in_a_callback),
        TEST(test_free_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
