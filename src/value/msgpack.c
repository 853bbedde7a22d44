/*
 * Design notes: writing is msgpack-c's. Reading is not: its unpacker reserves an array as soon as a peer names its length, so
 * five bytes from the network could ask for gigabytes. Here a container is reserved only when the bytes left could
 * fill it, one byte an item, and the arena's limit holds for everything else.
 */
#include "value/msgpack.h"

#include <inttypes.h>
#include <msgpack/pack.h>

static int write_bytes(void *data, const char *bytes, size_t size)
{
    return buf_append(data, bytes, size);
}

#define PACKER(out) (&(msgpack_packer){.data = (out), .callback = write_bytes})

void msgpack_write_map(struct buf *out, uint32_t pairs)
{
    msgpack_pack_map(PACKER(out), pairs);
}

void msgpack_write_list(struct buf *out, uint32_t items)
{
    msgpack_pack_array(PACKER(out), items);
}

void msgpack_write_nil(struct buf *out)
{
    msgpack_pack_nil(PACKER(out));
}

void msgpack_write_bool(struct buf *out, bool b)
{
    if (b) {
        msgpack_pack_true(PACKER(out));
    } else {
        msgpack_pack_false(PACKER(out));
    }
}

void msgpack_write_int(struct buf *out, int64_t i)
{
    msgpack_pack_int64(PACKER(out), i);
}

void msgpack_write_float(struct buf *out, double f)
{
    msgpack_pack_double(PACKER(out), f);
}

void msgpack_write_text(struct buf *out, struct str s)
{
    msgpack_pack_str(PACKER(out), s.n);
    buf_str(out, s);
}

