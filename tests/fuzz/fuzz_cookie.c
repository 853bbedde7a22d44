/*
 * cookie_jar_receive() on whatever a server says, line by line: what enters the jar keeps its limits, and can go into a
 * Cookie header without breaking it.
 */
#include "fuzz.h"

#include "http/cookies.h"

#define NOW INT64_C(1700000000)

static const struct str hosts[] = {
    {"www.shop.test", 13}, {"shop.test", 9}, {"127.0.0.1", 9}, {"::1", 3}, {"shop.co.uk", 10}, {"localhost", 9},
};

static void check_cookie(const struct cookie *cookie)
{
    FUZZ_ASSERT(cookie->name.n > 0 && cookie->domain.n > 0);
    FUZZ_ASSERT(cookie->name.n + cookie->value.n <= 4096 && cookie->domain.n + cookie->path.n <= 4096);
    FUZZ_ASSERT(cookie->expires == 0 || cookie->expires > NOW);
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
        FUZZ_ASSERT(cookie_jar_receive(jar, text, hosts[n % 6], STR("/a/b"), n % 2, NOW) == 0);
        line = eol ? eol + 1 : end;
    }
    check_jar(jar);
    cookie_jar_free(jar);
    return 0;
}
