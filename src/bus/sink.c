#include "bus/sink.h"

#include <stddef.h>

static void fanout_message(struct sink *sink, const struct message *message)
{
    struct fanout *fanout = (struct fanout *)((char *)sink - offsetof(struct fanout, sink));

    for (struct sink **taker = fanout->takers[message->kind]; *taker; taker++) {
        sink_message(*taker, message);
    }
}

static const struct sink_ops fanout_ops = {
    .name = "fanout",
    .message = fanout_message,
};

void fanout_init(struct fanout *fanout)
{
    *fanout = (struct fanout){.sink.ops = &fanout_ops};
}

int fanout_add(struct fanout *fanout, struct sink *sink)
{
    if (fanout->count == FANOUT_MAX) {
        return MITE_ELIMIT;
    }
    fanout->sinks[fanout->count++] = sink;
    for (size_t kind = 0; kind < MESSAGE_KINDS; kind++) {
        if (!(sink->ops->skips & SINK_SKIPS(kind))) {
            struct sink **end = fanout->takers[kind];
            while (*end) {
                end++;
            }
            *end = sink;
        }
    }
    return 0;
}
