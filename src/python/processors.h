/*
 * The user's own message processors as sinks: objects with process_message(dict) or process_raw_message(bytes). And
 * --collector-filter, a function of the raw bytes. One that raises is logged once; the load goes on.
 */
#pragma once

#include "python/module.h"

/* See python_api.load_processor, processor_bytes and load_filter. */
int processors_load(const char *spec, const struct value *options, struct sink **out, struct mite_error *error);
void processors_bytes(struct sink *sink, struct str bytes);
int processors_filter(const char *spec, bool (**filter)(void *arg, struct str bytes), void **arg,
                      struct mite_error *error);

/* Whether a filter, a callable, keeps a message. One that raises keeps it: the exception is set. */
bool processors_keeps(void *filter, struct str bytes);
