/*
 * Which fields a message has on the wire, by key, type and place in its struct: what message.c (reading) and
 * message_write.c share, and nobody else.
 */
#pragma once

#include "bus/message.h"

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

/* Keys lie in their tables with room behind them, so that they are copied as three words whatever their length. */
#define KEY_ROOM 24

struct field_spec {
    char key[KEY_ROOM];
    uint8_t key_size;
    bool required;
    enum field_type type;
    size_t offset, count_offset;
};

struct table {
    const struct field_spec *specs;
    size_t count;
    bool varies; /* some of its fields may not be there */
};

extern const struct table message_head_table;        /* type and time, of struct message */
extern const struct table message_test_table;        /* of a message without an origin, of struct message */
extern const struct table message_origin_table;      /* of struct message_origin */
extern const struct table message_transaction_table; /* of struct message */

/* Of its kind's struct, which begins where every member of the union does. */
const struct table *message_table(enum message_kind kind);

/* The spec of that name; NULL when there is none. Fields come in the order of the table, so the search goes on from
 * *next, which starts at 0. */
const struct field_spec *message_find_spec(const struct table *table, struct str key, size_t *next);
