/* Names, their addresses, and which of these is connected to: a resolver of the test's own answers for the system's. */
#include "http_fixture.h"
#include "http_peer.h"

#include <netdb.h>
#include <sched.h>
#include <semaphore.h>
#include <unistd.h>

/* ---- the resolver ---- */

int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out);
int __real_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out);

static const struct {
    const char *name, *addresses[4];
} names[] = {
    {"one.test", {"127.0.0.1"}},
    {"three.test", {"127.0.0.1", "127.0.0.2", "127.0.0.3"}},
    {"both.test", {"::1", "127.0.0.1"}},
    {"both4.test", {"127.0.0.1", "::1"}},
    {"two.test", {"127.0.0.2", "127.0.0.1"}},
};

static int asked;            /* lookups that have begun */
static sem_t hung, released; /* hung.test is being looked up; may have its answer */

int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    struct addrinfo digits = *hints, **last = out;

    __atomic_add_fetch(&asked, 1, __ATOMIC_SEQ_CST);
    if (strcmp(name, "hung.test") == 0) {
        sem_post(&hung);
        sem_wait(&released);
        name = "one.test";
    }
    digits.ai_flags = AI_NUMERICHOST;
    *out = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (size_t n = 0; strcmp(names[i].name, name) == 0 && names[i].addresses[n]; n++) {
            if (__real_getaddrinfo(names[i].addresses[n], service, &digits, last) != 0) {
                break;
            }
            last = &(*last)->ai_next;
        }
    }
    return *out ? 0 : EAI_NONAME;
}

/* ---- the servers ---- */

static const struct peer_route routes[] = {
    {"/", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 0, true},
    {"/stay", OK_ANSWER},
    {"/stall", NULL},
    {NULL},
};

static struct peer peer; /* at every IPv4 address of this machine */

/* A listener with its queue full, on the peer's port at another address: the kernel answers no further attempt. */
struct deaf {
    int listener, waiting[4];
};

static void deaf_start(struct deaf *deaf, const char *address)
{
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } at;
    bool six = strchr(address, ':') != NULL;
    int family = six ? AF_INET6 : AF_INET, on = 1;
    socklen_t size = six ? sizeof at.six : sizeof at.four;

    if (six) {
        uv_ip6_addr(address, peer.port, &at.six);
    } else {
        uv_ip4_addr(address, peer.port, &at.four);
    }
    deaf->listener = socket(family, SOCK_STREAM, 0);
    setsockopt(deaf->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    assert_int_equal(bind(deaf->listener, &at.any, size), 0);
    assert_int_equal(listen(deaf->listener, 0), 0);
    for (int i = 0; i < 4; i++) {
        deaf->waiting[i] = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(deaf->waiting[i], &at.any, size);
    }
}

static void deaf_stop(struct deaf *deaf)
{
    for (int i = 0; i < 4; i++) {
        close(deaf->waiting[i]);
    }
    close(deaf->listener);
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 address;
    int fd = socket(AF_INET6, SOCK_STREAM, 0);

    uv_ip6_addr("::1", 0, &address);
    bool there = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return there;
}

static int setup(void **state)
{
    static struct fixture fixture;

    fixture_open(&fixture);
    peer_start(&peer, fixture.loop, "127.0.0.1", routes);
    sem_init(&hung, 0, 0);
    sem_init(&released, 0, 0);
    asked = 0;
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    peer_stop(&peer);
    fixture_close(*state);
    return 0;
}

/* Instead of the one that setup() started: at another address. */
static void restart(struct fixture *f, const char *address)
{
    peer_stop(&peer);
    uv_run(loop_uv(f->loop), UV_RUN_NOWAIT); /* what is closing is closed with that */
    peer_start(&peer, f->loop, address, routes);
}

static struct http_request get_from(const char *name, const char *path)
{
    static char url[128];

    snprintf(url, sizeof url, "http://%s:%d%s", name, peer.port, path);
    return (struct http_request){.method = STR("GET"), .url = str_of(url), .verify = -1};
}

