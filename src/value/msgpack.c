/*
 * Design notes: writing is msgpack-c's, its templates made for our buffer so that a field costs no call through a
 * pointer. Reading is not: its unpacker reserves an array as soon as a peer names its length, so five bytes from the
 * network could ask for gigabytes, and 64 nested ones for 64 times as much. Here every item that any container still
 * waits for must have a byte of its own among those that are left (`owed`), before memory is taken for it. So a value
 * takes at most 16 times its bytes, and the arena's limit holds besides.
 */
#include "value/msgpack.h"

#include <assert.h>
#include <msgpack/pack.h>

/* ---- writing ---- */

#define msgpack_pack_inline_func(name)              static inline int pack##name
#define msgpack_pack_user                           struct buf *
#define msgpack_pack_append_buffer(out, data, size) return buf_append(out, data, size)
#include <msgpack/pack_template.h>

void msgpack_write_map(struct buf *out, uint32_t pairs)
{
    pack_map(out, pairs);
}

void msgpack_write_list(struct buf *out, uint32_t items)
{
    pack_array(out, items);
}

void msgpack_write_nil(struct buf *out)
{
    pack_nil(out);
}

void msgpack_write_bool(struct buf *out, bool b)
{
    if (b) {
        pack_true(out);
    } else {
        pack_false(out);
    }
}

void msgpack_write_int(struct buf *out, int64_t i)
{
    pack_int64(out, i);
}

void msgpack_write_float(struct buf *out, double f)
{
    pack_double(out, f);
}

void msgpack_write_text(struct buf *out, struct str s)
{
    pack_str(out, s.n);
    buf_str(out, s);
}

void msgpack_write_bytes(struct buf *out, struct str s)
{
    pack_bin(out, s.n);
    buf_str(out, s);
}

void msgpack_write(struct buf *out, const struct value *v)
{
    switch (v->type) {
    case VALUE_NIL:
        msgpack_write_nil(out);
        break;
    case VALUE_BOOL:
        msgpack_write_bool(out, v->boolean);
        break;
    case VALUE_INT:
        msgpack_write_int(out, v->integer);
        break;
    case VALUE_UINT:
        pack_uint64(out, v->large);
        break;
    case VALUE_FLOAT:
        msgpack_write_float(out, v->number);
        break;
    case VALUE_TEXT:
        msgpack_write_text(out, value_str(v));
        break;
    case VALUE_BYTES:
        msgpack_write_bytes(out, value_str(v));
        break;
    case VALUE_LIST:
        msgpack_write_list(out, v->count);
        for (uint32_t i = 0; i < v->count; i++) {
            msgpack_write(out, &v->items[i]);
        }
        break;
    case VALUE_MAP:
        msgpack_write_map(out, v->count);
        for (uint32_t i = 0; i < v->count; i++) {
            msgpack_write(out, &v->pairs[i].key);
            msgpack_write(out, &v->pairs[i].value);
        }
        break;
    }
}

/* ---- reading ---- */

struct reader {
    struct arena *arena;
    const unsigned char *at, *end; /* end: of the bytes, or of what one value may take */
    size_t owed;                   /* items that the containers around still wait for */
    bool cut;                      /* there are bytes behind `end` */
    struct mite_error *error;
};

static int truncated(struct reader *reader)
{
    return reader->cut ? error_set(reader->error, MITE_ELIMIT, "the value is larger than %u bytes", MSGPACK_MAX_BYTES)
                       : error_set(reader->error, MITE_EAGAIN, "the bytes end inside a value");
}

static int no_room(struct reader *reader, size_t size)
{
    int code = arena_failure(reader->arena, size);

    return error_set(reader->error, code,
                     code == MITE_ELIMIT ? "the value needs more than %zu bytes of memory" : "out of memory",
                     reader->arena->max_bytes);
}

/* Whether so many bytes are there, besides one for every item that is owed. */
static int need(struct reader *reader, uint64_t size)
{
    size_t left = (size_t)(reader->end - reader->at);

    if (size > MSGPACK_MAX_BYTES) {
        return error_set(reader->error, MITE_ELIMIT, "the value is larger than %u bytes", MSGPACK_MAX_BYTES);
    }
    return left < reader->owed || left - reader->owed < size ? truncated(reader) : 0;
}

/* A big-endian number of 1, 2, 4 or 8 bytes. */
static int read_number(struct reader *reader, size_t size, uint64_t *out)
{
    uint64_t number = 0;
    int rc = need(reader, size);

    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < size; i++) {
        number = number << 8 | *reader->at++;
    }
    *out = number;
    return 0;
}

static int read_text(struct reader *reader, enum value_type type, uint64_t size, struct value *out)
{
    struct str text = {(const char *)reader->at, size}, copy = STR("");
    int rc = need(reader, size);

    if (rc < 0) {
        return rc;
    }
    if (type == VALUE_TEXT && !str_is_utf8(text)) {
        return error_set(reader->error, MITE_EPROTO, "a text is not UTF-8");
    }
    if (size > 0) {
        copy = arena_str(reader->arena, text);
    }
    if (!copy.p) {
        return no_room(reader, size + 1);
    }
    reader->at += size;
    *out = type == VALUE_TEXT ? value_text(copy) : value_bytes(copy);
    return 0;
}

