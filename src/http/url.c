/*
 * Design notes
 *
 * - A URL that is not plain is written anew, from its parts, into the storage: "scheme://host:port/path?query", a zero,
 *   then the fragment and the credentials, a zero behind each. Places in it are offsets until the end, since the
 *   storage moves while it grows.
 * - What libcurl makes of the result is the same (the fuzz target compares), but for a "?" with nothing behind it,
 *   which libcurl leaves out.
 */
#include "http/url.h"

#include <stdlib.h>

#define SHOWN_MAX 200

/* ---- what stands in a URL as it is ---- */

enum { IN_PATH = 1, IN_QUERY = 2, IN_FRAGMENT = 4 };

/* Whether %XX is written for it there. */
static bool is_encoded(char c, int part)
{
    unsigned char u = (unsigned char)c;

    if (u <= ' ' || u >= 0x7f) {
        return true;
    }
    return strchr(part == IN_PATH ? "\"#<>?^`{}" : part == IN_QUERY ? "\"#'<>" : "\"<>`", c) != NULL;
}

static void append_encoded(struct buf *out, struct str text, int part)
{
    for (size_t i = 0; i < text.n; i++) {
        if (is_encoded(text.p[i], part)) {
            buf_printf(out, "%%%02X", (unsigned char)text.p[i]);
        } else {
            buf_char(out, text.p[i]);
        }
    }
}

void url_decode(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.n; i++) {
        int high = text.p[i] == '%' && i + 2 < text.n ? str_hex_digit(text.p[i + 1]) : -1;
        int low = high >= 0 ? str_hex_digit(text.p[i + 2]) : -1;
        buf_char(out, low >= 0 ? (char)(high << 4 | low) : text.p[i]);
        i += low >= 0 ? 2 : 0;
    }
}

/* ---- plain URLs ---- */

static bool starts_with(struct str text, const char *prefix, size_t n)
{
    return text.n >= n && memcmp(text.p, prefix, n) == 0;
}

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
}

/* What no parser would change: nothing to encode, no backslash, fragment, dot segment or empty query. */
static bool is_plain_tail(const char *p, const char *end)
{
    static const uint32_t odd[4] = {[1] = 0x5000008c, [2] = 0x50000000, [3] = 0xa8000001}; /* "#' <> \^ `{}DEL */
    const char *last = end - 1;

    for (; p < end; p++) {
        unsigned char u = (unsigned char)*p;
        if (u <= ' ' || u >= 0x7f || odd[u >> 5] >> (u & 31) & 1 ||
            (u == '/' && p < last && (p[1] == '.' || p[1] == '%'))) {
            return false;
        }
    }
    return *last != '?';
}

/* Digits up to `end` or a slash; false when they are no port, or the scheme's own. */
static bool parse_port(const char **p, const char *end, uint16_t *out)
{
    unsigned port = 0;
    const char *first = *p;

    for (; *p < end && **p >= '0' && **p <= '9' && port <= UINT16_MAX; (*p)++) {
        port = port * 10 + (unsigned)(**p - '0');
    }
    bool is_other = port != *out;
    *out = (uint16_t)port;
    return *p > first && *first != '0' && port <= UINT16_MAX && is_other;
}

/* A name of those characters, or an IPv4 address in its one good spelling; the last label begins at `last`. */
static bool is_plain_host(struct str host, const char *last)
{
    const char *end = host.p + host.n;
    unsigned numbers = 0;

    if (host.n == 0 || last == end || (end - last > 1 && last[0] == '0' && last[1] == 'x')) {
        return false;
    }
    if (end[-1] < '0' || end[-1] > '9') {
        return true;
    }
    for (const char *p = host.p; p <= end; p++) {
        const char *first = p;
        unsigned number = 0;
        while (p < end && *p >= '0' && *p <= '9' && number < 256) {
            number = number * 10 + (unsigned)(*p++ - '0');
        }
        if (p == first || number > 255 || (*first == '0' && p > first + 1) || (p < end && *p != '.')) {
            return false;
        }
        numbers++;
    }
    return numbers == 4;
}

