#include "bus/peek.h"

#include "value/cursor.h"
#include "value/value.h"

bool peek_is_map(struct str bytes)
{
    struct cursor cursor = cursor_of(bytes);
    uint64_t left[VALUE_MAX_DEPTH]; /* values still to come, at each level */
    struct cursor_item item;
    int depth = 0;

    if (!cursor_next(&cursor, &item) || item.kind != CURSOR_MAP) {
        return false;
    }
    for (left[0] = cursor_inside(&item); depth >= 0;) {
        if (left[depth] == 0) {
            depth--;
            continue;
        }
        left[depth]--;
        if (!cursor_next(&cursor, &item) || item.kind == CURSOR_EXTENSION ||
            (item.kind == CURSOR_TEXT && !str_is_utf8(item.text))) {
            return false;
        }
        if (item.kind == CURSOR_LIST || item.kind == CURSOR_MAP) {
            if (++depth == VALUE_MAX_DEPTH) {
                return false;
            }
            left[depth] = cursor_inside(&item);
        }
    }
    return cursor.at == cursor.end;
}

struct str peek_type(struct str bytes)
{
    struct cursor cursor = cursor_of(bytes);
    struct cursor_item map, key, type;

    if (!cursor_next(&cursor, &map) || map.kind != CURSOR_MAP) {
        return STR_NONE;
    }
    for (uint32_t i = 0; i < map.count && cursor_next(&cursor, &key) && key.kind == CURSOR_TEXT; i++) {
        if (str_is(key.text, "type")) {
            bool text = cursor_next(&cursor, &type) && type.kind == CURSOR_TEXT && str_is_utf8(type.text);
            return text ? type.text : STR_NONE;
        }
        if (!cursor_value(&cursor).p) {
            break;
        }
    }
    return STR_NONE;
}
