/*
 * Design notes
 *
 * lay_out() says in which order a message's parts stand; the bytes and the value tree both follow it. Writing is what a
 * collector costs a request: a field goes from its place in the struct straight into the buffer, with room looked for
 * once for all that is short.
 */
#include "bus/message_fields.h"
#include "value/msgpack.h"

/* ---- what is written, and in which order ---- */

/* Some of a message's fields: those that a table names, at `base`; without a table the further ones. `whole`: nil
 * stands for what is not there. */
struct part {
    const struct table *table;
    const void *base;
    bool whole;
};

#define PARTS_MAX 5

/* How a message lies on the wire. */
static void lay_out(const struct message *message, struct part parts[PARTS_MAX])
{
    const struct part further = {0}, head = {&message_head_table, message, true},
                      own = {message_table(message->kind), &message->txn, true};

    if (message->origin) {
        parts[0] = own;
        parts[1] = further;
        parts[2] = head;
        parts[3] = (struct part){&message_origin_table, message->origin, true};
    } else {
        parts[0] = head;
        parts[1] = (struct part){&message_test_table, message, false};
        parts[2] = own;
        parts[3] = further;
    }
    parts[4] = (struct part){&message_transaction_table, message, message->origin};
}

static bool is_there(const struct part *part, const struct field_spec *spec)
{
    const void *at = (const char *)part->base + spec->offset;

    if (!part->table->varies) {
        return true;
    }
    switch (spec->type) {
    case FIELD_OPTIONAL:
        return ((const struct str *)at)->p;
    case FIELD_PATH:
        return part->whole || ((const struct str *)at)->p;
    case FIELD_ID:
        return part->whole || *(const int64_t *)at;
    default:
        return true;
    }
}

/* Whether the message itself has a field of that name, which hides a further one. */
static bool has_own(const struct part parts[PARTS_MAX], struct str key)
{
    for (size_t i = 0; i < PARTS_MAX; i++) {
        size_t next = 0;
        const struct field_spec *spec = parts[i].table ? message_find_spec(parts[i].table, key, &next) : NULL;
        if (spec && is_there(&parts[i], spec)) {
            return true;
        }
    }
    return false;
}

static uint32_t count_pairs(const struct message *message, const struct part parts[PARTS_MAX])
{
    uint32_t count = 0;

    for (size_t i = 0; i < PARTS_MAX; i++) {
        const struct table *table = parts[i].table;
        if (table && !table->varies) {
            count += (uint32_t)table->count;
            continue;
        }
        for (size_t j = 0; table && j < table->count; j++) {
            count += is_there(&parts[i], &table->specs[j]);
        }
    }
    for (size_t i = 0; i < message->field_count; i++) {
        count += !has_own(parts, message->fields[i].key);
    }
    return count;
}

static size_t counts_of(const struct field_spec *spec, const void *base, const struct message_count **counts)
{
    *counts = *(const struct message_count *const *)((const char *)base + spec->offset);
    return *(const size_t *)((const char *)base + spec->count_offset);
}

/* ---- as msgpack ---- */

#define SHORT_TEXT 255u
#define FIELD_ROOM (1 + KEY_ROOM + 2 + SHORT_TEXT) /* of a key and a value that is written in place */

static char *put_number(char *at, double number)
{
    uint64_t bits;

    memcpy(&bits, &number, sizeof bits);
    bits = __builtin_bswap64(bits);
    *at = (char)0xcb;
    memcpy(at + 1, &bits, sizeof bits);
    return at + 1 + sizeof bits;
}

static char *put_byte(char *at, unsigned byte)
{
    *at = (char)byte;
    return at + 1;
}

/* NULL: it is too long for this. */
static char *put_text(char *at, struct str text)
{
    if (text.n > SHORT_TEXT) {
        return NULL;
    }
    if (text.n < 32) {
        *at++ = (char)(0xa0 | text.n);
    } else {
        *at++ = (char)0xd9;
        *at++ = (char)text.n;
    }
    if (text.n > 0) {
        memcpy(at, text.p, text.n);
    }
    return at + text.n;
}

static char *put_int(char *at, int64_t number)
{
    return number >= 0 && number < 128 ? put_byte(at, (unsigned)number) : NULL;
}

/* Writes the value in place; NULL for those that are rare or may be large. */
static char *put(char *at, const struct field_spec *spec, const void *from)
{
    const struct str *text = from;

    switch (spec->type) {
    case FIELD_NUMBER:
        return put_number(at, *(const double *)from);
    case FIELD_CODE:
        return put_int(at, *(const int *)from);
    case FIELD_INT:
        return put_int(at, *(const int64_t *)from);
    case FIELD_ID:
        return *(const int64_t *)from ? put_int(at, *(const int64_t *)from) : put_byte(at, 0xc0);
    case FIELD_BOOL:
        return put_byte(at, 0xc2 + *(const bool *)from);
    case FIELD_TEXT:
    case FIELD_NAME:
    case FIELD_OPTIONAL:
        return put_text(at, *text);
    case FIELD_PATH:
        return text->p ? put_text(at, *text) : put_byte(at, 0xc0);
    default:
        return NULL;
    }
}

