/*
 * Values: what messages, datapool items and configuration are made of. A value is 16 bytes and owns nothing; the text,
 * items and pairs that it points to are borrowed, most often from an arena. Values are never changed once built.
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

#include <stdint.h>

/* Lists and maps inside one another: readers refuse more, writers may count on it. A user's value may take 64 of these
 * levels; the others are those of the messages and replies around it. */
#define VALUE_MAX_DEPTH  72
#define VALUE_USER_DEPTH 64

enum value_type {
    VALUE_NIL,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_UINT, /* only for integers above INT64_MAX */
    VALUE_FLOAT,
    VALUE_TEXT, /* UTF-8 */
    VALUE_BYTES,
    VALUE_LIST,
    VALUE_MAP, /* order kept; keys of any type */
};

struct value {
    enum value_type type;
    uint32_t count; /* bytes of text and bytes, items of a list, pairs of a map */
    union {
        bool boolean;
        int64_t integer;
        uint64_t large;
        double number;
        const char *text;
        const struct value *items;
        const struct pair *pairs;
    };
};

struct pair {
    struct value key, value;
};

static inline struct value value_nil(void)
{
    return (struct value){.type = VALUE_NIL};
}
static inline struct value value_bool(bool b)
{
    return (struct value){.type = VALUE_BOOL, .boolean = b};
}
static inline struct value value_int(int64_t i)
{
    return (struct value){.type = VALUE_INT, .integer = i};
}
static inline struct value value_float(double f)
{
    return (struct value){.type = VALUE_FLOAT, .number = f};
}
static inline struct value value_text(struct str s)
{
    return (struct value){.type = VALUE_TEXT, .count = (uint32_t)s.n, .text = s.p};
}
static inline struct value value_bytes(struct str s)
{
    return (struct value){.type = VALUE_BYTES, .count = (uint32_t)s.n, .text = s.p};
}
static inline struct value value_list(const struct value *items, uint32_t count)
{
    return (struct value){.type = VALUE_LIST, .count = count, .items = items};
}
static inline struct value value_map(const struct pair *pairs, uint32_t count)
{
    return (struct value){.type = VALUE_MAP, .count = count, .pairs = pairs};
}
static inline struct str value_str(const struct value *v) /* of text or bytes; none for other types */
{
    return v->type == VALUE_TEXT || v->type == VALUE_BYTES ? (struct str){v->text, v->count} : STR_NONE;
}

/* NULL when the map has no such text key (or `map` is none). */
const struct value *value_get(const struct value *map, const char *key) PRIVATE_API(value_get);

/* Numbers of any type as a double; `fallback` for anything else. */
double value_number(const struct value *v, double fallback) PRIVATE_API(value_number);

/* Numbers compare by type and value, maps in order. */
bool value_equal(const struct value *a, const struct value *b) PRIVATE_API(value_equal);

/* Deep copy into the arena. 0, MITE_ENOMEM or MITE_ELIMIT. */
int value_copy(struct arena *arena, const struct value *from, struct value *out) PRIVATE_API(value_copy);

/* Whether messages and replies can carry a user's value: its types are known, its texts UTF-8, it is not too deep.
 * MITE_EINVAL with a sentence about "it". */
int value_check(const struct value *value, struct mite_error *error);

/* "nil", "integer", "text", "list": for sentences about wrong input. */
const char *value_type_name(enum value_type type) PRIVATE_API(value_type_name);
