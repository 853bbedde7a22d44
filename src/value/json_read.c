/*
 * Design notes: lists and objects are read by recursion, at most MAX_NESTING deep. The items of those that are still
 * open wait on one stack until their number is known, and then go to the arena. A form (json_form.h) is read as the
 * object that it is, then turned into what it stands for.
 */
#include "value/json.h"

#include "value/base64.h"
#include "value/json_form.h"

#include <math.h>

/* A map with keys of other types takes three levels of JSON for one of its own, and the innermost bytes one more. */
#define MAX_NESTING (3 * VALUE_MAX_DEPTH + 1)

struct reader {
    struct arena *arena;
    const char *start, *at, *end;
    struct buf stack;          /* struct value: items of the lists and objects that are open */
    unsigned nesting, deepest; /* lists and objects that are open; the most there were */
    int failure;               /* code of the last allocate() that gave NULL */
    struct mite_error *error;
};

/* Says what is wrong at the place where the reader stands. */
static int wrong(struct reader *reader, const char *what)
{
    const char *line_start = reader->start;
    size_t line = 1;

    for (const char *p = reader->start; p < reader->at; p++) {
        if (*p == '\n') {
            line++;
            line_start = p + 1;
        }
    }
    return error_set(reader->error, MITE_EPROTO, "not JSON: line %zu, column %zu: %s", line,
                     (size_t)(reader->at - line_start) + 1, what);
}

static int wrong_at(struct reader *reader, const char *at, const char *what)
{
    reader->at = at;
    return wrong(reader, what);
}

static int too_deep(struct reader *reader)
{
    return error_set(reader->error, MITE_ELIMIT, "values nest deeper than %d", VALUE_MAX_DEPTH);
}

static int no_room(struct reader *reader, int code)
{
    return error_set(reader->error, code, code == MITE_ELIMIT ? "the value needs too much memory" : "out of memory");
}

/* Arena memory, or NULL with the error set and its code in `failure`. */
static void *allocate(struct reader *reader, size_t size)
{
    void *memory = arena_alloc(reader->arena, size);

    if (!memory) {
        reader->failure = no_room(reader, arena_failure(reader->arena, size));
    }
    return memory;
}

static int push(struct reader *reader, const struct value *value)
{
    int rc = buf_append(&reader->stack, value, sizeof(*value));

    return rc < 0 ? no_room(reader, rc) : 0;
}

static void skip_blanks(struct reader *reader)
{
    while (reader->at < reader->end &&
           (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\t' || *reader->at == '\r')) {
        reader->at++;
    }
}

/* Whether this character comes next, blanks aside; if so it is taken. */
static bool skip(struct reader *reader, char c)
{
    skip_blanks(reader);
    if (reader->at == reader->end || *reader->at != c) {
        return false;
    }
    reader->at++;
    return true;
}

static int read_word(struct reader *reader, struct str word, struct value meaning, struct value *out)
{
    if ((size_t)(reader->end - reader->at) < word.n || memcmp(reader->at, word.p, word.n) != 0) {
        return wrong(reader, "a value is expected here");
    }
    reader->at += word.n;
    *out = meaning;
    return 0;
}

static size_t skip_digits(struct reader *reader)
{
    const char *start = reader->at;

    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9') {
        reader->at++;
    }
    return (size_t)(reader->at - start);
}

static int to_integer(struct reader *reader, struct str digits, bool negative, struct value *out)
{
    uint64_t number = 0;

    for (size_t i = 0; i < digits.n; i++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(digits.p[i] - '0'), &number)) {
            return wrong(reader, "an integer needs more than 64 bits");
        }
    }
    if (negative) {
        if (number > (uint64_t)INT64_MAX + 1) {
            return wrong(reader, "an integer needs more than 64 bits");
        }
        *out = value_int((int64_t)(0 - number));
    } else {
        *out = number > INT64_MAX ? (struct value){.type = VALUE_UINT, .large = number} : value_int((int64_t)number);
    }
    return 0;
}

