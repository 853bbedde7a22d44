#include "http/cookie_date.h"

#include <time.h>

struct date {
    int day, month, year, hour, minute, second; /* -1: not found yet; month from 0 */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The delimiters of the RFC; a colon belongs to a time. */
static bool is_delimiter(char c)
{
    unsigned char u = (unsigned char)c;

    return u == 0x09 || (u >= 0x20 && u <= 0x2f) || (u >= 0x3b && u <= 0x40) || (u >= 0x5b && u <= 0x60) ||
           (u >= 0x7b && u <= 0x7e);
}

/* Digits at *p, at least `min` and at most `max` of them; -1 when there are fewer or more. */
static int number(const char **p, const char *end, int min, int max)
{
    int value = 0, count = 0;

    for (; *p < end && is_digit(**p); (*p)++) {
        if (++count > max) {
            return -1;
        }
        value = value * 10 + (**p - '0');
    }
    return count >= min ? value : -1;
}

static bool take_time(const char *p, const char *end, struct date *date)
{
    int hour = number(&p, end, 1, 2);
    if (hour < 0 || p == end || *p++ != ':') {
        return false;
    }
    int minute = number(&p, end, 1, 2);
    if (minute < 0 || p == end || *p++ != ':') {
        return false;
    }
    int second = number(&p, end, 1, 2);
    if (second < 0) {
        return false;
    }
    date->hour = hour;
    date->minute = minute;
    date->second = second;
    return true;
}

static int month_of(const char *p, const char *end)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";

    for (int i = 0; end - p >= 3 && i < 12; i++) {
        if (str_equal_nocase((struct str){p, 3}, (struct str){names + 3 * i, 3})) {
            return i;
        }
    }
    return -1;
}

static int year_of(const char *p, const char *end)
{
    int year = number(&p, end, 2, 4);

    if (year >= 70 && year <= 99) {
        return year + 1900;
    }
    return year >= 0 && year <= 69 ? year + 2000 : year;
}

/* Each token is the first of these that it can be and that is not there yet. */
static void take_token(const char *p, const char *end, struct date *date)
{
    const char *at = p;
    int value;

    if (date->hour < 0 && take_time(p, end, date)) {
        return;
    }
    if (date->day < 0 && (value = number(&at, end, 1, 2)) >= 0) {
        date->day = value;
    } else if (date->month < 0 && (value = month_of(p, end)) >= 0) {
        date->month = value;
    } else if (date->year < 0 && (value = year_of(p, end)) >= 0) {
        date->year = value;
    }
}

bool cookie_date_parse(struct str text, int64_t *out)
{
    struct date date = {-1, -1, -1, -1, -1, -1};
    const char *p = text.n ? text.p : "", *end = p + text.n;

    while (p < end) {
        if (is_delimiter(*p)) {
            p++;
            continue;
        }
        const char *token = p;
        while (p < end && !is_delimiter(*p)) {
            p++;
        }
        take_token(token, p, &date);
    }
    if (date.day < 1 || date.day > 31 || date.month < 0 || date.year < 1601 || date.hour < 0 || date.hour > 23 ||
        date.minute > 59 || date.second > 59) {
        return false;
    }
    struct tm tm = {.tm_mday = date.day,
                    .tm_mon = date.month,
                    .tm_year = date.year - 1900,
                    .tm_hour = date.hour,
                    .tm_min = date.minute,
                    .tm_sec = date.second};
    time_t seconds = timegm(&tm);
    if (tm.tm_mday != date.day) { /* 31 February */
        return false;
    }
    *out = seconds < 1 ? 1 : seconds;
    return true;
}
