/*
 * From the options of mite.h to a request of the HTTP client.
 */
#include "runner/native_http.h"

#include "base/clock.h"
#include "value/json.h"

#define DEFAULT_MAX_REDIRECTS 5

static bool has_any(const char *text, const char *set)
{
    return text[strcspn(text, set)] != '\0';
}

static void need_value(struct mite_context *ctx, const char *what, const struct mite_pair *pair)
{
    if (!pair->value) {
        native_fail(ctx, "TypeError", "mite_request(): %s: \"%.100s\" has NULL for its value", what, pair->name);
    }
}

/* Names and values that would break out of their place in the request are refused. */
static const struct http_header *pairs(struct mite_response *response, const char *what, const struct mite_pair *given,
                                       const char *not_in_names, const char *not_in_values, size_t room, size_t *count)
{
    size_t n = 0;

    while (given && given[n].name) {
        n++;
    }
    struct http_header *out = arena_alloc(&response->arena, (n + room) * sizeof *out);
    if (!out) {
        native_raise(response->ctx, "MemoryError", STR("MemoryError: no memory for a request"));
    }
    for (size_t i = 0; i < n; i++) {
        const char *name = given[i].name, *value = given[i].value;
        need_value(response->ctx, what, &given[i]);
        if (!*name || has_any(name, not_in_names) || has_any(value, not_in_values)) {
            native_fail(response->ctx, "ValueError",
                        "%s: \"%.100s\" has a character that may not stand there, or no name", what,
                        *name && has_any(name, not_in_names) ? name : value);
        }
        out[i] = (struct http_header){str_of(name), str_of(value)};
    }
    *count = n;
    return out;
}

static void encode(struct buf *out, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";

    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || strchr("-._~", c)) {
            buf_char(out, (char)c);
        } else if (c == ' ') {
            buf_char(out, '+');
        } else {
            char escape[] = {'%', digits[c >> 4], digits[c & 15]};
            buf_append(out, escape, sizeof escape);
        }
    }
}

static void encode_form(struct mite_context *ctx, struct buf *out, const struct mite_pair *form)
{
    for (const struct mite_pair *pair = form; pair->name; pair++) {
        need_value(ctx, "form", pair);
        if (pair != form) {
            buf_char(out, '&');
        }
        encode(out, pair->name);
        buf_char(out, '=');
        encode(out, pair->value);
    }
}

static void check_json(struct mite_context *ctx, const struct mite_value *json)
{
    struct mite_error error = {0};

    if (value_check(native_value(json), &error) < 0) {
        native_fail(ctx, "ValueError", "json: %s", error.text);
    }
}

static struct str body(struct mite_context *ctx, const struct mite_http_options *options)
{
    struct buf *text = &ctx->native->scratch;

    if ((options->body != NULL) + (options->json.type != MITE_TYPE_NIL) + (options->form != NULL) > 1) {
        native_fail(ctx, "ValueError", "body, json and form exclude one another: a request has one body");
    }
    if (options->body) {
        return (struct str){options->body, options->body_size ? options->body_size : strlen(options->body)};
    }
    if (options->json.type == MITE_TYPE_NIL && !options->form) {
        return STR_NONE;
    }
    buf_clear(text);
    if (options->form) {
        encode_form(ctx, text, options->form);
    } else {
        check_json(ctx, &options->json);
        json_write(text, native_value(&options->json));
    }
    if (text->failed) {
        native_raise(ctx, "MemoryError", STR("MemoryError: no memory for a request's body"));
    }
    return buf_view(text);
}

static bool has_header(const struct http_request *request, struct str name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (str_equal_nocase(request->headers[i].name, name)) {
            return true;
        }
    }
    return false;
}

static void add_content_type(struct http_request *request, struct http_header *headers)
{
    if (!has_header(request, STR("Content-Type"))) {
        headers[request->header_count++] = (struct http_header){STR("Content-Type"), STR("application/json")};
    }
}

uint64_t native_timeout_ns(struct mite_context *ctx, const char *name, int64_t ms)
{
    if (ms < 0) {
        native_fail(ctx, "ValueError", "%s must be a positive number of milliseconds, not %lld", name, (long long)ms);
    }
    return (uint64_t)ms > UINT64_MAX / NS_PER_MS ? UINT64_MAX : (uint64_t)ms * NS_PER_MS;
}

void native_check_key(struct mite_context *ctx, const char *cert_file, const char *key_file)
{
    if (key_file && !cert_file) {
        native_fail(ctx, "ValueError", "a client key without its certificate: give .cert_file too");
    }
}

/* Half of a pair that is left alone would be forgotten without a word. */
static void check_halves(struct mite_context *ctx, const struct mite_http_options *options)
{
    if (options->password && !options->user) {
        native_fail(ctx, "ValueError", "a password without a user: give .user too");
    }
    if (options->body_size > 0 && !options->body) {
        native_fail(ctx, "ValueError", "a body_size without a body");
    }
    native_check_key(ctx, options->cert_file, options->key_file);
}

void native_request(struct mite_response *response, const char *method, const char *url,
                    const struct mite_http_options *options, struct http_request *out)
{
    struct mite_context *ctx = response->ctx;

    native_need(ctx, method, "mite_request", "the method");
    if (!url) {
        native_missing(ctx, "mite_request", mite_format(ctx, "the URL of a %.20s", method));
    }
    check_halves(ctx, options);
    *out = (struct http_request){
        .method = str_of(method),
        .url = str_of(url),
        .user = str_of(options->user),
        .password = str_of(options->password ? options->password
                           : options->user   ? ""
                                             : NULL),
        .cert_file = str_of(options->cert_file),
        .key_file = str_of(options->key_file),
        .follow_redirects = options->max_redirects >= 0,
        .max_redirects = options->max_redirects ? (unsigned)options->max_redirects : DEFAULT_MAX_REDIRECTS,
        .timeout_ns = native_timeout_ns(ctx, "timeout_ms", options->timeout_ms),
        .connect_timeout_ns = native_timeout_ns(ctx, "connect_timeout_ms", options->connect_timeout_ms),
        .verify = options->verify ? options->verify > 0 : -1,
        .body = body(ctx, options),
    };
    bool json = options->json.type != MITE_TYPE_NIL;
    if (options->headers || json) {
        out->headers = pairs(response, "headers", options->headers, "\r\n: ", "\r\n", 1, &out->header_count);
    }
    if (json) {
        add_content_type(out, (struct http_header *)out->headers);
    }
    if (options->cookies) {
        out->cookies = pairs(response, "cookies", options->cookies, "\r\n=; ", "\r\n;", 0, &out->cookie_count);
    }
}
