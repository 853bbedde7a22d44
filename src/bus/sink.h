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
    unsigned skips;                  /* SINK_SKIPS() of kinds that it does nothing with: a fanout leaves them out */
};

#define SINK_SKIPS(kind)   (1u << (kind))
#define SINK_SKIPS_FIGURES (SINK_SKIPS(MESSAGE_HTTP_METRICS) | SINK_SKIPS(MESSAGE_TXN)) /* nearly all there are */

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
    struct sink *takers[MESSAGE_KINDS][FANOUT_MAX + 1]; /* of each kind of message, NULL behind the last */
};

void fanout_init(struct fanout *fanout) PRIVATE_API(fanout_init);
int fanout_add(struct fanout *fanout, struct sink *sink) PRIVATE_API(fanout_add); /* 0 or MITE_ELIMIT */
