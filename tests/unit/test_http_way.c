/* The way to a server: connections that are kept, names and addresses, proxies, and the wait for 100 Continue. */
#include "http_fixture.h"
#include "http_peer.h"

static const struct peer_route routes[] = {
    {"/", OK_ANSWER},
    {"/text", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"},
    {"/301", "HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"},
    {"/last", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 0, true},
    {NULL},
};

#include "http_stage.h"

/* ---- kept connections ---- */

static void test_connections_are_kept(void **state)
{
    struct fixture *f = *state;
    struct http_counts counts;

    run_get(f, "/");
    assert_true(f->response->timings.connect_ns > 0);
    run_get(f, "/text");
    http_session_free(f->session);
    f->session = http_session_new(f->client);
    run_get(f, "/");
    assert_int_equal(peer.accepted, 1);
    struct http_timings *t = &f->response->timings;
    assert_int_equal(t->dns_ns + t->connect_ns + t->tls_ns, 0);
    assert_true(t->start_ns > 0 && t->first_byte_ns > 0 && t->total_ns >= t->first_byte_ns);
    assert_true(t->start_ns + t->total_ns <= clock_now_ns());
    run_get(f, "/last");
    run_get(f, "/"); /* the server closed: a new one */
    assert_int_equal(peer.accepted, 2);
    http_client_counts(f->client, &counts);
    assert_int_equal(counts.started, 5);
    assert_int_equal(counts.responses, 5);
    assert_int_equal(counts.connections, 2);
    assert_int_equal(counts.failed + counts.aborted, 0);
    assert_true(counts.received_bytes > 100);
}

static void test_idle_connections_that_the_server_closes(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 3; i++) { /* the server closes while the connection idles in the pool */
        run_get(f, "/");
        peer_close_connection(peer.connections);
        while (peer.ended <= i) {
            uv_run(loop_uv(f->loop), UV_RUN_ONCE);
        }
    }
    run_get(f, "/");
    assert_ok(f, 200, "ok");
}

/* A server that closes a kept connection just when a request goes over it: that goes over another one, however often.
 */
static void test_a_request_survives_a_connection_that_dies(void **state)
{
    struct fixture *f = *state;

    peer.once = true;
    for (int i = 0; i < 20; i++) {
        run_get(f, "/");
        assert_ok(f, 200, "ok");
    }
    assert_int_equal(peer.accepted, 20);
    assert_int_equal(peer.requests, 39);
}

/* ---- where to ---- */

static void test_resolve(void **state)
{
    struct fixture *f = *state;
    struct http_resolve resolve = {STR("shop.test"), STR("127.0.0.1"), (uint16_t)peer.port};
    struct http_request request = get(f, "/");
    char url[64], expected[64];

    open_client(f, &(struct http_client_options){.resolve = &resolve, .resolve_count = 1});
    snprintf(url, sizeof url, "%s://shop.test:%d/", tls_end_scheme(), peer.port);
    snprintf(expected, sizeof expected, "Host: shop.test:%d\r\n", peer.port);
    request.url = str_of(url);
    run(f, &request);
    assert_ok(f, 200, "ok");
    assert_contains(peer.last.data, expected);
    assert_string_equal(f->response->primary_ip, "127.0.0.1");
}

/* The name is looked up; where it has an IPv6 address too, nobody listens there. */
static void test_localhost(void **state)
{
    struct fixture *f = *state;
    struct http_request request = get(f, "/");
    char url[64];

    snprintf(url, sizeof url, "%s://localhost:%d/", tls_end_scheme(), peer.port);
    request.url = str_of(url);
    for (int i = 0; i < 2; i++) {
        run(f, &request);
        assert_ok(f, 200, "ok");
        assert_string_equal(f->response->primary_ip, "127.0.0.1");
        assert_int_equal(f->response->timings.dns_ns > 0, i == 0);
    }
    assert_int_equal(peer.accepted, 1);
}

static void test_addresses_take_turns(void **state)
{
    struct fixture *f = *state;
    struct http_resolve resolve[] = {{STR("shop.test"), STR("::1"), (uint16_t)peer.port}, /* nobody listens there */
                                     {STR("shop.test"), STR("127.0.0.1"), (uint16_t)peer.port},
                                     {STR("shop.test"), STR("127.0.0.1"), (uint16_t)peer.port}};
    struct http_exchange *exchange;
    char url[64];

    if (over_curl()) { /* which takes the first one that answers */
        skip();
    }
    open_client(f, &(struct http_client_options){.resolve = resolve, .resolve_count = 3});
    snprintf(url, sizeof url, "%s://shop.test:%d/", tls_end_scheme(), peer.port);
    f->ends = 0;
    for (int i = 0; i < 4; i++) { /* at once: each over a connection of its own */
        struct http_request request = get(f, "/");
        request.url = str_of(url);
        assert_int_equal(http_request(f->session, &request, &fixture_handlers, f, &exchange, NULL), 0);
    }
    while (f->ends < 4) {
        uv_run(loop_uv(f->loop), UV_RUN_ONCE);
        assert_int_equal(f->failure, HTTP_OK);
    }
    assert_int_equal(peer.accepted, 4);
}

