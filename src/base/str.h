/*
 * Borrowed text: a pointer and a length, no terminating zero promised. A `struct str` never owns.
 */
#pragma once

#include "base/export.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct str {
    const char *p; /* NULL: none, which is not the same as empty */
    size_t n;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_NONE     ((struct str){NULL, 0})
#define STR_FMT      "%.*s"
#define STR_ARG(s)   (int)(s).n, (s).p

static inline struct str str_of(const char *text)
{
    return (struct str){text, text ? strlen(text) : 0};
}

static inline bool str_equal(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_is(struct str a, const char *text)
{
    return a.n == strlen(text) && memcmp(a.p, text, a.n) == 0;
}

/* More than the ending alone. */
static inline bool str_ends_in(struct str s, const char *ending)
{
    size_t n = strlen(ending);

    return s.n > n && memcmp(s.p + s.n - n, ending, n) == 0;
}

/* What a hexadecimal digit stands for, in either case; -1: it is none. */
static inline int str_hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* ASCII only, as HTTP and our options need it. */
bool str_equal_nocase(struct str a, struct str b) PRIVATE_API(str_equal_nocase);

/* Bytes of the character that the text starts with, 0 when that is not well-formed UTF-8 or the text is empty. */
size_t str_utf8_length(struct str s) PRIVATE_API(str_utf8_length);

/* Well-formed UTF-8: no surrogates, no overlong forms. */
bool str_is_utf8(struct str s) PRIVATE_API(str_is_utf8);

/* Owned, zero-terminated copy, to be freed with free(); NULL without memory. */
char *str_copy(struct str s) PRIVATE_API(str_copy);

/* The candidate nearest to `word` by edit distance, or NULL when none is near enough to suggest
 * (more than a third of its letters differ). Used for `did you mean "..."?`. */
const char *str_nearest(const char *word, const char *const *candidates, size_t count) PRIVATE_API(str_nearest);

/* Whole text as a number; false unless all of it is one (no blanks, no "1e", no overflow, no NaN). */
bool str_to_int64(const char *text, long long *out) PRIVATE_API(str_to_int64);
bool str_to_double(const char *text, double *out) PRIVATE_API(str_to_double);

/* The fewest digits that str_to_double() makes the same number of, whatever the locale; 3 becomes "3". */
#define STR_DOUBLE_SIZE 32
void str_from_double(char out[STR_DOUBLE_SIZE], double f) PRIVATE_API(str_from_double);
