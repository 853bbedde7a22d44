/*
 * Design notes: reading is jansson's, then its tree is copied into the arena; writing is ours. What JSON has no word
 * for travels as an object whose only key is one of `forms`. A map that happens to look like that is written as a list
 * of pairs, so that nothing we wrote is ever taken for something else. An object with such a key that holds nonsense
 * was not written by us, and stays the map that it is.
 */
#include "value/json.h"

#include "value/base64.h"

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum form { FORM_BYTES, FORM_MAP, FORM_FLOAT, FORM_INT, FORM_NONE };

static const char *const forms[] = {"__bytes__", "__map__", "__float__", "__int__"};

static enum form form_of(struct str key)
{
    for (int i = 0; i < FORM_NONE; i++) {
        if (str_is(key, forms[i])) {
            return (enum form)i;
        }
    }
    return FORM_NONE;
}

/* ---- writing ---- */

static void write_escaped(struct buf *out, unsigned char c)
{
    static const char shorts[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'};

    if (c < sizeof(shorts) && shorts[c]) {
        buf_append(out, (char[]){'\\', shorts[c]}, 2);
    } else {
        buf_printf(out, "\\u%04x", c);
    }
}

static bool is_plain(unsigned char c)
{
    return c >= ' ' && c < 0x80 && c != '"' && c != '\\';
}

/* Headers and bodies of others come through here too: a byte that is no UTF-8 becomes U+FFFD, so that the line is
 * always JSON. */
void json_write_text(struct buf *out, struct str s)
{
    buf_char(out, '"');
    for (size_t i = 0; i < s.n;) {
        size_t start = i, length;

        while (i < s.n && is_plain((unsigned char)s.p[i])) {
            i++;
        }
        buf_append(out, s.p + start, i - start);
        if (i == s.n) {
            break;
        }
        length = str_utf8_length((struct str){s.p + i, s.n - i});
        if (length == 0) {
            buf_str(out, STR("\xef\xbf\xbd"));
            i++;
        } else if (length == 1) {
            write_escaped(out, (unsigned char)s.p[i++]);
        } else {
            buf_append(out, s.p + i, length);
            i += length;
        }
    }
    buf_char(out, '"');
}

/* 15 digits name every number that was written with 15, 17 name every other; only the subnormal ones have fewer that
 * mean anything. */
void json_write_float(struct buf *out, double f)
{
    char text[32];

    if (!isfinite(f)) {
        buf_printf(out, "{\"__float__\": \"%s\"}", isnan(f) ? "nan" : f > 0 ? "inf" : "-inf");
        return;
    }
    for (int digits = fabs(f) < DBL_MIN ? 1 : DBL_DIG; digits <= DBL_DECIMAL_DIG; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, f);
        if (strtod(text, NULL) == f) {
            break;
        }
    }
    buf_text(out, text);
    if (!strpbrk(text, ".e")) {
        buf_text(out, ".0");
    }
}

static void write_list(struct buf *out, const struct value *list)
{
    buf_char(out, '[');
    for (uint32_t i = 0; i < list->count; i++) {
        buf_text(out, i ? ", " : "");
        json_write(out, &list->items[i]);
    }
    buf_char(out, ']');
}

static bool is_object(const struct value *map)
{
    for (uint32_t i = 0; i < map->count; i++) {
        struct str key = value_str(&map->pairs[i].key);

        /* jansson takes no zero byte in a key. */
        if (map->pairs[i].key.type != VALUE_TEXT || memchr(key.p, 0, key.n)) {
            return false;
        }
    }
    return map->count != 1 || form_of(value_str(&map->pairs[0].key)) == FORM_NONE;
}

static void write_map(struct buf *out, const struct value *map)
{
    bool object = is_object(map);

    buf_text(out, object ? "{" : "{\"__map__\": [");
    for (uint32_t i = 0; i < map->count; i++) {
        buf_text(out, i ? ", " : "");
        buf_text(out, object ? "" : "[");
        json_write(out, &map->pairs[i].key);
        buf_text(out, object ? ": " : ", ");
        json_write(out, &map->pairs[i].value);
        buf_text(out, object ? "" : "]");
    }
    buf_text(out, object ? "}" : "]}");
}

