/*
 * Design notes
 *
 * One table a kind says which fields its struct has: key, type and place. Reading, writing and the way to a value tree
 * all walk the same tables, so that they cannot disagree. A table is taken whole or not at all (`take`): a message
 * whose fields have wrong types keeps every one of them among its further fields, and nothing is lost on the way
 * through.
 */
#include "bus/message.h"

#include "value/msgpack.h"

#include <limits.h>

enum field_type {
    FIELD_NUMBER, /* double; integers are read too, floats written */
    FIELD_CODE,   /* int */
    FIELD_INT,    /* int64_t */
    FIELD_ID,     /* int64_t; 0 is nil on the wire */
    FIELD_BOOL,
    FIELD_TEXT,     /* none is written as "" */
    FIELD_NAME,     /* text that the Python program sends as bytes: both are read, text is written */
    FIELD_OPTIONAL, /* text; none is not written at all */
    FIELD_PATH,     /* text; none is nil on the wire */
    FIELD_VALUE,    /* struct value */
    FIELD_COUNTS,   /* const struct message_count *, its count at `count_offset` */
};

struct field_spec {
    const char *key;
    size_t key_size;
    enum field_type type;
    bool required;
    size_t offset, count_offset;
};

struct table {
    const struct field_spec *specs;
    size_t count;
};

#define SPEC(owner, name, type, required)                                                                              \
    {                                                                                                                  \
#name, sizeof #name - 1, type, required, offsetof(struct owner, name), 0                                       \
    }
