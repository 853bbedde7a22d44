/*
 * Design notes. Cookies stand in the order of their creation; replacing one keeps its place, as the RFC wants it for
 * the order of the Cookie header. A jar holds few cookies, so it is searched from end to end. Each cookie is one block
 * with its texts behind it.
 */
#include "http/cookies.h"

#include <stdlib.h>
#include <time.h>

#define COOKIE_MAX     4096
#define PER_DOMAIN_MAX 50
#define JAR_MAX        3000

struct cookie_jar {
    struct cookie **cookies; /* owned, each too */
    size_t count, capacity;
};

struct cookie_jar *cookie_jar_new(void)
{
    return calloc(1, sizeof(struct cookie_jar));
}

void cookie_jar_clear(struct cookie_jar *jar)
{
    for (size_t i = 0; i < jar->count; i++) {
        free(jar->cookies[i]);
    }
    free(jar->cookies);
    *jar = (struct cookie_jar){0};
}

void cookie_jar_free(struct cookie_jar *jar)
{
    if (jar) {
        cookie_jar_clear(jar);
        free(jar);
    }
}

size_t cookie_jar_count(const struct cookie_jar *jar)
{
    return jar->count;
}

const struct cookie *cookie_jar_at(const struct cookie_jar *jar, size_t index)
{
    return jar->cookies[index];
}

static void remove_at(struct cookie_jar *jar, size_t index)
{
    free(jar->cookies[index]);
    jar->count--;
    memmove(&jar->cookies[index], &jar->cookies[index + 1], (jar->count - index) * sizeof(struct cookie *));
}

static bool is_expired(const struct cookie *cookie, int64_t now)
{
    return cookie->expires != 0 && cookie->expires <= now;
}

static void purge(struct cookie_jar *jar, int64_t now)
{
    size_t kept = 0;

    for (size_t i = 0; i < jar->count; i++) {
        if (is_expired(jar->cookies[i], now)) {
            free(jar->cookies[i]);
        } else {
            jar->cookies[kept++] = jar->cookies[i];
        }
    }
    jar->count = kept;
}

/* ---- putting one in ---- */

static struct str place(char **at, struct str s)
{
    struct str copy = {*at, s.n};

    if (s.n > 0) {
        memcpy(*at, s.p, s.n);
    }
    (*at)[s.n] = '\0';
    *at += s.n + 1;
    return copy;
}

static struct cookie *copy_of(const struct cookie *cookie)
{
    struct cookie *copy =
        malloc(sizeof *copy + cookie->name.n + cookie->value.n + cookie->domain.n + cookie->path.n + 4);

    if (!copy) {
        return NULL;
    }
    char *at = (char *)(copy + 1);
    *copy = *cookie;
    copy->name = place(&at, cookie->name);
    copy->value = place(&at, cookie->value);
    copy->path = place(&at, cookie->path);
    char *domain = at;
    copy->domain = place(&at, cookie->domain);
    for (size_t i = 0; i < copy->domain.n; i++) {
        domain[i] = domain[i] >= 'A' && domain[i] <= 'Z' ? (char)(domain[i] + ('a' - 'A')) : domain[i];
    }
    return copy;
}

static bool fits_header(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f || s.p[i] == ';') {
            return false;
        }
    }
    return true;
}

/* Its index, or the count. */
static size_t find_same(const struct cookie_jar *jar, const struct cookie *cookie)
{
    size_t i;

    for (i = 0; i < jar->count; i++) {
        const struct cookie *other = jar->cookies[i];
        if (str_equal(other->name, cookie->name) && str_equal_nocase(other->domain, cookie->domain) &&
            str_equal(other->path, cookie->path)) {
            break;
        }
    }
    return i;
}

/* The oldest of the domain when that is full, else the oldest of all when the jar is. */
static void make_room(struct cookie_jar *jar, const struct cookie *cookie)
{
    size_t of_domain = 0, oldest = 0;

    for (size_t i = jar->count; i-- > 0;) {
        if (str_equal_nocase(jar->cookies[i]->domain, cookie->domain)) {
            of_domain++;
            oldest = i;
        }
    }
    if (of_domain >= PER_DOMAIN_MAX) {
        remove_at(jar, oldest);
    } else if (jar->count >= JAR_MAX) {
        remove_at(jar, 0);
    }
}