void json_write(struct buf *out, const struct value *v)
{
    switch (v->type) {
    case VALUE_NIL:
        buf_text(out, "null");
        break;
    case VALUE_BOOL:
        buf_text(out, v->boolean ? "true" : "false");
        break;
    case VALUE_INT:
        buf_printf(out, "%" PRId64, v->integer);
        break;
    case VALUE_UINT:
        buf_printf(out, "{\"__int__\": \"%" PRIu64 "\"}", v->large);
        break;
    case VALUE_FLOAT:
        json_write_float(out, v->number);
        break;
    case VALUE_TEXT:
        json_write_text(out, value_str(v));
        break;
    case VALUE_BYTES:
        buf_text(out, "{\"__bytes__\": \"");
        base64_encode(out, value_str(v));
        buf_text(out, "\"}");
        break;
    case VALUE_LIST:
        write_list(out, v);
        break;
    case VALUE_MAP:
        write_map(out, v);
        break;
    }
}

/* ---- reading ---- */

struct reader {
    struct arena *arena;
    struct mite_error *error;
};

static int no_room(struct reader *reader, size_t size)
{
    int code = arena_failure(reader->arena, size);

    return error_set(reader->error, code, code == MITE_ELIMIT ? "larger than %zu bytes in memory" : "out of memory",
                     reader->arena->max_bytes);
}

static int read_value(struct reader *reader, const json_t *json, unsigned depth, struct value *out);

static int read_text(struct reader *reader, const char *text, size_t size, struct value *out)
{
    struct str copy;

    if (size > UINT32_MAX) {
        return error_set(reader->error, MITE_ELIMIT, "a text of %zu bytes is larger than 4 GiB", size);
    }
    copy = arena_str(reader->arena, (struct str){text, size});
    if (!copy.p) {
        return no_room(reader, size + 1);
    }
    *out = value_text(copy);
    return 0;
}

static int read_list(struct reader *reader, const json_t *json, unsigned depth, struct value *out)
{
    size_t count = json_array_size(json);
    struct value *items = arena_alloc(reader->arena, count * sizeof(*items));

    if (!items) {
        return no_room(reader, count * sizeof(*items));
    }
    for (size_t i = 0; i < count; i++) {
        int rc = read_value(reader, json_array_get(json, i), depth + 1, &items[i]);

        if (rc < 0) {
            return rc;
        }
    }
    *out = value_list(items, (uint32_t)count);
    return 0;
}

static int read_object(struct reader *reader, const json_t *json, unsigned depth, struct value *out)
{
    json_t *object = (json_t *)json; /* jansson's iterators are not const, and change nothing */
    size_t count = json_object_size(json);
    struct pair *pairs = arena_alloc(reader->arena, count * sizeof(*pairs)), *pair = pairs;
    int rc;

    if (!pairs) {
        return no_room(reader, count * sizeof(*pairs));
    }
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at), pair++) {
        rc = read_text(reader, json_object_iter_key(at), json_object_iter_key_len(at), &pair->key);
        if (rc == 0) {
            rc = read_value(reader, json_object_iter_value(at), depth + 1, &pair->value);
        }
        if (rc < 0) {
            return rc;
        }
    }
    *out = value_map(pairs, (uint32_t)count);
    return 0;
}

static bool is_pairs(const json_t *list)
{
    if (!json_is_array(list)) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *pair = json_array_get(list, i);

        if (!json_is_array(pair) || json_array_size(pair) != 2) {
            return false;
        }
    }
    return true;
}

static int read_pairs(struct reader *reader, const json_t *list, unsigned depth, struct value *out)
{
    size_t count = json_array_size(list);
    struct pair *pairs = arena_alloc(reader->arena, count * sizeof(*pairs));

    if (!pairs) {
        return no_room(reader, count * sizeof(*pairs));
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *pair = json_array_get(list, i);
        int rc = read_value(reader, json_array_get(pair, 0), depth + 1, &pairs[i].key);

        if (rc == 0) {
            rc = read_value(reader, json_array_get(pair, 1), depth + 1, &pairs[i].value);
        }
        if (rc < 0) {
            return rc;
        }
    }
    *out = value_map(pairs, (uint32_t)count);
    return 0;
}

