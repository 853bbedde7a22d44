/* The jar by the rules of RFC 6265: what a server may set, what goes back to whom, and in which order. */
#include "http/cookie_date.h"
#include "http/cookies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1000000

static int setup(void **state)
{
    *state = cookie_jar_new();
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    cookie_jar_free(*state);
    return 0;
}

/* From https://HOST/PATH. */
static void receive(struct cookie_jar *jar, const char *text, const char *host, const char *path)
{
    assert_int_equal(cookie_jar_receive(jar, str_of(text), str_of(host), str_of(path), true, NOW), 0);
}

static void expect_at(struct cookie_jar *jar, const char *host, const char *path, bool secure, int64_t now,
                      const char *header)
{
    struct buf out;

    buf_init(&out, 0);
    assert_int_equal(cookie_jar_header(jar, &out, str_of(host), str_of(path), secure, now), 0);
    assert_string_equal(buf_view(&out).p, header);
    buf_done(&out);
}

static void expect(struct cookie_jar *jar, const char *host, const char *path, const char *header)
{
    expect_at(jar, host, path, true, NOW, header);
}

static void test_name_and_value(void **state)
{
    struct cookie_jar *jar = *state;

    expect(jar, "a.test", "/", "");
    receive(jar, "a=1", "a.test", "/");
    receive(jar, "  b =  2 3 ; Secure", "a.test", "/");
    receive(jar, "c=\"quoted\"; HttpOnly", "a.test", "/");
    receive(jar, "d=", "a.test", "/");
    receive(jar, "e=x=y;;;=;", "a.test", "/");
    expect(jar, "a.test", "/", "a=1; b=2 3; c=\"quoted\"; d=; e=x=y");
    assert_true(cookie_jar_at(jar, 1)->secure);
    assert_true(cookie_jar_at(jar, 2)->http_only);
}

static void test_ignored(void **state)
{
    struct cookie_jar *jar = *state;
    static const char *const texts[] = {"",
                                        "novalue",
                                        "=1",
                                        "; a=1",
                                        "a=1\x01",
                                        "a=b\x7f",
                                        "a=1; Domain=b.test",
                                        "a=1; Domain=sub.a.test",
                                        "a=1; Domain=est"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        receive(jar, texts[i], "a.test", "/");
        assert_int_equal(cookie_jar_count(jar), 0);
    }
}

static void test_domain(void **state)
{
    struct cookie_jar *jar = *state;

    receive(jar, "host=1", "www.shop.test", "/");
    receive(jar, "all=2; domain=.SHOP.test", "www.shop.test", "/");
    receive(jar, "empty=3; Domain=", "www.shop.test", "/");
    assert_int_equal(cookie_jar_count(jar), 3);
    assert_true(str_is(cookie_jar_at(jar, 1)->domain, "shop.test"));
    assert_false(cookie_jar_at(jar, 1)->host_only);
    expect(jar, "www.shop.test", "/", "host=1; all=2; empty=3");
    expect(jar, "WWW.shop.TEST", "/", "host=1; all=2; empty=3");
    expect(jar, "shop.test", "/", "all=2");
    expect(jar, "a.b.shop.test", "/", "all=2");
    expect(jar, "othershop.test", "/", "");
    expect(jar, "test", "/", "");
}

static void test_addresses_have_no_subdomains(void **state)
{
    struct cookie_jar *jar = *state;

    receive(jar, "a=1; Domain=0.0.1", "127.0.0.1", "/");
    assert_int_equal(cookie_jar_count(jar), 0);
    receive(jar, "a=1; Domain=127.0.0.1", "127.0.0.1", "/");
    expect(jar, "127.0.0.1", "/", "a=1");
    receive(jar, "b=1", "::1", "/");
    expect(jar, "::1", "/", "b=1");
}

static void test_public_suffixes(void **state)
{
    struct cookie_jar *jar = *state;

    receive(jar, "a=1; Domain=co.uk", "shop.co.uk", "/");
    receive(jar, "b=1; Domain=com", "shop.com", "/");
    receive(jar, "c=1; Domain=github.io", "me.github.io", "/");
    assert_int_equal(cookie_jar_count(jar), 0);
    receive(jar, "d=1; Domain=localhost", "localhost", "/"); /* a suffix that is the host itself: for the host only */
    receive(jar, "e=1; Domain=github.io", "github.io", "/");
    assert_int_equal(cookie_jar_count(jar), 2);
    assert_true(cookie_jar_at(jar, 1)->host_only);
    expect(jar, "me.github.io", "/", "");
    receive(jar, "f=1; Domain=SHOP.co.uk", "www.shop.co.uk", "/");
    expect(jar, "shop.co.uk", "/", "f=1");
}

