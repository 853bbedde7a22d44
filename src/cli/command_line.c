#include "cli/command_line.h"

#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX ((size_t)4 << 20) /* bytes; the system allows less */

extern char **environ;

void command_line_init(struct command_line *line)
{
    buf_init(&line->words, WORDS_MAX);
}

void command_line_add(struct command_line *line, const char *word)
{
    buf_append(&line->words, word, strlen(word) + 1);
}

void command_line_printf(struct command_line *line, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    buf_vprintf(&line->words, format, args);
    va_end(args);
    buf_char(&line->words, '\0');
}

/* The name under which we were started: Python finds its virtual environment by it. */
static void add_own_name(struct command_line *line)
{
    char name[4096] = "";
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, name, sizeof name - 1) : -1;

    if (fd >= 0) {
        close(fd);
    }
    command_line_add(line, n > 0 ? name : "mite");
}

void command_line_program(struct command_line *line)
{
    add_own_name(line);
    if (cli_in_python()) {
        command_line_add(line, "-m");
        command_line_add(line, "mite");
    }
}

/* ---- options ---- */

static void add_list(struct command_line *line, const char *name, const struct option_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        command_line_printf(line, "--%s=%s", name, list->items[i]);
    }
}

static void add_option(struct command_line *line, const struct options *options, const struct option *option)
{
    const char *at = (const char *)options + option->offset;
    char number[STR_DOUBLE_SIZE];
    const char *text;

    switch (option->kind) {
    case OPTION_FLAG:
        if (*(const bool *)at) {
            command_line_printf(line, "--%s", option->name);
        }
        break;
    case OPTION_OFF:
        if (!*(const bool *)at) {
            command_line_printf(line, "--%s", option->name);
        }
        break;
    case OPTION_ON_OFF:
        command_line_printf(line, "--%s=%s", option->name, *(const bool *)at ? "on" : "off");
        break;
    case OPTION_TEXT:
    case OPTION_LEVEL:
        text = *(const char *const *)at;
        if (text && (!option->fallback || strcmp(text, option->fallback) != 0)) {
            command_line_printf(line, "--%s=%s", option->name, text);
        }
        break;
    case OPTION_INTEGER:
        command_line_printf(line, "--%s=%" PRId64, option->name, *(const int64_t *)at);
        break;
    case OPTION_NUMBER:
        str_from_double(number, *(const double *)at);
        command_line_printf(line, "--%s=%s", option->name, number);
        break;
    case OPTION_LIST:
        add_list(line, option->name, (const struct option_list *)at);
        break;
    }
}

void command_line_options(struct command_line *line, const struct options *options, unsigned groups)
{
    for (size_t i = 0; i < option_count; i++) {
        if (option_table[i].group & groups) {
            add_option(line, options, &option_table[i]);
        }
    }
}

void command_line_option(struct command_line *line, const struct options *options, const char *name)
{
    for (size_t i = 0; i < option_count; i++) {
        if (strcmp(option_table[i].name, name) == 0) {
            add_option(line, options, &option_table[i]);
        }
    }
}

/* ---- taking ---- */

char **command_line_take(struct command_line *line)
{
    struct buf *words = &line->words;
    size_t count = 0, at = 0;
    char **argv = NULL;

    for (size_t i = 0; i < words->size; i++) {
        count += words->data[i] == '\0';
    }
    if (!words->failed) {
        argv = malloc((count + 1) * sizeof *argv + words->size);
    }
    if (argv) {
        char *text = memcpy(argv + count + 1, words->data, words->size);
        for (size_t i = 0; i < count; i++) {
            argv[i] = text + at;
            at += strlen(argv[i]) + 1;
        }
        argv[count] = NULL;
    }
    buf_done(words);
    return argv;
}

char **command_line_environment(const char *more)
{
    struct command_line line;

    command_line_init(&line);
    for (char **entry = environ; *entry; entry++) {
        if (strncmp(*entry, "MITE_OPT_", strlen("MITE_OPT_")) != 0) {
            command_line_add(&line, *entry);
        }
    }
    command_line_add(&line, more);
    return command_line_take(&line);
}