/* ---- names ---- */

static void test_looked_up_once(void **state)
{
    struct fixture *f = *state;
    struct http_exchange *exchange;
    struct http_request request = get_from("one.test", "/stay");

    f->ends = 0;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(http_request(f->session, &request, &fixture_handlers, f, &exchange, NULL), 0);
    }
    while (f->ends < 5) {
        uv_run(loop_uv(f->loop), UV_RUN_ONCE);
    }
    assert_int_equal(asked, 1);
    run(f, &request);
    assert_ok(f, 200, "ok");
    assert_int_equal(asked, 1);
}

static void test_no_such_name(void **state)
{
    struct fixture *f = *state;
    struct http_request request = get_from("none.test", "/");

    for (int i = 1; i <= 2; i++) { /* that there is none is not remembered */
        run(f, &request);
        assert_failed(f, HTTP_RESOLVE, 6, "cannot find the host: Could not resolve host: none.test");
        assert_int_equal(asked, i);
    }
}

static void test_a_resolver_that_hangs(void **state)
{
    struct fixture *f = *state;
    struct http_request request = get_from("hung.test", "/");

    request.connect_timeout_ns = 20 * NS_PER_MS;
    run(f, &request);
    assert_failed(f, HTTP_TIMEOUT, 28, "no connection within 0.02 s");
    sem_post(&released);
    request.connect_timeout_ns = 0;
    run(f, &request); /* by the same lookup: the name may have its address after all */
    assert_ok(f, 200, "ok");
    assert_int_equal(asked, 1);
}

/* Neither the client nor the loop waits for a lookup that nobody needs. */
static void test_a_lookup_is_left_behind(void **state)
{
    struct fixture f;
    struct http_request request = get_from("hung.test", "/");

    fixture_open(&f);
    start(&f, &request);
    sem_wait(&hung);
    uint64_t before = clock_now_ns();
    fixture_close(&f);
    assert_true(clock_now_ns() - before < NS_PER_S);
    sem_post(&released); /* its thread ends with nobody there */
}

/* Before, while or after its thread tells of it. */
static void test_an_answer_on_its_way_when_the_client_goes(void **state)
{
    for (int i = 0; i < 20; i++) {
        struct fixture f;
        struct http_request request = get_from("hung.test", "/");
        fixture_open(&f);
        start(&f, &request);
        sem_wait(&hung);
        sem_post(&released);
        for (int n = 0; n < i; n++) {
            sched_yield();
        }
        fixture_close(&f);
        assert_int_equal(f.ends, 0);
    }
}

/* ---- addresses ---- */

static void test_addresses_take_turns(void **state)
{
    struct fixture *f = *state;
    int counts[3] = {0};

    restart(f, "0.0.0.0");
    for (int i = 0; i < 9; i++) {
        struct http_request request = get_from("three.test", "/");
        run(f, &request);
        assert_ok(f, 200, "ok");
        const char *ip = f->response->primary_ip;
        assert_int_equal(strncmp(ip, "127.0.0.", 8), 0);
        counts[atoi(ip + 8) - 1]++;
    }
    assert_int_equal(counts[0], 3);
    assert_int_equal(counts[1], 3);
    assert_int_equal(counts[2], 3);
    assert_int_equal(asked, 1);
}

static void test_an_address_that_refuses_gives_way(void **state)
{
    struct fixture *f = *state;
    struct http_counts counts;

    for (int i = 0; i < 6; i++) { /* only the first of the three listens */
        struct http_request request = get_from("three.test", "/");
        run(f, &request);
        assert_ok(f, 200, "ok");
        assert_string_equal(f->response->primary_ip, "127.0.0.1");
    }
    http_client_counts(f->client, &counts);
    assert_int_equal(counts.responses, 6);
    assert_int_equal(counts.failed, 0);
}

