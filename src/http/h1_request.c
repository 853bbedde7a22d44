#include "http/h1.h"

#include "http/header_lines.h"
#include "value/base64.h"

#include <stdlib.h>

#define TEMPLATES_MAX 16

/* ---- templates ---- */

static bool matches(const struct h1_template *template, const struct http_hop *hop)
{
    const char *method = template->key.data, *lines = method + template->method_size;
    const char *user = lines + template->lines_size, *password = user + template->user_size;

    if (template->has_user != (hop->user.p != NULL) || template->method_size == 0 ||
        !str_equal(hop->method, (struct str){method, template->method_size}) ||
        !str_equal(hop->header_lines, (struct str){lines, template->lines_size})) {
        return false;
    }
    return !template->has_user ||
           (str_equal(hop->user, (struct str){user, template->user_size}) &&
            str_equal(hop->password, (struct str){password, (size_t)(method + template->key.size - password)}));
}

static void set_key(struct h1_template *template, const struct http_hop *hop)
{
    buf_clear(&template->key);
    buf_str(&template->key, hop->method);
    buf_str(&template->key, hop->header_lines);
    buf_str(&template->key, hop->user);
    buf_str(&template->key, hop->password);
    template->method_size = hop->method.n;
    template->lines_size = hop->header_lines.n;
    template->user_size = hop->user.n;
    template->has_user = hop->user.p != NULL;
}

static void add_authorization(struct buf *out, const struct http_hop *hop)
{
    struct buf plain;

    buf_init(&plain, 0);
    buf_str(&plain, hop->user);
    buf_char(&plain, ':');
    buf_str(&plain, hop->password);
    buf_text(out, "Authorization: Basic ");
    base64_encode(out, buf_view(&plain));
    out->failed |= plain.failed;
    buf_text(out, "\r\n");
    buf_done(&plain);
}

static void add_host(struct buf *out, const struct h1_origin *origin)
{
    bool six = strchr(origin->host, ':') != NULL;

    buf_printf(out, six ? "Host: [%s]" : "Host: %s", origin->host);
    if (origin->port != (origin->tls ? 443 : 80)) {
        buf_printf(out, ":%u", origin->port);
    }
    buf_text(out, "\r\n");
}

/* The caller's lines; one without a value has no blank behind its colon either, as libcurl writes it. */
static void add_lines(struct buf *out, struct str lines)
{
    const char *end = lines.p + lines.n, *eol;

    for (const char *p = lines.p; p < end; p = eol + 1) {
        eol = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)(eol - p) - 1;
        n -= n > 2 && p[n - 2] == ':' && p[n - 1] == ' ';
        buf_append(out, p, n);
        buf_append(out, "\r\n", 2);
    }
}

/* What the caller's headers say that is more than text. */
static void look_at(struct h1_template *template, struct str lines)
{
    static const struct str exotic[] = {
        {"Transfer-Encoding", 17}, {"Content-Length", 14}, {"Upgrade", 7}, {"TE", 2}, {"Trailer", 7}};

    template->exotic = false;
    for (size_t i = 0; i < sizeof exotic / sizeof *exotic; i++) {
        template->exotic |= header_lines_has(lines, exotic[i]);
    }
    template->has_type = header_lines_has(lines, STR("Content-Type"));
    struct str connection = header_lines_value(lines, STR("Connection"));
    struct str expect = header_lines_value(lines, STR("Expect"));
    template->closes = str_equal_nocase(connection, STR("close"));
    template->exotic |= connection.p && !template->closes && !str_equal_nocase(connection, STR("keep-alive"));
    template->expects = str_equal_nocase(expect, STR("100-continue"));
    template->exotic |= expect.p && !template->expects;
}

static int render(struct h1_template *template, const struct h1_origin *origin, const struct http_hop *hop)
{
    struct buf *out = &template->text;
    struct str lines = hop->header_lines;

    set_key(template, hop);
    look_at(template, lines);
    buf_clear(out);
    buf_str(out, hop->method);
    buf_char(out, ' ');
    template->front_size = out->size;
    buf_text(out, " HTTP/1.1\r\n");
    if (!header_lines_has(lines, STR("Host"))) {
        add_host(out, origin);
    }
    if (hop->user.p && !header_lines_has(lines, STR("Authorization"))) {
        add_authorization(out, hop);
    }
    if (!header_lines_has(lines, STR("Accept"))) {
        buf_text(out, "Accept: */*\r\n");
    }
    add_lines(out, lines);
    return out->failed || template->key.failed ? MITE_ENOMEM : 0;
}

static struct h1_template *template_new(struct h1_origin *origin)
{
    struct h1_template *template = calloc(1, sizeof *template);

    if (template) {
        buf_init(&template->key, 0);
        buf_init(&template->text, 0);
        origin->template_count++;
    }
    return template;
}

struct h1_template *h1_template_get(struct h1_origin *origin, const struct http_hop *hop)
{
    struct h1_template **at = &origin->templates, *template = *at;

    if (template && matches(template, hop)) {
        return template;
    }
    while (*at && !matches(*at, hop) && ((*at)->next || origin->template_count < TEMPLATES_MAX)) {
        at = &(*at)->next;
    }
    template = *at; /* the one, or the one that was not used for the longest time, or none */
    if (template) {
        *at = template->next;
    } else if (!(template = template_new(origin))) {
        return NULL;
    }
    template->next = origin->templates;
    origin->templates = template;
    if (!matches(template, hop) && render(template, origin, hop) < 0) {
        buf_clear(&template->key);
        template->method_size = template->lines_size = template->user_size = 0; /* of no request */
        return NULL;
    }
    return template;
}

void h1_template_free(struct h1_template *template)
{
    while (template) {
        struct h1_template *next = template->next;
        buf_done(&template->key);
        buf_done(&template->text);
        free(template);
        template = next;
    }
}

/* ---- requests ---- */

/* What stands in the request line: the URL from its path on. */
static struct str target_of(const struct http_hop *hop)
{
    const char *end = hop->url.p + hop->url.n;
    const char *at = hop->url.p + (hop->parts->tls ? 8 : 7);

    if (hop->parts->path.p >= at && hop->parts->path.p < end) {
        return (struct str){hop->parts->path.p, (size_t)(end - hop->parts->path.p)};
    }
    at = memchr(at, '/', (size_t)(end - at));
    return at ? (struct str){at, (size_t)(end - at)} : STR("/");
}

static bool wants_length(const struct http_hop *hop)
{
    return hop->body.p || str_is(hop->method, "POST") || str_is(hop->method, "PUT") || str_is(hop->method, "PATCH");
}

int h1_request_render(const struct h1_template *template, const struct http_hop *hop, bool with_body, struct buf *out)
{
    buf_append(out, template->text.data, template->front_size);
    buf_str(out, target_of(hop));
    buf_append(out, template->text.data + template->front_size, template->text.size - template->front_size);
    if (hop->cookie.p) {
        buf_str(out, STR("Cookie: "));
        buf_str(out, hop->cookie);
        buf_str(out, STR("\r\n"));
    }
    if (wants_length(hop)) {
        buf_printf(out, "Content-Length: %zu\r\n", hop->body.n);
    }
    if (hop->body.p && !template->has_type) {
        buf_str(out, STR("Content-Type: application/x-www-form-urlencoded\r\n"));
    }
    buf_str(out, STR("\r\n"));
    if (with_body) {
        buf_str(out, hop->body);
    }
    return out->failed ? MITE_ENOMEM : 0;
}

bool h1_request_is_safe(struct str method)
{
    static const char *const names[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (str_is(method, names[i])) {
            return true;
        }
    }
    return false;
}
