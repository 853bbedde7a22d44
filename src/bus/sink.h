/*
 * A sink eats messages; a fanout is a sink that hands each message to several, in order of adding. Embedded in their
 * owners. A sink never fails towards the sender: what it could not keep it counts and reports itself.
 */
#pragma once

#include "bus/message.h"

struct sink;

struct sink_ops {
    const char *name; /* for people: "collector" */
    void (*message)(struct sink *sink, const struct message *message);
    void (*free)(struct sink *sink); /* flush, close, free; may be NULL */
};

struct sink {
    const struct sink_ops *ops;
};

static inline void sink_message(struct sink *sink, const struct message *message)
{
    sink->ops->message(sink, message);
}

static inline void sink_free(struct sink *sink)
{
    if (sink && sink->ops->free) {
        sink->ops->free(sink);
    }
}

#define FANOUT_MAX 32

struct fanout {
    struct sink sink;
    struct sink *sinks[FANOUT_MAX]; /* borrowed */
    size_t count;
};

void fanout_init(struct fanout *fanout) PRIVATE_API(fanout_init);
int fanout_add(struct fanout *fanout, struct sink *sink) PRIVATE_API(fanout_add); /* 0 or MITE_ELIMIT */