static int to_float(struct reader *reader, struct str text, struct value *out)
{
    char usual[64], *copy = text.n < sizeof(usual) ? usual : allocate(reader, text.n + 1);
    double number;

    if (!copy) {
        return reader->failure;
    }
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    if (!str_to_double(copy, &number)) {
        return wrong(reader, "a number is too large");
    }
    *out = value_float(number);
    return 0;
}

static int read_number(struct reader *reader, struct value *out)
{
    const char *start = reader->at;
    bool negative = *start == '-', whole = true;

    reader->at += negative;

    struct str digits = {reader->at, skip_digits(reader)};
    bool good = digits.n == 1 || (digits.n > 1 && *digits.p != '0');

    if (good && reader->at < reader->end && *reader->at == '.') {
        reader->at++;
        whole = false;
        good = skip_digits(reader) > 0;
    }
    if (good && reader->at < reader->end && (*reader->at == 'e' || *reader->at == 'E')) {
        reader->at++;
        reader->at += reader->at < reader->end && (*reader->at == '+' || *reader->at == '-');
        whole = false;
        good = skip_digits(reader) > 0;
    }
    if (!good) {
        return wrong(reader, "a number is malformed");
    }
    return whole ? to_integer(reader, digits, negative, out)
                 : to_float(reader, (struct str){start, (size_t)(reader->at - start)}, out);
}

static size_t write_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        memcpy(out, (char[]){(char)(0xc0 | c >> 6), (char)(0x80 | (c & 63))}, 2);
        return 2;
    }
    if (c < 0x10000) {
        memcpy(out, (char[]){(char)(0xe0 | c >> 12), (char)(0x80 | (c >> 6 & 63)), (char)(0x80 | (c & 63))}, 3);
        return 3;
    }
    memcpy(out,
           (char[]){(char)(0xf0 | c >> 18), (char)(0x80 | (c >> 12 & 63)), (char)(0x80 | (c >> 6 & 63)),
                    (char)(0x80 | (c & 63))},
           4);
    return 4;
}

/* The four digits behind \u, -1 when they are no such thing. */
static int32_t hex4(const char *p, const char *end)
{
    int32_t number = 0;

    if (end - p < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        int digit = str_hex_digit(p[i]);
        if (digit < 0) {
            return -1;
        }
        number = number << 4 | digit;
    }
    return number;
}