/* http[s]://host[:port]/... that needs no normalizing. */
static bool parse_plain(struct str text, struct url *out)
{
    struct url url = {.text = text};
    const char *p, *end = text.p + text.n;

    if (starts_with(text, "http://", 7)) {
        p = text.p + 7;
        url.port = 80;
    } else if (starts_with(text, "https://", 8)) {
        p = text.p + 8;
        url.port = 443;
        url.tls = true;
    } else {
        return false;
    }
    const char *label = url.host.p = p;
    for (; p < end && is_host_char(*p); p++) {
        label = *p == '.' ? p + 1 : label;
    }
    url.host.n = (size_t)(p - url.host.p);
    if (!is_plain_host(url.host, label)) {
        return false;
    }
    if (p < end && *p == ':') {
        p++;
        if (!parse_port(&p, end, &url.port)) {
            return false;
        }
    }
    if (p == end || *p != '/' || !is_plain_tail(p, end)) {
        return false;
    }
    const char *query = memchr(p, '?', (size_t)(end - p));
    url.path = (struct str){p, (size_t)((query ? query : end) - p)};
    *out = url;
    return true;
}

/* ---- all others ---- */

static bool is_slash(char c)
{
    return c == '/' || c == '\\';
}

static bool is_letter(char c)
{
    c |= 32;
    return c >= 'a' && c <= 'z';
}

/* Without blanks and control characters around it, and tabs and line breaks anywhere. */
static void append_clean(struct buf *out, struct str text)
{
    while (text.n > 0 && (unsigned char)*text.p <= ' ') {
        text.p++;
        text.n--;
    }
    while (text.n > 0 && (unsigned char)text.p[text.n - 1] <= ' ') {
        text.n--;
    }
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != '\t' && text.p[i] != '\n' && text.p[i] != '\r') {
            buf_char(out, text.p[i]);
        }
    }
}

/* What stands before the colon; none when the text begins with no scheme. */
static struct str scheme_of(struct str text)
{
    size_t n = 0;

    while (n < text.n && (is_letter(text.p[n]) ||
                          (n > 0 && ((text.p[n] >= '0' && text.p[n] <= '9') || memchr("+-.", text.p[n], 3))))) {
        n++;
    }
    return n > 0 && n < text.n && text.p[n] == ':' ? (struct str){text.p, n} : STR_NONE;
}

/* Up to the first of those characters, which is left. */
static struct str cut_before(struct str *rest, const char *stops)
{
    struct str first = *rest;
    size_t n = 0;

    while (n < rest->n && (rest->p[n] == '\0' || !strchr(stops, rest->p[n]))) {
        n++;
    }
    first.n = n;
    *rest = (struct str){rest->p + n, rest->n - n};
    return first;
}

struct builder {
    struct buf *out;   /* the storage */
    struct url url;    /* views are filled in at the end */
    size_t host, path; /* where they begin */
    size_t host_end, path_end, text_end;
    struct str user, password, fragment; /* as they stand in the input; none without */
};

static const char *append_port(struct builder *b, struct str digits)
{
    uint32_t port = 0;

    for (size_t i = 0; i < digits.n; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9' || (port = port * 10 + (uint32_t)(digits.p[i] - '0')) > UINT16_MAX) {
            return "its port is no number from 1 to 65535";
        }
    }
    if (digits.n > 0 && port == 0) {
        return "its port is no number from 1 to 65535";
    }
    if (digits.n > 0 && port != b->url.port) {
        buf_printf(b->out, ":%u", port);
        b->url.port = (uint16_t)port;
    }
    return NULL;
}

/* [user[:password]@]host[:port] */
static const char *append_authority(struct builder *b, struct str authority)
{
    const char *at = memrchr(authority.p, '@', authority.n);

    if (at) {
        struct str user = {authority.p, (size_t)(at - authority.p)}, password = user;
        authority = (struct str){at + 1, authority.n - user.n - 1};
        user = cut_before(&password, ":");
        if (user.n > 0 || password.n > 0) {
            b->user = user;
            b->password = password.n > 0 ? (struct str){password.p + 1, password.n - 1} : password;
        }
    }
    struct str host = authority;
    const char *bracket = authority.n && *authority.p == '[' ? memchr(authority.p, ']', authority.n) : NULL;
    if (bracket) {
        host.n = (size_t)(bracket + 1 - authority.p);
        authority = (struct str){authority.p + host.n, authority.n - host.n};
    } else {
        host = cut_before(&authority, ":");
    }
    if (authority.n > 0 && *authority.p != ':') {
        return "its host is no IPv6 address";
    }
    buf_text(b->out, b->url.tls ? "https://" : "http://");
    b->host = b->out->size;
    const char *why = url_host_append(host, b->out);
    b->host_end = b->out->size;
    b->url.port = b->url.tls ? 443 : 80;
    return why || authority.n == 0 ? why : append_port(b, (struct str){authority.p + 1, authority.n - 1});
}

