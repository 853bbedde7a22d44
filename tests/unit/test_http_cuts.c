/*
 * What a server can do to a connection: reset it, close half of it, cut it off, send over it what nobody asked for, or
 * let it die while it is kept.
 */
#include "wire_stage.h"

static void test_resets(void **state)
{
    struct fixture *f = *state;

    ask(f, "POST", STR(HEAD "Content-Length: 50\r\n\r\nhalf"), RESET_BEHIND, false);
    assert_int_equal(f->failure, HTTP_CLOSED);
    ask(f, "POST", STR(HEAD "Content-Length: 50\r\n\r\nhalf"), HALF_CLOSE, false);
    assert_failed(f, HTTP_CLOSED, 18, "in the middle of its answer");
    ask(f, "GET", STR(OK), HALF_CLOSE, false);
    assert_ok(f, 200, "ok");
    ask(f, "GET", STR(OK), WHOLE, false);
    assert_ok(f, 200, "ok");
}

/* Many servers close without TLS's goodbye: that is an end, as over a plain connection. */
static void test_cuts_over_tls(void **state)
{
    struct fixture *f = *state;

    if (!over_tls()) {
        skip();
    }
    ask(f, "GET", STR(OK), CUT, true);
    assert_ok(f, 200, "ok");
    ask(f, "GET", STR(HEAD "\r\nuntil it closes"), CUT, true);
    assert_ok(f, 200, "until it closes");
    ask(f, "POST", STR(HEAD "Content-Length: 50\r\n\r\nhalf"), CUT, true);
    assert_int_equal(f->failure, HTTP_CLOSED);
    ask(f, "POST", STR(""), CUT, true);
    assert_int_equal(f->failure, HTTP_CLOSED);
    assert_contains(f->sentence, "without an answer");
}

/* TLS says goodbye to a server that is gone, when nobody ignores SIGPIPE any more. */
static void test_no_signal_at_the_end(void **state)
{
    struct fixture *f = *state;

    ask(f, "GET", STR(OK), WHOLE, false);
    assert_ok(f, 200, "ok");
    shutdown(server.last->fd, SHUT_WR);
    visitor_close(server.last, true);
    signal(SIGPIPE, SIG_DFL);
    close_client(f);
    while (server.open > 0) {
        uv_run(loop_uv(f->loop), UV_RUN_ONCE);
    }
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

    ask(f, "GET", STR(OK), WHOLE, false);
    assert_ok(f, 200, "ok");
    int asked = server.asked;
    ask(f, "GET", STR(""), WHOLE, true);
    assert_failed(f, HTTP_CLOSED, 52, "without an answer");
    assert_int_equal(server.asked - asked, 2);
    if (over_curl()) { /* it repeats whatever it is */
        return;
    }
    ask(f, "GET", STR(OK), WHOLE, false);
    asked = server.asked;
    ask(f, "POST", STR(""), WHOLE, true);
    assert_failed(f, HTTP_CLOSED, 52, "without an answer");
    assert_int_equal(server.asked - asked, 1);
}

/* Seen only when the next request is about to go: a POST, which must not go twice. */
static void test_kept_connection_that_has_died(void **state)
{
    struct fixture *f = *state;

    for (int i = 1; i <= 5; i++) {
        ask(f, "POST", STR(OK), WHOLE, false);
        assert_ok(f, 200, "ok");
        assert_int_equal(server.accepted, i);
        visitor_close(server.last, i & 1);
    }
    assert_int_equal(server.asked, 5);
}

/* A request whose body waits for 100 Continue when its connection dies: it is sent again over another one, and while
 * that is not there (the server's queue is full) nobody sends the body. */
static void test_waiting_ends_with_its_connection(void **state)
{
    struct fixture *f = *state;
    struct http_header expect = {STR("Expect"), STR("100-continue")};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int first = socket(AF_INET, SOCK_STREAM, 0);

    if (over_curl()) { /* it does not wait again */
        close(first);
        skip();
    }
    ask(f, "GET", STR(OK), WHOLE, false);
    uv_poll_stop(&server.listener);
    address.sin_port = htons((uint16_t)server.port);
    assert_int_equal(listen(server.fd, 0), 0);
    assert_int_equal(connect(first, (struct sockaddr *)&address, sizeof address), 0); /* takes the only place */

    struct http_request request = get(f, "/");
    request.method = STR("PUT");
    request.body = STR("body");
    request.headers = &expect;
    request.header_count = 1;
    request.connect_timeout_ns = NS_PER_S + 200 * NS_PER_MS; /* longer than the wait for 100 Continue */
    server.answer = STR("");
    server.way = RESET_BEHIND;
    run(f, &request);
    assert_failed(f, HTTP_TIMEOUT, 28, "no connection within 1.2 s");
    assert_int_equal(server.asked, 2);
    close(first);
}

int main(void)
{
    forget_proxies();
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_resets),
        TEST(test_cuts_over_tls),
        TEST(test_no_signal_at_the_end),
        TEST(test_too_much),
        TEST(test_kept_connections_that_die),
        TEST(test_kept_connection_that_has_died),
        TEST(test_waiting_ends_with_its_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