void msgpack_write_bytes(struct buf *out, struct str s)
{
    msgpack_pack_bin(PACKER(out), s.n);
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
        msgpack_pack_uint64(PACKER(out), v->large);
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

struct reader {
    struct arena *arena;
    const unsigned char *at, *end;
    struct mite_error *error;
};

static int truncated(struct reader *reader)
{
    return error_set(reader->error, MITE_EAGAIN, "the bytes end inside a value");
}

static int no_room(struct reader *reader)
{
    return reader->arena->max_bytes
               ? error_set(reader->error, MITE_ELIMIT, "the value needs more than %zu bytes", reader->arena->max_bytes)
               : error_set(reader->error, MITE_ENOMEM, "out of memory");
}

/* A big-endian number of 1, 2, 4 or 8 bytes. */
static int read_number(struct reader *reader, size_t size, uint64_t *out)
{
    uint64_t number = 0;

    if ((size_t)(reader->end - reader->at) < size) {
        return truncated(reader);
    }
    for (size_t i = 0; i < size; i++) {
        number = number << 8 | *reader->at++;
    }
    *out = number;
    return 0;
}

static int read_text(struct reader *reader, enum value_type type, uint64_t size, struct value *out)
{
    if ((uint64_t)(reader->end - reader->at) < size) {
        return truncated(reader);
    }
    if (type == VALUE_TEXT && !str_is_utf8((struct str){(const char *)reader->at, size})) {
        return error_set(reader->error, MITE_EPROTO, "a text is not UTF-8");
    }

    struct str copy = arena_str(reader->arena, (struct str){(const char *)reader->at, size});

    if (!copy.p) {
        return no_room(reader);
    }
    reader->at += size;
    *out = type == VALUE_TEXT ? value_text(copy) : value_bytes(copy);
    return 0;
}

static int read_value(struct reader *reader, unsigned depth, struct value *out);

static int read_list(struct reader *reader, unsigned depth, uint64_t count, struct value *out)
{
    if ((uint64_t)(reader->end - reader->at) < count) {
        return truncated(reader);
    }

    struct value *items = arena_alloc(reader->arena, count * sizeof(*items));

    if (!items) {
        return no_room(reader);
    }
    for (uint64_t i = 0; i < count; i++) {
        int rc = read_value(reader, depth + 1, &items[i]);

        if (rc < 0) {
            return rc;
        }
    }
    *out = value_list(items, (uint32_t)count);
    return 0;
}

static int read_map(struct reader *reader, unsigned depth, uint64_t count, struct value *out)
{
    if ((uint64_t)(reader->end - reader->at) / 2 < count) {
        return truncated(reader);
    }

    struct pair *pairs = arena_alloc(reader->arena, count * sizeof(*pairs));

    if (!pairs) {
        return no_room(reader);
    }
    for (uint64_t i = 0; i < count; i++) {
        int rc = read_value(reader, depth + 1, &pairs[i].key);

        if (rc == 0) {
            rc = read_value(reader, depth + 1, &pairs[i].value);
        }
        if (rc < 0) {
            return rc;
        }
    }
    *out = value_map(pairs, (uint32_t)count);
    return 0;
}

static struct value integer(uint64_t number, size_t size, bool is_signed)
{
    if (!is_signed && number > INT64_MAX) {
        return (struct value){.type = VALUE_UINT, .large = number};
    }
    if (is_signed && size < 8) {
        unsigned shift = 64 - 8 * (unsigned)size;

        return value_int((int64_t)(number << shift) >> shift);
    }
    return value_int((int64_t)number);
}

static int read_sized(struct reader *reader, unsigned depth, unsigned tag, struct value *out)
{
    static const unsigned char sizes[] = {1, 2, 4, 8};
    uint64_t number = 0;
    int rc;

    switch (tag) {
    case 0xc4: case 0xc5: case 0xc6:
        rc = read_number(reader, sizes[tag - 0xc4], &number);
        return rc < 0 ? rc : read_text(reader, VALUE_BYTES, number, out);
    case 0xd9: case 0xda: case 0xdb:
        rc = read_number(reader, sizes[tag - 0xd9], &number);
        return rc < 0 ? rc : read_text(reader, VALUE_TEXT, number, out);
    case 0xdc: case 0xdd:
        rc = read_number(reader, sizes[tag - 0xdc + 1], &number);
        return rc < 0 ? rc : read_list(reader, depth, number, out);
    case 0xde: case 0xdf:
        rc = read_number(reader, sizes[tag - 0xde + 1], &number);
        return rc < 0 ? rc : read_map(reader, depth, number, out);
    case 0xcc: case 0xcd: case 0xce: case 0xcf:
    case 0xd0: case 0xd1: case 0xd2: case 0xd3: {
        size_t size = sizes[tag & 3];

        rc = read_number(reader, size, &number);
        if (rc == 0) {
            *out = integer(number, size, tag >= 0xd0);
        }
        return rc;
    }
    case 0xca: case 0xcb: {
        uint32_t half;
        float single;
        double full;

        rc = read_number(reader, tag == 0xca ? 4 : 8, &number);
        if (rc < 0) {
            return rc;
        }
        half = (uint32_t)number;
        memcpy(&single, &half, sizeof(single));
        memcpy(&full, &number, sizeof(full));
        *out = value_float(tag == 0xca ? (double)single : full);
        return 0;
    }
    default:
        return error_set(reader->error, MITE_EPROTO, "byte 0x%02x begins no value that mite carries", tag);
    }
}

static int read_value(struct reader *reader, unsigned depth, struct value *out)
{
    if (depth > MSGPACK_MAX_DEPTH) {
        return error_set(reader->error, MITE_ELIMIT, "values nest deeper than %d", MSGPACK_MAX_DEPTH);
    }
    if (reader->at == reader->end) {
        return truncated(reader);
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
    struct reader reader = {.arena = arena, .at = start, .end = start + bytes.n, .error = error};
    struct value value;
    int rc = read_value(&reader, 0, &value);

    if (rc == 0) {
        *used = (size_t)(reader.at - start);
        *out = value;
    }
    return rc;
}