/* The dots of "." and "..", either of them also as %2e; 0 for any other segment. */
static int count_dots(struct str segment)
{
    int dots = 0;

    for (size_t i = 0; i < segment.n; i++, dots++) {
        if (segment.n - i >= 3 && segment.p[i] == '%' && segment.p[i + 1] == '2' && (segment.p[i + 2] | 32) == 'e') {
            i += 2;
        } else if (segment.p[i] != '.') {
            return 0;
        }
    }
    return dots <= 2 ? dots : 0;
}

/* Back behind the slash before: /a/b/ becomes /a/. */
static void drop_segment(struct builder *b)
{
    if (b->out->size > b->path + 1) {
        const char *path = b->out->data + b->path;
        const char *slash = memrchr(path, '/', b->out->size - b->path - 1);
        b->out->size = (size_t)(slash + 1 - b->out->data);
    }
}

/* Behind the slash that is there already. */
static void append_path(struct builder *b, struct str path)
{
    while (path.n > 0) {
        struct str segment = cut_before(&path, "/\\");
        int dots = count_dots(segment);
        if (dots == 2) {
            drop_segment(b);
        } else if (dots == 0) {
            append_encoded(b->out, segment, IN_PATH);
            buf_text(b->out, path.n > 0 ? "/" : "");
        }
        path = path.n > 0 ? (struct str){path.p + 1, path.n - 1} : path;
    }
}

static void append_absolute_path(struct builder *b, struct str path)
{
    b->path = b->out->size;
    buf_char(b->out, '/');
    if (path.n > 0) {
        append_path(b, (struct str){path.p + 1, path.n - 1});
    }
    b->path_end = b->out->size;
}

/* A query, with its question mark, and a fragment. */
static void append_query(struct builder *b, struct str query)
{
    if (query.n > 0) {
        buf_char(b->out, '?');
        append_encoded(b->out, (struct str){query.p + 1, query.n - 1}, IN_QUERY);
    }
    b->text_end = b->out->size;
    buf_char(b->out, '\0');
}

/* Scheme, host and port of the base, and of its path what the reference does not replace. */
static void append_relative(struct builder *b, const struct url *base, struct str path, struct str query)
{
    struct str front = {base->text.p, (size_t)(base->path.p - base->text.p)};
    const char *base_end = base->text.p + base->text.n;

    b->url = (struct url){.port = base->port, .tls = base->tls};
    b->host = (size_t)(base->host.p - base->text.p);
    b->host_end = b->host + base->host.n;
    buf_str(b->out, front);
    if (path.n > 0 && is_slash(*path.p)) {
        append_absolute_path(b, path);
        append_query(b, query);
        return;
    }
    b->path = b->out->size;
    buf_str(b->out, base->path);
    if (path.n > 0 && !b->out->failed) {
        b->out->size = (size_t)((char *)memrchr(b->out->data, '/', b->out->size) + 1 - b->out->data);
        append_path(b, path);
    } else if (query.n == 0) {
        query = (struct str){base->path.p + base->path.n, (size_t)(base_end - base->path.p) - base->path.n};
    }
    b->path_end = b->out->size;
    append_query(b, query);
}

/* NULL, or what is wrong. `text` is clean. */
static const char *build(struct builder *b, const struct url *base, struct str text)
{
    struct str scheme = scheme_of(text);
    bool tls = str_equal_nocase(scheme, STR("https"));
    bool known = tls || str_equal_nocase(scheme, STR("http"));
    bool absolute = false;

    if (known) {
        text = (struct str){text.p + scheme.n + 1, text.n - scheme.n - 1};
        absolute = !base || base->tls != tls;
    } else if (scheme.p && (base || starts_with((struct str){scheme.p + scheme.n, text.n - scheme.n}, "://", 3))) {
        return "only http and https are known";
    } else {
        tls = base && base->tls;
        absolute = !base;
    }
    b->url.tls = tls;
    bool slashes = text.n >= 2 && is_slash(text.p[0]) && is_slash(text.p[1]);
    absolute |= slashes;
    while (absolute && (known || slashes) && text.n > 0 && is_slash(*text.p)) {
        text.p++;
        text.n--;
    }
    struct str query = text;
    struct str front = cut_before(&query, "?#"), fragment = query;
    query = cut_before(&fragment, "#");
    b->fragment = fragment.n > 1 ? (struct str){fragment.p + 1, fragment.n - 1} : STR_NONE;
    if (!absolute) {
        append_relative(b, base, front, query);
        return NULL;
    }
    struct str path = front, authority = cut_before(&path, "/\\");
    const char *why = append_authority(b, authority);
    if (!why) {
        append_absolute_path(b, path);
        append_query(b, query);
    }
    return why;
}

