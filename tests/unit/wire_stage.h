/*
 * A client in front of a server that sends what it is told (wire_server.h): ask() is one request and its answer. Each
 * test program includes this once.
 */
#pragma once

#include "http_fixture.h"

#include "wire_server.h"

#define HEAD   "HTTP/1.1 200 OK\r\n"
#define OK     HEAD "Content-Length: 2\r\n\r\nok"
#define CHUNKS HEAD "Transfer-Encoding: chunked\r\n\r\n"

static int setup(void **state)
{
    static struct fixture fixture;

    fixture_open(&fixture);
    server_start(fixture.loop, fixture.base_url);
    *state = &fixture;
    return 0;
}

static void close_client(struct fixture *f)
{
    http_session_free(f->session);
    http_client_free(f->client);
    f->session = NULL;
    f->client = NULL;
}

/* The client goes first: the server waits for the end of every connection. */
static int teardown(void **state)
{
    struct fixture *f = *state;

    close_client(f);
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
