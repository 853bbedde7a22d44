/* The arithmetic of a fleet. */
#include "controller/shares.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define INTERVAL_S 0.25

static struct shares make(size_t entries, double rate, int64_t iterations)
{
    struct shares shares;

    assert_int_equal(shares_init(&shares, entries, rate, iterations, INTERVAL_S), 0);
    return shares;
}

static int64_t target(const struct shares *shares, int runner, size_t entry)
{
    return shares->runners[runner].shares[entry].target;
}

static int64_t targets(const struct shares *shares, size_t entry)
{
    int64_t sum = 0;

    for (size_t i = 0; i < shares->runner_count; i++) {
        sum += target(shares, (int)i, entry);
    }
    return sum;
}

static void test_targets_are_exact(void **state)
{
    struct shares shares = make(3, 0, 0);

    for (int i = 0; i < 7; i++) {
        assert_int_equal(shares_join(&shares, 0), i);
    }
    shares_want(&shares, 0, 10);
    shares_want(&shares, 1, 10);
    shares_want(&shares, 2, 1);
    shares_spread(&shares);
    assert_int_equal(targets(&shares, 0), 10);
    assert_int_equal(targets(&shares, 1), 10);
    assert_int_equal(targets(&shares, 2), 1);
    for (int i = 0; i < 7; i++) { /* 21 over 7 */
        assert_int_equal(target(&shares, i, 0) + target(&shares, i, 1) + target(&shares, i, 2), 3);
    }
    shares_done(&shares);
}

static void test_caps(void **state)
{
    struct shares shares = make(2, 0, 0);

    shares_join(&shares, 2);
    shares_join(&shares, 0);
    shares_want(&shares, 0, 6);
    shares_want(&shares, 1, 5);
    shares_spread(&shares);
    assert_int_equal(target(&shares, 0, 0) + target(&shares, 0, 1), 2);
    assert_int_equal(targets(&shares, 0), 6);
    assert_int_equal(targets(&shares, 1), 5);

    struct shares full = make(2, 0, 0);
    shares_join(&full, 2);
    shares_join(&full, 2);
    shares_want(&full, 0, 30);
    shares_want(&full, 1, 10);
    shares_spread(&full);
    assert_int_equal(targets(&full, 0), 3); /* by what they want */
    assert_int_equal(targets(&full, 1), 1);
    shares_done(&full);
    shares_done(&shares);
}

static void test_who_leaves_is_replaced(void **state)
{
    struct shares shares = make(1, 0, 0);

    shares_join(&shares, 0);
    shares_join(&shares, 0);
    shares_want(&shares, 0, 9);
    shares_spread(&shares);
    shares_rate(&shares, 0);
    shares_rate(&shares, 1);
    assert_false(shares.runners[1].stale);
    shares_report(&shares, 0, 0, 5, 50, 45);
    shares_leave(&shares, 0);
    shares_spread(&shares);
    assert_int_equal(target(&shares, 1, 0), 9);
    assert_true(shares.runners[1].stale);
    assert_int_equal(shares.entries[0].started, 50);
    assert_int_equal(shares_running(&shares, 0), 0);
    assert_int_equal(shares_join(&shares, 0), 0); /* its slot again, empty */
    assert_int_equal(shares.runners[0].shares[0].started, 0);
    shares_done(&shares);
}

/* What a runner reports it counts since its process began: of one that was lost for a while much of that is known. */
static void test_who_comes_back_is_counted_once(void **state)
{
    struct shares shares = make(1, 0, 100);

    shares_join(&shares, 0);
    shares_want(&shares, 0, 9);
    shares_spread(&shares);
    shares_report(&shares, 0, 0, 5, 50, 45);
    shares_leave(&shares, 0);
    shares_join(&shares, 0);
    shares_resume(&shares, 0, 0, &(struct share_past){50, 45, 50}, 5);
    shares_spread(&shares);
    assert_int_equal(shares.started, 50);
    assert_int_equal(shares_running(&shares, 0), 5);
    shares_report(&shares, 0, 0, 2, 60, 58);
    assert_int_equal(shares.entries[0].started, 60);
    assert_int_equal(shares.entries[0].completed, 58);
    assert_int_equal(shares.granted, 60);
    assert_int_equal(shares_starts(&shares, 0, 0), 40);
    shares_done(&shares);
}

static double rates(const struct shares *shares)
{
    double sum = 0;

    for (size_t i = 0; i < shares->runner_count; i++) {
        sum += shares->runners[i].rate;
    }
    return sum;
}

static void test_rates_never_exceed(void **state)
{
    struct shares shares = make(1, 100, 0);

    shares_join(&shares, 0);
    shares_want(&shares, 0, 30);
    shares_spread(&shares);
    assert_true(shares_rate(&shares, 0) == 100);
    shares_join(&shares, 0);
    shares_spread(&shares);
    assert_true(shares_rate(&shares, 1) == 0); /* the first has it all, until it reports */
    assert_true(shares_rate(&shares, 0) == 50);
    assert_true(shares_rate(&shares, 1) == 50);
    shares_report(&shares, 0, 0, 15, 15, 0);
    assert_true(shares_rate(&shares, 0) == 0); /* it has what it should */
    assert_true(shares_rate(&shares, 1) == 100);
    assert_true(rates(&shares) <= 100);
    shares_done(&shares);
}

