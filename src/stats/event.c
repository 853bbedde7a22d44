#include "stats/event.h"

#include "base/error.h"

/* By length, then as in the enum. */
static const struct str names[EVENT_FIELDS] = {
    [EVENT_TYPE] = {"type", 4},
    [EVENT_TEST] = {"test", 4},
    [EVENT_ACTUAL] = {"actual", 6},
    [EVENT_METHOD] = {"method", 6},
    [EVENT_EX_TYPE] = {"ex_type", 7},
    [EVENT_DROPPED] = {"dropped", 7},
    [EVENT_JOURNEY] = {"journey", 7},
    [EVENT_MESSAGE] = {"message", 7},
    [EVENT_DNS_TIME] = {"dns_time", 8},
    [EVENT_LOCATION] = {"location", 8},
    [EVENT_REQUIRED] = {"required", 8},
    [EVENT_COMPONENT] = {"component", 9},
    [EVENT_HAD_ERROR] = {"had_error", 9},
    [EVENT_TOTAL_TIME] = {"total_time", 10},
    [EVENT_NUM_RUNNERS] = {"num_runners", 11},
    [EVENT_TRANSACTION] = {"transaction", 11},
    [EVENT_RESPONSE_CODE] = {"response_code", 13},
};

#define LONGEST 13

/* The first name of each length; one of none is that of the next. */
static const unsigned char first_of[LONGEST + 2] = {
    [5] = EVENT_ACTUAL,         [6] = EVENT_ACTUAL,           [7] = EVENT_EX_TYPE,      [8] = EVENT_DNS_TIME,
    [9] = EVENT_COMPONENT,      [10] = EVENT_TOTAL_TIME,      [11] = EVENT_NUM_RUNNERS, [12] = EVENT_RESPONSE_CODE,
    [13] = EVENT_RESPONSE_CODE, [LONGEST + 1] = EVENT_FIELDS,
};

/* EVENT_FIELDS: one that statistics do not look at. */
static size_t field_of(struct str key)
{
    if (key.n > LONGEST) {
        return EVENT_FIELDS;
    }
    for (size_t i = first_of[key.n]; i < first_of[key.n + 1]; i++) {
        if (memcmp(names[i].p, key.p, key.n) == 0) {
            return i;
        }
    }
    return EVENT_FIELDS;
}

struct str event_field_name(enum event_field field)
{
    return names[field];
}

int event_read(struct str bytes, struct event *event)
{
    struct cursor cursor = cursor_of(bytes);
    struct cursor_item map, key;

    *event = (struct event){0};
    if (!cursor_next(&cursor, &map) || map.kind != CURSOR_MAP) {
        return MITE_EPROTO;
    }
    for (uint32_t i = 0; i < map.count; i++) {
        if (!cursor_next(&cursor, &key) || key.kind != CURSOR_TEXT) {
            return MITE_EPROTO;
        }
        struct str value = cursor_value(&cursor);
        if (!value.p) {
            return MITE_EPROTO;
        }
        size_t field = field_of(key.text);
        if (field < EVENT_FIELDS) {
            event->field[field] = value;
        }
    }
    return cursor.at == cursor.end ? 0 : MITE_EPROTO;
}

struct str event_text(const struct event *event, enum event_field field)
{
    struct cursor cursor = cursor_of(event->field[field]);
    struct cursor_item item;

    if (!event->field[field].p || !cursor_next(&cursor, &item) ||
        (item.kind != CURSOR_TEXT && item.kind != CURSOR_BYTES)) {
        return STR_NONE;
    }
    return item.text;
}
