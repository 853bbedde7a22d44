/*
 * Fields of the work protocol's messages: out of a decoded value, each with its type and limits checked, and back into
 * bytes. Reading goes on after a mistake, with nothings instead of what is wrong, and the first mistake is what is told
 * at the end: so a message reads as a list of its fields.
 */
#pragma once

#include "work/protocol.h"

struct fields {
    struct arena *arena; /* borrowed: what is read lives there */
    struct mite_error *error;
    int rc; /* of the first mistake */
};

/* The one message that `bytes` are; nil when they are none. */
struct value fields_of(struct fields *fields, struct str bytes);

/* Each takes the name that a sentence calls the field by. A value of NULL is a field that is not there: nothing. */
int64_t field_int(struct fields *fields, const struct value *value, const char *name, int64_t least);
uint64_t field_uint(struct fields *fields, const struct value *value, const char *name);
double field_number(struct fields *fields, const struct value *value, const char *name, double least);
bool field_bool(struct fields *fields, const struct value *value, const char *name);
/* At most WORK_TEXT_MAX bytes, with a zero behind them; nil is none. */
struct str field_text(struct fields *fields, const struct value *value, const char *name);

#define FIELD_TUPLE_MAX 8
/* The items of a list that has so many at least (up to FIELD_TUPLE_MAX); nils when it has not. */
const struct value *field_tuple(struct fields *fields, const struct value *value, const char *name, size_t count);
/* A list of at most `most` items; an empty one when it is none or longer. */
struct value field_list(struct fields *fields, const struct value *value, const char *name, size_t most);
/* The same of a map. */
struct value field_map(struct fields *fields, const struct value *value, const char *name, size_t most);
/* A list of arguments or nil. */
struct value field_args(struct fields *fields, const struct value *value, const char *name);
/* [[key, value]...] */
const struct pair *field_config(struct fields *fields, const struct value *value, size_t *count);

/* Room for an array; NULL for none, and without memory. */
void *fields_alloc(struct fields *fields, size_t count, size_t size);
int fields_fail(struct fields *fields, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

void write_uint(struct buf *out, uint64_t number);
void write_text_or_nil(struct buf *out, struct str text);
void write_key(struct buf *out, const char *key);
void write_config(struct buf *out, const struct pair *pairs, size_t count);
