#include "work/fields.h"

#include "value/msgpack.h"

#include <math.h>
#include <stdio.h>

int fields_fail(struct fields *fields, int code, const char *format, ...)
{
    va_list args;
    char text[256];

    if (fields->rc < 0) {
        return fields->rc;
    }
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fields->rc = error_set(fields->error, code, "%s", text);
    return fields->rc;
}

static void wrong_type(struct fields *fields, const struct value *value, const char *name, const char *expected)
{
    fields_fail(fields, MITE_EPROTO, "%s must be %s, not %s", name, expected, value_type_name(value->type));
}

struct value fields_of(struct fields *fields, struct str bytes)
{
    struct value value = value_nil();
    size_t used = 0;
    int rc = msgpack_read(fields->arena, bytes, &used, &value, fields->error);

    if (rc < 0) {
        fields->rc = rc == MITE_EAGAIN ? MITE_EPROTO : rc;
        if (fields->error) {
            fields->error->code = fields->rc;
        }
    } else if (used != bytes.n) {
        fields_fail(fields, MITE_EPROTO, "%zu bytes follow behind the message", bytes.n - used);
    }
    return fields->rc < 0 ? value_nil() : value;
}

void *fields_alloc(struct fields *fields, size_t count, size_t size)
{
    void *memory = count > 0 ? arena_alloc(fields->arena, count * size) : NULL;

    if (count > 0 && !memory) {
        fields_fail(fields, arena_failure(fields->arena, count * size), "no memory for a message of %zu items", count);
    }
    return memory;
}

/* ---- numbers ---- */

int64_t field_int(struct fields *fields, const struct value *value, const char *name, int64_t least)
{
    if (!value) {
        return 0;
    }
    if (value->type == VALUE_UINT) {
        fields_fail(fields, MITE_EPROTO, "%s is %llu: that is too large", name, (unsigned long long)value->large);
        return 0;
    }
    if (value->type != VALUE_INT) {
        wrong_type(fields, value, name, "a whole number");
        return 0;
    }
    if (value->integer < least) {
        fields_fail(fields, MITE_EPROTO, "%s is %lld: it must be %lld or more", name, (long long)value->integer,
                    (long long)least);
        return 0;
    }
    return value->integer;
}

uint64_t field_uint(struct fields *fields, const struct value *value, const char *name)
{
    return value && value->type == VALUE_UINT ? value->large : (uint64_t)field_int(fields, value, name, 0);
}

double field_number(struct fields *fields, const struct value *value, const char *name, double least)
{
    double number = value_number(value, NAN);

    if (!value) {
        return 0;
    }
    if (!isfinite(number)) {
        wrong_type(fields, value, name, "a number");
        return 0;
    }
    if (number < least) {
        fields_fail(fields, MITE_EPROTO, "%s is %g: it must be %g or more", name, number, least);
        return 0;
    }
    return number;
}

bool field_bool(struct fields *fields, const struct value *value, const char *name)
{
    if (value && value->type != VALUE_BOOL) {
        wrong_type(fields, value, name, "true or false");
        return false;
    }
    return value && value->boolean;
}

/* ---- texts ---- */

struct str field_text(struct fields *fields, const struct value *value, const char *name)
{
    if (!value || value->type == VALUE_NIL) {
        return STR_NONE;
    }
    if (value->type != VALUE_TEXT) {
        wrong_type(fields, value, name, "text");
        return STR_NONE;
    }
    if (value->count > WORK_TEXT_MAX) {
        fields_fail(fields, MITE_ELIMIT, "%s has %u bytes: %d are allowed", name, value->count, WORK_TEXT_MAX);
        return STR_NONE;
    }
    return value_str(value);
}

/* ---- lists and maps ---- */

const struct value *field_tuple(struct fields *fields, const struct value *value, const char *name, size_t count)
{
    static const struct value nothing[FIELD_TUPLE_MAX]; /* nils */

    if (value->type != VALUE_LIST) {
        wrong_type(fields, value, name, "a list");
    } else if (value->count < count) {
        fields_fail(fields, MITE_EPROTO, "%s has %u items: it must have %zu", name, value->count, count);
    }
    return fields->rc < 0 ? nothing : value->items;
}

static struct value checked(struct fields *fields, const struct value *value, const char *name, enum value_type type,
                            size_t most)
{
    struct value empty = {.type = type};

    if (!value) {
        return empty;
    }
    if (value->type != type) {
        wrong_type(fields, value, name, type == VALUE_LIST ? "a list" : "a map");
    } else if (value->count > most) {
        fields_fail(fields, MITE_ELIMIT, "%s has %u items: %zu are allowed", name, value->count, most);
    }
    return fields->rc < 0 ? empty : *value;
}

struct value field_list(struct fields *fields, const struct value *value, const char *name, size_t most)
{
    return checked(fields, value, name, VALUE_LIST, most);
}

struct value field_map(struct fields *fields, const struct value *value, const char *name, size_t most)
{
    return checked(fields, value, name, VALUE_MAP, most);
}

struct value field_args(struct fields *fields, const struct value *value, const char *name)
{
    if (value->type == VALUE_NIL || value->type == VALUE_LIST) {
        return *value;
    }
    wrong_type(fields, value, name, "a list or nil");
    return value_nil();
}

const struct pair *field_config(struct fields *fields, const struct value *value, size_t *count)
{
    struct value list = field_list(fields, value, "the configuration", WORK_ENTRIES_MAX);
    struct pair *pairs = fields_alloc(fields, list.count, sizeof *pairs);

    for (uint32_t i = 0; pairs && i < list.count; i++) {
        const struct value *pair = field_tuple(fields, &list.items[i], "an entry of the configuration", 2);
        struct str key = field_text(fields, &pair[0], "a key of the configuration");
        if (!key.p) {
            fields_fail(fields, MITE_EPROTO, "a key of the configuration must be text, not nil");
        }
        pairs[i] = (struct pair){.key = value_text(key), .value = pair[1]};
    }
    *count = pairs ? list.count : 0;
    return pairs;
}

/* ---- writing ---- */

void write_uint(struct buf *out, uint64_t number)
{
    struct value large = {.type = VALUE_UINT, .large = number};

    if (number > INT64_MAX) {
        msgpack_write(out, &large);
    } else {
        msgpack_write_int(out, (int64_t)number);
    }
}

void write_text_or_nil(struct buf *out, struct str text)
{
    if (text.p) {
        msgpack_write_text(out, text);
    } else {
        msgpack_write_nil(out);
    }
}

void write_key(struct buf *out, const char *key)
{
    msgpack_write_text(out, str_of(key));
}

void write_config(struct buf *out, const struct pair *pairs, size_t count)
{
    msgpack_write_list(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        msgpack_write_list(out, 2);
        msgpack_write(out, &pairs[i].key);
        msgpack_write(out, &pairs[i].value);
    }
}
