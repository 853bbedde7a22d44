/* URLs as the WHATWG URL standard reads them: what is asked for, where, and what a Location means. */
#include "http/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int wrong;

static void complain(const char *input, const char *expected, int code, const struct url *url,
                     const struct mite_error *error)
{
    print_error("# %s: \"" STR_FMT "\", not %s\n", input, STR_ARG(code == 0 ? url->text : str_of(error->text)),
                expected);
    wrong++;
}

/* One zero byte less than it has. */
#define TEXT(text)                                                                                                     \
    {                                                                                                                  \
        text, sizeof text - 1                                                                                          \
    }

/* ---- what is asked for ---- */

static const struct {
    struct str input;
    const char *text; /* NULL: refused, with... */
    const char *why;
} urls[] = {
    {TEXT("http://shop.test/"), "http://shop.test/"},
    {TEXT("http://shop.test"), "http://shop.test/"},
    {TEXT("https://shop.test:8443/a/b?c=d"), "https://shop.test:8443/a/b?c=d"},
    {TEXT("HTTP://SHOP.Test/Path"), "http://shop.test/Path"},
    {TEXT("shop.test/x"), "http://shop.test/x"},
    {TEXT("shop.test:8080"), "http://shop.test:8080/"},
    {TEXT("localhost:8080/x"), "http://localhost:8080/x"},
    {TEXT("//shop.test/x"), "http://shop.test/x"},
    {TEXT("http:shop.test/x"), "http://shop.test/x"},
    {TEXT("http:/shop.test/x"), "http://shop.test/x"},
    {TEXT("http:////shop.test/x"), "http://shop.test/x"},
    {TEXT("http:\\\\shop.test\\a\\b?c\\d"), "http://shop.test/a/b?c\\d"},
    {TEXT(" \t http://shop.test/ \n"), "http://shop.test/"},
    {TEXT("ht\ntp://sh\top.test/a\r\nb"), "http://shop.test/ab"},

    {TEXT("http://shop.test:80/"), "http://shop.test/"},
    {TEXT("https://shop.test:443/"), "https://shop.test/"},
    {TEXT("https://shop.test:80/"), "https://shop.test:80/"},
    {TEXT("http://shop.test:/"), "http://shop.test/"},
    {TEXT("http://shop.test:00081/"), "http://shop.test:81/"},
    {TEXT("http://shop.test:65535/"), "http://shop.test:65535/"},
    {TEXT("http://shop.test:65536/"), NULL, "its port is no number from 1 to 65535"},
    {TEXT("http://shop.test:0/"), NULL, "its port is no number from 1 to 65535"},
    {TEXT("http://shop.test:-1/"), NULL, "its port is no number from 1 to 65535"},
    {TEXT("http://shop.test:8x/"), NULL, "its port is no number from 1 to 65535"},
    {TEXT("http://shop.test:99999999999/"), NULL, "its port is no number from 1 to 65535"},

    {TEXT(""), NULL, "it names no host"},
    {TEXT("http://"), NULL, "it names no host"},
    {TEXT("http://:80/"), NULL, "it names no host"},
    {TEXT("http://me@/"), NULL, "it names no host"},
    {TEXT("/only/a/path"), NULL, "it names no host"},
    {TEXT("?q"), NULL, "it names no host"},
    {TEXT("ftp://shop.test/"), NULL, "only http and https are known"},
    {TEXT("file:///etc/passwd"), NULL, "only http and https are known"},
    {TEXT("htps://shop.test/"), NULL, "only http and https are known"},

    {TEXT("http://a b/"), NULL, "its host is no valid name"},
    {TEXT("http://a%20b/"), NULL, "its host is no valid name"},
    {TEXT("http://a%00b/"), NULL, "its host is no valid name"},
    {TEXT("http://a\0b/"), NULL, "its host is no valid name"},
    {TEXT("http://a%/"), NULL, "its host is no valid name"},
    {TEXT("http://%\x16\x11.test/"), NULL, "its host is no valid name"}, /* digits but for a bit */
    {TEXT("http://a<b>/"), NULL, "its host is no valid name"},
    {TEXT("http://shop%2Etest/"), "http://shop.test/"},
    {TEXT("http://%53hop.test/"), "http://shop.test/"},
    {TEXT("http://a_b.test/"), "http://a_b.test/"},
    {TEXT("http://shop.test./"), "http://shop.test./"},
    {TEXT("http://./"), NULL, "it names no host"},

    {TEXT("http://b\xc3\xbc"
          "cher.test/"),
     "http://xn--bcher-kva.test/"},
    {TEXT("http://B\xc3\x9c"
          "CHER.test/"),
     "http://xn--bcher-kva.test/"},
    {TEXT("http://b%C3%BCcher.test/"), "http://xn--bcher-kva.test/"},
    {TEXT("http://fa\xc3\x9f.test/"), "http://xn--fa-hia.test/"},                  /* not fass.test */
    {TEXT("http://shop\xe3\x80\x82test/"), "http://shop.test/"},                   /* an ideographic full stop */
    {TEXT("http://\xef\xbc\xa7o.test/"), "http://go.test/"},                       /* a fullwidth G */
    {TEXT("http://\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.1/"), "http://127.0.0.1/"}, /* fullwidth digits */
    {TEXT("http://\xff.test/"), NULL, "its host is no valid name"},                /* no UTF-8 */
    {TEXT("http://a\xe2\x84\x80.test/"), NULL, "its host is no valid name"},       /* a sign that stands for a/c */

    {TEXT("http://127.0.0.1/"), "http://127.0.0.1/"},
    {TEXT("http://127.1/"), "http://127.0.0.1/"},
    {TEXT("http://0x7f.0.0.1/"), "http://127.0.0.1/"},
    {TEXT("http://0177.0.0.01/"), "http://127.0.0.1/"},
    {TEXT("http://2130706433/"), "http://127.0.0.1/"},
    {TEXT("http://127.0.0.1./"), "http://127.0.0.1/"},
    {TEXT("http://0x/"), "http://0.0.0.0/"},
    {TEXT("http://1.2.3.04/"), "http://1.2.3.4/"},
    {TEXT("http://256.0.0.1/"), NULL, "its host is no IPv4 address"},
    {TEXT("http://127.0.0.256/"), NULL, "its host is no IPv4 address"},
    {TEXT("http://1.2.3.4.5/"), NULL, "its host is no IPv4 address"},
    {TEXT("http://1..2/"), NULL, "its host is no IPv4 address"},
    {TEXT("http://.1/"), NULL, "its host is no IPv4 address"},
    {TEXT("http://4294967296/"), NULL, "its host is no IPv4 address"},
    {TEXT("http://shop.09/"), NULL, "its host is no IPv4 address"},
    {TEXT("http://shop.0x1f/"), NULL, "its host is no IPv4 address"},
    {TEXT("http://1.shop.test/"), "http://1.shop.test/"},
    {TEXT("http://shop1/"), "http://shop1/"},

    {TEXT("http://[::1]/"), "http://[::1]/"},
    {TEXT("http://[0:0:0:0:0:0:0:1]:8080/x"), "http://[::1]:8080/x"},
    {TEXT("http://[2001:DB8::A]/"), "http://[2001:db8::a]/"},
    {TEXT("http://[::1"), NULL, "its host is no valid name"},
    {TEXT("http://[::1]x/"), NULL, "its host is no IPv6 address"},
    {TEXT("http://[::g]/"), NULL, "its host is no IPv6 address"},
    {TEXT("http://[]/"), NULL, "its host is no IPv6 address"},
    {TEXT("http://[fe80::1%25eth0]/"), NULL, "its host is no IPv6 address"},
    {TEXT("http://::1/"), NULL, "it names no host"},

    {TEXT("http://h.test/a/./b/../c"), "http://h.test/a/c"},
    {TEXT("http://h.test/a/b/.."), "http://h.test/a/"},
    {TEXT("http://h.test/a/b/."), "http://h.test/a/b/"},
    {TEXT("http://h.test/../../a"), "http://h.test/a"},
    {TEXT("http://h.test/a/%2e%2E/b/%2e/c"), "http://h.test/b/c"},
    {TEXT("http://h.test/a/.%2e/b"), "http://h.test/b"},
    {TEXT("http://h.test/a\\..\\b"), "http://h.test/b"},
    {TEXT("http://h.test/.../..a/.b/c."), "http://h.test/.../..a/.b/c."},
    {TEXT("http://h.test//a//b/"), "http://h.test//a//b/"},
    {TEXT("http://h.test//.."), "http://h.test/"},
    {TEXT("http://h.test/..;/a"), "http://h.test/..;/a"},

    {TEXT("http://h.test/a b"), "http://h.test/a%20b"},
    {TEXT("http://h.test/\xc3\xa4?\xc3\xa4"), "http://h.test/%C3%A4?%C3%A4"},
    {TEXT("http://h.test/%e4%zz%"), "http://h.test/%e4%zz%"},
    {TEXT("http://h.test/%7Ea%2Fb"), "http://h.test/%7Ea%2Fb"},
    {TEXT("http://h.test/\"<>^`{|}'[]"), "http://h.test/%22%3C%3E%5E%60%7B|%7D'[]"},
    {TEXT("http://h.test/?\"<>^`{|}'[]"), "http://h.test/?%22%3C%3E^`{|}%27[]"},
    {TEXT("http://h.test/a\0b?\x01\x7f"), "http://h.test/a%00b?%01%7F"},
    {TEXT("http://h.test/?a=b c+d"), "http://h.test/?a=b%20c+d"},
    {TEXT("http://h.test?q"), "http://h.test/?q"},
    {TEXT("http://h.test/?"), "http://h.test/?"},
    {TEXT("http://h.test/?a?b/../c"), "http://h.test/?a?b/../c"},
    {TEXT("http://h.test#f"), "http://h.test/"},
    {TEXT("http://h.test/?q#f?g#h"), "http://h.test/?q"},

    {TEXT("http://me:secret@h.test/"), "http://h.test/"},
    {TEXT("http://a@b@h.test/"), "http://h.test/"},
    {TEXT("http://h.test\\@evil.test/"), "http://h.test/@evil.test/"},
    {TEXT("http://h.test?@evil.test/"), "http://h.test/?@evil.test/"},
    {TEXT("http://h.test/@x"), "http://h.test/@x"},
    {TEXT("http://a%00b:c@h.test/"), NULL, "its credentials have a zero byte"},
};