static void write_other(struct buf *out, const struct field_spec *spec, const void *base)
{
    const void *from = (const char *)base + spec->offset;
    const struct message_count *counts;
    size_t count;

    switch (spec->type) {
    case FIELD_CODE:
        msgpack_write_int(out, *(const int *)from);
        break;
    case FIELD_INT:
    case FIELD_ID:
        msgpack_write_int(out, *(const int64_t *)from);
        break;
    case FIELD_VALUE:
        msgpack_write(out, from);
        break;
    case FIELD_COUNTS:
        count = counts_of(spec, base, &counts);
        msgpack_write_map(out, (uint32_t)count);
        for (size_t i = 0; i < count; i++) {
            msgpack_write_int(out, counts[i].scenario_id);
            msgpack_write_int(out, counts[i].count);
        }
        break;
    default:
        msgpack_write_text(out, *(const struct str *)from);
        break;
    }
}

static void write_table(struct buf *out, const struct part *part)
{
    for (size_t i = 0; i < part->table->count; i++) {
        const struct field_spec *spec = &part->table->specs[i];
        if (!is_there(part, spec) || buf_reserve(out, FIELD_ROOM) < 0) {
            continue;
        }
        char *at = out->data + out->size, *end;
        *at++ = (char)(0xa0 | spec->key_size);
        memcpy(at, spec->key, KEY_ROOM);
        at += spec->key_size;
        end = put(at, spec, (const char *)part->base + spec->offset);
        out->size = (size_t)((end ? end : at) - out->data);
        out->data[out->size] = '\0';
        if (!end) {
            write_other(out, spec, part->base);
        }
    }
}

static void write_further(struct buf *out, const struct message *message, const struct part parts[PARTS_MAX])
{
    for (size_t i = 0; i < message->field_count; i++) {
        const struct field *field = &message->fields[i];
        if (!has_own(parts, field->key)) {
            msgpack_write_text(out, field->key);
            msgpack_write(out, &field->value);
        }
    }
}

void message_write(struct buf *out, const struct message *message)
{
    struct part parts[PARTS_MAX];

    lay_out(message, parts);
    msgpack_write_map(out, count_pairs(message, parts));
    for (size_t i = 0; i < PARTS_MAX; i++) {
        if (parts[i].table) {
            write_table(out, &parts[i]);
        } else {
            write_further(out, message, parts);
        }
    }
}

/* ---- as a value ---- */

struct tree {
    struct arena *arena;
    struct pair *pairs;
    uint32_t count;
};

static int counts_to_value(struct arena *arena, const struct message_count *counts, size_t count, struct value *out)
{
    struct pair *pairs = arena_alloc(arena, count * sizeof *pairs);

    if (!pairs) {
        return MITE_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        pairs[i] = (struct pair){value_int(counts[i].scenario_id), value_int(counts[i].count)};
    }
    *out = value_map(pairs, (uint32_t)count);
    return 0;
}

/* 0 or MITE_ENOMEM. */
static int field_to_value(struct arena *arena, const struct field_spec *spec, const void *base, struct value *out)
{
    const void *at = (const char *)base + spec->offset;
    const struct message_count *counts;
    const struct str *text = at;
    size_t count;

    switch (spec->type) {
    case FIELD_NUMBER:
        *out = value_float(*(const double *)at);
        break;
    case FIELD_CODE:
        *out = value_int(*(const int *)at);
        break;
    case FIELD_INT:
        *out = value_int(*(const int64_t *)at);
        break;
    case FIELD_ID:
        *out = *(const int64_t *)at ? value_int(*(const int64_t *)at) : value_nil();
        break;
    case FIELD_BOOL:
        *out = value_bool(*(const bool *)at);
        break;
    case FIELD_TEXT:
    case FIELD_NAME:
    case FIELD_OPTIONAL:
        *out = value_text(text->p ? *text : STR(""));
        break;
    case FIELD_PATH:
        *out = text->p ? value_text(*text) : value_nil();
        break;
    case FIELD_VALUE:
        *out = *(const struct value *)at;
        break;
    case FIELD_COUNTS:
        count = counts_of(spec, base, &counts);
        return counts_to_value(arena, counts, count, out);
    }
    return 0;
}

static int add_table(struct tree *tree, const struct part *part)
{
    for (size_t i = 0; i < part->table->count; i++) {
        const struct field_spec *spec = &part->table->specs[i];
        struct pair *pair = &tree->pairs[tree->count];
        if (!is_there(part, spec)) {
            continue;
        }
        pair->key = value_text((struct str){spec->key, spec->key_size});
        if (field_to_value(tree->arena, spec, part->base, &pair->value) < 0) {
            return MITE_ENOMEM;
        }
        tree->count++;
    }
    return 0;
}

static void add_further(struct tree *tree, const struct message *message, const struct part parts[PARTS_MAX])
{
    for (size_t i = 0; i < message->field_count; i++) {
        const struct field *field = &message->fields[i];
        if (!has_own(parts, field->key)) {
            tree->pairs[tree->count++] = (struct pair){value_text(field->key), field->value};
        }
    }
}

int message_to_value(struct arena *arena, const struct message *message, struct value *out)
{
    struct tree tree = {.arena = arena};
    struct part parts[PARTS_MAX];

    lay_out(message, parts);
    if (!(tree.pairs = arena_alloc(arena, count_pairs(message, parts) * sizeof *tree.pairs))) {
        return MITE_ENOMEM;
    }
    for (size_t i = 0; i < PARTS_MAX; i++) {
        if (!parts[i].table) {
            add_further(&tree, message, parts);
        } else if (add_table(&tree, &parts[i]) < 0) {
            return MITE_ENOMEM;
        }
    }
    *out = value_map(tree.pairs, tree.count);
    return 0;
}
