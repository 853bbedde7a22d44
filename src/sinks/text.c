#include "sinks/text.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WRAP_MIN 20 /* columns that a wrapped line has at least */

static struct text format(const char *pattern, ...) __attribute__((format(printf, 1, 2)));

static struct text format(const char *pattern, ...)
{
    struct text text;
    va_list args;
    va_start(args, pattern);
    vsnprintf(text.s, sizeof text.s, pattern, args);
    va_end(args);
    return text;
}

/* Three digits; the bounds are where rounding would make it four. */
static struct text three_digits(double value, const char *unit)
{
    return format("%.*f %s", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, unit);
}

struct text text_duration(uint64_t ns)
{
    uint64_t s = ns / NS_PER_S;
    if (ns == 0) {
        return format("0 s");
    }
    if (ns < NS_PER_US) {
        return format("%d ns", (int)ns);
    }
    if (ns < 999500) {
        return three_digits((double)ns / 1e3, "µs");
    }
    if (ns < 999500000) {
        return three_digits((double)ns / 1e6, "ms");
    }
    if (s < 60) {
        return three_digits((double)ns / 1e9, "s");
    }
    if (s < 3600) {
        return format("%dm %02ds", (int)(s / 60), (int)(s % 60));
    }
    return format("%lluh %02dm", (unsigned long long)(s / 3600), (int)(s / 60 % 60));
}

struct text text_count(uint64_t n)
{
    struct text digits = format("%llu", (unsigned long long)n), text;
    size_t length = strlen(digits.s), out = 0;
    for (size_t i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            text.s[out++] = ',';
        }
        text.s[out++] = digits.s[i];
    }
    text.s[out] = '\0';
    return text;
}

struct text text_counted(uint64_t n, const char *what)
{
    return format("%s %s%s", text_count(n).s, what, n == 1 ? "" : "s");
}

struct text text_rate(double per_second)
{
    if (per_second < 99.95) {
        return format("%.*f/s", per_second < 9.995 ? 2 : 1, per_second);
    }
    return format("%s/s", text_count((uint64_t)(per_second + 0.5)).s);
}

struct text text_bytes(uint64_t bytes)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    if (bytes < 1000) {
        return format("%d B", (int)bytes);
    }
    double value = (double)bytes / 1e3;
    size_t unit = 0;
    while (value >= 999.5) {
        value /= 1e3;
        unit++;
    }
    return three_digits(value, units[unit]);
}

struct text text_clock(uint64_t ns)
{
    uint64_t s = ns / NS_PER_S;
    if (s < 3600) {
        return format("%02d:%02d", (int)(s / 60), (int)(s % 60));
    }
    return format("%llu:%02d:%02d", (unsigned long long)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
}

/* Bytes of the character at `p`; 0 when it may not be shown: broken, or a control character. */
static size_t printable(const char *p, const char *end)
{
    const unsigned char *u = (const unsigned char *)p;
    bool control = u[0] < 0x20 || u[0] == 0x7f || (u[0] == 0xc2 && end - p > 1 && u[1] < 0xa0);
    return control ? 0 : str_utf8_length((struct str){p, (size_t)(end - p)});
}

static const char *next_character(const char *p, const char *end)
{
    size_t n = printable(p, end);
    return p + (n ? n : 1);
}

size_t text_width(struct str s)
{
    size_t width = 0;
    for (const char *p = s.p, *end = s.p + s.n; p < end; p = next_character(p, end)) {
        width++;
    }
    return width;
}

/* Characters `from` up to, not including, `to` of the text. */
static void append_characters(struct buf *out, struct str s, size_t from, size_t to)
{
    const char *p = s.p, *end = s.p + s.n;
    for (size_t i = 0; p < end && i < to; i++) {
        size_t n = printable(p, end);
        if (i >= from) {
            buf_append(out, n ? p : "?", n ? n : 1);
        }
        p += n ? n : 1;
    }
}

static void pad(struct buf *out, size_t width)
{
    buf_printf(out, "%*s", (int)width, "");
}

void text_fit(struct buf *out, struct str s, size_t width, bool right)
{
    size_t have = text_width(s);
    if (have > width) {
        size_t head = width / 2;
        append_characters(out, s, 0, head);
        buf_text(out, width ? "…" : "");
        append_characters(out, s, have - (width ? width - head - 1 : 0), have);
        return;
    }
    if (right) {
        pad(out, width - have);
    }
    append_characters(out, s, 0, have);
    if (!right) {
        pad(out, width - have);
    }
}

/* Where to break a line of at most `width` characters: behind a blank if there is one, else in the middle of a word. */
static const char *line_end(const char *p, const char *end, size_t width)
{
    const char *blank = NULL;
    for (size_t i = 0; i <= width && p < end; i++) {
        if (*p == '\n') {
            return p;
        }
        if (*p == ' ') {
            blank = p;
        }
        if (i == width) {
            return blank ? blank : p;
        }
        p = next_character(p, end);
    }
    return p;
}

void text_wrap(struct buf *out, struct str s, size_t column, size_t indent, size_t width)
{
    const char *p = s.p, *end = s.p + s.n;
    while (p < end) {
        size_t room = width > column + WRAP_MIN ? width - column : WRAP_MIN;
        const char *stop = line_end(p, end, room);
        if (stop > p) {
            append_characters(out, (struct str){p, (size_t)(stop - p)}, 0, SIZE_MAX);
        }
        p = stop < end && (*stop == '\n' || *stop == ' ') ? stop + 1 : stop;
        if (stop > s.p && p < end && *p != '\n') {
            buf_char(out, '\n');
            pad(out, indent);
            column = indent;
        }
    }
    buf_char(out, '\n');
}

int text_columns(int fd, int fallback)
{
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : fallback;
}

bool text_terminal(int fd)
{
    const char *term = getenv("TERM");
    return isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
}

bool text_colour(int fd)
{
    const char *no_color = getenv("NO_COLOR");
    return text_terminal(fd) && !(no_color && *no_color);
}

const char *colour_code(bool on, enum colour colour)
{
    static const char *const codes[] = {
        [COLOUR_NONE] = "\033[0m",  [COLOUR_BOLD] = "\033[1m", [COLOUR_DIM] = "\033[2m",
        [COLOUR_GOOD] = "\033[32m", [COLOUR_BAD] = "\033[31m", [COLOUR_WARN] = "\033[33m",
    };
    return on ? codes[colour] : "";
}
