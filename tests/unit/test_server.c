/* The server on a loop: addresses, answers, waits, and a loop that closes clean whatever is still going on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "server/listen.h"
#include "server/server.h"

/* A server, and a client on the same loop that reads until the connection is closed. */
struct fixture {
    struct loop *loop;
    struct server *server;
    struct server_page *page;
    uv_poll_t client;
    char answer[4096];
    size_t answer_size;
    bool closed, held;
    struct mite_error error;
};

static void handle(void *arg, struct server_request *request)
{
    struct fixture *f = arg;
    if (str_is(request->path, "/after")) {
        server_send_after(request, f->page, 5 * NS_PER_MS);
    } else if (str_is(request->path, "/drop")) {
        server_drop(request);
    } else if (str_is(request->path, "/hold")) {
        f->held = true;
        server_hold(request);
        loop_stop(f->loop);
    } else if (str_is(request->path, "/body")) {
        struct server_page *page = server_page_new(200, NULL, request->body);
        server_send(request, page);
        server_page_free(page);
    } else {
        server_send(request, f->page);
    }
}

static void readable(uv_poll_t *client, int status, int events)
{
    struct fixture *f = client->data;
    int fd;
    uv_fileno((uv_handle_t *)client, &fd);
    ssize_t n = read(fd, f->answer + f->answer_size, sizeof(f->answer) - 1 - f->answer_size);
    if (n > 0) {
        f->answer_size += (size_t)n;
        return;
    }
    f->closed = true;
    uv_poll_stop(client);
    loop_stop(f->loop);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    assert_int_equal(loop_new(&f->loop, &f->error), 0);
    f->page = server_page_new(200, "text/plain", STR("page"));
    assert_non_null(f->page);
    const struct server_options options = {
        .address = "127.0.0.1:0", .max_connections = 16, .max_body_bytes = 100, .handle = handle, .arg = f};
    assert_int_equal(server_start(f->loop, &options, &f->server, &f->error), 0);
    *state = f;
    return 0;
}

static void close_client(struct fixture *f)
{
    int fd;
    if (f->client.data && uv_fileno((uv_handle_t *)&f->client, &fd) == 0) {
        uv_close((uv_handle_t *)&f->client, NULL);
        close(fd);
    }
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    close_client(f);
    server_stop(f->server);
    server_page_free(f->page);
    assert_int_equal(loop_free(f->loop, &f->error), 0);
    error_done(&f->error);
    free(f);
    return 0;
}

/* Sends the request and runs the loop until the connection is closed or the handler stops it. */
static const char *ask(struct fixture *f, const char *request)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)atoi(strrchr(server_url(f->server), ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(write(fd, request, strlen(request)), strlen(request));
    assert_int_equal(uv_poll_init(loop_uv(f->loop), &f->client, fd), 0);
    f->client.data = f;
    assert_int_equal(uv_poll_start(&f->client, UV_READABLE, readable), 0);
    assert_int_equal(loop_run(f->loop, &f->error), 0);
    f->answer[f->answer_size] = '\0';
    return f->answer;
}

static void answers(void **state)
{
    const char *answer = ask(*state, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\npage");
}

static void answers_after_a_while(void **state)
{
    uint64_t started_ns = clock_now_ns();
    const char *answer = ask(*state, "GET /after HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_true(clock_now_ns() - started_ns >= 5 * NS_PER_MS);
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\npage");
}

static void hands_over_the_body(void **state)
{
    const char *answer =
        ask(*state, "POST /body HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\nhello");
}

static void refuses_a_large_body(void **state)
{
    const char *answer = ask(*state, "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n");
    assert_memory_equal(answer, "HTTP/1.1 413 ", 13);
}

static void closes_on_a_large_chunked_body(void **state)
{
    char request[512];
    snprintf(request, sizeof(request),
             "POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n80\r\n%0128d\r\n0\r\n\r\n", 0);
    assert_string_equal(ask(*state, request), "");
}

static void drops(void **state)
{
    assert_string_equal(ask(*state, "GET /drop HTTP/1.1\r\nHost: a\r\n\r\n"), "");
}

/* The server is stopped while a request waits: tear_down finds the loop clean. */
static void stops_while_holding(void **state)
{
    struct fixture *f = *state;
    ask(f, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(f->held && !f->closed);
}

static void addresses(void **state)
{
    static const char *const bad[] = {"", "80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "::1:80"};
    struct mite_error error = {0};
    int fd = -1;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(listen_open(bad[i], &fd, &error), MITE_EINVAL);
        assert_int_equal(fd, -1);
    }
    char url[LISTEN_URL_MAX];
    assert_int_equal(listen_open(":0", &fd, &error), 0);
    assert_int_equal(listen_url(fd, url, &error), 0);
    assert_memory_equal(url, "http://", 7);
    int second;
    assert_int_equal(listen_open(strrchr(url, ':'), &second, &error), MITE_EIO);
    assert_non_null(strstr(error.text, "Address already in use"));
    close(fd);
    error_done(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test_setup_teardown(answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_after_a_while, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hands_over_the_body, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_a_large_body, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closes_on_a_large_chunked_body, set_up, tear_down),
        cmocka_unit_test_setup_teardown(drops, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stops_while_holding, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
