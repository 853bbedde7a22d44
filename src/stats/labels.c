#include "stats/labels.h"

#include "stats/metric.h"
#include "value/cursor.h"
#include "value/msgpack.h"

void labels_begin(struct buf *out, size_t count)
{
    buf_clear(out);
    msgpack_write_list(out, (uint32_t)count);
}

/* As much of it as a label may have, without half a character. */
static struct str cut(struct str text)
{
    if (text.n > METRIC_LABEL_MAX) {
        text.n = METRIC_LABEL_MAX;
        for (int i = 0; i < 3 && ((unsigned char)text.p[text.n] & 0xc0) == 0x80; i++) {
            text.n--;
        }
    }
    return text;
}

/* What is no UTF-8 becomes a question mark, byte by byte: the sizes stay. */
static void add_repaired(struct buf *out, struct str text)
{
    char repaired[METRIC_LABEL_MAX];
    size_t length;

    for (size_t i = 0; i < text.n; i += length) {
        length = str_utf8_length((struct str){text.p + i, text.n - i});
        if (length == 0) {
            length = 1;
            repaired[i] = '?';
        } else {
            memcpy(repaired + i, text.p + i, length);
        }
    }
    msgpack_write_text(out, (struct str){repaired, text.n});
}

void labels_add_text(struct buf *out, struct str text)
{
    text = cut(text);
    if (str_is_utf8(text)) {
        msgpack_write_text(out, text);
    } else {
        add_repaired(out, text);
    }
}

void labels_add(struct buf *out, struct str value)
{
    static const char *const names[] = {
        [CURSOR_NIL] = "", [CURSOR_LIST] = "list", [CURSOR_MAP] = "map", [CURSOR_EXTENSION] = "extension"};
    struct cursor cursor = cursor_of(value);
    struct cursor_item item = {.kind = CURSOR_NIL};

    if (value.p && !cursor_next(&cursor, &item)) {
        item.kind = CURSOR_NIL;
    }
    switch (item.kind) {
    case CURSOR_TEXT:
    case CURSOR_BYTES:
        labels_add_text(out, item.text);
        break;
    case CURSOR_BOOL:
        msgpack_write_bool(out, item.boolean);
        break;
    case CURSOR_INT:
        msgpack_write_int(out, item.integer);
        break;
    case CURSOR_UINT:
    case CURSOR_FLOAT:
        buf_str(out, value);
        break;
    default:
        msgpack_write_text(out, str_of(names[item.kind]));
    }
}
