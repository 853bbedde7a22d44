#include "http/header_lines.h"

static bool is_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c <= ' ' || c >= 0x7f || c == ':') {
            return false;
        }
    }
    return name.n > 0;
}

static bool is_value(struct str value)
{
    return value.n == 0 ||
           !(memchr(value.p, '\n', value.n) || memchr(value.p, '\r', value.n) || memchr(value.p, '\0', value.n));
}

int header_lines_append(struct buf *out, const struct http_header *headers, size_t count, struct mite_error *error)
{
    for (size_t i = 0; i < count; i++) {
        const struct http_header *header = &headers[i];
        if (!is_name(header->name)) {
            return error_set(error, MITE_EINVAL, "\"" STR_FMT "\" is no name for a header", STR_ARG(header->name));
        }
        if (!is_value(header->value)) {
            return error_set(error, MITE_EINVAL, "the value of the header \"" STR_FMT "\" has a line break in it",
                             STR_ARG(header->name));
        }
        buf_str(out, header->name);
        buf_append(out, ": ", 2);
        buf_str(out, header->value);
        buf_append(out, "\r\n", 2);
    }
    return out->failed ? error_set(error, MITE_ENOMEM, "no memory for a request") : 0;
}

/* The next line of that name at or behind `p`, NULL when there is none. */
static const char *find(const char *p, const char *end, struct str name)
{
    while (p && p < end) {
        if ((size_t)(end - p) > name.n && p[name.n] == ':' && str_equal_nocase((struct str){p, name.n}, name)) {
            return p;
        }
        p = memchr(p, '\n', (size_t)(end - p));
        p = p ? p + 1 : NULL;
    }
    return NULL;
}

bool header_lines_has(struct str lines, struct str name)
{
    return find(lines.p, lines.p + lines.n, name) != NULL;
}

struct str header_lines_value(struct str lines, struct str name)
{
    const char *line = find(lines.p, lines.p + lines.n, name);

    if (!line) {
        return STR_NONE;
    }
    const char *value = line + name.n + 1, *end = memchr(value, '\r', (size_t)(lines.p + lines.n - value));
    while (value < end && *value == ' ') {
        value++;
    }
    return (struct str){value, (size_t)(end - value)};
}

void header_lines_drop(struct str *lines, struct str name)
{
    char *line = (char *)lines->p, *end = line + lines->n;

    while ((line = (char *)find(line, end, name))) {
        char *eol = memchr(line, '\n', (size_t)(end - line));
        memmove(line, eol + 1, (size_t)(end - eol - 1));
        end -= eol + 1 - line;
    }
    lines->n = (size_t)(end - lines->p);
}
