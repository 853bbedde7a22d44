/*
 * Cookies from Set-Cookie values (RFC 6265, 5.2 and 5.3).
 */
#include "http/cookie_date.h"
#include "http/cookies.h"

#include <arpa/inet.h>
#include <libpsl.h>
#include <stdlib.h>

#define HOST_MAX      255
#define ATTRIBUTE_MAX 1024 /* a longer one is not there */

/* ---- pieces ---- */

static struct str trim(struct str s)
{
    while (s.n > 0 && (*s.p == ' ' || *s.p == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) {
        s.n--;
    }
    return s;
}

/* Cuts off what stands before `separator`; the rest is none when there is no separator. */
static struct str cut(struct str *rest, char separator)
{
    const char *at = rest->n ? memchr(rest->p, separator, rest->n) : NULL;
    struct str first = *rest;

    if (at) {
        first.n = (size_t)(at - rest->p);
        *rest = (struct str){at + 1, rest->n - first.n - 1};
    } else {
        *rest = STR_NONE;
    }
    return first;
}

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

static bool is_address(struct str host)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char bytes[16];

    if (host.n >= sizeof text) {
        return false;
    }
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

bool cookie_domain_matches(struct str host, struct str domain)
{
    if (host.n <= domain.n) {
        return str_equal_nocase(host, domain);
    }
    struct str tail = {host.p + host.n - domain.n, domain.n};
    return tail.p[-1] == '.' && str_equal_nocase(tail, domain) && !is_address(host);
}

static bool is_public_suffix(struct str domain)
{
    char lower[HOST_MAX + 1];

    if (domain.n > HOST_MAX) {
        return true;
    }
    for (size_t i = 0; i < domain.n; i++) {
        char c = domain.p[i];
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    lower[domain.n] = '\0';
    return psl_builtin() && psl_is_public_suffix(psl_builtin(), lower);
}

/* ---- Set-Cookie ---- */

/* Seconds from now, as text: digits, perhaps a minus in front. False when it is something else. */
static bool parse_max_age(struct str text, int64_t now, int64_t *out)
{
    bool negative = text.n > 0 && *text.p == '-';
    int64_t seconds = 0;

    if (text.n == (size_t)negative) {
        return false;
    }
    for (size_t i = negative; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') {
            return false;
        }
        seconds = seconds > INT32_MAX ? seconds : seconds * 10 + (text.p[i] - '0');
    }
    *out = negative || seconds == 0 ? 1 : now + seconds;
    return true;
}

static void take_attribute(struct cookie *cookie, struct str name, struct str value, int64_t now, bool *has_max_age)
{
    int64_t expires;

    if (value.n > ATTRIBUTE_MAX) {
        return;
    }
    if (str_equal_nocase(name, STR("Max-Age"))) {
        if (parse_max_age(value, now, &expires)) {
            cookie->expires = expires;
            *has_max_age = true;
        }
    } else if (str_equal_nocase(name, STR("Expires"))) {
        if (!*has_max_age && cookie_date_parse(value, &expires)) {
            cookie->expires = expires;
        }
    } else if (str_equal_nocase(name, STR("Domain"))) {
        bool dot = value.n > 0 && *value.p == '.';
        if (value.n > dot) {
            cookie->domain = (struct str){value.p + dot, value.n - dot};
        }
    } else if (str_equal_nocase(name, STR("Path"))) {
        cookie->path = value.n > 0 && *value.p == '/' ? value : STR_NONE;
    } else if (str_equal_nocase(name, STR("Secure"))) {
        cookie->secure = true;
    } else if (str_equal_nocase(name, STR("HttpOnly"))) {
        cookie->http_only = true;
    }
}

/* The directory of the request's path. */
static struct str default_path(struct str path)
{
    const char *slash = path.p ? memrchr(path.p, '/', path.n) : NULL;

    return !slash || slash == path.p || *path.p != '/' ? STR("/") : (struct str){path.p, (size_t)(slash - path.p)};
}

/* Where the cookie goes back to. False when its domain is none that this host may set. */
static bool settle_domain(struct cookie *cookie, struct str host)
{
    if (cookie->domain.p && is_public_suffix(cookie->domain)) {
        if (!str_equal_nocase(cookie->domain, host)) {
            return false;
        }
        cookie->domain = STR_NONE;
    }
    if (!cookie->domain.p) {
        cookie->domain = host;
        cookie->host_only = true;
        return true;
    }
    return cookie_domain_matches(host, cookie->domain);
}

static bool begins_with(struct str name, struct str prefix)
{
    return name.n >= prefix.n && str_equal_nocase((struct str){name.p, prefix.n}, prefix);
}

/* What a cookie's name promises about it must be so. */
static bool keeps_promises(const struct cookie *cookie, bool has_domain, bool has_path)
{
    if (begins_with(cookie->name, STR("__Host-"))) {
        return cookie->secure && !has_domain && has_path && str_is(cookie->path, "/");
    }
    return cookie->secure || !begins_with(cookie->name, STR("__Secure-"));
}

int cookie_jar_receive(struct cookie_jar *jar, struct str set_cookie, struct str host, struct str path, bool secure,
                       int64_t now)
{
    struct cookie cookie = {0};
    struct str rest = set_cookie;
    bool has_max_age = false;

    if (has_control(set_cookie)) {
        return 0;
    }
    struct str pair = cut(&rest, ';');
    cookie.name = trim(cut(&pair, '='));
    cookie.value = trim(pair);
    if (!pair.p || cookie.name.n == 0) {
        return 0;
    }
    while (rest.p) {
        struct str value = cut(&rest, ';');
        struct str name = cut(&value, '=');
        take_attribute(&cookie, trim(name), trim(value), now, &has_max_age);
    }
    bool has_domain = cookie.domain.p != NULL, has_path = cookie.path.p != NULL;
    if (!settle_domain(&cookie, host) || (cookie.secure && !secure)) {
        return 0;
    }
    if (!has_path) {
        cookie.path = default_path(path);
    }
    if (!keeps_promises(&cookie, has_domain, has_path) || (!secure && cookie_jar_has_secure(jar, &cookie))) {
        return 0;
    }
    int rc = cookie_jar_set_at(jar, &cookie, now);
    return rc == MITE_ENOMEM ? rc : 0;
}
