#include "http/url.h"

#include <curl/curl.h>
#include <stdlib.h>

#define SHOWN_MAX 200

/* ---- plain URLs ---- */

static bool starts_with(struct str text, const char *prefix, size_t n)
{
    return text.n >= n && memcmp(text.p, prefix, n) == 0;
}

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
}

/* What no parser would change: printable ASCII without a fragment, dot segments or an empty query. */
static bool is_plain_tail(const char *p, const char *end)
{
    for (; p < end; p++) {
        if (*p <= ' ' || *p >= 0x7f || *p == '#' || (*p == '/' && p + 1 < end && p[1] == '.')) {
            return false;
        }
    }
    return end[-1] != '?';
}

/* Digits up to `end` or a slash; false when they are no port. */
static bool parse_port(const char **p, const char *end, uint16_t *out)
{
    unsigned port = 0;
    const char *first = *p;

    for (; *p < end && **p >= '0' && **p <= '9' && port <= UINT16_MAX; (*p)++) {
        port = port * 10 + (unsigned)(**p - '0');
    }
    *out = (uint16_t)port;
    return *p > first && *first != '0' && port <= UINT16_MAX;
}

/* http[s]://host[:port]/... that needs no normalizing. A host that ends in a digit may be an IPv4 address in one of its
 * odd spellings unless it has four parts, which is left to the parser. */
static bool parse_plain(struct str text, struct url *out)
{
    struct url url = {.text = text};
    const char *p, *end = text.p + text.n;
    int dots = 0;

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
    url.host.p = p;
    for (; p < end && is_host_char(*p); p++) {
        dots += *p == '.';
    }
    url.host.n = (size_t)(p - url.host.p);
    if (url.host.n == 0 || p[-1] == '.' || (p[-1] >= '0' && p[-1] <= '9' && (dots != 3 || *url.host.p == '0'))) {
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

/* Copies a part into storage with a zero behind it; its place goes to *at, its length to the return value. */
static size_t keep(CURLU *handle, CURLUPart part, unsigned flags, struct buf *storage, size_t *at)
{
    char *text = NULL;
    size_t n = 0;

    *at = storage->size;
    if (curl_url_get(handle, part, &text, flags) == CURLUE_OK && text) {
        n = strlen(text);
        buf_append(storage, text, n + 1);
    }
    curl_free(text);
    return n;
}

/* Takes the parts of a parsed URL; removes credentials and fragment from what becomes its text. */
static CURLUcode take_apart(CURLU *handle, struct buf *storage, struct url *out)
{
    struct url url = {0};
    size_t scheme, port, text, host, path, user, password, fragment;

    size_t scheme_n = keep(handle, CURLUPART_SCHEME, 0, storage, &scheme);
    size_t user_n = keep(handle, CURLUPART_USER, CURLU_URLDECODE, storage, &user);
    size_t password_n = keep(handle, CURLUPART_PASSWORD, CURLU_URLDECODE, storage, &password);
    size_t fragment_n = keep(handle, CURLUPART_FRAGMENT, 0, storage, &fragment);
    curl_url_set(handle, CURLUPART_USER, NULL, 0);
    curl_url_set(handle, CURLUPART_PASSWORD, NULL, 0);
    curl_url_set(handle, CURLUPART_FRAGMENT, NULL, 0);
    keep(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT, storage, &port);
    size_t host_n = keep(handle, CURLUPART_HOST, CURLU_PUNYCODE, storage, &host);
    size_t path_n = keep(handle, CURLUPART_PATH, 0, storage, &path);
    size_t text_n = keep(handle, CURLUPART_URL, 0, storage, &text);
    if (storage->failed) {
        return CURLUE_OUT_OF_MEMORY;
    }
    const char *at = storage->data;
    url.tls = scheme_n == 5;
    if (strncmp(at + scheme, "https", 4 + url.tls) != 0 || (scheme_n != 4 && scheme_n != 5)) {
        return CURLUE_UNSUPPORTED_SCHEME;
    }
    if (host_n == 0 || path_n == 0 || text_n == 0) {
        return host_n == 0 ? CURLUE_NO_HOST : CURLUE_MALFORMED_INPUT;
    }
    if (strchr(at + host, '%')) { /* no name has one; libcurl encodes it once more each time */
        return CURLUE_BAD_HOSTNAME;
    }
    bool bracket = at[host] == '[';
    url.host = (struct str){at + host + bracket, host_n - 2 * bracket};
    url.port = (uint16_t)atoi(at + port);
    url.path = (struct str){at + path, path_n};
    url.text = (struct str){at + text, text_n};
    url.fragment = fragment_n ? (struct str){at + fragment, fragment_n} : STR_NONE;
    if (user_n || password_n) {
        url.user = (struct str){user_n ? at + user : "", user_n};
        url.password = (struct str){password_n ? at + password : "", password_n};
    }
    *out = url;
    return CURLUE_OK;
}

static int refuse(struct str text, CURLUcode why, struct mite_error *error)
{
    struct buf shown;
    int code;

    buf_init(&shown, 0);
    url_mask(text, &shown);
    if (why == CURLUE_OUT_OF_MEMORY) {
        code = error_set(error, MITE_ENOMEM, "no memory for the URL");
    } else if (why == CURLUE_UNSUPPORTED_SCHEME) {
        code = error_set(error, MITE_EINVAL, "bad URL \"%s\": only http and https are known", buf_view(&shown).p);
    } else {
        code = error_set(error, MITE_EINVAL, "bad URL \"%s\": %s", buf_view(&shown).p, curl_url_strerror(why));
    }
    buf_done(&shown);
    return code;
}

/* `base` may be NULL. */
static int parse_any(const struct url *base, struct str text, unsigned flags, struct buf *storage, struct url *out,
                     struct mite_error *error)
{
    CURLU *handle = curl_url();
    char *copy = str_copy(text);
    CURLUcode rc = handle && copy ? CURLUE_OK : CURLUE_OUT_OF_MEMORY;

    if (rc == CURLUE_OK && memchr(text.p, 0, text.n)) {
        rc = CURLUE_MALFORMED_INPUT;
    }
    if (rc == CURLUE_OK && base) {
        char *base_copy = str_copy(base->text);
        rc = base_copy ? curl_url_set(handle, CURLUPART_URL, base_copy, 0) : CURLUE_OUT_OF_MEMORY;
        free(base_copy);
    }
    if (rc == CURLUE_OK) {
        rc = curl_url_set(handle, CURLUPART_URL, copy, flags | CURLU_NON_SUPPORT_SCHEME);
    }
    if (rc == CURLUE_OK) {
        buf_clear(storage);
        rc = take_apart(handle, storage, out);
    }
    curl_url_cleanup(handle);
    free(copy);
    return rc == CURLUE_OK ? 0 : refuse(text, rc, error);
}

int url_parse(struct str text, struct buf *storage, struct url *out, struct mite_error *error)
{
    return parse_plain(text, out) ? 0 : parse_any(NULL, text, CURLU_GUESS_SCHEME, storage, out, error);
}

int url_join(const struct url *base, struct str reference, struct buf *storage, struct url *out,
             struct mite_error *error)
{
    return parse_any(base, reference, CURLU_URLENCODE, storage, out, error);
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
