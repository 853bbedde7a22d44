#include "cli/events.h"

#include <string.h>

int events_parse(const char *text, enum events_wanted *out, struct mite_error *error)
{
    static const char *const words[] = {"all", "errors", "none"}; /* enum events_wanted */

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = (enum events_wanted)i;
            return 0;
        }
    }
    return error_set(error, MITE_EINVAL, "--events=%s: all, errors or none is expected", text);
}

static bool is_wanted(enum events_wanted wanted, enum message_kind kind)
{
    switch (kind) {
    case MESSAGE_DATA_CREATED:
    case MESSAGE_PURGE_DATA:
    case MESSAGE_DEBUG_CONSOLE:
        return true;
    case MESSAGE_ERROR:
    case MESSAGE_EXCEPTION:
        return wanted != EVENTS_NONE;
    default:
        return wanted == EVENTS_ALL;
    }
}

static void take(struct sink *sink, const struct message *message)
{
    struct events *events = (struct events *)sink;

    if (is_wanted(events->wanted, message->kind)) {
        sink_message(events->to, message);
    }
}

void events_init(struct events *events, enum events_wanted wanted, struct sink *to)
{
    static const struct sink_ops ops = {.name = "events", .message = take};

    *events = (struct events){.sink = {&ops}, .to = to, .wanted = wanted};
}