/* A rate too small to share is one runner's after the other. */
static void test_small_rates(void **state)
{
    struct shares shares = make(1, 1, 0);

    for (int i = 0; i < 20; i++) {
        shares_join(&shares, 0);
    }
    shares_want(&shares, 0, 20);
    shares_spread(&shares);
    for (size_t i = 0; i < 20; i++) {
        assert_true(shares_rate(&shares, i) == (i == 0 ? 1 : 0));
    }
    shares_report(&shares, 0, 0, 1, 1, 0);
    assert_true(shares_rate(&shares, 0) == 0);
    assert_true(shares_rate(&shares, 7) == 1);
    shares_done(&shares);
}

/* Runners that start whatever they may, as fast as they are asked; orders may come late. */
static void use_up(struct shares *shares, size_t runners, int64_t limit)
{
    int64_t started[8] = {0}, may[8] = {0}, total = 0;

    for (int round = 0; round < 1000 && total < limit; round++) {
        size_t i = (size_t)(round * 5 + round / 7) % runners;
        int64_t reported = started[i];
        shares_report(shares, i, 0, target(shares, (int)i, 0) - (started[i] < may[i]), reported, reported);
        if (round % 3 == 0) { /* while its report is on the way it goes on by what it was told before */
            total += may[i] - started[i];
            started[i] = may[i];
        }
        shares_spread(shares);
        int64_t left = shares_starts(shares, i, 0);
        if (reported + left > started[i] || round % 3) {
            may[i] = reported + left;
        }
        if (may[i] > started[i] && round % 2 == 0) {
            total += 1;
            started[i] += 1;
        }
        assert_true(total <= limit);
        assert_true(shares->granted <= limit);
    }
    assert_int_equal(total, limit);
}

static void test_starts_add_up(void **state)
{
    struct shares shares = make(1, 0, 101);

    for (int i = 0; i < 4; i++) {
        shares_join(&shares, 0);
    }
    shares_want(&shares, 0, 40);
    shares_spread(&shares);
    use_up(&shares, 4, 101);
    for (size_t i = 0; i < 4; i++) {
        const struct share *share = &shares.runners[i].shares[0];
        shares_report(&shares, i, 0, 0, share->starts_next, share->starts_next);
    }
    assert_true(shares_over(&shares));
    assert_int_equal(shares.started, 101);
    shares_done(&shares);
}

static void test_last_start_is_not_stranded(void **state)
{
    struct shares shares = make(1, 0, 0);

    shares.entries[0].max_starts = 3;
    shares_join(&shares, 0);
    shares_join(&shares, 0);
    shares_want(&shares, 0, 2);
    shares_spread(&shares);
    assert_int_equal(shares_starts(&shares, 0, 0), 2);
    assert_int_equal(shares_starts(&shares, 1, 0), 1);
    shares_report(&shares, 0, 0, 1, 1, 0); /* its journey lasts: the second start is not used */
    assert_int_equal(shares_starts(&shares, 0, 0), 1);
    shares_report(&shares, 0, 0, 1, 1, 0);
    assert_int_equal(shares_starts(&shares, 0, 0), 0);
    shares_report(&shares, 0, 0, 1, 1, 0); /* and now it cannot use it any more */
    shares_report(&shares, 1, 0, 0, 1, 1);
    assert_int_equal(shares_starts(&shares, 1, 0), 1);
    shares_report(&shares, 1, 0, 1, 2, 1);
    assert_true(shares_over(&shares));
    shares_done(&shares);
}

static void test_entry_that_ends_all(void **state)
{
    struct shares shares = make(2, 0, 0);

    shares.entries[0].ends_all = true;
    shares.entries[0].max_starts = 1;
    shares_join(&shares, 0);
    shares_want(&shares, 0, 1);
    shares_want(&shares, 1, 1);
    shares_report(&shares, 0, 0, 1, 1, 0);
    assert_true(shares.entries[0].ended);
    assert_false(shares_over(&shares));
    shares_report(&shares, 0, 0, 0, 1, 1);
    assert_true(shares_over(&shares));
    shares_done(&shares);
}

static void test_parts(void **state)
{
    struct shares shares = make(1, 0, 0);
    int64_t sum = 0;

    for (int i = 0; i < 3; i++) {
        shares_join(&shares, 0);
    }
    assert_int_equal(shares_part(&shares, 0, 0, 100), 0);
    shares_want(&shares, 0, 4);
    shares_spread(&shares);
    for (size_t i = 0; i < 3; i++) {
        sum += shares_part(&shares, i, 0, 101);
    }
    assert_int_equal(sum, 101);
    shares_done(&shares);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets_are_exact),      cmocka_unit_test(test_caps),
        cmocka_unit_test(test_who_leaves_is_replaced), cmocka_unit_test(test_who_comes_back_is_counted_once),
        cmocka_unit_test(test_rates_never_exceed),     cmocka_unit_test(test_small_rates),
        cmocka_unit_test(test_starts_add_up),          cmocka_unit_test(test_last_start_is_not_stranded),
        cmocka_unit_test(test_entry_that_ends_all),    cmocka_unit_test(test_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
