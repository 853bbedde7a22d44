#include "runner/loader_words.h"
#include "base/buf.h"

#include <stdlib.h>

void words_init(struct words *words)
{
    *words = (struct words){0};
}

void words_done(struct words *words)
{
    for (size_t i = 0; i < words->count; i++) {
        free(words->items[i]);
    }
    free(words->items);
    words_init(words);
}

static bool make_room(struct words *words)
{
    if (words->count + 1 < words->capacity) {
        return true;
    }

    size_t capacity = words->capacity ? words->capacity * 2 : 16;
    char **items = realloc(words->items, capacity * sizeof(*items));

    if (items) {
        words->items = items;
        words->capacity = capacity;
    }
    return items != NULL;
}

void words_add_str(struct words *words, struct str word)
{
    char *copy = make_room(words) ? str_copy(word) : NULL;

    if (!copy) {
        words->failed = true;
        return;
    }
    words->items[words->count++] = copy;
    words->items[words->count] = NULL;
}

void words_add(struct words *words, const char *word)
{
    words_add_str(words, str_of(word));
}

void words_add_all(struct words *words, const struct words *more)
{
    for (size_t i = 0; i < more->count; i++) {
        words_add(words, more->items[i]);
    }
    words->failed |= more->failed;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* One word from text[*at] on, without its quotes. False: a quote stays open. */
static bool read_word(struct str text, size_t *at, struct buf *word)
{
    char quote = '\0';
    size_t i = *at;

    for (; i < text.n && (quote || !is_blank(text.p[i])); i++) {
        char c = text.p[i];

        if (c == quote) {
            quote = '\0';
        } else if (!quote && (c == '\'' || c == '"')) {
            quote = c;
        } else {
            if (c == '\\' && quote != '\'' && i + 1 < text.n) {
                c = text.p[++i];
            }
            buf_char(word, c);
        }
    }
    *at = i;
    return !quote;
}

int words_split(struct words *words, struct str text, struct mite_error *error)
{
    struct buf word;
    size_t i = 0;
    bool closed = true;

    buf_init(&word, 0);
    while (closed) {
        while (i < text.n && is_blank(text.p[i])) {
            i++;
        }
        if (i == text.n) {
            break;
        }
        buf_clear(&word);
        closed = read_word(text, &i, &word);
        words->failed |= word.failed;
        words_add_str(words, buf_view(&word));
    }
    buf_done(&word);
    if (!closed) {
        return error_set(error, MITE_EINVAL, "a quote is open at the end of: " STR_FMT, STR_ARG(text));
    }
    return words->failed ? error_set(error, MITE_ENOMEM, "no memory for the compiler's arguments") : 0;
}

/* What follows `// mite:` when that is what the line begins with. */
static bool directive_of(struct str line, struct str *out)
{
    static const struct str parts[] = {STR("//"), STR("mite:")};
    size_t i = 0;

    for (size_t part = 0; part < sizeof(parts) / sizeof(parts[0]); part++) {
        while (i < line.n && is_blank(line.p[i])) {
            i++;
        }
        if (line.n - i < parts[part].n || memcmp(line.p + i, parts[part].p, parts[part].n) != 0) {
            return false;
        }
        i += parts[part].n;
    }
    *out = (struct str){line.p + i, line.n - i};
    return true;
}

int words_directives(struct words *words, struct str source, struct mite_error *error)
{
    int rc = 0;

    while (rc == 0 && source.n > 0) {
        const char *newline = memchr(source.p, '\n', source.n);
        struct str line = {source.p, newline ? (size_t)(newline - source.p) : source.n}, rest;

        if (directive_of(line, &rest)) {
            rc = words_split(words, rest, error);
        }
        source.p += line.n + (newline ? 1 : 0);
        source.n -= line.n + (newline ? 1 : 0);
    }
    return rc;
}
