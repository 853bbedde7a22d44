/*
 * Outbox: a PUSH socket with a queue of our own in front of it, so that a slow or absent receiver never blocks the loop
 * and nothing is lost unseen. Past its limit the newest message is dropped and counted by its type.
 *
 * Life cycle: outbox_open, messages, outbox_when_empty to know that all has been handed to the library, outbox_close.
 */
#pragma once

#include "bus/sender.h"

struct outbox;

struct outbox_options {
    uint64_t max_bytes; /* of the queue, with what a message costs besides its bytes; 0: SENDER_BUFFER_MAX */
    /* Messages are handed over at once when 0, otherwise so much later, together with those that come meanwhile: that
     * wakes the library's thread once for all of them. */
    uint64_t delay_ns;
    /* Of one that connects: nothing is handed over while nobody is there. The library would take it, and throw it away
     * in the end, unseen. Not for who seldom turns the loop. */
    bool needs_peer;
    int high_water; /* messages in the library's hands; 0: 500. More for who seldom turns the loop. */
    /* Something was dropped for the first time, or again after the queue had been empty. May be NULL. */
    void (*dropping)(void *arg);
    void *arg;
};

int outbox_open(struct bus *bus, const struct outbox_options *options, struct outbox **out, struct mite_error *error)
    PRIVATE_API(outbox_open);
int outbox_bind(struct outbox *outbox, const char *address, struct mite_error *error) PRIVATE_API(outbox_bind);
int outbox_connect(struct outbox *outbox, const char *address, struct mite_error *error) PRIVATE_API(outbox_connect);
const char *outbox_address(const struct outbox *outbox) PRIVATE_API(outbox_address);

/* Takes the message in any case. */
void outbox_put(struct outbox *outbox, struct bus_message *message);
/* A copy of the bytes. */
void outbox_put_bytes(struct outbox *outbox, struct str bytes) PRIVATE_API(outbox_put_bytes);

/* One that there is no memory for, or no place: counted by its type like the others. */
void outbox_drop(struct outbox *outbox, struct str type);

void outbox_count(const struct outbox *outbox, struct sender_counts *out) PRIVATE_API(outbox_count);
void outbox_each_dropped(const struct outbox *outbox, void (*each)(void *arg, struct str type, uint64_t count),
                         void *arg);
/* Calls done(arg) from the loop once the queue is empty, at once when it is; nothing is put off any more. NULL forgets
 * it. */
void outbox_when_empty(struct outbox *outbox, void (*done)(void *arg), void *arg) PRIVATE_API(outbox_when_empty);
void outbox_close(struct outbox *outbox) PRIVATE_API(outbox_close); /* what is queued is lost; NULL is a no-op */
