/* The histogram against sorted arrays, and at its edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "stats/hist.h"

#define SAMPLES 100000

static const double percents[] = {0.1, 1, 10, 25, 50, 75, 90, 95, 98, 99, 99.9, 99.99};
#define PERCENTS (sizeof percents / sizeof *percents)

static uint64_t state = 88172645463325252;

static double uniform(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) / (double)(UINT64_C(1) << 53);
}

static uint64_t flat(void)
{
    return (uint64_t)(uniform() * 5e9);
}

/* From a microsecond to an hour, every octave as likely as any other. */
static uint64_t wide(void)
{
    return (uint64_t)(1e3 * exp(uniform() * log(3.6e9)));
}

/* Most around 80 µs, a few a thousand times longer: a server with a garbage collector. */
static uint64_t with_tail(void)
{
    return (uint64_t)(80e3 * exp(0.2 * (uniform() + uniform() - 1)) * (uniform() < 0.002 ? 1000 : 1));
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void assert_within(uint64_t value, uint64_t expected, double share)
{
    if (fabs((double)value - (double)expected) > share * (double)expected) {
        fail_msg("%llu is not %llu", (unsigned long long)value, (unsigned long long)expected);
    }
}

static void compare(uint64_t (*sample)(void), int digits, double share)
{
    uint64_t *values = calloc(SAMPLES, sizeof *values), at[PERCENTS];
    struct hist hist;
    hist_init(&hist, digits);
    for (size_t i = 0; i < SAMPLES; i++) {
        values[i] = sample();
        hist_record(&hist, values[i]);
    }
    qsort(values, SAMPLES, sizeof *values, ascending);
    hist_percentiles(&hist, percents, PERCENTS, at);
    for (size_t i = 0; i < PERCENTS; i++) {
        uint64_t exact = values[(size_t)(ceil(percents[i] / 100 * SAMPLES * (1 - 1e-12))) - 1];
        assert_within(at[i], exact, share);
        assert_int_equal(at[i], hist_percentile(&hist, percents[i]));
    }
    assert_int_equal(hist_percentile(&hist, 0), values[0]);
    assert_int_equal(hist_percentile(&hist, 100), values[SAMPLES - 1]);
    assert_int_equal(hist_min(&hist), values[0]);
    assert_int_equal(hist.max_ns, values[SAMPLES - 1]);
    assert_int_equal(hist.unplaced, 0);
    hist_done(&hist);
    free(values);
}

static void test_percentiles(void **unused)
{
    compare(flat, 3, 0.001);
    compare(wide, 3, 0.001);
    compare(with_tail, 3, 0.001);
}

static void test_two_digits(void **unused)
{
    compare(wide, 2, 0.01);
}

static void test_moments(void **unused)
{
    struct hist hist;
    hist_init(&hist, 3);
    static const uint64_t values[] = {1000, 4000, 4000, 4000, 5000, 5000, 6900, 10100};
    for (size_t i = 0; i < 8; i++) {
        hist_record(&hist, values[i]);
    }
    assert_true(fabs(hist_mean(&hist) - 5000) < 1e-9);
    assert_true(fabs(hist_deviation(&hist) - sqrt(6077500)) < 1e-6);
    /* All but the first and the last. */
    assert_true(fabs(hist_share_within(&hist) - 6.0 / 8) < 1e-12);
    assert_within(hist_percentile(&hist, 50), 4000, 0.001);
    hist_done(&hist);
}

static void test_same_values(void **unused)
{
    struct hist hist;
    hist_init(&hist, 3);
    for (int i = 0; i < 1000; i++) {
        hist_record(&hist, 123456789);
    }
    assert_true(hist_deviation(&hist) == 0);
    assert_true(hist_share_within(&hist) == 1);
    assert_int_equal(hist_percentile(&hist, 99.9), 123456789);
    hist_done(&hist);
}

static void test_empty(void **unused)
{
    struct hist hist;
    hist_init(&hist, 3);
    assert_int_equal(hist_percentile(&hist, 50), 0);
    assert_int_equal(hist_percentile(&hist, 100), 0);
    assert_int_equal(hist_min(&hist), 0);
    assert_true(hist_mean(&hist) == 0 && hist_deviation(&hist) == 0 && hist_share_within(&hist) == 0);
    hist_done(&hist);
}

static void test_extremes(void **unused)
{
    struct hist hist;
    hist_init(&hist, 3);
    hist_record(&hist, 0);
    hist_record(&hist, UINT64_MAX);
    hist_record(&hist, UINT64_MAX);
    assert_int_equal(hist.count, 3);
    assert_int_equal(hist_min(&hist), 0);
    assert_int_equal(hist.max_ns, HIST_MAX_NS);
    assert_int_equal(hist_percentile(&hist, 30), 0);
    assert_within(hist_percentile(&hist, 60), HIST_MAX_NS, 0.001);
    hist_done(&hist);
}

static void test_every_bucket_joins(void **unused)
{
    /* The octaves meet without gap or overlap: just below, at and above each power of two. */
    for (int bit = 1; bit < 44; bit++) {
        for (int off = -1; off <= 1; off++) {
            struct hist hist;
            uint64_t value = (UINT64_C(1) << bit) + (uint64_t)(int64_t)off;
            hist_init(&hist, 3);
            hist_record(&hist, value);
            hist_record(&hist, HIST_MAX_NS);
            hist_record(&hist, 0);
            assert_within(hist_percentile(&hist, 50), value, 0.0005);
            hist_done(&hist);
        }
    }
}

static void test_merge_is_recording_both(void **unused)
{
    struct hist a, b, both;
    hist_init(&a, 3);
    hist_init(&b, 3);
    hist_init(&both, 3);
    for (int i = 0; i < 1000; i++) {
        uint64_t x = flat(), y = wide();
        hist_record(&a, x);
        hist_record(&b, y);
        hist_record(&both, x);
        hist_record(&both, y);
    }
    hist_merge(&a, &b);
    assert_int_equal(a.count, both.count);
    assert_int_equal(a.sum_ns, both.sum_ns);
    assert_int_equal(a.min_ns, both.min_ns);
    assert_int_equal(a.max_ns, both.max_ns);
    for (size_t i = 0; i < PERCENTS; i++) {
        assert_int_equal(hist_percentile(&a, percents[i]), hist_percentile(&both, percents[i]));
    }
    hist_done(&a);
    hist_done(&b);
    hist_done(&both);
}

static void test_clear(void **unused)
{
    struct hist hist;
    hist_init(&hist, 3);
    hist_record(&hist, 5000);
    hist_clear(&hist);
    assert_int_equal(hist.count, 0);
    assert_int_equal(hist_percentile(&hist, 50), 0);
    hist_record(&hist, 7000);
    assert_within(hist_percentile(&hist, 50), 7000, 0.001);
    assert_int_equal(hist_min(&hist), 7000);
    hist_done(&hist);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_two_digits),
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_same_values),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_every_bucket_joins),
        cmocka_unit_test(test_merge_is_recording_both),
        cmocka_unit_test(test_clear),
    };
    return cmocka_run_group_tests_name("hist", tests, NULL, NULL);
}