static void test_path(void **state)
{
    struct cookie_jar *jar = *state;

    receive(jar, "root=1; Path=/", "a.test", "/x/y/z");
    receive(jar, "default=2", "a.test", "/x/y/z");
    receive(jar, "relative=3; Path=oops", "a.test", "/top");
    receive(jar, "slash=4; Path=/x/", "a.test", "/");
    assert_true(str_is(cookie_jar_at(jar, 1)->path, "/x/y"));
    assert_true(str_is(cookie_jar_at(jar, 2)->path, "/"));
    expect(jar, "a.test", "/", "root=1; relative=3");
    expect(jar, "a.test", "/x/y", "default=2; slash=4; root=1; relative=3"); /* longest paths first, then oldest */
    expect(jar, "a.test", "/x/y/deep", "default=2; slash=4; root=1; relative=3");
    expect(jar, "a.test", "/x/yonder", "slash=4; root=1; relative=3");
    expect(jar, "a.test", "/x", "root=1; relative=3");
}

static void test_secure(void **state)
{
    struct cookie_jar *jar = *state;

    receive(jar, "a=1; secure", "a.test", "/");
    expect_at(jar, "a.test", "/", false, NOW, "");
    expect_at(jar, "a.test", "/", true, NOW, "a=1");
    cookie_jar_receive(jar, STR("b=1; Secure"), STR("a.test"), STR("/"), false, NOW);
    assert_int_equal(cookie_jar_count(jar), 1);
}

