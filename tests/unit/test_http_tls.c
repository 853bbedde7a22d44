/* Whom the client trusts: an authority of the test's own, and `openssl s_server` with certificates of it; and HTTP/2,
 * with nginx. */
#include "http_fixture.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[] = "/tmp/mite-test-tls-XXXXXX";

/* ca, server (127.0.0.1 and shop.test), client: NAME.crt and NAME.key. */
static const char make_certificates[] =
    "cd \"$0\" || exit 1\n"
    "key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2'\n"
    "openssl req -x509 $key -subj '/CN=Test authority' -keyout ca.key -out ca.crt || exit 1\n"
    "sign() {\n"
    "  openssl req $key -subj \"/CN=$1\" -keyout $1.key -out $1.csr &&\n"
    "  printf \"$2\" >$1.ext &&\n"
    "  openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile $1.ext -out $1.crt\n"
    "}\n"
    "sign server 'subjectAltName=IP:127.0.0.1,DNS:shop.test' && sign client 'extendedKeyUsage=clientAuth'\n";

/* Runs the script with the directory as $0; what it prints is not for the test's output. */
static int run_script(const char *script)
{
    pid_t pid = fork();
    int status = -1;

    if (pid == 0) {
        if (freopen("/dev/null", "w", stdout) && freopen("/dev/null", "w", stderr)) {
            execl("/bin/sh", "sh", "-c", script, directory, (char *)NULL);
        }
        _exit(127);
    }
    waitpid(pid, &status, 0);
    return status;
}

struct server {
    pid_t pid;
    int port;
};

/* `more` are further arguments of s_server, NULL for none. It says where it listens. */
static void server_start(struct server *server, const char *more)
{
    int out[2];
    char script[512], line[256];

    snprintf(script, sizeof script,
             "cd \"$0\" && exec openssl s_server -accept 127.0.0.1:0 -www -cert server.crt -key server.key "
             "-CAfile ca.crt %s 2>/dev/null",
             more ? more : "");
    assert_int_equal(pipe(out), 0);
    server->pid = fork();
    if (server->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* also when the test crashes */
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        execl("/bin/sh", "sh", "-c", script, directory, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *lines = fdopen(out[0], "r");
    server->port = 0;
    while (server->port == 0 && fgets(line, sizeof line, lines)) {
        const char *at = strstr(line, "ACCEPT ");
        const char *colon = at ? strrchr(at, ':') : NULL;
        server->port = colon ? atoi(colon + 1) : 0;
    }
    fclose(lines);
    assert_true(server->port > 0);
}

static void server_stop(struct server *server)
{
    kill(server->pid, SIGTERM);
    waitpid(server->pid, NULL, 0);
}

#define NGINX_FD "9"

/* nginx takes a listening socket over from us: its port is free for sure, and it is never too early to connect. */
static void nginx_start(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    char script[1024];
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 128), 0);
    getsockname(fd, (struct sockaddr *)&address, &size);
    server->port = ntohs(address.sin_port);
    snprintf(
        script, sizeof script,
        "cd \"$0\" && for t in client_body proxy fastcgi uwsgi scgi; do temp=\"$temp ${t}_temp_path $0/$t;\"; done\n"
        "echo \"daemon off; pid $0/nginx.pid; events {} http { access_log off; $temp server {\n"
        "  listen 127.0.0.1:%d ssl http2; ssl_certificate server.crt; ssl_certificate_key server.key;\n"
        "  location / { return 200 'hello'; } } }\" >nginx.conf\n"
        "PATH=$PATH:/usr/sbin NGINX='" NGINX_FD
        ";' exec nginx -p \"$0\" -c \"$0/nginx.conf\" -e \"$0/error.log\" 2>/dev/null",
        server->port);
    server->pid = fork();
    if (server->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        dup2(fd, atoi(NGINX_FD));
        execl("/bin/sh", "sh", "-c", script, directory, (char *)NULL);
        _exit(127);
    }
    close(fd);
}

