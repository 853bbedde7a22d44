/* The client against a server of the test's own: what goes out, what comes back, and every way in which it ends. */
#include "http_fixture.h"
#include "http_peer.h"

static const struct peer_route routes[] = {
    {"/", OK_ANSWER},
    {"/text",
     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-One: a\r\nX-One:  b \r\nContent-Length: 5\r\n\r\nhello"},
    {"/folded", "HTTP/1.1 200 OK\r\nX-Long: a\r\n b\r\nContent-Length: 0\r\n\r\n"},
    {"/chunked",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: t\r\n\r\n"},
    {"/head", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
    {"/204", "HTTP/1.1 204 No Content\r\n\r\n"},
    {"/304", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"},
    {"/early", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" OK_ANSWER},
    {"/301", "HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"},
    {"/301-301", "HTTP/1.1 301 Moved\r\nLocation: /301\r\nContent-Length: 0\r\n\r\n"},
    {"/301-301-301", "HTTP/1.1 301 Moved\r\nLocation: /301-301\r\nContent-Length: 0\r\n\r\n"},
    {"/302", "HTTP/1.1 302 Found\r\nLocation: /?a=b c#part\r\nContent-Length: 0\r\n\r\n"},
    {"/?a=b%20c", OK_ANSWER},
    {"/303", "HTTP/1.1 303 See Other\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"},
    {"/307", "HTTP/1.1 307 Temporary\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"},
    {"/308", "HTTP/1.1 308 Permanent\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"},
    {"/302-nowhere", "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"},
    {"/302-ftp", "HTTP/1.1 302 Found\r\nLocation: ftp://h/x\r\nContent-Length: 0\r\n\r\n"},
    {"/loop", "HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n"},
    {"/302-stall", "HTTP/1.1 302 Found\r\nLocation: /stall\r\nContent-Length: 0\r\n\r\n"},
    {"/cookies",
     "HTTP/1.1 302 Found\r\nLocation: /below/x\r\nSet-Cookie: a=1; Path=/\r\nset-cookie: b=2; Path=/below\r\n"
     "Content-Length: 0\r\n\r\n"},
    {"/below/x", OK_ANSWER},
    {"/gzip", GZIP_ANSWER, sizeof GZIP_ANSWER - 1},
    {"/stall", NULL},
    {"/last", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 0, true},
    {NULL},
};

/* ---- the server ---- */

static struct peer peer;

static int setup(void **state)
{
    static struct fixture fixture;

    fixture_open(&fixture);
    peer_start(&peer, fixture.loop, "127.0.0.1", routes);
    memcpy(fixture.base_url, peer.url, sizeof peer.url);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    peer_stop(&peer);
    fixture_close(*state);
    return 0;
}

/* ---- answers ---- */

static void test_get(void **state)
{
    struct fixture *f = *state;

    run_get(f, "/text");
    assert_ok(f, 200, "hello");
    struct http_response *r = f->response;
    assert_str(r->method, "GET");
    assert_str(r->url, url_of(f, "/text"));
    assert_null(r->redirect_url.p);
    assert_str(r->header_block, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-One: a\r\nX-One:  b \r\n"
                                "Content-Length: 5\r\n");
    assert_int_equal(r->header_count, 4);
    assert_str(r->headers[2].name, "X-One");
    assert_str(r->headers[2].value, "b");
    assert_str(http_response_header(r, "content-TYPE"), "text/plain");
    assert_null(http_response_header(r, "X-Two").p);
    assert_string_equal(r->primary_ip, "127.0.0.1");
    assert_int_equal(r->download_bytes, 5);
    assert_int_equal(r->upload_bytes, 0);
    assert_null(r->previous);
}

static void test_what_goes_out(void **state)
{
    struct fixture *f = *state;
    char expected[256];

    run_get(f, "/");
    snprintf(expected, sizeof expected, "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\n\r\n", peer.port);
    assert_string_equal(peer.last.data, expected);

    struct http_header headers[] = {
        {STR("X-A"), STR("1")}, {STR("Accept"), STR("text/html")}, {STR("X-Empty"), STR("")}};
    struct http_request request = get(f, "/");
    request.headers = headers;
    request.header_count = 3;
    run(f, &request);
    snprintf(expected, sizeof expected,
             "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX-A: 1\r\nAccept: text/html\r\nX-Empty:\r\n\r\n", peer.port);
    assert_string_equal(peer.last.data, expected);
    assert_str(f->response->request_headers, "X-A: 1\r\nAccept: text/html\r\nX-Empty: \r\n");

    run_get(f, "/"); /* nothing of it is left on the handle */
    snprintf(expected, sizeof expected, "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\n\r\n", peer.port);
    assert_string_equal(peer.last.data, expected);
}

static void test_bodies(void **state)
{
    struct fixture *f = *state;
    struct http_request request = get(f, "/");

    request.method = STR("POST");
    request.body = STR("a=b");
    run(f, &request);
    assert_contains(peer.last.data, "POST / HTTP/1.1\r\n");
    assert_contains(peer.last.data, "\r\nContent-Type: application/x-www-form-urlencoded\r\n");
    assert_contains(peer.last.data, "\r\nContent-Length: 3\r\n");
    assert_contains(peer.last.data, "\r\n\r\na=b");
    assert_str(f->response->request_body, "a=b");
    assert_int_equal(f->response->upload_bytes, 3);

    request = get(f, "/");
    request.method = STR("PUT");
    request.body = STR("");
    run(f, &request);
    assert_contains(peer.last.data, "PUT / HTTP/1.1\r\n");
    assert_contains(peer.last.data, "\r\nContent-Length: 0\r\n");

    request = get(f, "/");
    request.method = STR("POST");
    run(f, &request);
    assert_contains(peer.last.data, "\r\nContent-Length: 0\r\n");
    assert_null(strstr(peer.last.data, "Content-Type"));
    assert_null(f->response->request_body.p);

    request = get(f, "/");
    request.method = STR("DELETE");
    run(f, &request);
    assert_contains(peer.last.data, "DELETE / HTTP/1.1\r\n");
    assert_null(strstr(peer.last.data, "Content-Length"));
}

static void test_large_body_waits_for_nothing(void **state)
{
    struct fixture *f = *state;
    size_t size = 3 << 20;
    char *body = malloc(size);
    struct http_request request = get(f, "/");

    memset(body, 'x', size);
    request.method = STR("POST");
    request.body = (struct str){body, size};
    run(f, &request);
    free(body);
    assert_ok(f, 200, "ok");
    assert_null(strstr(peer.last.data, "Expect"));
    assert_int_equal(f->response->upload_bytes, size);
    assert_int_equal(f->response->request_body.n, size);
}

static void test_kinds_of_answers(void **state)
{
    struct fixture *f = *state;
    struct http_request head = get(f, "/head");

    run_get(f, "/chunked");
    assert_ok(f, 200, "abcde");
    assert_null(http_response_header(f->response, "X-Trailer").p);
    run_get(f, "/204");
    assert_ok(f, 204, "");
    run_get(f, "/304");
    assert_ok(f, 304, "");
    run_get(f, "/early");
    assert_ok(f, 200, "ok");
    assert_int_equal(f->response->header_count, 1);
    run_get(f, "/folded");
    assert_str(http_response_header(f->response, "X-Long"), "a b");
    head.url = str_of(url_of(f, "/head"));
    head.method = STR("HEAD");
    run(f, &head);
    assert_ok(f, 200, "");
    assert_contains(peer.last.data, "HEAD /head HTTP/1.1");
    run_get(f, "/gzip");
    assert_ok(f, 200, "hello");
    assert_int_equal(f->response->download_bytes, 25);
}

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

/* ---- redirects ---- */

static void test_redirects_to_get(void **state)
{
    struct fixture *f = *state;
    static const char *const paths[] = {"/301", "/302", "/303"};
    struct http_header headers[] = {{STR("Content-Type"), STR("text/plain")}, {STR("X-Keep"), STR("1")}};

    for (int i = 0; i < 3; i++) {
        struct http_request request = get(f, paths[i]);
        request.method = STR("POST");
        request.body = STR("body");
        request.headers = headers;
        request.header_count = 2;
        run(f, &request);
        assert_ok(f, 200, "ok");
        assert_int_equal(f->responses, 2);
        assert_contains(peer.last.data, "GET /");
        assert_contains(peer.last.data, "X-Keep: 1");
        assert_null(strstr(peer.last.data, "Content-"));
        assert_str(f->response->method, "GET");
        assert_int_equal(f->response->previous->status, 301 + i);
        assert_str(f->response->previous->method, "POST");
        assert_str(f->response->previous->request_body, "body");
        assert_null(f->response->request_body.p);
        assert_int_equal(f->response->timings.redirect_ns, f->response->previous->timings.total_ns);
    }
}

static void test_redirects_that_keep(void **state)
{
    struct fixture *f = *state;
    static const char *const paths[] = {"/307", "/308"};

    for (int i = 0; i < 2; i++) {
        struct http_request request = get(f, paths[i]);
        request.method = STR("PUT");
        request.body = STR("body");
        run(f, &request);
        assert_ok(f, 200, "ok");
        assert_contains(peer.last.data, "PUT / HTTP/1.1");
        assert_contains(peer.last.data, "\r\n\r\nbody");
    }
    struct http_request head = get(f, "/303");
    head.method = STR("HEAD");
    static const struct peer_route head_routes[] = {
        {"/303", "HTTP/1.1 303 See Other\r\nLocation: /\r\n\r\n"}, {"/", "HTTP/1.1 200 OK\r\n\r\n"}, {NULL}};
    peer.routes = head_routes;
    run(f, &head);
    assert_contains(peer.last.data, "HEAD / HTTP/1.1");
}

static void test_redirect_urls(void **state)
{
    struct fixture *f = *state;
    struct http_request request = get(f, "/302");

    run(f, &request);
    assert_ok(f, 200, "ok");
    assert_str(f->response->url, url_of(f, "/?a=b%20c"));
    assert_str(f->response->previous->redirect_url, url_of(f, "/?a=b%20c#part"));

    request.url = str_of(url_of(f, "/302"));
    request.follow_redirects = false;
    run(f, &request);
    assert_ok(f, 302, "");
    assert_str(f->response->redirect_url, url_of(f, "/?a=b%20c#part"));
    run_get(f, "/302-nowhere");
    assert_ok(f, 302, "");
    assert_null(f->response->redirect_url.p);
    run_get(f, "/302-ftp");
    assert_failed(f, HTTP_BAD_URL, 3, "/302-ftp: its redirect: bad URL \"ftp://h/x\": only http and https are known");
    assert_int_equal(f->responses, 1);
}

static void test_redirect_limit(void **state)
{
    struct fixture *f = *state;
    struct http_request request = get(f, "/loop");

    run(f, &request);
    assert_failed(f, HTTP_REDIRECTS, 47, "/loop: more than 5 redirects");
    assert_int_equal(f->responses, 6);
    request.max_redirects = 0;
    run(f, &request);
    assert_failed(f, HTTP_REDIRECTS, 47, "/loop: more than 0 redirects");
    assert_int_equal(f->responses, 1);
}

static void test_redirects_share_the_timeout(void **state)
{
    struct fixture *f = *state;
    struct http_request request = get(f, "/302-stall");

    request.timeout_ns = 200 * NS_PER_MS;
    run(f, &request);
    assert_failed(f, HTTP_TIMEOUT, 28, "/stall: no answer within 0.2 s");
    assert_int_equal(f->responses, 1);
}

static void test_credentials_stay_at_their_origin(void **state)
{
    struct fixture *f = *state;
    struct peer other;
    char answer[256];
    struct http_header headers[] = {{STR("Authorization"), STR("Bearer x")},
                                    {STR("X-Keep"), STR("1")},
                                    {STR("Cookie"), STR("own=1")},
                                    {STR("Host"), STR("shop.test")}};

    peer_start(&other, f->loop, "127.0.0.1", routes);
    snprintf(answer, sizeof answer, "HTTP/1.1 307 Elsewhere\r\nLocation: %s/\r\nContent-Length: 0\r\n\r\n", other.url);
    struct peer_route away[] = {{"/away", answer}, {"/", OK_ANSWER}, {NULL}};
    peer.routes = away;

    struct http_request request = get(f, "/away");
    request.user = STR("me");
    request.password = STR("secret");
    run(f, &request);
    assert_contains(peer.last.data, "Authorization: Basic bWU6c2VjcmV0\r\n");
    assert_int_equal(other.requests, 1);
    assert_null(strstr(other.last.data, "Authorization"));

    request = get(f, "/away");
    request.headers = headers;
    request.header_count = 4;
    run(f, &request);
    assert_contains(peer.last.data, "Bearer x");
    assert_contains(peer.last.data, "\r\nCookie: own=1\r\n");
    assert_contains(peer.last.data, "\r\nHost: shop.test\r\n");
    assert_null(strstr(other.last.data, "Bearer"));
    assert_null(strstr(other.last.data, "own=1"));
    assert_contains(other.last.data, "\r\nHost: 127.0.0.1:");
    assert_contains(other.last.data, "X-Keep: 1");
    peer_stop(&other);
    while (!uv_is_closing((uv_handle_t *)&other.listener) || other.connections) {
        uv_run(loop_uv(f->loop), UV_RUN_NOWAIT);
    }
}

static void test_credentials_in_the_url(void **state)
{
    struct fixture *f = *state;
    char url[128];
    struct http_request request = get(f, "/");

    snprintf(url, sizeof url, "%s://me:se%%63ret@127.0.0.1:%d/#top", tls_end_scheme(), peer.port);
    request.url = str_of(url);
    run(f, &request);
    assert_contains(peer.last.data, "Authorization: Basic bWU6c2VjcmV0\r\n");
    assert_str(f->response->url, url_of(f, "/"));

    snprintf(url, sizeof url, "%s://me:secret@127.0.0.1:%d/301-301-301", tls_end_scheme(), peer.port);
    request.url = str_of(url);
    run(f, &request); /* through redirects within the origin */
    assert_ok(f, 200, "ok");
    assert_contains(peer.last.data, "Authorization: Basic bWU6c2VjcmV0\r\n");
    run_get(f, "/");
    assert_null(strstr(peer.last.data, "Authorization"));
}

/* ---- cookies ---- */

static void test_cookies(void **state)
{
    struct fixture *f = *state;
    struct http_header own[] = {{STR("c"), STR("3")}};
    struct http_request request = get(f, "/cookies");

    run(f, &request);
    assert_contains(peer.last.data, "\r\nCookie: b=2; a=1\r\n");
    assert_str(f->response->request_cookies, "b=2; a=1");
    assert_null(f->response->previous->request_cookies.p);
    assert_int_equal(cookie_jar_count(http_session_cookies(f->session)), 2);

    request.url = str_of(url_of(f, "/"));
    request.cookies = own;
    request.cookie_count = 1;
    run(f, &request);
    assert_contains(peer.last.data, "\r\nCookie: a=1; c=3\r\n");
    run_get(f, "/");
    assert_contains(peer.last.data, "\r\nCookie: a=1; c=3\r\n");

    http_session_free(f->session);
    f->session = http_session_new(f->client);
    run_get(f, "/");
    assert_null(strstr(peer.last.data, "Cookie"));
}

/* ---- the way there ---- */

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

/* That the credentials are not good is an answer like any other: there is no second try. */
static void test_unauthorized(void **state)
{
    struct fixture *f = *state;
    struct http_request request = get(f, "/");
    static const struct peer_route strict[] = {
        {"/", "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n"
              "WWW-Authenticate: Digest realm=\"x\", nonce=\"y\"\r\nContent-Length: 2\r\n\r\nno"},
        {NULL}};

    peer.routes = strict;
    run(f, &request);
    assert_ok(f, 401, "no");
    assert_null(strstr(peer.last.data, "Authorization"));
    request.user = STR("me");
    request.password = STR("");
    run(f, &request);
    assert_ok(f, 401, "no");
    assert_contains(peer.last.data, "\r\nAuthorization: Basic bWU6\r\n");
    assert_int_equal(peer.requests, 2);
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
    assert_int_equal(f->failure, HTTP_CONNECT);
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

int main(void)
{
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_get),
        TEST(test_what_goes_out),
        TEST(test_bodies),
        TEST(test_large_body_waits_for_nothing),
        TEST(test_kinds_of_answers),
        TEST(test_connections_are_kept),
        TEST(test_idle_connections_that_the_server_closes),
        TEST(test_a_request_survives_a_connection_that_dies),
        TEST(test_redirects_to_get),
        TEST(test_redirects_that_keep),
        TEST(test_redirect_urls),
        TEST(test_redirect_limit),
        TEST(test_redirects_share_the_timeout),
        TEST(test_credentials_stay_at_their_origin),
        TEST(test_credentials_in_the_url),
        TEST(test_cookies),
        TEST(test_resolve),
        TEST(test_localhost),
        TEST(test_addresses_take_turns),
        TEST(test_expect),
        TEST(test_expect_without_an_answer),
        TEST(test_unauthorized),
        TEST(test_ipv6),
        TEST(test_proxy),
        TEST(test_many_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