/* Neither replaced nor hidden by what anyone on the way could have sent. */
static void test_plain_http_leaves_secure_ones_alone(void **state)
{
    static const struct {
        const char *text, *host, *path;
        bool taken;
    } cases[] = {
        {"s=2", "shop.test", "/x/", false},
        {"s=2; Domain=shop.test", "shop.test", "/x/", false},
        {"s=2; Path=/x/y", "shop.test", "/x/", false},
        {"s=2; Domain=shop.test; Path=/x", "www.shop.test", "/x", false},
        {"s=2; Path=/", "shop.test", "/x", true}, /* the secure one is for a part only */
        {"t=2; Path=/x", "shop.test", "/x", true},
        {"s=2; Path=/x", "other.test", "/x", true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cookie_jar *jar = cookie_jar_new();
        receive(jar, "s=1; Secure; Path=/x", "shop.test", "/x");
        cookie_jar_receive(jar, str_of(cases[i].text), str_of(cases[i].host), str_of(cases[i].path), false, NOW);
        if (cookie_jar_count(jar) != 1u + cases[i].taken || !str_is(cookie_jar_at(jar, 0)->value, "1")) {
            fail_msg("%s from %s", cases[i].text, cases[i].host);
        }
        cookie_jar_free(jar);
    }
    receive(*state, "s=1; Secure", "shop.test", "/");
    receive(*state, "s=2", "shop.test", "/");
    assert_true(str_is(cookie_jar_at(*state, 0)->value, "2"));
}

static void test_prefixes(void **state)
{
    static const struct {
        const char *text;
        bool secure, taken;
    } cases[] = {
        {"__Secure-a=1; Secure", true, true},
        {"__Secure-a=1; Secure; Domain=shop.test; Path=/x", true, true},
        {"__Secure-a=1", true, false},
        {"__secure-a=1", true, false},
        {"__Secure-a=1; Secure", false, false},
        {"__Host-a=1; Secure; Path=/", true, true},
        {"__HOST-a=1; secure; path=/", true, true},
        {"__Host-a=1; Secure", true, false},
        {"__Host-a=1; Secure; Path=/x", true, false},
        {"__Host-a=1; Path=/", true, false},
        {"__Host-a=1; Secure; Path=/; Domain=shop.test", true, false},
        {"__Host-a=1; Secure; Path=/", false, false},
        {"__Hosta=1", true, true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cookie_jar *jar = cookie_jar_new();
        cookie_jar_receive(jar, str_of(cases[i].text), STR("shop.test"), STR("/"), cases[i].secure, NOW);
        if (cookie_jar_count(jar) != cases[i].taken) {
            fail_msg("%s", cases[i].text);
        }
        cookie_jar_free(jar);
    }
}

static void test_attributes(void **state)
{
    struct cookie_jar *jar = *state;

    receive(jar, "a=1; SameSite=Strict; Partitioned; Priority=High; unknown", "a.test", "/");
    receive(jar, "b=1; Path=/x; Path=/y", "a.test", "/"); /* the last one counts */
    receive(jar, "c=1; Path=/x; Path=", "a.test", "/z/");
    receive(jar, "d=1; Domain=b.test; Domain=a.test", "a.test", "/");
    receive(jar, "e=1; Max-Age=1; Max-Age=100", "a.test", "/");
    receive(jar, "f=1; MAX-AGE = 100 ; hTTPoNLY", "a.test", "/");
    receive(jar, "g=1; Max-Age=1x; Max-Age=+5; Max-Age=", "a.test", "/");
    receive(jar, "h=1;Secure=no;HttpOnly=false", "a.test", "/"); /* that they are there is enough */
    assert_int_equal(cookie_jar_count(jar), 8);
    expect(jar, "a.test", "/", "a=1; d=1; e=1; f=1; g=1; h=1");
    assert_true(str_is(cookie_jar_at(jar, 1)->path, "/y"));
    assert_true(str_is(cookie_jar_at(jar, 2)->path, "/z"));
    assert_int_equal(cookie_jar_at(jar, 4)->expires, NOW + 100);
    assert_int_equal(cookie_jar_at(jar, 5)->expires, NOW + 100);
    assert_true(cookie_jar_at(jar, 5)->http_only);
    assert_int_equal(cookie_jar_at(jar, 6)->expires, 0);
    assert_true(cookie_jar_at(jar, 7)->secure && cookie_jar_at(jar, 7)->http_only);
}

static void test_expiry(void **state)
{
    struct cookie_jar *jar = *state;

    receive(jar, "a=1; Max-Age=10", "a.test", "/");
    receive(jar, "b=2; Expires=Mon, 12 Jan 1970 13:46:50 GMT", "a.test", "/"); /* NOW + 10 */
    receive(jar, "c=3; Expires=Mon, 12 Jan 1970 13:46:50 GMT; Max-Age=100", "a.test", "/");
    receive(jar, "d=4; Max-Age=100; Expires=Mon, 12 Jan 1970 13:46:50 GMT", "a.test", "/");
    receive(jar, "e=5; Max-Age=soon; Expires=never", "a.test", "/");
    receive(jar, "f=6; Max-Age=99999999999999999999", "a.test", "/");
    assert_int_equal(cookie_jar_at(jar, 0)->expires, NOW + 10);
    assert_int_equal(cookie_jar_at(jar, 1)->expires, NOW + 10);
    assert_int_equal(cookie_jar_at(jar, 4)->expires, 0);
    expect_at(jar, "a.test", "/", true, NOW + 9, "a=1; b=2; c=3; d=4; e=5; f=6");
    expect_at(jar, "a.test", "/", true, NOW + 10, "c=3; d=4; e=5; f=6");
    assert_int_equal(cookie_jar_count(jar), 4);

    receive(jar, "c=; Max-Age=0", "a.test", "/");
    receive(jar, "d=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "a.test", "/");
    receive(jar, "e=; Max-Age=-1", "a.test", "/");
    expect(jar, "a.test", "/", "f=6");
}

static void test_replacing_keeps_the_place(void **state)
{
    struct cookie_jar *jar = *state;

    receive(jar, "a=1", "a.test", "/");
    receive(jar, "b=2", "a.test", "/");
    receive(jar, "a=3", "a.test", "/");
    receive(jar, "a=4; Domain=a.test; Path=/x", "a.test", "/");
    assert_int_equal(cookie_jar_count(jar), 3);
    expect(jar, "a.test", "/", "a=3; b=2");
    expect(jar, "a.test", "/x", "a=4; a=3; b=2");
    cookie_jar_clear(jar);
    assert_int_equal(cookie_jar_count(jar), 0);
}

static void test_limits(void **state)
{
    struct cookie_jar *jar = *state;
    char text[6000], host[32];

    memset(text, 'x', sizeof text);
    memcpy(text, "a=", 2);
    text[4098] = '\0'; /* a name and a value of 4097 bytes */
    receive(jar, text, "a.test", "/");
    assert_int_equal(cookie_jar_count(jar), 0);
    text[4097] = '\0';
    receive(jar, text, "a.test", "/");
    assert_int_equal(cookie_jar_count(jar), 1);
    cookie_jar_clear(jar);

    memset(text, 'x', sizeof text); /* an attribute that is too long is not there */
    memcpy(text, "a=1; Path=/", 11);
    text[10 + 1025] = '\0';
    receive(jar, text, "a.test", "/b/c");
    expect(jar, "a.test", "/b", "a=1");
    memcpy(text, "a=2; Max-Age=", 13);
    memset(text + 13, '9', 1025);
    text[13 + 1025] = '\0';
    receive(jar, text, "a.test", "/b/c");
    assert_int_equal(cookie_jar_at(jar, 0)->expires, 0);
    cookie_jar_clear(jar);
    for (int i = 0; i < 60; i++) {
        snprintf(text, sizeof text, "n%d=1", i);
        receive(jar, text, "a.test", "/");
    }
    assert_int_equal(cookie_jar_count(jar), 50);
    assert_true(str_is(cookie_jar_at(jar, 0)->name, "n10"));
    for (int i = 0; i < 3000; i++) {
        snprintf(host, sizeof host, "h%d.test", i);
        receive(jar, "a=1", host, "/");
    }
    assert_int_equal(cookie_jar_count(jar), 3000);
    assert_true(str_is(cookie_jar_at(jar, 0)->domain, "h0.test"));
}

static void test_set(void **state)
{
    struct cookie_jar *jar = *state;
    struct cookie cookie = {.name = STR("n"), .value = STR("v"), .domain = STR("A.test"), .path = STR("/")};

    assert_int_equal(cookie_jar_set(jar, &cookie), 0);
    assert_true(str_is(cookie_jar_at(jar, 0)->domain, "a.test"));
    expect(jar, "sub.a.test", "/", "n=v");
    cookie.expires = 1;
    assert_int_equal(cookie_jar_set(jar, &cookie), 0);
    assert_int_equal(cookie_jar_count(jar), 0);
    cookie.expires = 0;
    cookie.value = STR("a; b");
    assert_int_equal(cookie_jar_set(jar, &cookie), MITE_EINVAL);
    cookie.value = STR("a\r\nX: y");
    assert_int_equal(cookie_jar_set(jar, &cookie), MITE_EINVAL);
    cookie.name = STR("");
    assert_int_equal(cookie_jar_set(jar, &cookie), MITE_EINVAL);
}

static void test_dates(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds; /* 0: no date */
    } dates[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"06 november 1994 8:49:37", 784111777},
        {"1994 08:49:37 nov 6", 784111777},
        {"Tue, 19 Jan 2038 03:14:08 GMT", 2147483648},
        {"01-Jan-69 00:00:00", 3124224000},
        {"Fri, 31 Dec 1999 23:59:59 GMT", 946684799},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 1},
        {"Wed, 01 Jan 1800 00:00:00 GMT", 1},
        {"", 0},
        {"tomorrow", 0},
        {"Sun, 06 Nov 1994", 0},
        {"Sun, 31 Feb 1994 08:49:37 GMT", 0},
        {"Sun, 06 Nov 1994 24:00:00 GMT", 0},
        {"Sun, 06 Nov 1994 08:60:37 GMT", 0},
        {"Sun, 06 Nov 1500 08:49:37 GMT", 0},
        {"Sun, 00 Nov 1994 08:49:37 GMT", 0},
    };

    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
        int64_t seconds = 0;
        bool is_date = cookie_date_parse(str_of(dates[i].text), &seconds);
        if (is_date != (dates[i].seconds != 0) || seconds != dates[i].seconds) {
            fail_msg("%s: %lld", dates[i].text, (long long)seconds);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_name_and_value),  TEST(test_ignored),
        TEST(test_domain),          TEST(test_addresses_have_no_subdomains),
        TEST(test_public_suffixes), TEST(test_path),
        TEST(test_secure),          TEST(test_plain_http_leaves_secure_ones_alone),
        TEST(test_prefixes),        TEST(test_attributes),
        TEST(test_expiry),          TEST(test_replacing_keeps_the_place),
        TEST(test_limits),          TEST(test_set),
        TEST(test_dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