static const char *file(const char *name)
{
    static char paths[4][128];
    static int next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static struct server server, strict; /* the second one wants a client certificate */

static int group_setup(void **state)
{
    if (!mkdtemp(directory) || run_script(make_certificates) != 0) {
        return -1;
    }
    server_start(&server, NULL);
    server_start(&strict, "-Verify 1 -verify_return_error");
    return 0;
}

static int group_teardown(void **state)
{
    server_stop(&server);
    server_stop(&strict);
    return run_script("rm -rf \"$0\"") == 0 ? 0 : -1;
}

static int setup(void **state)
{
    static struct fixture fixture;

    fixture_open(&fixture);
    snprintf(fixture.base_url, sizeof fixture.base_url, "https://127.0.0.1:%d", server.port);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_close(*state);
    return 0;
}

static void assert_page(struct fixture *f)
{
    if (f->failure != HTTP_OK) {
        fail_msg("%s", f->sentence);
    }
    assert_int_equal(f->response->status, 200);
    assert_contains(f->response->body.p, "s_server");
}

static void test_trusted(void **state)
{
    struct fixture *f = *state;

    open_client(f, &(struct http_client_options){.ca_file = file("ca.crt")});
    run_get(f, "/");
    assert_page(f);
    struct http_timings *t = &f->response->timings;
    assert_true(t->connect_ns > 0 && t->tls_ns > t->connect_ns && t->pretransfer_ns >= t->tls_ns);
}

/* s_server closes behind each page, which tells how the handshake went. */
static void test_sessions_are_resumed(void **state)
{
    struct fixture *f = *state;

    open_client(f, &(struct http_client_options){.ca_file = file("ca.crt")});
    run_get(f, "/");
    assert_page(f);
    assert_contains(f->response->body.p, "\nNew, TLS");
    run_get(f, "/");
    assert_page(f);
    assert_true(f->response->timings.tls_ns > 0);
    assert_contains(f->response->body.p, "\nReused, TLS");
}

static void test_untrusted(void **state)
{
    struct fixture *f = *state;
    struct http_request request = get(f, "/");

    run(f, &request);
    assert_failed(f, HTTP_UNTRUSTED, 60, "the server's certificate is not trusted (");
    assert_contains(f->sentence, "--ca-file");
    assert_contains(f->sentence, "--insecure");
    assert_contains(f->sentence, "verify=False");

    request.verify = 0;
    run(f, &request);
    assert_page(f);
    request.verify = 1; /* not over the connection that was not verified */
    run(f, &request);
    assert_int_equal(f->failure, HTTP_UNTRUSTED);

    open_client(f, &(struct http_client_options){.insecure = true});
    request.verify = -1;
    run(f, &request);
    assert_page(f);
    request.verify = 1;
    run(f, &request);
    assert_int_equal(f->failure, HTTP_UNTRUSTED);
}

static void test_wrong_host(void **state)
{
    struct fixture *f = *state;
    struct http_resolve resolve[] = {{STR("shop.test"), STR("127.0.0.1"), (uint16_t)server.port},
                                     {STR("other.test"), STR("127.0.0.1"), (uint16_t)server.port},
                                     {STR("shop.test."), STR("127.0.0.1"), (uint16_t)server.port}};
    struct http_client_options options = {.ca_file = file("ca.crt"), .resolve = resolve, .resolve_count = 3};

    open_client(f, &options);
    snprintf(f->base_url, sizeof f->base_url, "https://shop.test:%d", server.port);
    run_get(f, "/");
    assert_page(f);
    snprintf(f->base_url, sizeof f->base_url, "https://other.test:%d", server.port);
    run_get(f, "/");
    assert_failed(f, HTTP_UNTRUSTED, 60, "other.test");
    snprintf(f->base_url, sizeof f->base_url, "https://SHOP.test.:%d", server.port); /* the same name */
    run_get(f, "/");
    assert_page(f);
}

static void test_client_certificate(void **state)
{
    struct fixture *f = *state;

    open_client(f, &(struct http_client_options){.ca_file = file("ca.crt")});
    snprintf(f->base_url, sizeof f->base_url, "https://127.0.0.1:%d", strict.port);
    run_get(f, "/");
    assert_int_equal(f->failure, HTTP_TLS);
    assert_contains(f->sentence, "the TLS handshake failed: ");
    assert_contains(f->sentence, "certificate required");

    struct http_request request = get(f, "/");
    request.cert_file = str_of(file("client.crt"));
    request.key_file = str_of(file("client.key"));
    run(f, &request);
    assert_page(f);
    run_get(f, "/"); /* nor does a request without it go over that connection */
    assert_int_equal(f->failure, HTTP_TLS);

    request.key_file = str_of(file("ca.crt"));
    run(f, &request);
    assert_int_equal(f->failure, HTTP_LOCAL);
    assert_contains(f->sentence, "ca.crt");
}

static void test_no_authorities(void **state)
{
    struct fixture *f = *state;

    open_client(f, &(struct http_client_options){.ca_file = file("no-such.crt")});
    run_get(f, "/");
    assert_failed(f, HTTP_LOCAL, 77, "no-such.crt");
}

static void test_plain_text_to_tls(void **state)
{
    struct fixture *f = *state;

    snprintf(f->base_url, sizeof f->base_url, "http://127.0.0.1:%d", server.port);
    run_get(f, "/");
    assert_true(f->failure == HTTP_CLOSED || f->failure == HTTP_PROTOCOL);
}

static void on_h2_done(void *arg, const struct http_outcome *outcome)
{
    struct fixture *f = arg;

    assert_int_equal(outcome->failure, HTTP_OK);
    assert_int_equal(memcmp(outcome->response->header_block.p, "HTTP/2 200", 10), 0);
    if (++f->ends == 20) {
        loop_stop(f->loop);
    }
}

static void test_http2(void **state)
{
    static const struct http_handlers h2_handlers = {.done = on_h2_done};
    struct fixture *f = *state;
    struct http_exchange *exchange;
    struct http_counts counts;
    struct server nginx;

    if (run_script("PATH=$PATH:/usr/sbin command -v nginx") != 0) {
        skip();
    }
    nginx_start(&nginx);
    open_client(f, &(struct http_client_options){.ca_file = file("ca.crt")});
    snprintf(f->base_url, sizeof f->base_url, "https://127.0.0.1:%d", nginx.port);
    run_get(f, "/");
    if (f->failure != HTTP_OK) {
        fail_msg("%s", f->sentence);
    }
    f->ends = 0;
    for (int i = 0; i < 20; i++) { /* all at once over the one connection */
        struct http_request request = get(f, "/");
        assert_int_equal(http_request(f->session, &request, &h2_handlers, f, &exchange, NULL), 0);
    }
    loop_run(f->loop, NULL);
    http_client_counts(f->client, &counts);
    assert_int_equal(counts.responses, 21);
    assert_int_equal(counts.native, 0);
    assert_int_equal(counts.connections, over_curl() ? 1 : 2); /* over the first one the server chose HTTP/2 */
    server_stop(&nginx);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_trusted),
        TEST(test_sessions_are_resumed),
        TEST(test_untrusted),
        TEST(test_wrong_host),
        TEST(test_client_certificate),
        TEST(test_no_authorities),
        TEST(test_plain_text_to_tls),
        TEST(test_http2),
    };

    if (run_script("command -v openssl") != 0) {
        puts("1..0 # SKIP no command openssl");
        return 0;
    }
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
