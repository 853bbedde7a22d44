/* Totals on the wire: many runners' deltas add up to what one would have counted, and lies are refused. */
#include "stats_messages.h"

#include "base/clock.h"
#include "stats/hist_wire.h"
#include "stats/totals_delta.h"
#include "value/msgpack.h"

#include <stdio.h>
#include <stdlib.h>

#define RUNNERS 3

static uint64_t draw = 88172645463325252;

static unsigned random_below(unsigned n)
{
    draw ^= draw << 13;
    draw ^= draw >> 7;
    draw ^= draw << 17;
    return (unsigned)(draw >> 33) % n;
}

static uint64_t fake_now = 1000 * NS_PER_S;

static uint64_t fake_clock(void)
{
    return fake_now;
}

static void init(struct totals *totals)
{
    assert_int_equal(totals_init(totals), 0);
    totals->clock = fake_clock;
    totals_start(totals);
}

/* Something that a journey may send, to both. */
static void send_any(struct sink *one, struct sink *other)
{
    char name[40], where[40];
    unsigned what = random_below(10);
    double total_s = (double)random_below(1000000) / 1e5;
    int status = random_below(5) ? 200 : 500;

    snprintf(name, sizeof name, "__root__ :: step %u", random_below(7));
    snprintf(where, sizeof where, "shop.py:%u:buy", random_below(5));
    for (int i = 0; i < 2; i++) {
        struct sink *sink = i ? other : one;
        if (what < 6) {
            send_request(sink, what ? name : NULL, what % 2 ? "GET" : "POST", status, total_s);
        } else if (what < 8) {
            send_txn(sink, name, status == 500, ns_from_s(total_s));
        } else if (what < 9) {
            send_txn(sink, "__root__", status == 500, ns_from_s(total_s));
        } else {
            send_failure(sink, status == 500 ? MESSAGE_ERROR : MESSAGE_EXCEPTION, "ValueError", where, where);
        }
    }
}

/* What a controller gets of `fresh`, which is empty then. */
static void deliver(struct totals *into, struct totals *fresh)
{
    struct arena arena;
    struct buf bytes;
    struct value map;
    size_t used;

    arena_init(&arena, 0);
    buf_init(&bytes, 0);
    totals_write(&bytes, fresh);
    assert_false(bytes.failed);
    assert_int_equal(msgpack_read(&arena, buf_view(&bytes), &used, &map, NULL), 0);
    assert_int_equal(used, bytes.size);
    assert_int_equal(totals_read(into, &map, NULL), 0);
    totals_clear(fresh);
    assert_true(totals_empty(fresh));
    buf_done(&bytes);
    arena_done(&arena);
}

static void assert_same_hist(const struct hist *a, const struct hist *b)
{
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->unplaced, b->unplaced);
    assert_int_equal(a->min_ns, b->min_ns);
    assert_int_equal(a->max_ns, b->max_ns);
    assert_int_equal(a->sum_ns, b->sum_ns);
    assert_true(hist_deviation(a) - hist_deviation(b) < 1 && hist_deviation(b) - hist_deviation(a) < 1);
    for (double percent = 0; percent <= 100; percent += 0.5) {
        assert_int_equal(hist_percentile(a, percent), hist_percentile(b, percent));
    }
}