static void test_an_address_that_is_silent_gives_way(void **state)
{
    struct fixture *f = *state;
    struct http_request request = get_from("two.test", "/");
    struct deaf deaf;

    deaf_start(&deaf, "127.0.0.2");
    request.connect_timeout_ns = 200 * NS_PER_MS;
    run(f, &request);
    deaf_stop(&deaf);
    assert_ok(f, 200, "ok");
    assert_string_equal(f->response->primary_ip, "127.0.0.1");
    assert_true(f->response->timings.connect_ns >= 90 * NS_PER_MS);
}

/* Nor is another one tried when the connection stands and only the answer is late. */
static void test_a_late_answer_is_no_silent_address(void **state)
{
    struct fixture *f = *state;
    struct http_request request;

    restart(f, "0.0.0.0");
    request = get_from("three.test", "/stall");
    request.connect_timeout_ns = 50 * NS_PER_MS;
    request.timeout_ns = 200 * NS_PER_MS;
    run(f, &request);
    assert_failed(f, HTTP_TIMEOUT, 28, "no answer within 0.2 s");
    assert_int_equal(peer.accepted, 1);
}

static void test_all_addresses_refuse(void **state)
{
    struct fixture *f = *state;
    struct http_request request;

    restart(f, "127.0.0.4");
    request = get_from("three.test", "/");
    run(f, &request);
    assert_failed(f, HTTP_CONNECT, 7, "connection refused");
}

/* ---- families ---- */

static void test_refused_over_ipv6(void **state)
{
    struct fixture *f = *state;
    struct http_request request = get_from("both.test", "/");

    run(f, &request);
    assert_ok(f, 200, "ok");
    assert_string_equal(f->response->primary_ip, "127.0.0.1");
    assert_true(f->response->timings.connect_ns < 200 * NS_PER_MS); /* without waiting for the other family's turn */
}

static void test_silent_over_ipv6(void **state)
{
    struct fixture *f = *state;
    struct http_request request = get_from("both.test", "/");
    struct deaf deaf;

    if (!has_ipv6()) {
        skip();
    }
    deaf_start(&deaf, "::1");
    run(f, &request);
    deaf_stop(&deaf);
    assert_ok(f, 200, "ok");
    assert_string_equal(f->response->primary_ip, "127.0.0.1");
    assert_in_range(f->response->timings.connect_ns, 240 * NS_PER_MS, 5 * NS_PER_S);
}

static void test_silent_over_ipv4(void **state)
{
    struct fixture *f = *state;
    struct deaf deaf;

    if (!has_ipv6()) {
        skip();
    }
    restart(f, "::1");
    struct http_request request = get_from("both4.test", "/");
    deaf_start(&deaf, "127.0.0.1");
    run(f, &request);
    deaf_stop(&deaf);
    assert_ok(f, 200, "ok");
    assert_string_equal(f->response->primary_ip, "::1");
}

static void test_silent_over_both(void **state)
{
    struct fixture *f = *state;
    struct deaf four, six;

    if (!has_ipv6()) {
        skip();
    }
    restart(f, "127.0.0.4");
    struct http_request request = get_from("both.test", "/");
    deaf_start(&six, "::1");
    deaf_start(&four, "127.0.0.1");
    request.connect_timeout_ns = 400 * NS_PER_MS; /* the second one's turn comes, too */
    run(f, &request);
    deaf_stop(&four);
    deaf_stop(&six);
    assert_failed(f, HTTP_TIMEOUT, 28, "no connection within 0.4 s");
}

int main(void)
{
    forget_proxies();
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_looked_up_once),
        TEST(test_no_such_name),
        TEST(test_a_resolver_that_hangs),
        TEST(test_a_lookup_is_left_behind),
        TEST(test_an_answer_on_its_way_when_the_client_goes),
        TEST(test_addresses_take_turns),
        TEST(test_an_address_that_refuses_gives_way),
        TEST(test_an_address_that_is_silent_gives_way),
        TEST(test_a_late_answer_is_no_silent_address),
        TEST(test_all_addresses_refuse),
        TEST(test_refused_over_ipv6),
        TEST(test_silent_over_ipv6),
        TEST(test_silent_over_ipv4),
        TEST(test_silent_over_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
