#include "value/json.h"

#include "value/base64.h"
#include "value/json_form.h"

#include <inttypes.h>
#include <math.h>

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

void json_write_float(struct buf *out, double f)
{
    char text[STR_DOUBLE_SIZE];

    if (!isfinite(f)) {
        buf_printf(out, "{\"__float__\": \"%s\"}", isnan(f) ? "nan" : f > 0 ? "inf" : "-inf");
        return;
    }
    str_from_double(text, f);
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
        if (map->pairs[i].key.type != VALUE_TEXT) {
            return false;
        }
    }
    return map->count != 1 || json_form_of(value_str(&map->pairs[0].key)) == JSON_FORM_NONE;
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
        buf_printf(out, "%" PRIu64, v->large);
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