static int read_value(struct reader *reader, unsigned depth, struct value *out);

/* The items of a list, or keys and values of a map in turn; no memory for none of them. */
static int read_items(struct reader *reader, unsigned depth, uint64_t count, struct value **out)
{
    size_t size = count * sizeof(**out);
    struct value *items = NULL;
    int rc = need(reader, count);

    if (rc < 0) {
        return rc;
    }
    if (depth == MSGPACK_MAX_DEPTH) {
        return error_set(reader->error, MITE_ELIMIT, "values nest deeper than %d", MSGPACK_MAX_DEPTH);
    }
    if (count > 0 && !(items = arena_alloc(reader->arena, size))) {
        return no_room(reader, size);
    }
    reader->owed += count;
    for (uint64_t i = 0; i < count; i++) {
        reader->owed--;
        rc = read_value(reader, depth + 1, &items[i]);
        if (rc < 0) {
            return rc;
        }
    }
    *out = items;
    return 0;
}

static int read_list(struct reader *reader, unsigned depth, uint64_t count, struct value *out)
{
    struct value *items = NULL;
    int rc = read_items(reader, depth, count, &items);

    if (rc == 0) {
        *out = value_list(items, (uint32_t)count);
    }
    return rc;
}

static int read_map(struct reader *reader, unsigned depth, uint64_t count, struct value *out)
{
    struct value *items = NULL;
    int rc;

    static_assert(sizeof(struct pair) == 2 * sizeof(struct value), "a pair is a key and its value");
    rc = read_items(reader, depth, count * 2, &items);
    if (rc == 0) {
        *out = value_map((const struct pair *)items, (uint32_t)count);
    }
    return rc;
}

static struct value integer(uint64_t number, size_t size, bool is_signed)
{
    unsigned shift = 64 - 8 * (unsigned)size;

    if (is_signed) {
        return value_int((int64_t)(number << shift) >> shift);
    }
    return number > INT64_MAX ? (struct value){.type = VALUE_UINT, .large = number} : value_int((int64_t)number);
}

static struct value floating(uint64_t number, size_t size)
{
    uint32_t half = (uint32_t)number;
    float single;
    double full;

    memcpy(&single, &half, sizeof(single));
    memcpy(&full, &number, sizeof(full));
    return value_float(size == sizeof(single) ? (double)single : full);
}

/* The values whose tag is followed by a number: their size, their count, or the number itself. */
static int read_sized(struct reader *reader, unsigned depth, unsigned tag, struct value *out)
{
    /* bytes of that number for the tags 0xc4 to 0xdf; 0 for what we refuse: extension types */
    static const unsigned char sizes[] = {1, 2, 4, 0, 0, 0, 4, 8, 1, 2, 4, 8, 1, 2,
                                          4, 8, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4};
    size_t size = tag >= 0xc4 ? sizes[tag - 0xc4] : 0;
    uint64_t number = 0;
    int rc;

    if (size == 0) {
        return error_set(reader->error, MITE_EPROTO,
                         tag == 0xc1 ? "byte 0x%02x begins no value" : "byte 0x%02x begins an extension type", tag);
    }
    rc = read_number(reader, size, &number);
    if (rc < 0) {
        return rc;
    }
    if (tag <= 0xc6) {
        return read_text(reader, VALUE_BYTES, number, out);
    }
    if (tag <= 0xcb) {
        *out = floating(number, size);
        return 0;
    }
    if (tag <= 0xd3) {
        *out = integer(number, size, tag >= 0xd0);
        return 0;
    }
    return tag <= 0xdb   ? read_text(reader, VALUE_TEXT, number, out)
           : tag <= 0xdd ? read_list(reader, depth, number, out)
                         : read_map(reader, depth, number, out);
}

static int read_value(struct reader *reader, unsigned depth, struct value *out)
{
    int rc = need(reader, 1);

    if (rc < 0) {
        return rc;
    }

    unsigned tag = *reader->at++;

    if (tag < 0x80 || tag >= 0xe0) {
        *out = value_int((int8_t)tag);
    } else if (tag < 0x90) {
        return read_map(reader, depth, tag & 0x0f, out);
    } else if (tag < 0xa0) {
        return read_list(reader, depth, tag & 0x0f, out);
    } else if (tag < 0xc0) {
        return read_text(reader, VALUE_TEXT, tag & 0x1f, out);
    } else if (tag == 0xc0) {
        *out = value_nil();
    } else if (tag == 0xc2 || tag == 0xc3) {
        *out = value_bool(tag == 0xc3);
    } else {
        return read_sized(reader, depth, tag, out);
    }
    return 0;
}

int msgpack_read(struct arena *arena, struct str bytes, size_t *used, struct value *out, struct mite_error *error)
{
    const unsigned char *start = (const unsigned char *)bytes.p;
    bool cut = bytes.n > MSGPACK_MAX_BYTES;
    struct reader reader = {
        .arena = arena, .at = start, .end = start + (cut ? MSGPACK_MAX_BYTES : bytes.n), .cut = cut, .error = error};
    struct value value;
    int rc = read_value(&reader, 0, &value);

    if (rc == 0) {
        *used = (size_t)(reader.at - start);
        *out = value;
    }
    return rc;
}