static void test_ipv6(void **state)
{
    struct fixture *f = *state;
    struct peer six;
    uv_tcp_t probe;
    struct sockaddr_in6 address;

    uv_ip6_addr("::1", 0, &address);
    uv_tcp_init(loop_uv(f->loop), &probe);
    bool there = uv_tcp_bind(&probe, (struct sockaddr *)&address, 0) == 0;
    uv_close((uv_handle_t *)&probe, NULL);
    uv_run(loop_uv(f->loop), UV_RUN_NOWAIT);
    if (!there) {
        skip();
    }
    peer_start(&six, f->loop, "::1", routes);
    struct http_request request = get(f, "/");
    char url[80];
    snprintf(url, sizeof url, "%s/", six.url);
    request.url = str_of(url);
    run(f, &request);
    assert_ok(f, 200, "ok");
    assert_string_equal(f->response->primary_ip, "::1");
    peer_stop(&six);
    while (six.connections) {
        uv_run(loop_uv(f->loop), UV_RUN_NOWAIT);
    }
}

static void test_proxy(void **state)
{
    struct fixture *f = *state;
    struct http_request request = get(f, "/");
    static const struct peer_route proxy_routes[] = {{"http://shop.test/x", OK_ANSWER}, {NULL}};

    if (over_tls()) {
        skip();
    }
    setenv("http_proxy", peer.url, 1);
    peer.routes = proxy_routes;
    open_client(f, &(struct http_client_options){0});
    request.url = STR("http://shop.test/x");
    run(f, &request);
    assert_ok(f, 200, "ok");
    assert_contains(peer.last.data, "GET http://shop.test/x HTTP/1.1\r\nHost: shop.test\r\n");

    peer.routes = routes; /* not for what is excepted */
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("no_proxy", "shop.test,127.0.0.1", 1);
    open_client(f, &(struct http_client_options){0});
    run_get(f, "/");
    assert_ok(f, 200, "ok");
    assert_contains(peer.last.data, "GET / HTTP/1.1\r\n");
    unsetenv("no_proxy");
    run_get(f, "/");
    assert_failed(f, HTTP_CONNECT, 7,
                  "connection refused: Failed to connect to 127.0.0.1 port 1 (the environment names a proxy)");
    unsetenv("http_proxy");
}

/* More than one lane of the transport takes. */
static void test_many_at_once(void **state)
{
    struct fixture *f = *state;
    struct http_exchange *exchange;
    struct http_counts counts;

    for (int round = 1; round <= 2; round++) {
        f->ends = 0;
        for (int i = 0; i < 300; i++) {
            struct http_request request = get(f, i % 2 ? "/text" : "/301");
            assert_int_equal(http_request(f->session, &request, &fixture_handlers, f, &exchange, NULL), 0);
        }
        while (f->ends < 300) {
            uv_run(loop_uv(f->loop), UV_RUN_ONCE);
            assert_int_equal(f->failure, HTTP_OK);
        }
        assert_int_equal(peer.requests, round * 450);
    }
    http_client_counts(f->client, &counts);
    assert_int_equal(counts.responses, 900);
    assert_int_equal(counts.connections, peer.accepted);
    assert_in_range(peer.accepted, 1, 310);
}

/* ---- waiting for 100 Continue ---- */

static void test_expect(void **state)
{
    struct fixture *f = *state;
    struct http_header headers[] = {{STR("Expect"), STR("100-continue")}};
    static const struct peer_route expecting[] = {{"/go", "HTTP/1.1 100 Continue\r\n\r\n" OK_ANSWER},
                                                  {"/no", "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"},
                                                  {"/", OK_ANSWER},
                                                  {NULL}};
    struct http_request request = get(f, "/go");

    peer.routes = expecting;
    peer.answers_heads = true;
    request.method = STR("POST");
    request.body = STR("body");
    request.headers = headers;
    request.header_count = 1;
    run(f, &request);
    assert_ok(f, 200, "ok");
    assert_contains(peer.last.data, "\r\nExpect: 100-continue\r\n");
    assert_int_equal(f->response->upload_bytes, 4);

    request.url = str_of(url_of(f, "/no"));
    run(f, &request);
    assert_ok(f, 403, "no");
    assert_int_equal(f->response->upload_bytes, 0);
}

/* A server that knows nothing of it gets the body after a while. */
static void test_expect_without_an_answer(void **state)
{
    struct fixture *f = *state;
    struct http_header header = {STR("Expect"), STR("100-continue")};
    struct http_request request = get(f, "/");

    request.method = STR("POST");
    request.body = STR("body");
    request.headers = &header;
    request.header_count = 1;
    run(f, &request);
    assert_ok(f, 200, "ok");
    assert_contains(peer.last.data, "\r\n\r\nbody");
    assert_in_range(f->response->timings.total_ns, 900 * NS_PER_MS, 10 * NS_PER_S);
}

int main(void)
{
    forget_proxies();
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_connections_are_kept),
        TEST(test_idle_connections_that_the_server_closes),
        TEST(test_a_request_survives_a_connection_that_dies),
        TEST(test_resolve),
        TEST(test_localhost),
        TEST(test_addresses_take_turns),
        TEST(test_ipv6),
        TEST(test_proxy),
        TEST(test_many_at_once),
        TEST(test_expect),
        TEST(test_expect_without_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
