#include "base/log.h"
#include "base/buf.h"
#include "base/map.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define KINDS_MAX 1000
#define LINE_MAX_BYTES (64u << 10)

static const char *const names[] = {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"};

static enum log_level threshold = LOG_INFO;
static void (*hook)(void *arg, bool before);
static void *hook_arg;

/* What log_once() has printed: kind -> the number of lines kept back. */
struct repeat {
    enum log_level level;
    uint64_t count;
};

static struct map repeats;
static struct repeat others;
static bool others_used;

void log_set_level(enum log_level level)
{
    threshold = level;
}

bool log_enabled(enum log_level level)
{
    return level >= threshold;
}

bool log_level_parse(const char *text, enum log_level *out)
{
    static const struct {
        const char *name;
        enum log_level level;
    } aliases[] = {{"WARN", LOG_WARNING}, {"FATAL", LOG_CRITICAL}};

    for (int i = 0; i <= LOG_CRITICAL; i++) {
        if (strcasecmp(text, names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        if (strcasecmp(text, aliases[i].name) == 0) {
            *out = aliases[i].level;
            return true;
        }
    }
    return false;
}

void log_set_hook(void (*new_hook)(void *arg, bool before), void *arg)
{
    hook = new_hook;
    hook_arg = arg;
}

static void write_all(const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = write(STDERR_FILENO, bytes, size);

        if (n <= 0) {
            return; /* nobody to tell */
        }
        bytes += n;
        size -= (size_t)n;
    }
}

static void add_time(struct buf *line)
{
    struct timespec now;
    struct tm tm;
    char text[32];

    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &tm);
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
    buf_printf(line, "%s.%03ld ", text, now.tv_nsec / 1000000);
}

static void print(enum log_level level, const char *format, va_list args)
{
    struct buf line;

    buf_init(&line, LINE_MAX_BYTES);
    if (!isatty(STDERR_FILENO)) {
        add_time(&line);
    }
    buf_printf(&line, "%s ", names[level]);
    buf_vprintf(&line, format, args);
    buf_char(&line, '\n');
    if (hook) {
        hook(hook_arg, true);
    }
    write_all(line.data, line.size);
    if (hook) {
        hook(hook_arg, false);
    }
    buf_done(&line);
}

void log_line(enum log_level level, const char *format, ...)
{
    va_list args;

    if (log_enabled(level)) {
        va_start(args, format);
        print(level, format, args);
        va_end(args);
    }
}

/* True when this is the first line of its kind; otherwise it has been counted. */
static bool is_first(enum log_level level, const char *kind)
{
    struct repeat *repeat = map_get(&repeats, str_of(kind));

    if (repeat) {
        repeat->count++;
        return false;
    }
    if (repeats.live_count < KINDS_MAX && (repeat = calloc(1, sizeof(*repeat)))) {
        repeat->level = level;
        if (map_set(&repeats, str_of(kind), repeat, NULL) == 0) {
            return true;
        }
        free(repeat);
    }
    if (others_used) {
        others.count++;
        return false;
    }
    others.level = level;
    return others_used = true;
}

void log_once(enum log_level level, const char *kind, const char *format, ...)
{
    va_list args;

    if (log_enabled(level) && is_first(level, kind)) {
        va_start(args, format);
        print(level, format, args);
        va_end(args);
    }
}

void log_flush_repeats(void)
{
    struct map_entry *entry;

    for (uint32_t i = 0; (entry = map_next(&repeats, &i));) {
        struct repeat *repeat = entry->value;

        if (repeat->count > 0) {
            log_line(repeat->level, STR_FMT " (%llu more like it)", STR_ARG(entry->key),
                     (unsigned long long)repeat->count);
        }
    }
    if (others.count > 0) {
        log_line(others.level, "further kinds of errors (%llu more)", (unsigned long long)others.count);
    }
    map_done(&repeats, free);
    others = (struct repeat){0};
    others_used = false;
}
