/*
 * A cookie jar as RFC 6265 says: domain and path matching, Secure, HttpOnly, Expires and Max-Age, public suffixes
 * refused (libpsl); and as browsers do since (draft 6265bis): the prefixes __Secure- and __Host-, cookies that plain
 * HTTP may not overwrite. SameSite says nothing here: all requests are the user's own. Limits: 4 KiB for name and
 * value, as much for domain and path, 50 cookies a domain, 3,000 a jar; the oldest give way.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

#include <stdint.h>

struct cookie {
    struct str name, value, domain, path; /* domain without a leading dot, lower case */
    int64_t expires;                      /* seconds since the epoch; 0: a session cookie */
    bool host_only, secure, http_only;
};

struct cookie_jar; /* no memory until the first cookie: an empty jar is a small struct */

struct cookie_jar *cookie_jar_new(void) PRIVATE_API(cookie_jar_new);
void cookie_jar_free(struct cookie_jar *jar) PRIVATE_API(cookie_jar_free);
void cookie_jar_clear(struct cookie_jar *jar) PRIVATE_API(cookie_jar_clear);
size_t cookie_jar_count(const struct cookie_jar *jar) PRIVATE_API(cookie_jar_count);
const struct cookie *cookie_jar_at(const struct cookie_jar *jar, size_t index) PRIVATE_API(cookie_jar_at);

/* A cookie that is there already (name, domain, path) is replaced; one that has expired is removed. Copied.
 * MITE_EINVAL for what no Cookie header could carry (a semicolon, a control character), MITE_ELIMIT above a limit. */
int cookie_jar_set(struct cookie_jar *jar, const struct cookie *cookie) PRIVATE_API(cookie_jar_set);
int cookie_jar_set_at(struct cookie_jar *jar, const struct cookie *cookie, int64_t now); /* the same at another time */

/* One Set-Cookie value from host/path (over TLS or not). What the RFC says to ignore is ignored: 0 all the same. */
int cookie_jar_receive(struct cookie_jar *jar, struct str set_cookie, struct str host, struct str path, bool secure,
                       int64_t now) PRIVATE_API(cookie_jar_receive);

/* Appends "a=1; b=2" for a request; nothing when none match. */
int cookie_jar_header(struct cookie_jar *jar, struct buf *out, struct str host, struct str path, bool secure,
                      int64_t now) PRIVATE_API(cookie_jar_header);

/* Whether a cookie from plain HTTP would hide or replace one that only TLS may set. */
bool cookie_jar_has_secure(const struct cookie_jar *jar, const struct cookie *cookie);

/* RFC 6265, 5.1.3: `host` is `domain` or lies below it. */
bool cookie_domain_matches(struct str host, struct str domain);