static void test_parse(void **state)
{
    struct buf storage;

    wrong = 0;
    buf_init(&storage, 0);
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct mite_error error = {0};
        struct url url;
        int code = url_parse(urls[i].input, &storage, &url, &error);
        const char *text = urls[i].text;
        if (text ? code < 0 || !str_is(url.text, text) : code != MITE_EINVAL || !strstr(error.text, urls[i].why)) {
            complain(urls[i].input.p, text ? text : urls[i].why, code, &url, &error);
        }
        error_done(&error);
    }
    buf_done(&storage);
    assert_int_equal(wrong, 0);
}

static void assert_str(struct str s, const char *text)
{
    if (!(text ? s.p && str_is(s, text) : !s.p)) {
        fail_msg("\"" STR_FMT "\", not \"%s\"", STR_ARG(s), text ? text : "none");
    }
}

static void test_parts(void **state)
{
    struct buf storage;
    struct url url;

    buf_init(&storage, 0);
    assert_int_equal(url_parse(STR("HTTPS://us%65r:p%3Aw@Shop.test:8443/a/../b?c#d e"), &storage, &url, NULL), 0);
    assert_str(url.text, "https://shop.test:8443/b?c");
    assert_str(url.host, "shop.test");
    assert_str(url.path, "/b");
    assert_str(url.fragment, "d%20e");
    assert_str(url.user, "user");
    assert_str(url.password, "p:w");
    assert_int_equal(url.port, 8443);
    assert_true(url.tls);

    assert_int_equal(url_parse(STR("http://me@[::1]#"), &storage, &url, NULL), 0);
    assert_str(url.host, "::1");
    assert_str(url.path, "/");
    assert_str(url.fragment, NULL);
    assert_str(url.user, "me");
    assert_str(url.password, "");
    assert_int_equal(url.port, 80);
    assert_false(url.tls);

    assert_int_equal(url_parse(STR("http://@h.test/"), &storage, &url, NULL), 0);
    assert_str(url.user, NULL);
    assert_int_equal(url_parse(STR("http://:secret@h.test/"), &storage, &url, NULL), 0);
    assert_str(url.user, "");
    assert_str(url.password, "secret");

    struct str plain = STR("http://h.test/a?b"); /* taken as it is */
    assert_int_equal(url_parse(plain, &storage, &url, NULL), 0);
    assert_ptr_equal(url.text.p, plain.p);
    assert_str(url.path, "/a");
    assert_str(url.user, NULL);
    assert_str(url.fragment, NULL);
    buf_done(&storage);
}

