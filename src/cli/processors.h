/*
 * --message-processors: which of mite's own two are wanted (the 2-second lines, the message log), and the user's
 * classes.
 */
#pragma once

#include "bus/sink.h"
#include "cli/options.h"

#define PROCESSORS_MAX 24

struct python_api;

struct processors {
    bool http_stats, message_log, debug_messages;
    struct sink *sinks[PROCESSORS_MAX]; /* owned: the user's */
    size_t count;
};

/* Whether one of --message-processors is the user's own: then Python is started before they are loaded. */
bool processors_need_python(const struct options *options);

/* Both of mite's without the option, none with an empty one. */
int processors_load(struct processors *processors, const struct options *options, const struct python_api *python,
                    struct mite_error *error);
void processors_free(struct processors *processors);

/* The map that a processor is made with: every option as the user would write it, {"--report": false, ...}. */
int options_to_value(const struct options *options, struct arena *arena, struct value *out);
