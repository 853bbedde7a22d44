/* Every allocation of the HTTP client fails in turn: an error each time, nothing lost, nothing half done. */
#include "failmalloc.h"

#include "http/client.h"
#include "http/header_lines.h"
#include "http/response.h"
#include "http/url.h"
#include "tls_end.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

static void test_cookies(void **state)
{
    bool failed = true;

    for (long n = 0; failed; n++) {
        struct cookie_jar *jar = cookie_jar_new();
        struct buf header;
        assert_non_null(jar);
        buf_init(&header, 0);
        failmalloc_start(n);
        int set = cookie_jar_receive(jar, STR("a=1"), STR("h.test"), STR("/"), false, 1000);
        int replaced = cookie_jar_receive(jar, STR("a=2"), STR("h.test"), STR("/"), false, 1000);
        int written = cookie_jar_header(jar, &header, STR("h.test"), STR("/"), false, 1000);
        failed = failmalloc_stop();
        bool one_failed = set == MITE_ENOMEM || replaced == MITE_ENOMEM || written == MITE_ENOMEM;
        assert_int_equal(failed, one_failed);
        buf_done(&header);
        cookie_jar_free(jar);
    }
}

static void test_urls(void **state)
{
    bool failed = true;

    for (long n = 0; failed; n++) {
        struct buf storage, other;
        struct url url, target;
        buf_init(&storage, 0);
        buf_init(&other, 0);
        failmalloc_start(n);
        int code = url_parse(STR("http://me:secret@H.test/../x#y"), &storage, &url, NULL);
        if (code == 0) {
            code = url_join(&url, STR("z"), &other, &target, NULL);
        }
        failed = failmalloc_stop();
        assert_int_equal(code, failed ? MITE_ENOMEM : 0);
        buf_done(&storage);
        buf_done(&other);
    }
}

static void test_responses(void **state)
{
    struct http_hop hop = {.method = STR("GET"), .url = STR("http://h.test/")};
    bool failed = true;

    for (long n = 0; failed; n++) {
        struct buf body;
        buf_init(&body, 0);
        buf_text(&body, "body");
        failmalloc_start(n);
        struct http_response *response = response_new(&hop, 302, STR("HTTP/1.1 302 Found\r\nA: b\r\n"), &body);
        int code = response ? response_set_redirect_url(response, STR("http://h.test/x"), STR("y")) : MITE_ENOMEM;
        failed = failmalloc_stop();
        assert_int_equal(code, failed ? MITE_ENOMEM : 0);
        assert_int_equal(body.size, 4);
        http_response_unref(response);
        buf_done(&body);
    }
}

static const struct http_handlers handlers;

/* From nothing to a request under way, and back. */
static int use_client(struct loop *loop, const struct http_client_options *options)
{
    struct http_header header = {STR("X-A"), STR("1")}, cookie = {STR("a"), STR("b")};
    struct http_request request = {
        .method = STR("PUT"),
        .url = STR("http://127.0.0.1:1/"),
        .headers = &header,
        .header_count = 1,
        .cookies = &cookie,
        .cookie_count = 1,
        .body = STR("body"),
        .user = STR("me"),
        .password = STR("secret"),
        .verify = -1,
    };
    struct http_client *client = NULL;
    struct http_session *session = NULL;
    struct http_exchange *exchange;
    int code = http_client_new(loop, options, &client, NULL);

    if (code == 0) {
        session = http_session_new(client);
        code = session ? 0 : MITE_ENOMEM;
    }
    if (code == 0) {
        code = http_request(session, &request, &handlers, NULL, &exchange, NULL);
    }
    if (code == 0) {
        http_cancel(exchange);
    }
    http_session_free(session);
    http_client_free(client);
    return code;
}

static void test_client(void **state)
{
    struct http_resolve resolve = {STR("h.test"), STR("127.0.0.1"), 80};
    struct http_client_options options = {.ca_file = "/no/such/file", .resolve = &resolve, .resolve_count = 1};
    bool failed = true;

    for (long n = 0; failed; n++) {
        struct loop *loop;
        assert_int_equal(loop_new(&loop, NULL), 0);
        failmalloc_start(n);
        int code = use_client(loop, &options);
        failed = failmalloc_stop();
        assert_true(code == 0 || (failed && code == MITE_ENOMEM)); /* without a deferred call the timer does as well */
        assert_int_equal(loop_free(loop, NULL), 0);
    }
}

/* ---- whole exchanges ---- */

/* Serves one connection after another in a thread of its own, whose allocations do not fail. */
struct server {
    int listener, port;
    bool tls;
    pthread_t thread;
};

static void append_answer(const char *path, struct buf *out)
{
    static const char gzip[] = "HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Encoding: gzip\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n19\r\n"
                               "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36"
                               "\x05\x00\x00\x00\r\n0\r\nX-Trailer: t\r\n\r\n";

    if (strncmp(path, "/gzip ", 6) == 0) {
        buf_append(out, gzip, sizeof gzip - 1);
    } else if (strncmp(path, "/redirect ", 10) == 0) {
        buf_text(out, "HTTP/1.1 302 Found\r\nLocation: ./small?x y\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n");
    } else {
        bool large = strncmp(path, "/large ", 7) == 0, last = strncmp(path, "/last ", 6) == 0;
        int head = strncmp(path, "/head ", 6) == 0 ? 20000 : 1, body = large ? 100000 : 5;
        buf_printf(out, "HTTP/1.1 200 OK\r\n%sX-Head: %0*d\r\nContent-Length: %d\r\n\r\n",
                   last ? "Connection: close\r\n" : "", head, 0, body);
        buf_printf(out, large ? "%0*d" : "hello", body, 0);
    }
}

