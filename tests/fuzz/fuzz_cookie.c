/*
 * cookie_jar_receive() and cookie_parse() on whatever a server or a file says, line by line: what enters the jar keeps
 * its limits, can go into a Cookie header without breaking it, and is the same after a cookie file.
 */
#include "fuzz.h"

#include "http/cookies.h"

#define NOW INT64_C(1700000000)

static const struct str hosts[] = {
    {"www.shop.test", 13}, {"shop.test", 9}, {"127.0.0.1", 9}, {"::1", 3}, {"shop.co.uk", 10}, {"localhost", 9},
};

static void check_cookie(const struct cookie *cookie)
{
    struct cookie back;
    struct buf line;

    FUZZ_ASSERT(cookie->name.n > 0 && cookie->domain.n > 0);
    FUZZ_ASSERT(cookie->name.n + cookie->value.n <= 4096 && cookie->domain.n + cookie->path.n <= 4096);
    FUZZ_ASSERT(cookie->expires == 0 || cookie->expires > NOW);
    if (memchr(cookie->name.p, '\t', cookie->name.n) || memchr(cookie->value.p, '\t', cookie->value.n) ||
        memchr(cookie->path.p, '\t', cookie->path.n)) {
        return; /* a cookie file cannot say it */
    }
    buf_init(&line, 0);
    FUZZ_ASSERT(cookie_format(cookie, &line) == 0);
    FUZZ_ASSERT(cookie_parse(buf_view(&line), &back, NULL) == 0);
    FUZZ_ASSERT(str_equal(cookie->name, back.name) && str_equal(cookie->value, back.value));
    FUZZ_ASSERT(str_equal(cookie->domain, back.domain) && str_equal(cookie->path, back.path));
    FUZZ_ASSERT(cookie->expires == back.expires && cookie->secure == back.secure);
    FUZZ_ASSERT(cookie->host_only == back.host_only && cookie->http_only == back.http_only);
    buf_done(&line);
}

static void check_jar(struct cookie_jar *jar)
{
    struct buf header;

    FUZZ_ASSERT(cookie_jar_count(jar) <= 3000);
    for (size_t i = 0; i < cookie_jar_count(jar); i++) {
        check_cookie(cookie_jar_at(jar, i));
    }
    buf_init(&header, 0);
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        FUZZ_ASSERT(cookie_jar_header(jar, &header, hosts[i], STR("/a/b"), true, NOW) == 0);
    }
    for (size_t i = 0; i < header.size; i++) {
        FUZZ_ASSERT(header.data[i] != '\r' && header.data[i] != '\n' && header.data[i] != '\0');
    }
    buf_done(&header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cookie_jar *jar = cookie_jar_new();
    const char *line = (const char *)data, *end = line + size;

    FUZZ_ASSERT(jar);
    for (size_t n = 0; line < end; n++) {
        const char *eol = memchr(line, '\n', (size_t)(end - line));
        struct str text = {line, (size_t)((eol ? eol : end) - line)};
        struct cookie cookie;
        FUZZ_ASSERT(cookie_jar_receive(jar, text, hosts[n % 6], STR("/a/b"), n % 2, NOW) == 0);
        if (cookie_parse(text, &cookie, NULL) == 0 && cookie.domain.n > 0) {
            cookie_jar_set_at(jar, &cookie, NOW);
        }
        line = eol ? eol + 1 : end;
    }
    check_jar(jar);
    cookie_jar_free(jar);
    return 0;
}