#define NEEDS(owner, name, type) SPEC(owner, name, type, true)
#define MAY(owner, name, type)   SPEC(owner, name, type, false)
#define COUNTS(owner, name)                                                                                            \
    {                                                                                                                  \
#name, sizeof #name - 1, FIELD_COUNTS, true, offsetof(struct owner, name),                                     \
            offsetof(struct owner, name##_count)                                                                       \
    }
#define TABLE(specs)                                                                                                   \
    {                                                                                                                  \
        specs, sizeof(specs) / sizeof *(specs)                                                                         \
    }

static const struct field_spec txn_specs[] = {
    NEEDS(message_txn, start_time, FIELD_NUMBER),
    NEEDS(message_txn, end_time, FIELD_NUMBER),
    NEEDS(message_txn, had_error, FIELD_BOOL),
};
static const struct field_spec exception_specs[] = {
    MAY(message_failure, message, FIELD_OPTIONAL),
    MAY(message_failure, ex_type, FIELD_OPTIONAL),
    MAY(message_failure, location, FIELD_OPTIONAL),
    MAY(message_failure, stacktrace, FIELD_OPTIONAL),
};
static const struct field_spec http_specs[] = {
    MAY(message_http, start_time, FIELD_NUMBER),
    MAY(message_http, effective_url, FIELD_TEXT),
    NEEDS(message_http, response_code, FIELD_CODE),
    MAY(message_http, dns_time, FIELD_NUMBER),
    MAY(message_http, connect_time, FIELD_NUMBER),
    MAY(message_http, tls_time, FIELD_NUMBER),
    MAY(message_http, transfer_start_time, FIELD_NUMBER),
    MAY(message_http, first_byte_time, FIELD_NUMBER),
    NEEDS(message_http, total_time, FIELD_NUMBER),
    MAY(message_http, primary_ip, FIELD_TEXT),
    NEEDS(message_http, method, FIELD_NAME),
    MAY(message_http, download_size, FIELD_NUMBER),
    MAY(message_http, wait_time, FIELD_NUMBER),
};
static const struct field_spec report_specs[] = {
    COUNTS(message_report, required),
    COUNTS(message_report, actual),
    NEEDS(message_report, num_runners, FIELD_INT),
};
static const struct field_spec data_specs[] = {
    NEEDS(message_data, name, FIELD_TEXT),
    NEEDS(message_data, data, FIELD_VALUE),
};
static const struct field_spec text_specs[] = {
    NEEDS(message_text, text, FIELD_TEXT),
};
static const struct field_spec origin_specs[] = {
    NEEDS(message_origin, test, FIELD_TEXT),       NEEDS(message_origin, runner_id, FIELD_INT),
    NEEDS(message_origin, journey, FIELD_TEXT),    NEEDS(message_origin, context_id, FIELD_INT),
    NEEDS(message_origin, scenario_id, FIELD_INT), NEEDS(message_origin, scenario_data_id, FIELD_VALUE),
};
static const struct field_spec transaction_specs[] = {
    MAY(message, transaction, FIELD_PATH),
    MAY(message, transaction_id, FIELD_ID),
};

static const struct table origin_table = TABLE(origin_specs);
static const struct table transaction_table = TABLE(transaction_specs);

static const struct {
    struct str type;
    struct table table;
} kinds[] = {
    [MESSAGE_TXN] = {{"txn", 3}, TABLE(txn_specs)},
    [MESSAGE_EXCEPTION] = {{"exception", 9}, TABLE(exception_specs)},
    [MESSAGE_ERROR] = {{"error", 5}, {exception_specs, 3}}, /* the same without a stack trace */
    [MESSAGE_HTTP_METRICS] = {{"http_metrics", 12}, TABLE(http_specs)},
    [MESSAGE_CONTROLLER_REPORT] = {{"controller_report", 17}, TABLE(report_specs)},
    [MESSAGE_DATA_CREATED] = {{"data_created", 12}, TABLE(data_specs)},
    [MESSAGE_PURGE_DATA] = {{"purge_data", 10}, {data_specs, 1}}, /* the name alone */
    [MESSAGE_DEBUG_CONSOLE] = {{"debug_console_message", 21}, TABLE(text_specs)},
};

#define KIND_COUNT (sizeof kinds / sizeof *kinds)

enum message_kind message_kind_of(struct str type)
{
    for (size_t i = MESSAGE_OTHER + 1; i < KIND_COUNT; i++) {
        if (str_equal(type, kinds[i].type)) {
            return (enum message_kind)i;
        }
    }
    return MESSAGE_OTHER;
}

struct str message_type_of(enum message_kind kind)
{
    return kinds[kind].type;
}

struct str message_transaction_label(struct str path)
{
    static const struct str root = {"__root__", 8}, prefix = {"__root__ :: ", 12};

    if (str_equal(path, root)) {
        return STR("");
    }
    if (path.n >= prefix.n && memcmp(path.p, prefix.p, prefix.n) == 0) {
        return (struct str){path.p + prefix.n, path.n - prefix.n};
    }
    return path;
}

/* Where a message's struct for its kind begins: every member of the union stands at the same place. */
static const void *own_base(const struct message *message)
{
    return &message->txn;
}

/* ---- reading ---- */

static bool is_number(const struct value *v)
{
    return v->type == VALUE_INT || v->type == VALUE_UINT || v->type == VALUE_FLOAT;
}

static bool is_counts(const struct value *v)
{
    if (v->type != VALUE_MAP) {
        return false;
    }
    for (uint32_t i = 0; i < v->count; i++) {
        if (v->pairs[i].key.type != VALUE_INT || v->pairs[i].value.type != VALUE_INT) {
            return false;
        }
    }
    return true;
}

static bool fits(const struct field_spec *spec, const struct value *v)
{
    switch (spec->type) {
    case FIELD_NUMBER:
        return is_number(v);
    case FIELD_CODE:
        return v->type == VALUE_INT && v->integer >= INT_MIN && v->integer <= INT_MAX;
    case FIELD_INT:
        return v->type == VALUE_INT;
    case FIELD_ID:
        return v->type == VALUE_INT || v->type == VALUE_NIL;
    case FIELD_BOOL:
        return v->type == VALUE_BOOL;
    case FIELD_TEXT:
    case FIELD_OPTIONAL:
        return v->type == VALUE_TEXT;
    case FIELD_NAME:
        return v->type == VALUE_TEXT || v->type == VALUE_BYTES;
    case FIELD_PATH:
        return v->type == VALUE_TEXT || v->type == VALUE_NIL;
    case FIELD_VALUE:
        return true;
    case FIELD_COUNTS:
        return is_counts(v);
    }
    return false;
}

/* The counts of a map that fits, copied to where there is room for them. */
static void store_counts(struct message_count *counts, const struct value *v)
{
    for (uint32_t i = 0; i < v->count; i++) {
        counts[i] = (struct message_count){v->pairs[i].key.integer, v->pairs[i].value.integer};
    }
}

static int store(struct arena *arena, const struct field_spec *spec, void *base, const struct value *v)
{
    void *at = (char *)base + spec->offset;
    struct message_count *counts;

    switch (spec->type) {
    case FIELD_NUMBER:
        *(double *)at = value_number(v, 0);
        break;
    case FIELD_CODE:
        *(int *)at = (int)v->integer;
        break;
    case FIELD_INT:
        *(int64_t *)at = v->integer;
        break;
    case FIELD_ID:
        *(int64_t *)at = v->type == VALUE_INT ? v->integer : 0;
        break;
    case FIELD_BOOL:
        *(bool *)at = v->boolean;
        break;
    case FIELD_TEXT:
    case FIELD_NAME:
    case FIELD_OPTIONAL:
    case FIELD_PATH:
        *(struct str *)at = value_str(v);
        break;
    case FIELD_VALUE:
        *(struct value *)at = *v;
        break;
    case FIELD_COUNTS:
        if (!(counts = arena_alloc(arena, v->count * sizeof *counts))) {
            return MITE_ENOMEM;
        }
        store_counts(counts, v);
        *(const struct message_count **)at = counts;
        *(size_t *)((char *)base + spec->count_offset) = v->count;
        break;
    }
    return 0;
}

/* The spec of that name; NULL when there is none. Fields come in the order of the table, so the search goes on from
 * *next, which starts at 0. */
static const struct field_spec *find_spec(const struct table *table, struct str key, size_t *next)
{
    for (size_t i = 0, at = *next; i < table->count; i++, at++) {
        at = at < table->count ? at : 0;
        const struct field_spec *spec = &table->specs[at];
        if (spec->key_size == key.n && spec->key[0] == key.p[0] && memcmp(spec->key, key.p, key.n) == 0) {
            *next = at + 1;
            return spec;
        }
    }
    return NULL;
}

static bool all_fit(const struct table *table, const struct field *fields, size_t count)
{
    size_t required = 0, found = 0, next = 0;

    for (size_t i = 0; i < table->count; i++) {
        required += table->specs[i].required;
    }
    for (size_t i = 0; i < count; i++) {
        const struct field_spec *spec = find_spec(table, fields[i].key, &next);
        if (spec && !fits(spec, &fields[i].value)) {
            return false;
        }
        found += spec && spec->required;
    }
    return found >= required;
}

/*
 * Moves what the table names out of the fields into the struct at `base`: 1, or 0 when they do not fit, and then
 * nothing has happened, or MITE_ENOMEM. What stays keeps its order in front; *count says how many.
 */
static int take(struct arena *arena, const struct table *table, void *base, struct field *fields, size_t *count)
{
    size_t kept = 0, next = 0;

    if (!all_fit(table, fields, *count)) {
        return 0;
    }
    for (size_t i = 0; i < *count; i++) {
        const struct field_spec *spec = find_spec(table, fields[i].key, &next);
        if (spec) {
            int rc = store(arena, spec, base, &fields[i].value);
            if (rc < 0) {
                return rc;
            }
        } else {
            struct field field = fields[i];
            fields[i] = fields[kept];
            fields[kept++] = field;
        }
    }
    *count = kept;
    return 1;
}

/* Fills kind, type, struct and further fields. Without an arena a controller_report is no kind of its own. */
static int fill(struct arena *arena, struct message *message, struct str type, struct field *fields, size_t count)
{
    enum message_kind kind = message_kind_of(type);
    int rc = 0;

    if (kind == MESSAGE_CONTROLLER_REPORT && !arena) {
        kind = MESSAGE_OTHER;
    }
    if (kind != MESSAGE_OTHER) {
        /* Through the largest member, so that what the fields leave out is zero. */
        message->http = (struct message_http){0};
        rc = take(arena, &kinds[kind].table, &message->txn, fields, &count);
    }
    message->kind = rc == 1 ? kind : MESSAGE_OTHER;
    message->type = type;
    message->fields = fields;
    message->field_count = count;
    return rc < 0 ? rc : 0;
}

_Static_assert(sizeof(struct message_http) >= sizeof(struct message_txn), "message_http clears the whole union");
_Static_assert(sizeof(struct message_http) >= sizeof(struct message_failure), "message_http clears the whole union");
_Static_assert(sizeof(struct message_http) >= sizeof(struct message_report), "message_http clears the whole union");
_Static_assert(sizeof(struct message_http) >= sizeof(struct message_data), "message_http clears the whole union");

void message_from_fields(struct message *message, struct str type, struct field *fields, size_t count)
{
    fill(NULL, message, type, fields, count);
}

/* The pairs of a map as fields, without the type and the time, which go to their places. */
static int fields_of_map(struct message *message, struct field *fields, size_t *count, struct str *type,
                         const struct value *map, struct mite_error *error)
{
    for (uint32_t i = 0; i < map->count; i++) {
        const struct pair *pair = &map->pairs[i];
        struct str key = value_str(&pair->key);

        if (pair->key.type != VALUE_TEXT) {
            return error_set(error, MITE_EPROTO, "a message has a key that is no text (%s)",
                             value_type_name(pair->key.type));
        }
        if (str_is(key, "type") && pair->value.type == VALUE_TEXT) {
            *type = value_str(&pair->value);
        } else if (str_is(key, "time") && is_number(&pair->value)) {
            message->time = value_number(&pair->value, 0);
        } else {
            fields[(*count)++] = (struct field){key, pair->value};
        }
    }
    return type->p ? 0 : error_set(error, MITE_EPROTO, "a message has no text \"type\"");
}

/* Without an origin `test` is the message's own. */
static void take_test(struct message *message, struct field *fields, size_t *count)
{
    static const struct field_spec spec = MAY(message, test, FIELD_OPTIONAL);
    static const struct table table = {&spec, 1};

    take(NULL, &table, message, fields, count);
}

int message_from_value(struct arena *arena, struct message *message, struct message_origin *origin,
                       struct field *fields, const struct value *map, struct mite_error *error)
{
    struct str type = STR_NONE;
    size_t count = 0;

    *message = (struct message){0};
    if (map->type != VALUE_MAP) {
        return error_set(error, MITE_EPROTO, "a message must be a map, this is %s", value_type_name(map->type));
    }
    int rc = fields_of_map(message, fields, &count, &type, map, error);
    if (rc < 0) {
        return rc;
    }
    if (take(NULL, &origin_table, origin, fields, &count) == 1) {
        message->origin = origin;
        message->test = origin->test;
    } else {
        take_test(message, fields, &count);
    }
    take(NULL, &transaction_table, message, fields, &count);
    if (fill(arena, message, type, fields, count) < 0) {
        return error_set(error, MITE_ENOMEM, "no memory for a message");
    }
    return 0;
}

/* ---- writing ---- */

/* Gets each pair of a message in the order of the wire. With `counts`, value->count of them are the value. */
typedef void emit_fn(void *arg, struct str key, const struct value *value, const struct message_count *counts);

/* The value of a field that is there; false when it is none and is not written. `whole`: nil stands for none. */
static bool load(const struct field_spec *spec, const void *base, bool whole, struct value *out,
                 const struct message_count **counts)
{
    const void *at = (const char *)base + spec->offset;
    const struct str *text = at;

    *counts = NULL;
    switch (spec->type) {
    case FIELD_NUMBER:
        *out = value_float(*(const double *)at);
        return true;
    case FIELD_CODE:
        *out = value_int(*(const int *)at);
        return true;
    case FIELD_INT:
        *out = value_int(*(const int64_t *)at);
        return true;
    case FIELD_ID:
        *out = *(const int64_t *)at ? value_int(*(const int64_t *)at) : value_nil();
        return whole || out->type != VALUE_NIL;
    case FIELD_BOOL:
        *out = value_bool(*(const bool *)at);
        return true;
    case FIELD_TEXT:
    case FIELD_NAME:
        *out = value_text(text->p ? *text : STR(""));
        return true;
    case FIELD_OPTIONAL:
        *out = value_text(*text);
        return text->p != NULL;
    case FIELD_PATH:
        *out = text->p ? value_text(*text) : value_nil();
        return whole || text->p;
    case FIELD_VALUE:
        *out = *(const struct value *)at;
        return true;
    case FIELD_COUNTS:
        *out = (struct value){.type = VALUE_MAP,
                              .count = (uint32_t) * (const size_t *)((const char *)base + spec->count_offset)};
        *counts = *(const struct message_count *const *)at;
        return true;
    }
    return false;
}

static void emit_table(const struct table *table, const void *base, bool whole, emit_fn *emit, void *arg)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct field_spec *spec = &table->specs[i];
        const struct message_count *counts;
        struct value value;

        if (load(spec, base, whole, &value, &counts)) {
            emit(arg, (struct str){spec->key, spec->key_size}, &value, counts);
        }
    }
}