/* ---- what a Location means ---- */

static const struct {
    const char *base;
    struct str reference;
    const char *text; /* NULL: refused */
} joins[] = {
    /* The examples of RFC 3986, 5.4. */
    {"http://a/b/c/d;p?q", TEXT("g"), "http://a/b/c/g"},
    {"http://a/b/c/d;p?q", TEXT("./g"), "http://a/b/c/g"},
    {"http://a/b/c/d;p?q", TEXT("g/"), "http://a/b/c/g/"},
    {"http://a/b/c/d;p?q", TEXT("/g"), "http://a/g"},
    {"http://a/b/c/d;p?q", TEXT("//g"), "http://g/"},
    {"http://a/b/c/d;p?q", TEXT("?y"), "http://a/b/c/d;p?y"},
    {"http://a/b/c/d;p?q", TEXT("g?y"), "http://a/b/c/g?y"},
    {"http://a/b/c/d;p?q", TEXT("#s"), "http://a/b/c/d;p?q"},
    {"http://a/b/c/d;p?q", TEXT("g#s"), "http://a/b/c/g"},
    {"http://a/b/c/d;p?q", TEXT("g?y#s"), "http://a/b/c/g?y"},
    {"http://a/b/c/d;p?q", TEXT(";x"), "http://a/b/c/;x"},
    {"http://a/b/c/d;p?q", TEXT("g;x"), "http://a/b/c/g;x"},
    {"http://a/b/c/d;p?q", TEXT(""), "http://a/b/c/d;p?q"},
    {"http://a/b/c/d;p?q", TEXT("."), "http://a/b/c/"},
    {"http://a/b/c/d;p?q", TEXT("./"), "http://a/b/c/"},
    {"http://a/b/c/d;p?q", TEXT(".."), "http://a/b/"},
    {"http://a/b/c/d;p?q", TEXT("../"), "http://a/b/"},
    {"http://a/b/c/d;p?q", TEXT("../g"), "http://a/b/g"},
    {"http://a/b/c/d;p?q", TEXT("../.."), "http://a/"},
    {"http://a/b/c/d;p?q", TEXT("../../g"), "http://a/g"},
    {"http://a/b/c/d;p?q", TEXT("../../../g"), "http://a/g"},
    {"http://a/b/c/d;p?q", TEXT("/./g"), "http://a/g"},
    {"http://a/b/c/d;p?q", TEXT("/../g"), "http://a/g"},
    {"http://a/b/c/d;p?q", TEXT("g."), "http://a/b/c/g."},
    {"http://a/b/c/d;p?q", TEXT(".g"), "http://a/b/c/.g"},
    {"http://a/b/c/d;p?q", TEXT("..g"), "http://a/b/c/..g"},
    {"http://a/b/c/d;p?q", TEXT("./../g"), "http://a/b/g"},
    {"http://a/b/c/d;p?q", TEXT("./g/."), "http://a/b/c/g/"},
    {"http://a/b/c/d;p?q", TEXT("g/./h"), "http://a/b/c/g/h"},
    {"http://a/b/c/d;p?q", TEXT("g/../h"), "http://a/b/c/h"},
    {"http://a/b/c/d;p?q", TEXT("g;x=1/../y"), "http://a/b/c/y"},
    {"http://a/b/c/d;p?q", TEXT("g?y/../x"), "http://a/b/c/g?y/../x"},
    {"http://a/b/c/d;p?q", TEXT("http:g"), "http://a/b/c/g"}, /* as browsers do it */

    {"http://a/b", TEXT("https:g"), "https://g/"},
    {"http://a/b", TEXT("https:/g"), "https://g/"},
    {"http://a/b", TEXT("HTTP:/g"), "http://a/g"},
    {"http://a/b", TEXT("http://c/d"), "http://c/d"},
    {"https://a:1/b", TEXT("//c/d"), "https://c/d"},
    {"https://a:1/b", TEXT("\\\\c\\d"), "https://c/d"},
    {"https://a:1/b", TEXT("/\\c/d"), "https://c/d"},
    {"https://a:1/b", TEXT("///c/d"), "https://c/d"},
    {"https://a:1/b", TEXT("\\c"), "https://a:1/c"},
    {"https://a:1/b/c", TEXT("..\\d"), "https://a:1/d"},
    {"http://[::1]:81/b", TEXT("c"), "http://[::1]:81/c"},
    {"http://a/b?c", TEXT("?"), "http://a/b?"},
    {"http://a", TEXT("x y?z w"), "http://a/x%20y?z%20w"},
    {"http://a/", TEXT("\xc3\xa4"), "http://a/%C3%A4"},
    {"http://a/", TEXT(" /x\t"), "http://a/x"},
    {"http://a/", TEXT("a:b"), NULL},
    {"http://a/", TEXT("./a:b"), "http://a/a:b"},
    {"http://a/", TEXT("1:b"), "http://a/1:b"},
    {"http://a/", TEXT("javascript:alert(1)"), NULL},
    {"http://a/", TEXT("mailto:me@a"), NULL},
    {"http://a/", TEXT("file:///etc/passwd"), NULL},
    {"http://a/", TEXT("//"), NULL},
    {"http://a/", TEXT("http://"), NULL},
    {"http://a/", TEXT("//b:99999/"), NULL},
    {"http://me:secret@a/b", TEXT("c"), "http://a/c"},
    {"http://a/b", TEXT("//me:secret@c/d"), "http://c/d"},
};