static void assert_same_totals(struct totals *a, struct totals *b)
{
    assert_int_equal(a->requests, b->requests);
    assert_int_equal(a->bad_status, b->bad_status);
    assert_int_equal(a->errors, b->errors);
    assert_int_equal(a->journeys, b->journeys);
    assert_int_equal(a->failed_journeys, b->failed_journeys);
    assert_int_equal(a->bytes_received, b->bytes_received);
    assert_same_hist(&a->latency, &b->latency);
    assert_same_hist(&a->wait, &b->wait);
    assert_same_hist(&a->window.latency, &b->window.latency);
    assert_int_equal(a->window.requests, b->window.requests);
    assert_int_equal(a->window.errors, b->window.errors);
    assert_int_equal(a->seconds.requests, b->seconds.requests);

    assert_int_equal(groups_count(&a->transactions), groups_count(&b->transactions));
    for (size_t i = 0; i < a->transactions.count; i++) {
        const struct transaction_group *mine = groups_at(&a->transactions, i);
        const struct str *part = mine->key.part;
        const struct transaction_group *other = groups_find(&b->transactions, part[0], part[1], part[2]);
        assert_int_equal(mine->count, other->count);
        assert_int_equal(mine->errors, other->errors);
        assert_same_hist(&mine->duration, &other->duration);
    }
    assert_int_equal(groups_count(&a->request_groups), groups_count(&b->request_groups));
    for (size_t i = 0; i < a->request_groups.count; i++) {
        const struct request_group *mine = groups_at(&a->request_groups, i);
        const struct str *part = mine->key.part;
        const struct request_group *other = groups_find(&b->request_groups, part[0], part[1], part[2]);
        assert_int_equal(mine->count, other->count);
        assert_int_equal(mine->bad_status, other->bad_status);
        assert_same_hist(&mine->latency, &other->latency);
    }
    assert_int_equal(groups_count(&a->failures), groups_count(&b->failures));
    for (size_t i = 0; i < a->failures.count; i++) {
        const struct failure_group *mine = groups_at(&a->failures, i);
        const struct str *part = mine->key.part;
        const struct failure_group *other = groups_find(&b->failures, part[0], part[1], part[2]);
        assert_int_equal(mine->count, other->count);
        assert_string_equal(mine->example, other->example);
    }
    assert_int_equal(groups_count(&a->journey_groups), groups_count(&b->journey_groups));
    for (size_t i = 0; i < a->journey_groups.count; i++) {
        const struct journey_group *mine = groups_at(&a->journey_groups, i);
        const struct journey_group *other =
            groups_find(&b->journey_groups, mine->key.part[0], mine->key.part[1], mine->key.part[2]);
        assert_int_equal(mine->ended, other->ended);
        assert_int_equal(mine->errors, other->errors);
    }
}

static void test_adds_up(void **state)
{
    struct totals fresh[RUNNERS], alone, whole;

    init(&alone);
    init(&whole);
    for (int i = 0; i < RUNNERS; i++) {
        init(&fresh[i]);
    }
    for (int i = 0; i < 20000; i++) {
        unsigned runner = random_below(RUNNERS);
        send_any(&fresh[runner].sink, &alone.sink);
        if (random_below(50) == 0) {
            deliver(&whole, &fresh[runner]);
        }
    }
    for (int i = 0; i < RUNNERS; i++) {
        deliver(&whole, &fresh[i]);
        totals_done(&fresh[i]);
    }
    assert_same_totals(&whole, &alone);
    totals_done(&whole);
    totals_done(&alone);
}

/* A runner's own: fresh into whole, which a new controller gets. */
static void test_whole(void **state)
{
    struct totals fresh, alone, whole, far;

    init(&fresh);
    init(&alone);
    init(&whole);
    init(&far);
    for (int i = 0; i < 2000; i++) {
        send_any(&fresh.sink, &alone.sink);
        if (i % 100 == 99) {
            totals_add(&whole, &fresh);
            totals_clear(&fresh);
        }
    }
    assert_same_totals(&whole, &alone);
    deliver(&far, &whole);
    assert_same_totals(&far, &alone);
    totals_done(&fresh);
    totals_done(&alone);
    totals_done(&whole);
    totals_done(&far);
}

static void test_more_groups_than_room(void **state)
{
    struct totals fresh, far;
    char name[32];

    init(&fresh);
    init(&far);
    for (int i = 0; i < GROUPS_MAX + 5; i++) {
        snprintf(name, sizeof name, "__root__ :: %d", i);
        send_txn(&fresh.sink, name, false, NS_PER_MS);
    }
    deliver(&far, &fresh);
    send_txn(&fresh.sink, "__root__ :: late", false, NS_PER_MS);
    deliver(&far, &fresh);
    assert_int_equal(far.transactions.count, GROUPS_MAX);
    assert_int_equal(((struct transaction_group *)far.transactions.other)->count, 6);
    totals_done(&fresh);
    totals_done(&far);
}

/* Names and examples that were cut in the middle of a character. */
static void test_cut_texts(void **state)
{
    struct totals fresh, far;
    char name[1001];

    init(&fresh);
    init(&far);
    name[0] = 'x';
    for (int i = 0; i < 500; i++) {
        name[1 + 2 * i] = '\xc3';
        name[2 + 2 * i] = '\xa9';
    }
    struct message message = make_message(MESSAGE_ERROR, NULL);
    message.transaction = (struct str){name, sizeof name};
    message.failure =
        (struct message_failure){.message = message.transaction, .ex_type = STR("X"), .location = STR("y")};
    sink_message(&fresh.sink, &message);
    deliver(&far, &fresh);
    const struct failure_group *failure = groups_at(&far.failures, 0);
    assert_int_equal(failure->key.part[2].n, GROUP_KEY_MAX);
    assert_int_equal(strlen(failure->example), TOTALS_EXAMPLE_MAX);
    totals_done(&fresh);
    totals_done(&far);
}

