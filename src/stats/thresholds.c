#include "stats/thresholds.h"

#include "base/clock.h"

#include <math.h>
#include <stdlib.h>

/* One "P:MS". `item` is zero-terminated. */
static int parse_item(struct percentile_limit *out, char *item, struct mite_error *error)
{
    char *colon = strchr(item, ':');
    double percent, limit;
    if (!colon) {
        return error_set(error, MITE_EINVAL,
                         "--benchmark-percentiles: \"%s\" has no colon (PERCENT:MILLISECONDS, such as 99:250)", item);
    }
    *colon = '\0';
    if (!str_to_double(item, &percent) || !(percent > 0 && percent <= 100)) {
        return error_set(error, MITE_EINVAL,
                         "--benchmark-percentiles: \"%s\" is no percentile (a number above 0, up to 100)", item);
    }
    if (!str_to_double(colon + 1, &limit) || !(limit >= 0 && isfinite(limit))) {
        return error_set(error, MITE_EINVAL,
                         "--benchmark-percentiles: \"%s\" is no limit for percentile %s (milliseconds; 0 is off)",
                         colon + 1, item);
    }
    *out = (struct percentile_limit){percent, limit};
    return 0;
}

static int by_percent(const void *a, const void *b)
{
    double x = ((const struct percentile_limit *)a)->percent, y = ((const struct percentile_limit *)b)->percent;
    return (x > y) - (x < y);
}

static int parse_list(struct thresholds *parsed, char *list, struct mite_error *error)
{
    for (char *item = list, *next; item; item = next) {
        next = strchr(item, ',');
        if (next) {
            *next++ = '\0';
        }
        if (parsed->percentile_count == THRESHOLD_PERCENTILES_MAX) {
            return error_set(error, MITE_ELIMIT, "--benchmark-percentiles: more than %d percentiles",
                             THRESHOLD_PERCENTILES_MAX);
        }
        int code = parse_item(&parsed->percentiles[parsed->percentile_count], item, error);
        if (code != 0) {
            return code;
        }
        parsed->percentile_count++;
    }
    qsort(parsed->percentiles, parsed->percentile_count, sizeof *parsed->percentiles, by_percent);
    for (size_t i = 1; i < parsed->percentile_count; i++) {
        if (parsed->percentiles[i].percent == parsed->percentiles[i - 1].percent) {
            return error_set(error, MITE_EINVAL, "--benchmark-percentiles: percentile %g is there twice",
                             parsed->percentiles[i].percent);
        }
    }
    return 0;
}

int thresholds_parse_percentiles(struct thresholds *thresholds, const char *text, struct mite_error *error)
{
    char *list = str_copy(str_of(text ? text : THRESHOLD_PERCENTILES_DEFAULT));
    if (!list) {
        return error_set(error, MITE_ENOMEM, "out of memory");
    }
    struct thresholds parsed = *thresholds;
    parsed.percentile_count = 0;
    int code = parse_list(&parsed, list, error);
    if (code == 0) {
        *thresholds = parsed;
    }
    free(list);
    return code;
}

/* A limit in milliseconds against a value in nanoseconds. */
static size_t check_ms(struct buf *lines, const char *what, double value_ns, double limit_ms)
{
    double value_ms = value_ns / (double)NS_PER_MS;
    if (limit_ms <= 0 || value_ms <= limit_ms) {
        return 0;
    }
    buf_printf(lines, "%s: %.2f ms, above the threshold of %g ms\n", what, value_ms, limit_ms);
    return 1;
}

static size_t check_percentiles(struct buf *lines, const struct thresholds *thresholds, const struct totals *totals)
{
    size_t crossed = 0;
    for (size_t i = 0; i < thresholds->percentile_count; i++) {
        const struct percentile_limit *limit = &thresholds->percentiles[i];
        double value_ms = (double)hist_percentile(&totals->latency, limit->percent) / (double)NS_PER_MS;
        if (percentile_limit_crossed(limit, value_ms)) {
            buf_printf(lines, "response time, p%g: %.2f ms, not below the threshold of %g ms\n", limit->percent,
                       value_ms, limit->limit_ms);
            crossed++;
        }
    }
    return crossed;
}

size_t thresholds_crossed(const struct thresholds *thresholds, struct totals *totals, struct buf *lines)
{
    size_t crossed = 0;
    if (totals->errors > thresholds->max_errors) {
        buf_printf(lines, "errors: %llu, above the threshold of %llu\n", (unsigned long long)totals->errors,
                   (unsigned long long)thresholds->max_errors);
        crossed++;
    }
    const struct hist *latency = &totals->latency;
    crossed += check_ms(lines, "response time, maximum", (double)latency->max_ns, thresholds->max_response_ms);
    crossed += check_ms(lines, "response time, mean", hist_mean(latency), thresholds->mean_response_ms);
    crossed += check_ms(lines, "response time, standard deviation", hist_deviation(latency),
                        thresholds->deviation_response_ms);
    crossed += check_percentiles(lines, thresholds, totals);

    double rate, deviation;
    totals_request_rate(totals, &rate, &deviation);
    if (thresholds->deviation_requests_per_s > 0 && deviation > thresholds->deviation_requests_per_s) {
        buf_printf(lines, "requests per second, standard deviation: %.2f, above the threshold of %g\n", deviation,
                   thresholds->deviation_requests_per_s);
        crossed++;
    }
    return crossed;
}