static void serve_connection(const struct server *server, int fd)
{
    struct tls_end tls = {NULL};
    struct buf in, wire;
    char bytes[4096];
    ssize_t n;

    buf_init(&in, 0);
    buf_init(&wire, 0);
    if (server->tls) {
        tls_end_open_tls(&tls);
    }
    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0) {
        tls_end_receive(&tls, (struct str){bytes, (size_t)n}, &in);
        tls_end_take(&tls, &wire);
        if (in.size && strstr(in.data, "\r\n\r\n")) {
            struct buf answer;
            buf_init(&answer, 0);
            append_answer(strchr(in.data, ' ') + 1, &answer);
            tls_end_send(&tls, buf_view(&answer), &wire);
            buf_done(&answer);
            buf_clear(&in);
        }
        for (ssize_t sent; wire.size > 0; buf_drop_front(&wire, (size_t)sent)) {
            sent = send(fd, wire.data, wire.size, MSG_NOSIGNAL);
            if (sent < 0) {
                break;
            }
        }
        buf_clear(&wire);
    }
    tls_end_close(&tls);
    buf_done(&in);
    buf_done(&wire);
    close(fd);
}

static void *serve(void *arg)
{
    struct server *server = arg;
    int fd;

    while ((fd = accept(server->listener, NULL, NULL)) >= 0) {
        serve_connection(server, fd);
    }
    return NULL;
}

static void server_start(struct server *server, bool tls)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;

    server->tls = tls;
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server->listener, 16), 0);
    getsockname(server->listener, (struct sockaddr *)&address, &size);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(struct server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
}

struct end {
    struct loop *loop;
    enum http_failure failure;
    size_t body_size;
    int count;
};

static void on_done(void *arg, const struct http_outcome *outcome)
{
    struct end *end = arg;

    end->count++;
    end->failure = outcome->failure;
    end->body_size = outcome->failure == HTTP_OK ? outcome->response->body.n : 0;
    loop_stop(end->loop);
}

/* 0, or MITE_ENOMEM: everything else is not what a lack of memory may lead to. */
static int exchange(struct loop *loop, struct http_session *session, const char *url, size_t body_size)
{
    static const struct http_handlers ending = {.done = on_done};
    struct http_request request = {.method = STR("POST"),
                                   .url = str_of(url),
                                   .body = STR("body"),
                                   .follow_redirects = true,
                                   .max_redirects = 5,
                                   .verify = 0};
    struct http_exchange *exchange;
    struct end end = {.loop = loop};
    int code = http_request(session, &request, &ending, &end, &exchange, NULL);

    if (code < 0) {
        assert_int_equal(code, MITE_ENOMEM);
        return code;
    }
    assert_int_equal(end.count, 0);
    loop_run(loop, NULL);
    assert_int_equal(end.count, 1);
    if (end.failure == HTTP_OK) {
        assert_int_equal(end.body_size, body_size);
        return 0;
    }
    assert_int_equal(end.failure, HTTP_LOCAL);
    return MITE_ENOMEM;
}

static int visit(struct loop *loop, const struct server *server)
{
    static const struct {
        const char *host, *path;
        size_t body_size;
    } requests[] = {{"localhost", "last", 5},     {"127.0.0.1", "small", 5}, {"127.0.0.1", "gzip", 5},
                    {"127.0.0.1", "redirect", 5}, {"127.0.0.1", "head", 5},  {"127.0.0.1", "large", 100000}};
    struct http_client_options options = {.transport = HTTP_TRANSPORT_NATIVE};
    struct http_client *client = NULL;
    struct http_session *session = NULL;
    int code = http_client_new(loop, &options, &client, NULL);

    if (code == 0) {
        session = http_session_new(client);
        code = session ? 0 : MITE_ENOMEM;
    }
    for (size_t i = 0; session && i < sizeof requests / sizeof *requests; i++) {
        char url[64];
        snprintf(url, sizeof url, "%s://%s:%d/%s", server->tls ? "https" : "http", requests[i].host, server->port,
                 requests[i].path);
        int rc = exchange(loop, session, url, requests[i].body_size);
        code = rc < 0 ? rc : code;
    }
    http_session_free(session);
    http_client_free(client);
    return code;
}

static void check_exchanges(bool tls)
{
    struct server server;
    bool failed = true;
    long n;

    server_start(&server, tls);
    for (n = 0; failed; n++) {
        struct loop *loop;
        assert_int_equal(loop_new(&loop, NULL), 0);
        failmalloc_start(n);
        int code = visit(loop, &server);
        failed = failmalloc_stop();
        assert_true(code == 0 || failed); /* some can be done without: a cookie, a sentence */
        assert_int_equal(loop_free(loop, NULL), 0);
    }
    server_stop(&server);
    assert_true(n > 40);
}

static void test_exchanges(void **state)
{
    check_exchanges(false);
}

static void test_exchanges_over_tls(void **state)
{
    check_exchanges(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cookies), cmocka_unit_test(test_urls),      cmocka_unit_test(test_responses),
        cmocka_unit_test(test_client),  cmocka_unit_test(test_exchanges), cmocka_unit_test(test_exchanges_over_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