static void test_example_is_told_once(void **state)
{
    struct totals fresh;
    struct buf first, second;

    init(&fresh);
    buf_init(&first, 0);
    buf_init(&second, 0);
    send_failure(&fresh.sink, MESSAGE_ERROR, "X", "y", "a sentence");
    totals_write(&first, &fresh);
    totals_clear(&fresh);
    send_failure(&fresh.sink, MESSAGE_ERROR, "X", "y", "another one");
    totals_write(&second, &fresh);
    assert_non_null(memmem(first.data, first.size, "a sentence", 10));
    assert_null(memmem(second.data, second.size, "a sentence", 10));
    buf_done(&first);
    buf_done(&second);
    totals_done(&fresh);
}

/* ---- lies ---- */

static const struct value *hist_of(struct arena *arena, struct value *items, const char *buckets, size_t size)
{
    struct value *list = arena_alloc(arena, sizeof *list);

    items[6] = value_bytes((struct str){buckets, size});
    *list = value_list(items, 7);
    return list;
}

static void test_histograms_that_lie(void **state)
{
    struct arena arena;
    struct hist like;
    struct value good[] = {value_int(3),  value_int(0),     value_int(5), value_int(7),
                           value_int(18), value_float(110), value_nil()};

    arena_init(&arena, 0);
    hist_init(&like, 3);
    assert_int_equal(hist_check(hist_of(&arena, good, "\5\1\1\1\1\1", 6), &like, NULL), 0);
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {
        {"\5\1\1\1", 4},                                    /* too few */
        {"\5\1\1\1\1\2", 6},                                /* too many */
        {"\4\1\2\1\1\1", 6},                                /* below the minimum */
        {"\5\1\1\1\2\1", 6},                                /* above the maximum */
        {"\5\1\0\1\1\1", 6},                                /* the same one twice */
        {"\5\1\1\1\1", 5},                                  /* cut */
        {"\5\3\1\0", 4},                                    /* of nothing */
        {"\5\3\x80", 3},                                    /* endless */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f\3", 11}, /* far outside */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(hist_check(hist_of(&arena, good, bad[i].bytes, bad[i].size), &like, NULL), MITE_EPROTO);
    }
    static const struct {
        int field;
        int64_t value;
    } wrong[] = {{0, 0}, {0, -3}, {0, 4}, {1, 1}, {1, 4}, {2, 8}, {3, INT64_MAX}, {4, 0}, {4, 100}, {5, 110}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct value items[7];
        memcpy(items, good, sizeof items);
        items[wrong[i].field] = value_int(wrong[i].value);
        assert_int_equal(hist_check(hist_of(&arena, items, "\5\1\1\1\1\1", 6), &like, NULL), MITE_EPROTO);
    }
    arena_done(&arena);
}

/* Every byte of a good map changed in turn: refused, or taken, but never half. */
static void test_nothing_of_a_bad_map(void **state)
{
    struct totals fresh, far, untouched;
    struct buf bytes;

    init(&fresh);
    init(&untouched);
    buf_init(&bytes, 0);
    send_request(&fresh.sink, "__root__ :: pay", "GET", 200, 0.001);
    send_txn(&fresh.sink, "__root__", false, NS_PER_MS);
    send_failure(&fresh.sink, MESSAGE_ERROR, "X", "y", "z");
    totals_write(&bytes, &fresh);
    for (size_t i = 0; i < bytes.size; i++) {
        struct mite_error error = {0};
        struct arena arena;
        struct value map;
        size_t used;

        arena_init(&arena, 0);
        init(&far);
        bytes.data[i] ^= 0x41;
        if (msgpack_read(&arena, buf_view(&bytes), &used, &map, NULL) == 0 && totals_read(&far, &map, &error) < 0) {
            assert_true(error.text[0]);
            assert_same_totals(&far, &untouched);
        }
        bytes.data[i] ^= 0x41;
        totals_done(&far);
        arena_done(&arena);
    }
    buf_done(&bytes);
    totals_done(&fresh);
    totals_done(&untouched);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adds_up),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_more_groups_than_room),
        cmocka_unit_test(test_cut_texts),
        cmocka_unit_test(test_example_is_told_once),
        cmocka_unit_test(test_histograms_that_lie),
        cmocka_unit_test(test_nothing_of_a_bad_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
