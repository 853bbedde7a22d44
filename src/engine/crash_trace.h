/*
 * The frames of a crash. Noting them is safe in a signal handler; looking up what they are called is for the forked
 * child, and allocates nothing either. For crash.c only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define TRACE_FRAMES 32

struct trace {
    const void *frames[TRACE_FRAMES]; /* innermost first: within the instruction, not behind it */
    size_t count;
    bool own_program; /* nothing of the user's is in the program itself */
};

/* The frames of the code that a signal interrupted, from inside its handler; `context` is the handler's third argument,
 * or NULL. Frames that were noted stay when a fault ends this early. */
void trace_note(struct trace *trace, const void *context);

/* "libfoo.so+0x1234 shop.so+0x10 0x7f12...", for the handler; cut at `bytes`. Returns the length. */
size_t trace_write_raw(const struct trace *trace, char *out, size_t bytes);

/* A line for each frame, ended by 0; `location` gets FILE:LINE:FUNCTION of the innermost one
 * whose line is known and that is neither the C library's nor ours; "": there is none. */
void trace_write(const struct trace *trace, char *out, size_t bytes, char *location, size_t location_bytes);
