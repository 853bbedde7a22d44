/* Every allocation of the HTTP client fails in turn: an error each time, nothing lost, nothing half done. */
#include "failmalloc.h"

#include "http/client.h"
#include "http/header_lines.h"
#include "http/response.h"
#include "http/url.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cookies),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