/* The character of an escape, `*p` behind its \u; -1 for a broken one, or for half of a pair. */
static int32_t unescape_unicode(const char **p, const char *end)
{
    int32_t c = hex4(*p, end), low;

    *p += 4;
    if (c < 0xd800 || c > 0xdfff) {
        return c;
    }
    low = c < 0xdc00 && end - *p >= 6 && memcmp(*p, "\\u", 2) == 0 ? hex4(*p + 2, end) : -1;
    if (low < 0xdc00 || low > 0xdfff) {
        return -1;
    }
    *p += 6;
    return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

/* What the escapes stand for is never longer than they are. */
static int unescape(struct reader *reader, struct str raw, char *out, size_t *size)
{
    static const char shorts[] = {
        ['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t'};
    const char *p = raw.p, *end = raw.p + raw.n;
    size_t n = 0;

    while (p < end) {
        unsigned char c = (unsigned char)*p;

        if (c != '\\') {
            out[n++] = *p++;
            continue;
        }
        const char *escape = p;
        c = (unsigned char)p[1];
        p += 2;
        if (c == 'u') {
            int32_t character = unescape_unicode(&p, end);

            if (character < 0) {
                return wrong_at(reader, escape, "\\u is not followed by a character");
            }
            n += write_utf8(out + n, (uint32_t)character);
        } else if (c < sizeof(shorts) && shorts[c]) {
            out[n++] = shorts[c];
        } else {
            return wrong_at(reader, escape, "there is no such escape");
        }
    }
    *size = n;
    return 0;
}

/* What stands between the quotes, taken with them. The reader stands at the first. */
static int take_quoted(struct reader *reader, struct str *raw, bool *escaped)
{
    const char *start = ++reader->at;

    while (reader->at < reader->end && *reader->at != '"') {
        if ((unsigned char)*reader->at < ' ') {
            return wrong(reader, "a text holds a control character");
        }
        if (*reader->at == '\\') {
            *escaped = true;
            reader->at++;
        }
        reader->at++;
    }
    if (reader->at >= reader->end) {
        return wrong_at(reader, reader->end, "a text does not end");
    }
    *raw = (struct str){start, (size_t)(reader->at - start)};
    if (raw->n > UINT32_MAX) {
        return error_set(reader->error, MITE_ELIMIT, "a text is larger than 4 GiB");
    }
    if (!str_is_utf8(*raw)) {
        return wrong_at(reader, start, "a text is not UTF-8");
    }
    reader->at++;
    return 0;
}

static int read_text(struct reader *reader, struct value *out)
{
    struct str raw = STR("");
    bool escaped = false;
    int rc = take_quoted(reader, &raw, &escaped);

    if (rc < 0) {
        return rc;
    }
    char *copy = allocate(reader, raw.n + 1);
    size_t size = raw.n;

    if (!copy) {
        return reader->failure;
    }
    if (!escaped) {
        memcpy(copy, raw.p, raw.n);
    } else if ((rc = unescape(reader, raw, copy, &size)) < 0) {
        return rc;
    }
    copy[size] = '\0';
    *out = value_text((struct str){copy, size});
    return 0;
}

static int read_value(struct reader *reader, struct value *out);

/* Reads a value onto the stack. */
static int push_value(struct reader *reader)
{
    struct value value;
    int rc = read_value(reader, &value);

    return rc == 0 ? push(reader, &value) : rc;
}

static int push_pair(struct reader *reader)
{
    struct value key;
    int rc;

    skip_blanks(reader);
    if (reader->at == reader->end || *reader->at != '"') {
        return wrong(reader, "a key in quotes is expected here");
    }
    rc = read_text(reader, &key);
    if (rc == 0) {
        rc = push(reader, &key);
    }
    if (rc == 0 && !skip(reader, ':')) {
        return wrong(reader, "a colon is expected here");
    }
    return rc == 0 ? push_value(reader) : rc;
}

/* The readers of forms return NOT_A_FORM for what none of ours would hold. */
#define NOT_A_FORM 1

static int to_bytes(struct reader *reader, struct str text, struct value *out)
{
    char *bytes = allocate(reader, base64_decoded_max(text.n));
    size_t size;

    if (!bytes) {
        return reader->failure;
    }
    if (!base64_decode(text, bytes, &size)) {
        return NOT_A_FORM;
    }
    *out = value_bytes((struct str){bytes, size});
    return 0;
}

static int to_map(struct reader *reader, const struct value *list, struct value *out)
{
    struct pair *pairs;

    for (uint32_t i = 0; i < list->count; i++) {
        if (list->items[i].type != VALUE_LIST || list->items[i].count != 2) {
            return NOT_A_FORM;
        }
    }
    pairs = allocate(reader, list->count * sizeof(*pairs));
    if (!pairs) {
        return reader->failure;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        pairs[i] = (struct pair){list->items[i].items[0], list->items[i].items[1]};
    }
    *out = value_map(pairs, list->count);
    return 0;
}

static int to_odd_float(struct str text, struct value *out)
{
    static const struct {
        const char *name;
        double number;
    } floats[] = {{"nan", NAN}, {"inf", INFINITY}, {"-inf", -INFINITY}};

    for (size_t i = 0; i < sizeof(floats) / sizeof(floats[0]); i++) {
        if (str_is(text, floats[i].name)) {
            *out = value_float(floats[i].number);
            return 0;
        }
    }
    return NOT_A_FORM;
}

static int to_form(struct reader *reader, const struct value *map, struct value *out)
{
    const struct value *only = map->count == 1 ? &map->pairs[0].value : NULL;

    switch (only ? json_form_of(value_str(&map->pairs[0].key)) : JSON_FORM_NONE) {
    case JSON_FORM_BYTES:
        return only->type == VALUE_TEXT ? to_bytes(reader, value_str(only), out) : NOT_A_FORM;
    case JSON_FORM_MAP:
        return only->type == VALUE_LIST ? to_map(reader, only, out) : NOT_A_FORM;
    case JSON_FORM_FLOAT:
        return only->type == VALUE_TEXT ? to_odd_float(value_str(only), out) : NOT_A_FORM;
    case JSON_FORM_NONE:
        break;
    }
    return NOT_A_FORM;
}

/* What stands on the stack from `mark` on, as a list or as the pairs of an object. */
static int pop(struct reader *reader, size_t mark, bool object, struct value *out)
{
    size_t size = reader->stack.size - mark, count = size / sizeof(struct value);
    struct value *items = allocate(reader, size);
    int rc;

    if (!items) {
        return reader->failure;
    }
    if (size > 0) {
        memcpy(items, reader->stack.data + mark, size);
    }
    reader->stack.size = mark;
    if (!object) {
        *out = value_list(items, (uint32_t)count);
        return 0;
    }

    struct value map = value_map((const struct pair *)items, (uint32_t)(count / 2));

    rc = to_form(reader, &map, out);
    if (rc == NOT_A_FORM) {
        *out = map;
        rc = 0;
    }
    return rc;
}

/* The reader stands at the bracket. */
static int read_container(struct reader *reader, bool object, struct value *out)
{
    size_t mark = reader->stack.size;
    char close = object ? '}' : ']';
    int rc = 0;

    if (reader->nesting == MAX_NESTING) {
        return too_deep(reader);
    }
    reader->nesting++;
    reader->deepest = reader->nesting > reader->deepest ? reader->nesting : reader->deepest;
    reader->at++;
    if (!skip(reader, close)) {
        do {
            rc = object ? push_pair(reader) : push_value(reader);
        } while (rc == 0 && skip(reader, ','));
        if (rc == 0 && !skip(reader, close)) {
            rc = wrong(reader, object ? "a comma or } is expected here" : "a comma or ] is expected here");
        }
    }
    reader->nesting--;
    return rc == 0 ? pop(reader, mark, object, out) : rc;
}

static int read_value(struct reader *reader, struct value *out)
{
    skip_blanks(reader);
    if (reader->at == reader->end) {
        return wrong(reader, "a value is expected here");
    }
    switch (*reader->at) {
    case '{':
        return read_container(reader, true, out);
    case '[':
        return read_container(reader, false, out);
    case '"':
        return read_text(reader, out);
    case 'n':
        return read_word(reader, STR("null"), value_nil(), out);
    case 't':
        return read_word(reader, STR("true"), value_bool(true), out);
    case 'f':
        return read_word(reader, STR("false"), value_bool(false), out);
    case '-':
    case '0' ... '9':
        return read_number(reader, out);
    default:
        return wrong(reader, "a value is expected here");
    }
}

static bool nests_within(const struct value *v, unsigned levels)
{
    if (v->type != VALUE_LIST && v->type != VALUE_MAP) {
        return true;
    }
    uint32_t items = v->type == VALUE_MAP ? v->count * 2 : v->count; /* a map's pairs are two values each */
    for (uint32_t i = 0; i < items && levels > 0; i++) {
        if (!nests_within(&v->items[i], levels - 1)) {
            return false;
        }
    }
    return levels > 0;
}

int json_read(struct arena *arena, struct str text, struct value *out, struct mite_error *error)
{
    const char *start = text.p ? text.p : "";
    struct reader reader = {.arena = arena, .start = start, .at = start, .end = start + text.n, .error = error};
    struct value value = value_nil();
    int rc;

    buf_init(&reader.stack, 0);
    rc = read_value(&reader, &value);
    buf_done(&reader.stack);
    skip_blanks(&reader);
    if (rc == 0 && reader.at < reader.end) {
        rc = wrong(&reader, "more follows behind the value");
    }
    if (rc == 0 && reader.deepest > VALUE_MAX_DEPTH && !nests_within(&value, VALUE_MAX_DEPTH)) {
        rc = too_deep(&reader);
    }
    if (rc == 0) {
        *out = value;
    }
    return rc;
}
