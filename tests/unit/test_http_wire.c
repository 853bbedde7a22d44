/*
 * What a server can do to an answer: cut it into pieces at every byte, end it early, lie about its length, send too
 * much, send nonsense. The same table for every transport: what comes out of it may differ only where it says so.
 */
#include "http_fixture.h"

#include "wire_server.h"

static int setup(void **state)
{
    static struct fixture fixture;

    fixture_open(&fixture);
    server_start(fixture.loop, fixture.base_url);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    http_session_free(f->session);
    http_client_free(f->client);
    f->session = NULL;
    f->client = NULL;
    server_stop();
    fixture_close(f);
    return 0;
}

static void ask(struct fixture *f, const char *method, struct str answer, enum way way, bool close_behind)
{
    struct http_request request = get(f, "/");

    server.answer = answer;
    server.way = way;
    server.close = close_behind;
    request.method = str_of(method);
    request.timeout_ns = 300 * NS_PER_MS;
    request.follow_redirects = false;
    run(f, &request);
}

/* Of those in which an answer is cut into pieces. */
static enum way last_way(void)
{
    return over_tls() ? SPLIT : BYTE_BY_BYTE;
}

/* ---- what is whole ---- */

#define HEAD "HTTP/1.1 200 OK\r\n"

struct good {
    const char *what;
    struct str answer;
    int status;
    struct str body;
    bool close, ends; /* the server closes; the connection is not used again */
    bool ours;        /* libcurl refuses it */
};

#define GOOD(what, answer, status, body)                                                                               \
    {                                                                                                                  \
        what, {answer, sizeof answer - 1}, status,                                                                     \
        {                                                                                                              \
            body, sizeof body - 1                                                                                      \
        }                                                                                                              \
    }
#define GOOD_CLOSE(what, answer, status, body)                                                                         \
    {                                                                                                                  \
        what, {answer, sizeof answer - 1}, status, {body, sizeof body - 1}, true, true                                 \
    }
#define GOOD_OURS(what, answer, status, body)                                                                          \
    {                                                                                                                  \
        what, {answer, sizeof answer - 1}, status, {body, sizeof body - 1}, false, false, true                         \
    }
#define GOOD_END(what, answer, status, body)                                                                           \
    {                                                                                                                  \
        what, {answer, sizeof answer - 1}, status, {body, sizeof body - 1}, false, true                                \
    }

