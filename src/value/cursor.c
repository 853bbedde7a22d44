#include "value/cursor.h"

#include <math.h>

static uint64_t big_endian(const unsigned char *p, size_t size)
{
    uint64_t word = 0;

    for (size_t i = 0; i < size; i++) {
        word = word << 8 | p[i];
    }
    return word;
}

/* The unsigned integer of `size` bytes behind the first. */
static bool word(const struct cursor *cursor, size_t size, uint64_t *out)
{
    if ((size_t)(cursor->end - cursor->at) < 1 + size) {
        return false;
    }
    *out = big_endian(cursor->at + 1, size);
    return true;
}

static bool take(struct cursor *cursor, size_t size, struct cursor_item *item, enum cursor_kind kind)
{
    item->kind = kind;
    cursor->at += size;
    return true;
}

/* `head` bytes, then `size` of text. */
static bool take_text(struct cursor *cursor, size_t head, uint64_t size, struct cursor_item *item,
                      enum cursor_kind kind)
{
    if ((size_t)(cursor->end - cursor->at) < head || (uint64_t)(cursor->end - cursor->at) - head < size) {
        return false;
    }
    item->text = (struct str){(const char *)cursor->at + head, size};
    return take(cursor, head + size, item, kind);
}

static bool take_several(struct cursor *cursor, size_t head, uint64_t count, struct cursor_item *item,
                         enum cursor_kind kind)
{
    item->count = (uint32_t)count;
    return take(cursor, head, item, kind);
}

static bool take_float(struct cursor *cursor, struct cursor_item *item)
{
    size_t size = *cursor->at == 0xca ? 4 : 8;
    uint64_t bits;
    float single;

    if (!word(cursor, size, &bits)) {
        return false;
    }
    if (size == 4) {
        uint32_t half = (uint32_t)bits;
        memcpy(&single, &half, sizeof single);
        item->number = (double)single;
    } else {
        memcpy(&item->number, &bits, sizeof bits);
    }
    return take(cursor, 1 + size, item, CURSOR_FLOAT);
}

static bool take_integer(struct cursor *cursor, struct cursor_item *item)
{
    bool is_signed = *cursor->at >= 0xd0;
    size_t size = (size_t)1 << (*cursor->at & 3);
    uint64_t bits;

    if (!word(cursor, size, &bits)) {
        return false;
    }
    if (is_signed && size < 8 && bits >> (8 * size - 1)) {
        bits |= ~UINT64_C(0) << 8 * size;
    }
    if (!is_signed && bits > INT64_MAX) {
        item->large = bits;
        return take(cursor, 1 + size, item, CURSOR_UINT);
    }
    item->integer = (int64_t)bits;
    return take(cursor, 1 + size, item, CURSOR_INT);
}

/* First bytes from 0xc0 to 0xdf, which say type and size; 0xc1 means nothing. */
static bool take_typed(struct cursor *cursor, struct cursor_item *item)
{
    unsigned char first = *cursor->at;
    uint64_t n;

    switch (first) {
    case 0xc0:
        return take(cursor, 1, item, CURSOR_NIL);
    case 0xc2:
    case 0xc3:
        item->boolean = first == 0xc3;
        return take(cursor, 1, item, CURSOR_BOOL);
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return word(cursor, (size_t)1 << (first - 0xc4), &n) &&
               take_text(cursor, 1 + ((size_t)1 << (first - 0xc4)), n, item, CURSOR_BYTES);
    case 0xc7:
    case 0xc8:
    case 0xc9: /* the length counts neither itself nor the byte of the type */
        return word(cursor, (size_t)1 << (first - 0xc7), &n) &&
               take_text(cursor, 2 + ((size_t)1 << (first - 0xc7)), n, item, CURSOR_EXTENSION);
    case 0xca:
    case 0xcb:
        return take_float(cursor, item);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        return take_text(cursor, 2, UINT64_C(1) << (first - 0xd4), item, CURSOR_EXTENSION);
    case 0xd9:
    case 0xda:
    case 0xdb:
        return word(cursor, (size_t)1 << (first - 0xd9), &n) &&
               take_text(cursor, 1 + ((size_t)1 << (first - 0xd9)), n, item, CURSOR_TEXT);
    case 0xdc:
    case 0xdd:
        return word(cursor, first == 0xdc ? 2 : 4, &n) &&
               take_several(cursor, first == 0xdc ? 3 : 5, n, item, CURSOR_LIST);
    case 0xde:
    case 0xdf:
        return word(cursor, first == 0xde ? 2 : 4, &n) &&
               take_several(cursor, first == 0xde ? 3 : 5, n, item, CURSOR_MAP);
    default:
        return first != 0xc1 && take_integer(cursor, item);
    }
}

bool cursor_next(struct cursor *cursor, struct cursor_item *item)
{
    if (cursor->at == cursor->end) {
        return false;
    }
    unsigned char first = *cursor->at;

    if (first < 0x80 || first >= 0xe0) {
        item->integer = first < 0x80 ? first : first - 256;
        return take(cursor, 1, item, CURSOR_INT);
    }
    if (first >= 0xc0) {
        return take_typed(cursor, item);
    }
    if (first >= 0xa0) {
        return take_text(cursor, 1, first & 0x1f, item, CURSOR_TEXT);
    }
    return take_several(cursor, 1, first & 0x0f, item, first >= 0x90 ? CURSOR_LIST : CURSOR_MAP);
}

/* Bytes of an item that its first byte tells all of; 0: it takes a closer look. */
static const unsigned char plain_sizes[256] = {
    [0x00 ... 0x7f] = 1, [0xc0] = 1, [0xc2 ... 0xc3] = 1, [0xca] = 5, [0xcb] = 9, [0xcc] = 2, [0xcd] = 3,
    [0xce] = 5,          [0xcf] = 9, [0xd0] = 2,          [0xd1] = 3, [0xd2] = 5, [0xd3] = 9, [0xe0 ... 0xff] = 1,
};

static size_t plain_size(unsigned char first)
{
    return (first & 0xe0) == 0xa0 ? (size_t)1 + (first & 0x1f) : plain_sizes[first];
}

static bool skip_value(struct cursor *cursor)
{
    struct cursor_item item;

    /* Values still to come. Each takes a byte at least, so this ends, and no list can claim more than there is. */
    for (uint64_t left = 1; left > 0; left--) {
        size_t rest = (size_t)(cursor->end - cursor->at);
        if (left > rest) {
            return false;
        }
        size_t size = plain_size(*cursor->at);
        if (size > 0 && size <= rest) {
            cursor->at += size;
        } else if (cursor_next(cursor, &item)) {
            left += cursor_inside(&item);
        } else {
            return false;
        }
    }
    return true;
}

struct str cursor_value(struct cursor *cursor)
{
    const unsigned char *start = cursor->at;

    if (!skip_value(cursor)) {
        cursor->at = start;
        return STR_NONE;
    }
    return (struct str){(const char *)start, (size_t)(cursor->at - start)};
}

bool cursor_number(struct str value, double *out)
{
    struct cursor cursor = cursor_of(value);
    struct cursor_item item;
    double number;

    if (!value.p || !cursor_next(&cursor, &item)) {
        return false;
    }
    switch (item.kind) {
    case CURSOR_INT:
        number = (double)item.integer;
        break;
    case CURSOR_UINT:
        number = (double)item.large;
        break;
    case CURSOR_FLOAT:
        number = item.number;
        break;
    default:
        return false;
    }
    if (!isfinite(number)) {
        return false;
    }
    *out = number;
    return true;
}
