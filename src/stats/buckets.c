#include "stats/buckets.h"

#include "base/str.h"

#include <math.h>
#include <stdlib.h>

static struct str trimmed(struct str s)
{
    while (s.n > 0 && s.p[0] == ' ') {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && s.p[s.n - 1] == ' ') {
        s.n--;
    }
    return s;
}

static int parse_bound(const char *variable, struct str item, double *out, struct mite_error *error)
{
    char text[64];

    item = trimmed(item);
    if (item.n > 0 && item.n < sizeof text) {
        memcpy(text, item.p, item.n);
        text[item.n] = '\0';
        if (str_to_double(text, out) && isfinite(*out)) {
            return 0;
        }
    }
    return error_set(error, MITE_EINVAL,
                     "%s: \"%.*s\" is no bound of a bucket: give seconds with commas between them, such as 0.1,0.5,1 "
                     "(+Inf is always there)",
                     variable, item.n < 60 ? (int)item.n : 60, item.p);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int buckets_from_environment(const char *variable, struct buckets *out, struct mite_error *error)
{
    const char *text = getenv(variable), *comma;
    struct buckets buckets = {.count = 0};

    text = text ? text : BUCKETS_DEFAULT;
    do {
        comma = strchr(text, ',');
        struct str item = {text, comma ? (size_t)(comma - text) : strlen(text)};
        if (buckets.count == BUCKETS_MAX) {
            return error_set(error, MITE_EINVAL, "%s has more than %d bounds", variable, BUCKETS_MAX);
        }
        int code = parse_bound(variable, item, &buckets.bounds[buckets.count], error);
        if (code != 0) {
            return code;
        }
        buckets.count++;
        text = comma ? comma + 1 : NULL;
    } while (comma);

    qsort(buckets.bounds, buckets.count, sizeof buckets.bounds[0], compare);
    for (size_t i = 1; i < buckets.count; i++) {
        if (buckets.bounds[i] == buckets.bounds[i - 1]) {
            return error_set(error, MITE_EINVAL, "%s has the bound %g twice", variable, buckets.bounds[i]);
        }
    }
    *out = buckets;
    return 0;
}
