#include "bus/peek.h"

#include "value/value.h"

#include <stdint.h>

/* What is still to be read. */
struct cursor {
    const unsigned char *at, *end;
};

/* The first byte of an item tells its form. */
struct item {
    enum { ITEM_PLAIN, ITEM_TEXT, ITEM_LIST, ITEM_MAP } form;
    uint64_t size; /* bytes behind the head (plain, text), or items, or pairs */
};

static bool number(struct cursor *c, unsigned bytes, uint64_t *out)
{
    if ((size_t)(c->end - c->at) < bytes) {
        return false;
    }
    for (*out = 0; bytes > 0; bytes--) {
        *out = *out << 8 | *c->at++;
    }
    return true;
}

static bool sized(struct cursor *c, int form, unsigned bytes, struct item *out)
{
    out->form = form;
    return number(c, bytes, &out->size);
}

static bool plain(struct item *out, uint64_t size)
{
    *out = (struct item){ITEM_PLAIN, size};
    return true;
}

/* 0xc0 to 0xdf. */
static bool head_long(struct cursor *c, unsigned char byte, struct item *out)
{
    switch (byte) {
    case 0xc0: /* nil, false, true */
    case 0xc2:
    case 0xc3:
        return plain(out, 0);
    case 0xc4: /* bin */
    case 0xc5:
    case 0xc6:
        return sized(c, ITEM_PLAIN, 1u << (byte - 0xc4), out);
    case 0xca: /* floats */
        return plain(out, 4);
    case 0xcb:
        return plain(out, 8);
    case 0xcc: /* integers */
    case 0xcd:
    case 0xce:
    case 0xcf:
        return plain(out, 1u << (byte - 0xcc));
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return plain(out, 1u << (byte - 0xd0));
    case 0xd9: /* str */
    case 0xda:
    case 0xdb:
        return sized(c, ITEM_TEXT, 1u << (byte - 0xd9), out);
    case 0xdc: /* array */
    case 0xdd:
        return sized(c, ITEM_LIST, byte == 0xdc ? 2 : 4, out);
    case 0xde: /* map */
    case 0xdf:
        return sized(c, ITEM_MAP, byte == 0xde ? 2 : 4, out);
    default:
        return false; /* extensions, which messages do not have */
    }
}

static bool head(struct cursor *c, struct item *out)
{
    if (c->at == c->end) {
        return false;
    }
    unsigned char byte = *c->at++;

    if (byte <= 0x7f || byte >= 0xe0) {
        return plain(out, 0);
    }
    if (byte <= 0x8f) {
        *out = (struct item){ITEM_MAP, byte & 0x0f};
        return true;
    }
    if (byte <= 0x9f) {
        *out = (struct item){ITEM_LIST, byte & 0x0f};
        return true;
    }
    if (byte <= 0xbf) {
        *out = (struct item){ITEM_TEXT, byte & 0x1f};
        return true;
    }
    return head_long(c, byte, out);
}

static bool body(struct cursor *c, const struct item *item, struct str *out)
{
    if ((uint64_t)(c->end - c->at) < item->size) {
        return false;
    }
    *out = (struct str){(const char *)c->at, item->size};
    c->at += item->size;
    return true;
}

/* Of a list or map that is being read. */
static uint64_t items_of(const struct item *item)
{
    return item->form == ITEM_MAP ? 2 * item->size : item->size;
}

/* Leaves out one value, however it is nested: `left` counts the values still to come. */
static bool skip(struct cursor *c)
{
    struct item item;
    struct str rest;

    for (uint64_t left = 1; left > 0; left--) {
        if (!head(c, &item)) {
            return false;
        }
        if (item.form == ITEM_LIST || item.form == ITEM_MAP) {
            left += items_of(&item);
        } else if (!body(c, &item, &rest)) {
            return false;
        }
    }
    return true;
}

bool peek_is_map(struct str bytes)
{
    struct cursor c = {(const unsigned char *)bytes.p, (const unsigned char *)bytes.p + bytes.n};
    uint64_t left[VALUE_MAX_DEPTH]; /* items still to come, at each level */
    int depth = 0;
    struct item item;
    struct str text;

    if (!head(&c, &item) || item.form != ITEM_MAP) {
        return false;
    }
    for (left[0] = items_of(&item); depth >= 0;) {
        if (left[depth] == 0) {
            depth--;
            continue;
        }
        left[depth]--;
        if (!head(&c, &item)) {
            return false;
        }
        if (item.form == ITEM_LIST || item.form == ITEM_MAP) {
            if (++depth == VALUE_MAX_DEPTH) {
                return false;
            }
            left[depth] = items_of(&item);
        } else if (!body(&c, &item, &text) || (item.form == ITEM_TEXT && !str_is_utf8(text))) {
            return false;
        }
    }
    return c.at == c.end;
}

static bool read_text(struct cursor *c, struct str *out)
{
    struct item item;

    return head(c, &item) && item.form == ITEM_TEXT && body(c, &item, out);
}

struct str peek_type(struct str bytes)
{
    struct cursor c = {(const unsigned char *)bytes.p, (const unsigned char *)bytes.p + bytes.n};
    struct item map;
    struct str text;

    if (!head(&c, &map) || map.form != ITEM_MAP) {
        return STR_NONE;
    }
    for (uint64_t i = 0; i < map.size; i++) {
        if (!read_text(&c, &text)) {
            return STR_NONE; /* a message's keys are texts */
        }
        if (str_is(text, "type")) {
            return read_text(&c, &text) && str_is_utf8(text) ? text : STR_NONE;
        }
        if (!skip(&c)) {
            return STR_NONE;
        }
    }
    return STR_NONE;
}
