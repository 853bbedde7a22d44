/*
 * What a run prints on stderr where there is no live display: two lines every 2 seconds, and the message log.
 *
 * The two-second lines (HttpStatsOutput) read totals and show its window, then start the next; console_print() is
 * called by whoever has the timer, and once more at the end, so that the last window is shown too. All lines are log
 * lines of level INFO, so --log-level rules them.
 */
#pragma once

#include "base/error.h"
#include "bus/sink.h"
#include "sinks/progress.h"
#include "stats/totals.h"

struct console {
    struct totals *totals;   /* borrowed */
    bool journey_logging;    /* a further line for each journey that had errors */
    bool hide_constant_logs; /* the lines are not printed */
};

#define CONSOLE_INTERVAL_NS (UINT64_C(2) * 1000000000)

/* `totals` is borrowed. */
void console_init(struct console *console, struct totals *totals, bool journey_logging, bool hide_constant_logs)
    PRIVATE_API(console_init);
void console_print(struct console *console, const struct progress *progress) PRIVATE_API(console_print);
/* The last window, unless nothing happened in it. */
void console_finish(struct console *console, const struct progress *progress) PRIVATE_API(console_finish);

/*
 * The message log (MsgOutput): messages with a stack trace at WARNING, each kind of error once (log_flush_repeats()
 * tells how often it came again), and every message at DEBUG. Passwords in URLs are masked. A sink without state: not
 * freed.
 */
struct sink *message_log(void) PRIVATE_API(message_log);

/* Prints the text of debug_console_message (DebugMessageOutput). A sink without state: not freed. */
struct sink *debug_message_log(void) PRIVATE_API(debug_message_log);
