/*
 * Log lines on stderr: `LEVEL text`, with the time in front when stderr is no terminal. Each is one write and at most
 * 64 KiB. An error is logged once, by the caller that deals with it; library code does not log above DEBUG.
 *
 * log_once() keeps a dead target from costing a hundred thousand lines: the first line of a kind is printed, the others
 * are counted, log_flush_repeats() prints `... (N more like it)`.
 */
#pragma once

#include "base/export.h"

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR, LOG_CRITICAL };

void log_set_level(enum log_level level) PRIVATE_API(log_set_level);
bool log_enabled(enum log_level level) PRIVATE_API(log_enabled);

/* Any case, also WARN and FATAL; false for anything else. */
bool log_level_parse(const char *text, enum log_level *out) PRIVATE_API(log_level_parse);

void log_line(enum log_level level, const char *format, ...) PRIVATE_API(log_line)
    __attribute__((format(printf, 2, 3)));

/* `kind` tells lines apart (copied); at most 1,000 kinds, further ones share one. */
void log_once(enum log_level level, const char *kind, const char *format, ...) PRIVATE_API(log_once)
    __attribute__((format(printf, 3, 4)));
void log_flush_repeats(void) PRIVATE_API(log_flush_repeats);

/* Called around every line that goes to stderr, so that a live display can step aside. NULL: none. The hook gets
 * true before the line and false behind it. */
void log_set_hook(void (*hook)(void *arg, bool before), void *arg) PRIVATE_API(log_set_hook);
