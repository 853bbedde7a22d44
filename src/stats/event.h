/*
 * A message as bytes, as far as statistics look at it: its fields are found, not read. Made for hundreds of thousands a
 * second, from senders of every kind.
 */
#pragma once

#include "value/cursor.h"

enum event_field {
    EVENT_TYPE,
    EVENT_TEST,
    EVENT_ACTUAL,
    EVENT_METHOD,
    EVENT_EX_TYPE,
    EVENT_DROPPED,
    EVENT_JOURNEY,
    EVENT_MESSAGE,
    EVENT_DNS_TIME,
    EVENT_LOCATION,
    EVENT_REQUIRED,
    EVENT_COMPONENT,
    EVENT_HAD_ERROR,
    EVENT_TOTAL_TIME,
    EVENT_NUM_RUNNERS,
    EVENT_TRANSACTION,
    EVENT_RESPONSE_CODE,
    EVENT_FIELDS,
};

/* Each field's msgpack bytes, borrowed from the message; p NULL: the message has none. */
struct event {
    struct str field[EVENT_FIELDS];
};

/* MITE_EPROTO: no map, cut off, or with bytes behind it. */
int event_read(struct str bytes, struct event *out);

struct str event_field_name(enum event_field field);

/* The text of a field, as text or as bytes; none when it is something else. */
struct str event_text(const struct event *event, enum event_field field);
