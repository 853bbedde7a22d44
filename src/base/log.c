#include "base/log.h"

#include "base/map.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define KINDS_MAX    1000
#define USUAL_SIZE   2048
#define LONGEST_SIZE ((size_t)64 << 10)
#define FULL_MS      100 /* how long to wait for a stderr that takes nothing */

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

/* One write for a line, so that lines of several processes on one stderr do not mix; more only where the system takes
 * less. A stderr that stays full loses the line rather than the load. */
static void write_line(const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = write(STDERR_FILENO, bytes, size);

        if (n >= 0) {
            bytes += n;
            size -= (size_t)n;
        } else if (errno == EAGAIN && poll(&(struct pollfd){.fd = STDERR_FILENO, .events = POLLOUT}, 1, FULL_MS) > 0) {
            continue;
        } else if (errno != EINTR) {
            return; /* nobody to tell */
        }
    }
}

static size_t write_time(char *out, size_t room)
{
    struct timespec now;
    struct tm tm;
    size_t n;

    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &tm);
    n = strftime(out, room, "%Y-%m-%d %H:%M:%S", &tm);
    return n + (size_t)snprintf(out + n, room - n, ".%03ld ", now.tv_nsec / 1000000);
}

/* The line without its end, cut to the room; returns the length that it would have. */
__attribute__((format(printf, 4, 0))) static size_t compose(char *out, size_t room, enum log_level level,
                                                            const char *format, va_list args)
{
    size_t n = isatty(STDERR_FILENO) ? 0 : write_time(out, room);
    int text;

    n += (size_t)snprintf(out + n, room - n, "%s ", names[level]);
    text = vsnprintf(out + n, room - n, format, args);
    return text < 0 ? n : n + (size_t)text;
}

/* Lines carry what servers and journeys say: none of it may steer the terminal. */
static void disarm(char *line, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)line[i];

        if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f) {
            line[i] = '?';
        }
    }
}

/* Works without memory too: what is longer than usual is then cut where the longest is cut otherwise. */
__attribute__((format(printf, 2, 0))) static void print(enum log_level level, const char *format, va_list args)
{
    char usual[USUAL_SIZE], *line = usual, *longer = NULL;
    size_t room = sizeof(usual), n;
    va_list again;

    va_copy(again, args);
    n = compose(line, room, level, format, args);
    if (n + 2 > room && (longer = malloc(LONGEST_SIZE))) {
        line = longer;
        room = LONGEST_SIZE;
        n = compose(line, room, level, format, again);
    }
    va_end(again);
    if (n + 2 > room) {
        n = room - 2;
        memcpy(line + n - 3, "...", 3);
    }
    disarm(line, n);
    line[n] = '\n';
    if (hook) {
        hook(hook_arg, true);
    }
    write_line(line, n + 1);
    if (hook) {
        hook(hook_arg, false);
    }
    free(longer);
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
        log_line(others.level, "further kinds (%llu more)", (unsigned long long)others.count);
    }
    map_done(&repeats, free);
    others = (struct repeat){0};
    others_used = false;
}
