/*
 * --events: which of a runner's messages go to the message socket. Its figures reach the controller in any case; events
 * are what stats, collector and recorder live on. What journeys make for the recorder always goes, and what they say to
 * people (debug_console_message).
 */
#pragma once

#include "base/error.h"
#include "bus/sink.h"

enum events_wanted { EVENTS_ALL, EVENTS_ERRORS, EVENTS_NONE };

struct events {
    struct sink sink;
    struct sink *to; /* borrowed */
    enum events_wanted wanted;
};

/* MITE_EINVAL names the three. */
int events_parse(const char *text, enum events_wanted *out, struct mite_error *error);
void events_init(struct events *events, enum events_wanted wanted, struct sink *to);
