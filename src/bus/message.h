/*
 * A message: what a journey or a component says happened. One type for all of them. In one process a message is passed
 * by pointer down to the sinks and lives for the length of the call only; whoever wants to keep something copies it.
 * Known kinds carry their figures in a struct, so that counting one looks up nothing; bytes are made only for a sink
 * that wants them (message_write).
 */
#pragma once

#include "base/buf.h"
#include "value/value.h"

enum message_kind {
    MESSAGE_OTHER,
    MESSAGE_TXN,
    MESSAGE_EXCEPTION,
    MESSAGE_ERROR,
    MESSAGE_HTTP_METRICS,
    MESSAGE_CONTROLLER_REPORT,
    MESSAGE_DATA_CREATED,
    MESSAGE_PURGE_DATA,
    MESSAGE_DEBUG_CONSOLE, /* type "debug_console_message" */
    MESSAGE_KINDS,
};

/* What all messages of one context have in common. */
struct message_origin {
    struct str test;
    int64_t runner_id;
    struct str journey; /* the spec as written in the scenario */
    int64_t context_id;
    int64_t scenario_id;
    struct value scenario_data_id; /* nil without a datapool */
};

struct message_txn {
    double start_time, end_time; /* seconds since the epoch */
    uint64_t duration_ns;        /* on the monotonic clock; what statistics use. 0: take end - start */
    bool had_error;
};

/* Of exception and error messages. */
struct message_failure {
    struct str message, ex_type, location; /* location: FILE:LINE:FUNCTION */
    struct str stacktrace;                 /* exceptions only */
};

/* Times in seconds, as on the wire; each counts from the start of the request. */
struct message_http {
    double start_time;
    struct str effective_url;
    int response_code;
    double dns_time, connect_time, tls_time, transfer_start_time, first_byte_time, total_time;
    double wait_time; /* from the end of the request until its journey went on */
    struct str primary_ip, method;
    double download_size;
};

struct message_report {
    const struct message_count *required, *actual;
    size_t required_count, actual_count;
    int64_t num_runners;
};
struct message_count {
    int64_t scenario_id, count;
};

struct message_data {
    struct str name;
    struct value data; /* nil for purge_data */
};

struct message_text {
    struct str text;
};

/* One more field of a message. Key and value are borrowed. */
struct field {
    struct str key;
    struct value value;
};

struct message {
    enum message_kind kind;
    struct str type;
    double time;
    const struct message_origin *origin; /* NULL: the message is not a journey's (controller_report) */
    struct str test;                     /* where there is no origin; none when it has no such field */
    struct str transaction;              /* whole path, "__root__ :: a :: b"; none (nil) outside transactions */
    int64_t transaction_id;              /* counted in its context from 1; 0 (nil) outside transactions */
    union {                              /* by kind; nothing for MESSAGE_OTHER */
        struct message_txn txn;
        struct message_failure failure;
        struct message_http http;
        struct message_report report;
        struct message_data data;
        struct message_text text;
    };
    const struct field *fields; /* further fields; keys that the message's own fields have are left out on writing */
    size_t field_count;
};

enum message_kind message_kind_of(struct str type) PRIVATE_API(message_kind_of);
struct str message_type_of(enum message_kind kind) PRIVATE_API(message_type_of); /* none for MESSAGE_OTHER */

/* A message with its kind, its type and nothing else; its struct is left for the caller to fill: it would be most of
 * what there is to clear. */
static inline void message_init(struct message *message, enum message_kind kind)
{
    message->kind = kind;
    message->type = message_type_of(kind);
    message->time = 0;
    message->origin = NULL;
    message->test = message->transaction = STR_NONE;
    message->transaction_id = 0;
    message->fields = NULL;
    message->field_count = 0;
}

/*
 * Makes a message of `type` from fields as a journey sends them: a known type whose fields have the right types gets
 * its struct filled (those fields are not repeated in ->fields; the array is reordered for that), everything else is
 * MESSAGE_OTHER, counted as what it says it is by nobody; so is a controller_report, which no journey sends. `fields`
 * is borrowed for the life of the message. Leaves time, origin, test and transaction alone.
 */
void message_from_fields(struct message *message, struct str type, struct field *fields, size_t count)
    PRIVATE_API(message_from_fields);

/*
 * The other way, for what comes as bytes (files, the wire): `map` is a decoded map and is borrowed for the life of the
 * message, as are `arena` (holds the counts of a controller_report), `origin` (filled and pointed to when the map has
 * all that a journey's message has of it, context_id first) and `fields`, which has room for map->count. Each is the
 * caller's. MITE_EPROTO when it is no map, has a key that is no text or no text `type`; MITE_ENOMEM.
 */
int message_from_value(struct arena *arena, struct message *message, struct message_origin *origin,
                       struct field *fields, const struct value *map, struct mite_error *error)
    PRIVATE_API(message_from_value);

/*
 * As one msgpack map, in the order of the wire: a journey's message has its own fields, the further ones, type, time,
 * then the origin's and the transaction; one without origin has type, time and test first. Errors show in out->failed.
 */
void message_write(struct buf *out, const struct message *message) PRIVATE_API(message_write);

/* As a map in the arena, same order (for JSON, for Python). Texts stay where they are. 0 or MITE_ENOMEM. */
int message_to_value(struct arena *arena, const struct message *message, struct value *out)
    PRIVATE_API(message_to_value);

/* The transaction without its leading "__root__ :: ", as console and reports show it; "" for the root itself. */
struct str message_transaction_label(struct str path) PRIVATE_API(message_transaction_label);
