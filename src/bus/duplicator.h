/*
 * Duplicator: what comes in at one socket goes out at each of several, to one of the consumers that are connected
 * there. A message is not copied; each output has a queue of its own, so that a slow one holds up nobody.
 *
 * What an output must drop is told to the consumers once a second, so that statistics can count it:
 *
 *     {"type": "messages_dropped", "time": ..., "component": "duplicator", "output": "tcp://...", "dropped": {type: n}}
 *
 * Life cycle: duplicator_open, messages, duplicator_stop, duplicator_close.
 */
#pragma once

#include "bus/sender.h"

struct duplicator;

struct duplicator_options {
    const char *in; /* addresses are borrowed for the call */
    const char *const *outputs;
    size_t output_count;
    uint64_t max_bytes; /* of each output's queue; 0: SENDER_BUFFER_MAX */
    /* An output began to drop. Once for each; may be NULL. */
    void (*dropping)(void *arg, const char *output);
    void *arg;
};

/* The sentence names the address. */
int duplicator_open(struct bus *bus, const struct duplicator_options *options, struct duplicator **out,
                    struct mite_error *error);
const char *duplicator_in(const struct duplicator *duplicator);
size_t duplicator_output_count(const struct duplicator *duplicator);
const char *duplicator_output(const struct duplicator *duplicator, size_t index);

/* Writes the next `count` messages to stderr, as JSON lines. */
void duplicator_dump(struct duplicator *duplicator, uint64_t count);

void duplicator_count(const struct duplicator *duplicator, size_t index, struct sender_counts *out);
void duplicator_each_dropped(const struct duplicator *duplicator, size_t index,
                             void (*each)(void *arg, struct str type, uint64_t count), void *arg);

/* Takes in what is on its way, closes the input and calls done(arg) once every queue is empty. */
void duplicator_stop(struct duplicator *duplicator, void (*done)(void *arg), void *arg);
void duplicator_close(struct duplicator *duplicator); /* what is queued is dropped; NULL is a no-op */
