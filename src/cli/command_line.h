/*
 * The command line and environment of a process of ours that this one starts, with options as they were given here. An
 * error shows when it is taken.
 */
#pragma once

#include "base/buf.h"
#include "cli/options.h"

struct command_line {
    struct buf words; /* each with its zero */
};

void command_line_init(struct command_line *line);
/* How this process was started, without arguments: mite, or python -m mite. */
void command_line_program(struct command_line *line);
void command_line_add(struct command_line *line, const char *word);
void command_line_printf(struct command_line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* All options of these groups that are not what they would be without a word; or one by its name. */
void command_line_options(struct command_line *line, const struct options *options, unsigned groups);
void command_line_option(struct command_line *line, const struct options *options, const char *name);
/* As for execv, to be freed with free(), in one piece; NULL without memory. */
char **command_line_take(struct command_line *line);

/* Our own environment without options, and with one more entry. The same. */
char **command_line_environment(const char *more);
