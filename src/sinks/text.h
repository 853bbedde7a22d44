/*
 * How figures look: durations with units, counts with separators, sizes, and the colours that say good or bad. All
 * short texts are returned by value, so that several fit into one printf.
 */
#pragma once

#include "base/buf.h"

#include <stdint.h>

struct text {
    char s[48];
};

/* Three digits and a unit: "950 ns", "1.23 µs", "12.3 ms", "123 ms", "1.23 s", "2m 05s", "3h 20m". */
struct text text_duration(uint64_t ns) PRIVATE_API(text_duration);
struct text text_count(uint64_t n) PRIVATE_API(text_count); /* "1,234,567" */
/* "1 request", "7,000 requests". */
struct text text_counted(uint64_t n, const char *what) PRIVATE_API(text_counted);
struct text text_rate(double per_second) PRIVATE_API(text_rate); /* "0.35/s", "12.3/s", "1,234/s" */
struct text text_bytes(uint64_t bytes) PRIVATE_API(text_bytes);  /* "512 B", "1.2 MB": decimal units */
struct text text_clock(uint64_t ns) PRIVATE_API(text_clock);     /* "01:05", "1:02:03" */

/* Columns that a text takes on a terminal: its code points; control characters count as one (they are shown as '?'). */
size_t text_width(struct str s) PRIVATE_API(text_width);

/* Appends `s` in exactly `width` columns: padded (on the left when `right`), or cut in the middle with "…". Control
 * characters become "?", so that no text of the user's moves the cursor. */
void text_fit(struct buf *out, struct str s, size_t width, bool right) PRIVATE_API(text_fit);

/* Appends `s` as lines that end at `width`, broken at blanks, each with a newline. The first begins at `column`, where
 * the caller has left it, the others are indented. Empty lines are dropped, control characters become "?". */
void text_wrap(struct buf *out, struct str s, size_t column, size_t indent, size_t width) PRIVATE_API(text_wrap);

/* Columns of the terminal at `fd`; `fallback` when it is none. */
int text_columns(int fd, int fallback) PRIVATE_API(text_columns);

/* True when `fd` is a terminal that can move its cursor: TERM is set and not "dumb". */
bool text_terminal(int fd) PRIVATE_API(text_terminal);

/* True on such a terminal unless NO_COLOR is set (and not empty). */
bool text_colour(int fd) PRIVATE_API(text_colour);

enum colour { COLOUR_NONE, COLOUR_BOLD, COLOUR_DIM, COLOUR_GOOD, COLOUR_BAD, COLOUR_WARN };

/* The sequence that starts a colour, "" when off; COLOUR_NONE ends it. */
const char *colour_code(bool on, enum colour colour) PRIVATE_API(colour_code);