static const struct good goods[] = {
    GOOD("a length", HEAD "Content-Length: 5\r\n\r\nhello", 200, "hello"),
    GOOD("no body", HEAD "Content-Length: 0\r\n\r\n", 200, ""),
    GOOD("no reason", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
    GOOD("an unknown status", "HTTP/1.1 799 What\r\nContent-Length: 2\r\n\r\nok", 799, "ok"),
    GOOD("blanks around a value", HEAD "Content-Length: \t 2 \t\r\n\r\nok", 200, "ok"),
    GOOD("lines that end with LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, "ok"),
    GOOD("a folded line", HEAD "X: a\r\n  b\r\n\tc\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
    GOOD("chunks", HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n", 200,
         "abc0123456789"),
    GOOD("extensions and trailers",
         HEAD "Transfer-Encoding: chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n0;z\r\nX-T: 1\r\nX-U: 2\r\n\r\n", 200, "abc"),
    GOOD("no content", "HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
    GOOD("not modified, with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, ""),
    GOOD("interim answers",
         "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 102 P\r\n\r\n" HEAD "Content-Length: 2\r\n\r\nok", 200, "ok"),
    GOOD("HTTP/1.0 that stays", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
    GOOD_END("HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
    GOOD_END("Connection: close", HEAD "Connection: x, Close\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
    GOOD_CLOSE("until it closes", HEAD "\r\nall of it", 200, "all of it"),
    GOOD_CLOSE("until it closes, 1.0", "HTTP/1.0 404 No\r\n\r\n", 404, ""),
    GOOD("gzip",
         HEAD "Content-Encoding: gzip\r\nContent-Length: 25\r\n\r\n"
              "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\x00\x00\x00",
         200, "hello"),
    GOOD("deflate",
         HEAD "Content-Encoding: deflate\r\nContent-Length: 13\r\n\r\n"
              "\x78\x9c\xcb\x48\xcd\xc9\xc9\x07\x00\x06\x2c\x02\x15",
         200, "hello"),
    GOOD_OURS("deflate without a frame",
              HEAD "Content-Encoding: deflate\r\nContent-Length: 7\r\n\r\n"
                   "\xcb\x48\xcd\xc9\xc9\x07\x00",
              200, "hello"),
    GOOD("br",
         HEAD "Content-Encoding: br\r\nContent-Length: 9\r\n\r\n"
              "\x0b\x02\x80\x68\x65\x6c\x6c\x6f\x03",
         200, "hello"),
    GOOD("zstd",
         HEAD "Content-Encoding: zstd\r\nContent-Length: 18\r\n\r\n"
              "\x28\xb5\x2f\xfd\x04\x58\x29\x00\x00\x68\x65\x6c\x6c\x6f\xa3\x6d\x9f\x88",
         200, "hello"),
    GOOD("gzip in chunks",
         HEAD "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
              "19\r\n"
              "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\x00\x00\x00"
              "\r\n0\r\n\r\n",
         200, "hello"),
};

static void assert_good(struct fixture *f, const struct good *good)
{
    if (f->failure != HTTP_OK || f->response->status != good->status || !str_equal(f->response->body, good->body)) {
        fail_msg("%s: %s, %d, \"" STR_FMT "\"", good->what, f->sentence, f->response ? f->response->status : 0,
                 STR_ARG(f->response ? f->response->body : STR_NONE));
    }
}

static void test_whole_answers(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof goods / sizeof *goods; i++) {
        const struct good *good = &goods[i];
        if (good->ours && over_curl()) {
            continue;
        }
        for (enum way way = WHOLE; way <= last_way(); way++) {
            ask(f, "GET", good->answer, way, good->close);
            assert_good(f, good);
            int accepted = server.accepted;
            ask(f, "GET", STR(HEAD "Content-Length: 2\r\n\r\nok"), WHOLE, false);
            assert_ok(f, 200, "ok");
            if (server.accepted - accepted != good->ends) {
                fail_msg("%s: %d connections more", good->what, server.accepted - accepted);
            }
        }
    }
}

static void test_head_has_no_body(void **state)
{
    struct fixture *f = *state;

    for (enum way way = WHOLE; way <= last_way(); way++) {
        ask(f, "HEAD", STR(HEAD "Content-Length: 50\r\n\r\n"), way, false);
        assert_ok(f, 200, "");
        ask(f, "HEAD", STR(HEAD "Transfer-Encoding: chunked\r\n\r\n"), way, false);
        assert_ok(f, 200, "");
    }
    assert_int_equal(server.accepted, 1);
}

static void test_header_block(void **state)
{
    struct fixture *f = *state;

    ask(f, "GET", STR("HTTP/1.1 100 Continue\r\nX: no\r\n\r\nHTTP/1.1 200 OK\nA: 1\n 2\r\nB:\r\nContent-Length: 0\n\n"),
        BYTE_BY_BYTE, false);
    assert_ok(f, 200, "");
    assert_str(f->response->header_block, "HTTP/1.1 200 OK\r\nA: 1 2\r\nB:\r\nContent-Length: 0\r\n");
    assert_int_equal(f->response->header_count, 3);
}

/* ---- what is not ---- */

struct bad {
    const char *what;
    struct str answer;
    enum http_failure failure;
    bool stays;   /* the server does not close */
    bool lenient; /* libcurl takes it */
};

#define BAD(what, answer, failure)                                                                                     \
    {                                                                                                                  \
        what, {answer, sizeof answer - 1}, failure                                                                     \
    }
#define BAD_STAYS(what, answer, failure)                                                                               \
    {                                                                                                                  \
        what, {answer, sizeof answer - 1}, failure, true                                                               \
    }
#define BAD_LENIENT(what, answer, failure)                                                                             \
    {                                                                                                                  \
        what, {answer, sizeof answer - 1}, failure, false, true                                                        \
    }

static const struct bad bads[] = {
    BAD("nothing", "", HTTP_CLOSED),
    BAD("half a status line", "HTTP/1.1 2", HTTP_CLOSED),
    BAD("half a head", HEAD "Content-Len", HTTP_CLOSED),
    BAD("half a body", HEAD "Content-Length: 50\r\n\r\nhalf", HTTP_CLOSED),
    BAD("half a chunk", HEAD "Transfer-Encoding: chunked\r\n\r\n8\r\nhalf", HTTP_CLOSED),
    BAD("no last chunk", HEAD "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", HTTP_CLOSED),
    BAD_STAYS("a length and silence", HEAD "Content-Length: 50\r\n\r\nhalf", HTTP_TIMEOUT),
    BAD_STAYS("a chunk and silence", HEAD "Transfer-Encoding: chunked\r\n\r\n8\r\nhalf", HTTP_TIMEOUT),
    BAD_STAYS("a head without end", HEAD "X: y\r\n", HTTP_TIMEOUT),
    BAD("another protocol", "SSH-2.0-OpenSSH_9.2\r\n", HTTP_PROTOCOL),
    BAD("a version too high", "HTTP/7.1 200 OK\r\nContent-Length: 0\r\n\r\n", HTTP_PROTOCOL),
    BAD("no status", "HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n", HTTP_PROTOCOL),
    BAD("a negative length", HEAD "Content-Length: -5\r\n\r\nhello", HTTP_PROTOCOL),
    BAD_LENIENT("a length that is no number", HEAD "Content-Length: 5x\r\n\r\nhello", HTTP_PROTOCOL),
    BAD_LENIENT("two lengths", HEAD "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", HTTP_PROTOCOL),
    BAD_LENIENT("a length and chunks", HEAD "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                HTTP_PROTOCOL),
    BAD_LENIENT("a blank before a colon", HEAD "Content-Length : 5\r\n\r\nhello", HTTP_PROTOCOL),
    BAD_LENIENT("an unknown transfer coding", HEAD "Transfer-Encoding: x, chunked\r\n\r\n0\r\n\r\n", HTTP_PROTOCOL),
    BAD("a chunk without size", HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n", HTTP_PROTOCOL),
    BAD("a chunk with a huge size", HEAD "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n",
        HTTP_PROTOCOL),
    BAD("a chunk that is longer", HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", HTTP_PROTOCOL),
    BAD("a zero byte in the head", HEAD "X: \0\r\nContent-Length: 0\r\n\r\n", HTTP_PROTOCOL),
    BAD("a line without a colon", HEAD "nonsense\r\nContent-Length: 0\r\n\r\n", HTTP_PROTOCOL),
    BAD("gzip that is none", HEAD "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd", HTTP_PROTOCOL),
    BAD("an unknown content coding", HEAD "Content-Encoding: x-cat\r\nContent-Length: 4\r\n\r\nabcd", HTTP_PROTOCOL),
    BAD_LENIENT("half of a gzip",
                HEAD "Content-Encoding: gzip\r\nContent-Length: 15\r\n\r\n"
                     "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xcd\xc9\xc9",
                HTTP_PROTOCOL),
};

static void test_broken_answers(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
        const struct bad *bad = &bads[i];
        if (bad->lenient && over_curl()) {
            continue;
        }
        for (enum way way = WHOLE; way <= last_way(); way++) {
            ask(f, "POST", bad->answer, way, !bad->stays);
            if (f->failure != bad->failure) {
                fail_msg("%s: failure %d, not %d: %s", bad->what, f->failure, bad->failure, f->sentence);
            }
            assert_true(f->sentence[0] && f->curl_code != 0);
            ask(f, "POST", STR(HEAD "Content-Length: 2\r\n\r\nok"), WHOLE, false);
            assert_ok(f, 200, "ok");
        }
    }
}

static void test_resets(void **state)
{
    struct fixture *f = *state;

    ask(f, "POST", STR(HEAD "Content-Length: 50\r\n\r\nhalf"), RESET_BEHIND, false);
    assert_int_equal(f->failure, HTTP_CLOSED);
    ask(f, "POST", STR(HEAD "Content-Length: 50\r\n\r\nhalf"), HALF_CLOSE, false);
    assert_failed(f, HTTP_CLOSED, 18, "in the middle of its answer");
    ask(f, "GET", STR(HEAD "Content-Length: 2\r\n\r\nok"), HALF_CLOSE, false);
    assert_ok(f, 200, "ok");
    ask(f, "GET", STR(HEAD "Content-Length: 2\r\n\r\nok"), WHOLE, false);
    assert_ok(f, 200, "ok");
}

/* What nobody asked for is nobody's answer. */
static void test_too_much(void **state)
{
    struct fixture *f = *state;

    ask(f, "GET", STR(HEAD "Content-Length: 2\r\n\r\nok" HEAD "Content-Length: 4\r\n\r\nevil"), WHOLE, false);
    assert_ok(f, 200, "ok");
    ask(f, "GET", STR(HEAD "Content-Length: 4\r\n\r\ngood"), WHOLE, false);
    assert_ok(f, 200, "good");
    assert_int_equal(server.accepted, 2);
}

/* Repeated once when it is safe to: the server closes each kept connection as soon as a request comes over it. */
static void test_kept_connections_that_die(void **state)
{
    struct fixture *f = *state;

    ask(f, "GET", STR(HEAD "Content-Length: 2\r\n\r\nok"), WHOLE, false);
    assert_ok(f, 200, "ok");
    int asked = server.asked;
    ask(f, "GET", STR(""), WHOLE, true);
    assert_failed(f, HTTP_CLOSED, 52, "without an answer");
    assert_int_equal(server.asked - asked, 2);
    if (over_curl()) { /* it repeats whatever it is */
        return;
    }
    ask(f, "GET", STR(HEAD "Content-Length: 2\r\n\r\nok"), WHOLE, false);
    asked = server.asked;
    ask(f, "POST", STR(""), WHOLE, true);
    assert_failed(f, HTTP_CLOSED, 52, "without an answer");
    assert_int_equal(server.asked - asked, 1);
}

static void test_endless_head(void **state)
{
    struct fixture *f = *state;
    struct buf answer;

    buf_init(&answer, 0);
    buf_text(&answer, HEAD);
    for (int i = 0; i < 40000; i++) {
        buf_text(&answer, "X-Line: as good as any\r\n");
    }
    ask(f, "GET", buf_view(&answer), WHOLE, true);
    assert_int_not_equal(f->failure, HTTP_OK);
    buf_done(&answer);
}

static void test_large_bodies(void **state)
{
    struct fixture *f = *state;
    struct buf answer;
    size_t sizes[] = {4000, 16384, 16385, 70000};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        buf_init(&answer, 0);
        buf_printf(&answer, HEAD "Content-Length: %zu\r\n\r\n", sizes[i]);
        for (size_t n = 0; n < sizes[i]; n++) {
            buf_char(&answer, (char)('a' + n % 26));
        }
        ask(f, "GET", buf_view(&answer), WHOLE, false);
        assert_int_equal(f->failure, HTTP_OK);
        assert_int_equal(f->response->body.n, sizes[i]);
        assert_memory_equal(f->response->body.p, answer.data + answer.size - sizes[i], sizes[i]);
        assert_int_equal(f->response->download_bytes, sizes[i]);
        buf_done(&answer);
    }
    assert_int_equal(server.accepted, 1);
}

int main(void)
{
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_whole_answers),
        TEST(test_head_has_no_body),
        TEST(test_header_block),
        TEST(test_broken_answers),
        TEST(test_resets),
        TEST(test_too_much),
        TEST(test_kept_connections_that_die),
        TEST(test_endless_head),
        TEST(test_large_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
