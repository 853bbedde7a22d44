#include "bus/sink.h"

#include <stddef.h>

static void fanout_message(struct sink *sink, const struct message *message)
{
    struct fanout *fanout = (struct fanout *)((char *)sink - offsetof(struct fanout, sink));

    for (size_t i = 0; i < fanout->count; i++) {
        sink_message(fanout->sinks[i], message);
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
}

int fanout_add(struct fanout *fanout, struct sink *sink)
{
    if (fanout->count == FANOUT_MAX) {
        return MITE_ELIMIT;
    }
    fanout->sinks[fanout->count++] = sink;
    return 0;
}