static int append(struct cookie_jar *jar, const struct cookie *cookie)
{
    make_room(jar, cookie);
    if (jar->count == jar->capacity) {
        size_t capacity = jar->capacity ? 2 * jar->capacity : 4;
        struct cookie **cookies = realloc(jar->cookies, capacity * sizeof(struct cookie *));
        if (!cookies) {
            return MITE_ENOMEM;
        }
        jar->cookies = cookies;
        jar->capacity = capacity;
    }
    struct cookie *copy = copy_of(cookie);
    if (!copy) {
        return MITE_ENOMEM;
    }
    jar->cookies[jar->count++] = copy;
    return 0;
}

int cookie_jar_set(struct cookie_jar *jar, const struct cookie *cookie)
{
    return cookie_jar_set_at(jar, cookie, cookie->expires ? time(NULL) : 0);
}

/* A leading dot, as old cookie files have it, says nothing. */
static struct cookie without_dot(const struct cookie *cookie)
{
    struct cookie plain = *cookie;

    while (plain.domain.n > 0 && *plain.domain.p == '.') {
        plain.domain.p++;
        plain.domain.n--;
    }
    return plain;
}

static int check(const struct cookie *cookie)
{
    if (cookie->name.n == 0 || cookie->domain.n == 0 || !fits_header(cookie->name) || !fits_header(cookie->value) ||
        !fits_header(cookie->domain) || !fits_header(cookie->path)) {
        return MITE_EINVAL;
    }
    return cookie->name.n + cookie->value.n > COOKIE_MAX || cookie->domain.n + cookie->path.n > COOKIE_MAX ? MITE_ELIMIT
                                                                                                           : 0;
}

int cookie_jar_set_at(struct cookie_jar *jar, const struct cookie *given, int64_t now)
{
    struct cookie cookie = without_dot(given);
    int rc = check(&cookie);

    if (rc < 0) {
        return rc;
    }
    size_t index = find_same(jar, &cookie);
    if (is_expired(&cookie, now)) {
        if (index < jar->count) {
            remove_at(jar, index);
        }
        return 0;
    }
    if (index == jar->count) {
        return append(jar, &cookie);
    }
    struct cookie *copy = copy_of(&cookie);
    if (!copy) {
        return MITE_ENOMEM;
    }
    free(jar->cookies[index]);
    jar->cookies[index] = copy;
    return 0;
}

/* ---- taking them out for a request ---- */

static bool path_matches(struct str path, struct str cookie_path)
{
    if (path.n < cookie_path.n || memcmp(path.p, cookie_path.p, cookie_path.n) != 0) {
        return false;
    }
    return path.n == cookie_path.n || cookie_path.n == 0 || cookie_path.p[cookie_path.n - 1] == '/' ||
           path.p[cookie_path.n] == '/';
}

bool cookie_jar_has_secure(const struct cookie_jar *jar, const struct cookie *cookie)
{
    for (size_t i = 0; i < jar->count; i++) {
        const struct cookie *other = jar->cookies[i];
        if (other->secure && str_equal(other->name, cookie->name) && path_matches(cookie->path, other->path) &&
            (cookie_domain_matches(other->domain, cookie->domain) ||
             cookie_domain_matches(cookie->domain, other->domain))) {
            return true;
        }
    }
    return false;
}

static bool matches(const struct cookie *cookie, struct str host, struct str path, bool secure)
{
    return (!cookie->secure || secure) && path_matches(path, cookie->path) &&
           (cookie->host_only ? str_equal_nocase(host, cookie->domain) : cookie_domain_matches(host, cookie->domain));
}

/* Longer paths come first, then older cookies: one round for each length of path, the longest first. */
int cookie_jar_header(struct cookie_jar *jar, struct buf *out, struct str host, struct str path, bool secure,
                      int64_t now)
{
    size_t start = out->size;

    purge(jar, now);
    for (size_t length = SIZE_MAX;;) {
        size_t next = 0;
        bool more = false;
        for (size_t i = 0; i < jar->count; i++) {
            const struct cookie *cookie = jar->cookies[i];
            if (cookie->path.n > length || !matches(cookie, host, path, secure)) {
                continue;
            }
            if (cookie->path.n < length) {
                more = true;
                next = cookie->path.n > next ? cookie->path.n : next;
                continue;
            }
            buf_text(out, out->size > start ? "; " : "");
            buf_str(out, cookie->name);
            buf_char(out, '=');
            buf_str(out, cookie->value);
        }
        if (!more) {
            break;
        }
        length = next;
    }
    return out->failed ? MITE_ENOMEM : 0;
}
