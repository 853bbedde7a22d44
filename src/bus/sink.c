#include "bus/sink.h"

#include <stddef.h>

static void fanout_message(struct sink *sink, const struct message *message)
{
    struct fanout *fanout = (struct fanout *)((char *)sink - offsetof(struct fanout, sink));

    for (size_t i = 0; i < fanout->takers[message->kind].count; i++) {
        sink_message(fanout->takers[message->kind].sinks[i], message);
    }
}

static const struct sink_ops fanout_ops = {
    .name = "fanout",
    .message = fanout_message,
};

void fanout_init(struct fanout *fanout)
{
    fanout->sink.ops = &fanout_ops;
    fanout->count = 0;
    for (size_t kind = 0; kind < MESSAGE_KINDS; kind++) {
        fanout->takers[kind].count = 0;
    }
}

int fanout_add(struct fanout *fanout, struct sink *sink)
{
    if (fanout->count == FANOUT_MAX) {
        return MITE_ELIMIT;
    }
    fanout->sinks[fanout->count++] = sink;
    for (size_t kind = 0; kind < MESSAGE_KINDS; kind++) {
        if (!(sink->ops->skips & SINK_SKIPS(kind))) {
            fanout->takers[kind].sinks[fanout->takers[kind].count++] = sink;
        }
    }
    return 0;
}
