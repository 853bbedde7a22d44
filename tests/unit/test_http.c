/* The client against a server of the test's own: what goes out, what comes back, redirects, cookies. */
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
    {NULL},
};

#include "http_stage.h"

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
    assert_int_equal(header_count(r), 4);
    struct http_header third;
    const char *at = NULL;
    for (int i = 0; i < 3; i++) {
        assert_true(http_response_next_header(r, &at, &third));
    }
    assert_str(third.name, "X-One");
    assert_str(third.value, "b");
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
    assert_int_equal(header_count(f->response), 1);
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

/* What an exchange knows of the URL before: it may be the same, have led elsewhere, or be no URL. */
static void test_one_url_after_another(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *path, *asked, *body;
    } steps[] = {
        {"/text", "/text", "hello"},
        {"/text", "/text", "hello"},
        {"/301", "/", "ok"},
        {"/301", "/", "ok"},
        {"/text", "/text", "hello"},
        {"/te%78t/../text", "/text", "hello"},
        {"/te%78t/../text", "/text", "hello"},
    };

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        run_get(f, steps[i].path);
        assert_ok(f, 200, steps[i].body);
        assert_str(f->response->url, url_of(f, steps[i].asked));
        assert_contains(peer.last.data, steps[i].asked);
        struct http_request nonsense = {.method = STR("GET"), .url = STR("http://["), .verify = -1};
        struct mite_error error = {0};
        if (i % 2) {
            assert_true(http_request(f->session, &nonsense, NULL, NULL, &f->exchange, &error) < 0);
            error_done(&error);
        }
    }
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

int main(void)
{
    forget_proxies();
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_get),
        TEST(test_what_goes_out),
        TEST(test_bodies),
        TEST(test_large_body_waits_for_nothing),
        TEST(test_kinds_of_answers),
        TEST(test_redirects_to_get),
        TEST(test_redirects_that_keep),
        TEST(test_redirect_urls),
        TEST(test_redirect_limit),
        TEST(test_redirects_share_the_timeout),
        TEST(test_credentials_stay_at_their_origin),
        TEST(test_credentials_in_the_url),
        TEST(test_one_url_after_another),
        TEST(test_cookies),
        TEST(test_unauthorized),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
