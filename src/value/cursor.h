/*
 * A cursor over msgpack bytes, for who needs a few fields of a message and not a tree of all (statistics, what passes
 * messages on): nothing is allocated or copied, and what is of no use is skipped, whatever is in it. Everybody else
 * reads values (value/msgpack.h).
 */
#pragma once

#include "base/str.h"

#include <stdint.h>

struct cursor {
    const unsigned char *at, *end;
};

enum cursor_kind {
    CURSOR_NIL,
    CURSOR_BOOL,
    CURSOR_INT,
    CURSOR_UINT, /* above INT64_MAX */
    CURSOR_FLOAT,
    CURSOR_TEXT, /* not checked to be UTF-8 */
    CURSOR_BYTES,
    CURSOR_LIST,
    CURSOR_MAP,
    CURSOR_EXTENSION,
};

struct cursor_item {
    enum cursor_kind kind;
    uint32_t count; /* items of a list, pairs of a map */
    union {
        bool boolean;
        int64_t integer;
        uint64_t large;
        double number;
        struct str text; /* borrowed: of text, bytes and extensions */
    };
};

static inline struct cursor cursor_of(struct str bytes)
{
    const unsigned char *at = (const unsigned char *)bytes.p;
    return (struct cursor){at, at ? at + bytes.n : at};
}

/* Values that an item of this kind has in it: of all but lists and maps none. */
static inline uint64_t cursor_inside(const struct cursor_item *item)
{
    return item->kind == CURSOR_LIST ? item->count : item->kind == CURSOR_MAP ? 2 * (uint64_t)item->count : 0;
}

/* The next item, and the cursor behind it; of a list or map in front of what is in it. False, and nothing moved, where
 * bytes are missing or mean nothing. */
bool cursor_next(struct cursor *cursor, struct cursor_item *out);

/* One whole value: its bytes, borrowed; p NULL where it is not whole. */
struct str cursor_value(struct cursor *cursor);

/* Numbers of any type that are finite. */
bool cursor_number(struct str value, double *out);