/* Behind what is there, decoded, and a zero; where it begins. */
static size_t keep_decoded(struct buf *out, struct str text, bool *has_zero)
{
    size_t at = out->size;

    url_decode(text, out);
    *has_zero |= out->size > at && memchr(out->data + at, '\0', out->size - at);
    buf_char(out, '\0');
    return at;
}

/* The parts that are no part of the text, and the views. */
static const char *conclude(struct builder *b, struct url *out)
{
    struct url *url = &b->url;
    bool has_zero = false;

    size_t user = keep_decoded(b->out, b->user, &has_zero);
    size_t password = keep_decoded(b->out, b->password, &has_zero), fragment = b->out->size;
    append_encoded(b->out, b->fragment, IN_FRAGMENT);
    if (has_zero) {
        return "its credentials have a zero byte";
    }
    if (b->text_end > URL_MAX) {
        return "it is longer than 1,000,000 bytes";
    }
    if (b->out->failed) {
        return NULL;
    }
    const char *data = b->out->data;
    bool bracket = data[b->host] == '[';
    url->text = (struct str){data, b->text_end};
    url->host = (struct str){data + b->host + bracket, b->host_end - b->host - 2 * bracket};
    url->path = (struct str){data + b->path, b->path_end - b->path};
    if (b->user.p) {
        url->user = (struct str){data + user, password - user - 1};
        url->password = (struct str){data + password, fragment - password - 1};
    }
    if (b->fragment.p) {
        url->fragment = (struct str){data + fragment, b->out->size - fragment};
    }
    *out = *url;
    return NULL;
}

static int refuse(struct str text, const char *why, struct mite_error *error)
{
    struct buf shown;

    buf_init(&shown, 0);
    url_mask(text, &shown);
    int code = error_set(error, MITE_EINVAL, "bad URL \"%s\": %s", buf_view(&shown).p, why);
    buf_done(&shown);
    return code;
}

/* `base` may be NULL. */
static int parse_any(const struct url *base, struct str text, struct buf *storage, struct url *out,
                     struct mite_error *error)
{
    struct builder builder = {.out = storage};
    struct buf clean;

    if (text.n > URL_MAX) {
        return refuse(text, "it is longer than 1,000,000 bytes", error);
    }
    buf_init(&clean, 0);
    buf_clear(storage);
    append_clean(&clean, text);
    const char *why = clean.failed ? NULL : build(&builder, base, buf_view(&clean));
    storage->failed |= clean.failed;
    if (!why && !storage->failed) {
        why = conclude(&builder, out);
    }
    buf_done(&clean);
    return storage->failed ? error_set(error, MITE_ENOMEM, "no memory for the URL")
           : why           ? refuse(text, why, error)
                           : 0;
}

int url_parse(struct str text, struct buf *storage, struct url *out, struct mite_error *error)
{
    return text.n <= URL_MAX && parse_plain(text, out) ? 0 : parse_any(NULL, text, storage, out, error);
}

int url_join(const struct url *base, struct str reference, struct buf *storage, struct url *out,
             struct mite_error *error)
{
    return parse_any(base, reference, storage, out, error);
}

/* ---- questions ---- */

bool url_same_origin(const struct url *a, const struct url *b)
{
    return a->tls == b->tls && a->port == b->port && str_equal_nocase(a->host, b->host);
}

bool url_is_loopback(const struct url *url)
{
    return str_equal_nocase(url->host, STR("localhost")) || str_is(url->host, "127.0.0.1") || str_is(url->host, "::1");
}

void url_mask(struct str text, struct buf *out)
{
    const char *scheme_end = memmem(text.p, text.n, "://", 3);
    size_t start = scheme_end ? (size_t)(scheme_end + 3 - text.p) : 0, at = 0, shown = 0;

    for (size_t i = start; i < text.n && !memchr("/?#", text.p[i], 3); i++) {
        at = text.p[i] == '@' ? i : at;
    }
    for (size_t i = 0; i < text.n; i++) {
        if (at && i == start) {
            buf_text(out, "***");
            i = at;
        }
        if (shown++ == SHOWN_MAX) {
            buf_text(out, "...");
            break;
        }
        bool control = (unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f;
        buf_char(out, control ? '?' : text.p[i]);
    }
}