static bool writes_key(const struct table *table, const void *base, bool whole, struct str key)
{
    size_t next = 0;
    const struct field_spec *spec = find_spec(table, key, &next);
    const struct message_count *counts;
    struct value value;

    return spec && load(spec, base, whole, &value, &counts);
}

/* Whether the message itself has a field of that name. */
static bool has_own(const struct message *message, struct str key)
{
    return str_is(key, "type") || str_is(key, "time") ||
           (message->origin ? writes_key(&origin_table, message->origin, true, key)
                            : message->test.p && str_is(key, "test")) ||
           writes_key(&transaction_table, message, message->origin != NULL, key) ||
           writes_key(&kinds[message->kind].table, own_base(message), true, key);
}

static void emit_head(const struct message *message, emit_fn *emit, void *arg)
{
    struct value type = value_text(message->type), time = value_float(message->time);

    emit(arg, STR("type"), &type, NULL);
    emit(arg, STR("time"), &time, NULL);
}

static void emit_own(const struct message *message, emit_fn *emit, void *arg)
{
    emit_table(&kinds[message->kind].table, own_base(message), true, emit, arg);
    for (size_t i = 0; i < message->field_count; i++) {
        const struct field *field = &message->fields[i];
        if (!has_own(message, field->key)) {
            emit(arg, field->key, &field->value, NULL);
        }
    }
}