/* The readers of forms return NOT_A_FORM for what none of ours would hold. */
#define NOT_A_FORM 1

static int read_bytes(struct reader *reader, struct str text, struct value *out)
{
    char *bytes = arena_alloc(reader->arena, base64_decoded_max(text.n));
    size_t size;

    if (!bytes) {
        return no_room(reader, base64_decoded_max(text.n));
    }
    if (!base64_decode(text, bytes, &size)) {
        return NOT_A_FORM;
    }
    *out = value_bytes((struct str){bytes, size});
    return 0;
}

static int read_odd_float(struct str text, struct value *out)
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

static int read_large(struct str text, struct value *out)
{
    uint64_t number;
    char *end;

    if (text.n != 19 && text.n != 20) { /* digits of 2^63 and of 2^64 - 1 */
        return NOT_A_FORM;
    }
    errno = 0;
    number = strtoull(text.p, &end, 10);
    if (errno || *end || text.p[0] == '-' || number <= INT64_MAX) {
        return NOT_A_FORM;
    }
    *out = (struct value){.type = VALUE_UINT, .large = number};
    return 0;
}

static int read_form(struct reader *reader, const json_t *json, unsigned depth, struct value *out)
{
    void *only = json_object_size(json) == 1 ? json_object_iter((json_t *)json) : NULL;
    const json_t *body = only ? json_object_iter_value(only) : NULL;
    struct str text = {json_string_value(body), json_string_length(body)}; /* none when it is no string */
    enum form form = only ? form_of(str_of(json_object_iter_key(only))) : FORM_NONE;

    if (form == FORM_MAP) {
        return is_pairs(body) ? read_pairs(reader, body, depth, out) : NOT_A_FORM;
    }
    if (form == FORM_NONE || !text.p) {
        return NOT_A_FORM;
    }
    return form == FORM_BYTES   ? read_bytes(reader, text, out)
           : form == FORM_FLOAT ? read_odd_float(text, out)
                                : read_large(text, out);
}

static int read_value(struct reader *reader, const json_t *json, unsigned depth, struct value *out)
{
    int rc;

    switch (json_typeof(json)) {
    case JSON_NULL:
        *out = value_nil();
        return 0;
    case JSON_TRUE:
    case JSON_FALSE:
        *out = value_bool(json_is_true(json));
        return 0;
    case JSON_INTEGER:
        *out = value_int(json_integer_value(json));
        return 0;
    case JSON_REAL:
        *out = value_float(json_real_value(json));
        return 0;
    case JSON_STRING:
        return read_text(reader, json_string_value(json), json_string_length(json), out);
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    if (depth == VALUE_MAX_DEPTH) {
        return error_set(reader->error, MITE_ELIMIT, "values nest deeper than %d", VALUE_MAX_DEPTH);
    }
    if (json_is_array(json)) {
        return read_list(reader, json, depth, out);
    }
    rc = read_form(reader, json, depth, out);
    return rc == NOT_A_FORM ? read_object(reader, json, depth, out) : rc;
}

/* jansson's own word for what is wrong; it says nothing at all when a small allocation failed. */
static int not_parsed(struct mite_error *error, const json_error_t *why)
{
    enum json_error_code code = json_error_code(why);

    if (code == json_error_out_of_memory || !why->text[0]) {
        return error_set(error, MITE_ENOMEM, "out of memory");
    }
    return error_set(error, code == json_error_stack_overflow ? MITE_ELIMIT : MITE_EPROTO,
                     "not JSON: line %d, column %d: %s", why->line, why->column, why->text);
}

int json_read(struct arena *arena, struct str text, struct value *out, struct mite_error *error)
{
    struct reader reader = {.arena = arena, .error = error};
    json_error_t why = {0};
    json_t *json = json_loadb(text.p ? text.p : "", text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    struct value value;
    int rc;

    if (!json) {
        return not_parsed(error, &why);
    }
    rc = read_value(&reader, json, 0, &value);
    json_decref(json);
    if (rc == 0) {
        *out = value;
    }
    return rc;
}
