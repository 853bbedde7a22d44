/*
 * Sender: a sink whose messages go out over a PUSH socket. It keeps a queue of its own in front of a small one in the
 * library, so that a slow or absent receiver never blocks the loop and nothing is lost unseen: past `max_bytes` the
 * newest message is dropped and counted by its type.
 *
 * Life cycle: sender_new, messages (as a sink, or as bytes), sender_when_flushed to know that all has been handed over,
 * sender_free.
 */
#pragma once

#include "bus/sink.h"
#include "bus/socket.h"

struct sender;

#define SENDER_TYPES_MAX  32         /* kinds of dropped messages that are told apart; the others are "other" */
#define SENDER_BUFFER_MAX (64 << 20) /* default of --send-buffer, bytes */

struct sender_counts {
    uint64_t sent, sent_bytes; /* handed to the library */
    uint64_t queued, queued_bytes;
    uint64_t dropped;
    uint64_t at_risk; /* were in the library's hands when a connection went down: they may have been lost */
};

/* `bind`: bind to the address, otherwise connect. max_bytes 0: SENDER_BUFFER_MAX. */
int sender_new(struct bus *bus, const char *address, bool bind, uint64_t max_bytes, struct sender **out,
               struct mite_error *error) PRIVATE_API(sender_new);
const char *sender_address(const struct sender *sender);                  /* see socket_address() */
struct sink *sender_sink(struct sender *sender) PRIVATE_API(sender_sink); /* sink_free frees the sender */
/* One message as bytes, copied; its type is looked up only when it must be dropped. */
void sender_raw(struct sender *sender, struct str bytes) PRIVATE_API(sender_raw);
void sender_count(const struct sender *sender, struct sender_counts *out) PRIVATE_API(sender_count);
/* Calls each(arg, type, number) for every type that was dropped. */
void sender_each_dropped(const struct sender *sender, void (*each)(void *arg, struct str type, uint64_t count),
                         void *arg) PRIVATE_API(sender_each_dropped);
/* Calls done(arg) from the loop once the queue is empty; at once when it is. One wait at a time; NULL forgets it. */
void sender_when_flushed(struct sender *sender, void (*done)(void *arg), void *arg);
void sender_free(struct sender *sender) PRIVATE_API(sender_free); /* what is queued is lost; NULL is a no-op */
