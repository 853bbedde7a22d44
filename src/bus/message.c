/*
 * Design notes
 *
 * One table a kind says which fields its struct has: key, type and place. Reading, writing and the way to a value tree
 * all walk the same tables, so that they cannot disagree. A table is taken whole or not at all (`take`): a message
 * whose fields have wrong types keeps every one of them among its further fields, and nothing is lost on the way
 * through.
 */
#include "bus/message_fields.h"

#include <limits.h>

#define SPEC(owner, name, type, required)                                                                              \
    {                                                                                                                  \
#name, sizeof #name - 1, required, type, offsetof(struct owner, name), 0                                       \
    }
#define NEEDS(owner, name, type) SPEC(owner, name, type, true)
#define MAY(owner, name, type)   SPEC(owner, name, type, false)
#define COUNTS(owner, name)                                                                                            \
    {                                                                                                                  \
#name, sizeof #name - 1, true, FIELD_COUNTS, offsetof(struct owner, name),                                     \
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

static const struct field_spec head_specs[] = {
    NEEDS(message, type, FIELD_TEXT),
    NEEDS(message, time, FIELD_NUMBER),
};
static const struct field_spec test_specs[] = {
    MAY(message, test, FIELD_OPTIONAL),
};

const struct table message_head_table = TABLE(head_specs);
const struct table message_test_table = {test_specs, 1, .varies = true};
const struct table message_origin_table = TABLE(origin_specs);
const struct table message_transaction_table = {transaction_specs, 2, .varies = true};

static const struct {
    struct str type;
    struct table table;
} kinds[] = {
    [MESSAGE_TXN] = {{"txn", 3}, TABLE(txn_specs)},
    [MESSAGE_EXCEPTION] = {{"exception", 9}, {exception_specs, 4, .varies = true}},
    [MESSAGE_ERROR] = {{"error", 5}, {exception_specs, 3, .varies = true}}, /* the same without a stack trace */
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

const struct table *message_table(enum message_kind kind)
{
    return &kinds[kind].table;
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

const struct field_spec *message_find_spec(const struct table *table, struct str key, size_t *next)
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
        const struct field_spec *spec = message_find_spec(table, fields[i].key, &next);
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
        const struct field_spec *spec = message_find_spec(table, fields[i].key, &next);
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
    take(NULL, &message_test_table, message, fields, count);
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
    if (take(NULL, &message_origin_table, origin, fields, &count) == 1) {
        message->origin = origin;
        message->test = origin->test;
    } else {
        take_test(message, fields, &count);
    }
    take(NULL, &message_transaction_table, message, fields, &count);
    if (fill(arena, message, type, fields, count) < 0) {
        return error_set(error, MITE_ENOMEM, "no memory for a message");
    }
    return 0;
}
