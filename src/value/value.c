#include "value/value.h"

const struct value *value_get(const struct value *map, const char *key)
{
    if (!map || map->type != VALUE_MAP) {
        return NULL;
    }
    for (uint32_t i = 0; i < map->count; i++) {
        const struct value *k = &map->pairs[i].key;

        if (k->type == VALUE_TEXT && str_is(value_str(k), key)) {
            return &map->pairs[i].value;
        }
    }
    return NULL;
}

double value_number(const struct value *v, double fallback)
{
    switch (v ? v->type : VALUE_NIL) {
    case VALUE_INT:
        return (double)v->integer;
    case VALUE_UINT:
        return (double)v->large;
    case VALUE_FLOAT:
        return v->number;
    default:
        return fallback;
    }
}

bool value_equal(const struct value *a, const struct value *b)
{
    if (a->type != b->type) {
        return false;
    }
    switch (a->type) {
    case VALUE_NIL:
        return true;
    case VALUE_BOOL:
        return a->boolean == b->boolean;
    case VALUE_INT:
    case VALUE_UINT:
        return a->large == b->large;
    case VALUE_FLOAT:
        return a->number == b->number;
    case VALUE_TEXT:
    case VALUE_BYTES:
        return str_equal(value_str(a), value_str(b));
    case VALUE_LIST:
        for (uint32_t i = 0; i < a->count && a->count == b->count; i++) {
            if (!value_equal(&a->items[i], &b->items[i])) {
                return false;
            }
        }
        return a->count == b->count;
    case VALUE_MAP:
        for (uint32_t i = 0; i < a->count && a->count == b->count; i++) {
            if (!value_equal(&a->pairs[i].key, &b->pairs[i].key) ||
                !value_equal(&a->pairs[i].value, &b->pairs[i].value)) {
                return false;
            }
        }
        return a->count == b->count;
    }
    return false;
}

static int copy_items(struct arena *arena, const struct value *from, struct value *out)
{
    size_t size = from->count * sizeof(struct value);
    struct value *items = arena_alloc(arena, size);

    if (!items) {
        return arena_failure(arena, size);
    }
    for (uint32_t i = 0; i < from->count; i++) {
        int rc = value_copy(arena, &from->items[i], &items[i]);

        if (rc < 0) {
            return rc;
        }
    }
    *out = value_list(items, from->count);
    return 0;
}

static int copy_pairs(struct arena *arena, const struct value *from, struct value *out)
{
    size_t size = from->count * sizeof(struct pair);
    struct pair *pairs = arena_alloc(arena, size);

    if (!pairs) {
        return arena_failure(arena, size);
    }
    for (uint32_t i = 0; i < from->count; i++) {
        int rc = value_copy(arena, &from->pairs[i].key, &pairs[i].key);

        if (rc == 0) {
            rc = value_copy(arena, &from->pairs[i].value, &pairs[i].value);
        }
        if (rc < 0) {
            return rc;
        }
    }
    *out = value_map(pairs, from->count);
    return 0;
}

static int copy_text(struct arena *arena, const struct value *from, struct value *out)
{
    struct str copy = arena_str(arena, from->count ? value_str(from) : STR(""));

    if (!copy.p) {
        return arena_failure(arena, from->count + (size_t)1);
    }
    *out = *from;
    out->text = copy.p;
    return 0;
}

int value_copy(struct arena *arena, const struct value *from, struct value *out)
{
    switch (from->type) {
    case VALUE_TEXT:
    case VALUE_BYTES:
        return copy_text(arena, from, out);
    case VALUE_LIST:
        return copy_items(arena, from, out);
    case VALUE_MAP:
        return copy_pairs(arena, from, out);
    default:
        *out = *from;
        return 0;
    }
}

static int check(const struct value *value, int depth, struct mite_error *error)
{
    bool nests = value->type == VALUE_LIST || value->type == VALUE_MAP;
    int rc = 0;

    if (value->type > VALUE_MAP) {
        return error_set(error, MITE_EINVAL, "it holds a value of no type");
    }
    if (value->type >= VALUE_TEXT && value->count > 0 && !value->text) {
        return error_set(error, MITE_EINVAL, "it holds NULL with a count of %u", value->count);
    }
    if (value->type == VALUE_TEXT && !str_is_utf8(value_str(value))) {
        return error_set(error, MITE_EINVAL, "it holds a text that is not UTF-8: give that as bytes");
    }
    if (nests && depth == VALUE_USER_DEPTH) {
        return error_set(error, MITE_EINVAL, "it is deeper than %d lists and maps", VALUE_USER_DEPTH);
    }
    for (uint32_t i = 0; rc == 0 && nests && i < value->count; i++) {
        if (value->type == VALUE_LIST) {
            rc = check(&value->items[i], depth + 1, error);
        } else {
            rc = check(&value->pairs[i].key, depth + 1, error);
            rc = rc < 0 ? rc : check(&value->pairs[i].value, depth + 1, error);
        }
    }
    return rc;
}

int value_check(const struct value *value, struct mite_error *error)
{
    return check(value, 0, error);
}

const char *value_type_name(enum value_type type)
{
    static const char *const names[] = {"nil",  "boolean", "integer", "integer", "float",
                                        "text", "bytes",   "list",    "map"};

    return names[type];
}