static void test_join(void **state)
{
    struct buf storage, other;

    wrong = 0;
    buf_init(&storage, 0);
    buf_init(&other, 0);
    for (size_t i = 0; i < sizeof joins / sizeof *joins; i++) {
        struct mite_error error = {0};
        struct url base, url;
        assert_int_equal(url_parse(str_of(joins[i].base), &storage, &base, NULL), 0);
        int code = url_join(&base, joins[i].reference, &other, &url, &error);
        const char *text = joins[i].text;
        if (text ? code < 0 || !str_is(url.text, text) : code != MITE_EINVAL) {
            complain(joins[i].reference.p, text ? text : "refused", code, &url, &error);
        }
        error_done(&error);
    }
    buf_done(&storage);
    buf_done(&other);
    assert_int_equal(wrong, 0);
}

static void test_join_again(void **state)
{
    struct buf storage[2];
    struct url url, next;

    buf_init(&storage[0], 0);
    buf_init(&storage[1], 0);
    assert_int_equal(url_parse(STR("http://a/0?q"), &storage[0], &url, NULL), 0);
    for (int i = 0; i < 6; i++) { /* from hop to hop, each into the storage that the one before does not use */
        assert_int_equal(url_join(&url, STR("../x/./y?z#f"), &storage[!(i & 1)], &next, NULL), 0);
        url = next;
        assert_str(url.fragment, "f");
    }
    assert_str(url.text, "http://a/x/y?z");
    buf_done(&storage[0]);
    buf_done(&storage[1]);
}