static void emit_all(const struct message *message, emit_fn *emit, void *arg)
{
    if (message->origin) {
        emit_own(message, emit, arg);
        emit_head(message, emit, arg);
        emit_table(&origin_table, message->origin, true, emit, arg);
    } else {
        emit_head(message, emit, arg);
        if (message->test.p) {
            struct value test = value_text(message->test);
            emit(arg, STR("test"), &test, NULL);
        }
        emit_own(message, emit, arg);
    }
    emit_table(&transaction_table, message, message->origin != NULL, emit, arg);
}

static void count_pair(void *arg, struct str key, const struct value *value, const struct message_count *counts)
{
    ++*(uint32_t *)arg;
}

static void write_pair(void *arg, struct str key, const struct value *value, const struct message_count *counts)
{
    struct buf *out = arg;

    msgpack_write_text(out, key);
    if (!counts) {
        msgpack_write(out, value);
        return;
    }
    msgpack_write_map(out, value->count);
    for (uint32_t i = 0; i < value->count; i++) {
        msgpack_write_int(out, counts[i].scenario_id);
        msgpack_write_int(out, counts[i].count);
    }
}

void message_write(struct buf *out, const struct message *message)
{
    uint32_t pairs = 0;

    emit_all(message, count_pair, &pairs);
    msgpack_write_map(out, pairs);
    emit_all(message, write_pair, out);
}

struct tree {
    struct arena *arena;
    struct pair *pairs;
    uint32_t count;
    bool failed;
};

static void add_pair(void *arg, struct str key, const struct value *value, const struct message_count *counts)
{
    struct tree *tree = arg;
    struct value made = *value;

    if (counts) {
        struct pair *pairs = arena_alloc(tree->arena, value->count * sizeof *pairs);
        for (uint32_t i = 0; pairs && i < value->count; i++) {
            pairs[i] = (struct pair){value_int(counts[i].scenario_id), value_int(counts[i].count)};
        }
        tree->failed |= !pairs;
        made = value_map(pairs, value->count);
    }
    tree->pairs[tree->count++] = (struct pair){value_text(key), made};
}

int message_to_value(struct arena *arena, const struct message *message, struct value *out)
{
    struct tree tree = {.arena = arena};
    uint32_t pairs = 0;

    emit_all(message, count_pair, &pairs);
    if (!(tree.pairs = arena_alloc(arena, pairs * sizeof *tree.pairs))) {
        return MITE_ENOMEM;
    }
    emit_all(message, add_pair, &tree);
    if (tree.failed) {
        return MITE_ENOMEM;
    }
    *out = value_map(tree.pairs, tree.count);
    return 0;
}
