#include "base/str.h"

#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define NEAREST_MAX 63 /* longer words are not typed by hand */

static int lower(int c)
{
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

bool str_equal_nocase(struct str a, struct str b)
{
    if (a.n != b.n) {
        return false;
    }
    if (str_equal(a, b)) { /* nearly always it is written as everybody writes it */
        return true;
    }
    for (size_t i = 0; i < a.n; i++) {
        if (a.p[i] != b.p[i] && lower((unsigned char)a.p[i]) != lower((unsigned char)b.p[i])) {
            return false;
        }
    }
    return true;
}

size_t str_utf8_length(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;

    if (s.n == 0 || p[0] < 0x80) {
        return s.n > 0;
    }

    size_t length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;

    if (p[0] < 0xc2 || p[0] > 0xf4 || length > s.n) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }

    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool surrogate = p[0] == 0xed && p[1] > 0x9f;
    bool too_large = p[0] == 0xf4 && p[1] > 0x8f;

    return overlong || surrogate || too_large ? 0 : length;
}

/* Bytes at the start that are ASCII, counted in eights: most texts are nothing else. */
static size_t ascii_length(struct str s)
{
    size_t i = 0;
    uint64_t eight;

    for (; i + sizeof(eight) <= s.n; i += sizeof(eight)) {
        memcpy(&eight, s.p + i, sizeof(eight));
        if (eight & UINT64_C(0x8080808080808080)) {
            break;
        }
    }
    return i;
}

bool str_is_utf8(struct str s)
{
    for (size_t i = ascii_length(s), length; i < s.n; i += length) {
        length = str_utf8_length((struct str){s.p + i, s.n - i});
        if (length == 0) {
            return false;
        }
    }
    return true;
}

char *str_copy(struct str s)
{
    char *copy = s.p ? malloc(s.n + 1) : NULL;

    if (copy) {
        memcpy(copy, s.p, s.n);
        copy[s.n] = '\0';
    }
    return copy;
}

/* Edit distance in which two swapped neighbours count once, as in typing. */
static size_t distance(const char *a, size_t an, const char *b, size_t bn)
{
    size_t rows[3][NEAREST_MAX + 1];

    for (size_t j = 0; j <= bn; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= an; i++) {
        size_t *row = rows[i % 3], *before = rows[(i + 2) % 3], *two_before = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= bn; j++) {
            size_t best = before[j - 1] + (lower(a[i - 1]) != lower(b[j - 1]));

            best = before[j] + 1 < best ? before[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && two_before[j - 2] + 1 < best) {
                best = two_before[j - 2] + 1;
            }
            row[j] = best;
        }
    }
    return rows[an % 3][bn];
}

const char *str_nearest(const char *word, const char *const *candidates, size_t count)
{
    size_t n = strlen(word), best = n > NEAREST_MAX ? 0 : (n > 3 ? n / 3 : 1) + 1;
    const char *nearest = NULL;

    for (size_t i = 0; i < count && n <= NEAREST_MAX; i++) {
        size_t m = strlen(candidates[i]);
        size_t d = m <= NEAREST_MAX ? distance(word, n, candidates[i], m) : best;

        if (d < best) {
            best = d;
            nearest = candidates[i];
        }
    }
    return nearest;
}

/* Numbers here have a point, also when a journey has called setlocale() for a country where they have a comma. */
static locale_t plain;

__attribute__((constructor)) static void make_plain(void)
{
    plain = newlocale(LC_ALL_MASK, "C", NULL); /* glibc has this one ready: it cannot fail */
}

static bool starts_number(const char *text)
{
    return *text == '-' || *text == '+' || *text == '.' || (*text >= '0' && *text <= '9');
}

bool str_to_int64(const char *text, long long *out)
{
    char *end;

    if (!starts_number(text)) {
        return false;
    }
    errno = 0;

    long long value = strtoll(text, &end, 10);

    if (errno || end == text || *end) {
        return false;
    }
    *out = value;
    return true;
}

bool str_to_double(const char *text, double *out)
{
    char *end;

    if (!starts_number(text) || text[strspn(text, "0123456789+-.eE")]) { /* no hexadecimal, no "inf" */
        return false;
    }

    double value = strtod_l(text, &end, plain);

    if (end == text || *end || !isfinite(value)) {
        return false;
    }
    *out = value;
    return true;
}

/* 15 digits name every number that was written with as many, 17 name every other; only the subnormal ones have fewer
 * that mean anything. */
void str_from_double(char out[STR_DOUBLE_SIZE], double f)
{
    locale_t usual = uselocale(plain);

    for (int digits = fabs(f) < DBL_MIN ? 1 : DBL_DIG; digits <= DBL_DECIMAL_DIG; digits++) {
        snprintf(out, STR_DOUBLE_SIZE, "%.*g", digits, f);
        if (strtod(out, NULL) == f) {
            break;
        }
    }
    uselocale(usual);
}