/* ---- the rest ---- */

static void test_too_long(void **state)
{
    size_t size = URL_MAX + 100;
    char *text = malloc(size);
    struct mite_error error = {0};
    struct buf storage;
    struct url url;

    buf_init(&storage, 0);
    memset(text, 'x', size);
    memcpy(text, "http://h.test/", 14);
    assert_int_equal(url_parse((struct str){text, URL_MAX}, &storage, &url, NULL), 0);
    assert_int_equal(url_parse((struct str){text, URL_MAX + 1}, &storage, &url, &error), MITE_EINVAL);
    assert_non_null(strstr(error.text, "it is longer than 1,000,000 bytes"));
    assert_true(strlen(error.text) < 400);
    memset(text + 14, ' ', size - 14); /* only once they are encoded */
    text[URL_MAX - 1] = 'x';
    assert_int_equal(url_parse((struct str){text, URL_MAX}, &storage, &url, &error), MITE_EINVAL);
    error_done(&error);
    buf_done(&storage);
    free(text);
}

static void test_origins(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } pairs[] = {
        {"http://h.test/a", "http://H.TEST:80/b?c", true}, {"http://h.test/", "https://h.test/", false},
        {"http://h.test/", "http://h.test:81/", false},    {"http://h.test/", "http://www.h.test/", false},
        {"http://127.1/", "http://127.0.0.1/", true},      {"https://h.test/", "https://h.test:443/", true},
    };

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct buf storage[2];
        struct url a, b;
        buf_init(&storage[0], 0);
        buf_init(&storage[1], 0);
        assert_int_equal(url_parse(str_of(pairs[i].a), &storage[0], &a, NULL), 0);
        assert_int_equal(url_parse(str_of(pairs[i].b), &storage[1], &b, NULL), 0);
        assert_int_equal(url_same_origin(&a, &b), pairs[i].same);
        buf_done(&storage[0]);
        buf_done(&storage[1]);
    }
}

static void test_mask(void **state)
{
    static const char *const pairs[][2] = {
        {"http://me:secret@h.test/x", "http://***@h.test/x"}, {"me:se/cret", "me:se/cret"},
        {"http://a@b@h.test/", "http://***@h.test/"},         {"http://h.test/a@b", "http://h.test/a@b"},
        {"http://h.test/\x1b[31m", "http://h.test/?[31m"},
    };

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct buf shown;
        buf_init(&shown, 0);
        url_mask(str_of(pairs[i][0]), &shown);
        assert_string_equal(shown.data, pairs[i][1]);
        buf_done(&shown);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),      cmocka_unit_test(test_parts),    cmocka_unit_test(test_join),
        cmocka_unit_test(test_join_again), cmocka_unit_test(test_too_long), cmocka_unit_test(test_origins),
        cmocka_unit_test(test_mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
