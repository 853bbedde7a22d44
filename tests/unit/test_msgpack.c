/* msgpack: golden files byte for byte, every form of every type, and what a peer may not do. */
#include "failmalloc.h"
#include "random_value.h"
#include "value_fixture.h"
#include "wire.h"

/* Every file that the wire's README names. */
static const char *const golden[] = {
    "bye.reply",
    "bye.request",
    "event_controller_report",
    "event_data_created",
    "event_error",
    "event_exception",
    "event_http_metrics_GET",
    "event_http_metrics_POST",
    "event_txn",
    "event_txn_root",
    "hello.reply",
    "hello.request",
    "request_work.request",
    "request_work_busy.request",
    "request_work_completed.request",
    "request_work_no_work.reply",
    "request_work_stop.reply",
    "request_work_with_work.reply",
    "stats_dump",
};

static void golden_files_come_back_byte_for_byte(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        struct value value = wire_value(&f->arena, golden[i]);
        struct buf bytes;

        buf_init(&bytes, 0);
        wire_bytes(&bytes, golden[i]);
        buf_clear(&f->out);
        msgpack_write(&f->out, &value);
        assert_false(f->out.failed);
        assert_int_equal(f->out.size, bytes.size);
        assert_memory_equal(f->out.data, bytes.data, bytes.size);
        buf_done(&bytes);
    }
}

static void golden_values_are_what_was_sent(void **state)
{
    struct fixture *f = *state;
    struct value hello = wire_value(&f->arena, "hello.reply"), work, dump, http;

    assert_int_equal(hello.count, 3);
    assert_int_equal(hello.items[0].integer, 1);
    assert_true(str_is(value_str(&hello.items[1]), "wirejourneys:scenario"));
    work = wire_value(&f->arena, "request_work_with_work.reply");
    assert_true(str_is(value_str(&work.items[0].items[3].items[3].items[1].items[2]), "raw"));
    assert_int_equal(work.items[0].items[3].items[3].items[1].items[2].type, VALUE_BYTES);
    assert_int_equal(work.items[2].type, VALUE_BOOL);
    dump = wire_value(&f->arena, "stats_dump");
    assert_int_equal(value_get(&dump.items[0], "metrics")->pairs[0].key.type, VALUE_LIST);
    http = wire_value(&f->arena, "event_http_metrics_GET");
    assert_int_equal(http.count, 22);
    assert_true(value_number(value_get(&http, "time"), 0) == 1795245656.7205887);
}

static void random_values_come_back(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 2000; i++) {
        struct value value = random_value(&f->arena, &f->seed, 6), back;
        size_t used;

        buf_clear(&f->out);
        msgpack_write(&f->out, &value);
        assert_int_equal(msgpack_read(&f->arena, buf_view(&f->out), &used, &back, &f->error), 0);
        assert_int_equal(used, f->out.size);
        assert_true(value_equal(&value, &back));
        arena_reset(&f->arena);
    }
}

static void integers_take_the_shortest_form(void **state)
{
    static const struct {
        int64_t integer;
        size_t size;
    } cases[] = {
        {0, 1},
        {127, 1},
        {128, 2},
        {255, 2},
        {256, 3},
        {65535, 3},
        {65536, 5},
        {UINT32_MAX, 5},
        {UINT32_MAX + INT64_C(1), 9},
        {INT64_MAX, 9},
        {-1, 1},
        {-32, 1},
        {-33, 2},
        {-128, 2},
        {-129, 3},
        {-32768, 3},
        {-32769, 5},
        {INT32_MIN, 5},
        {INT32_MIN - INT64_C(1), 9},
        {INT64_MIN, 9},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct value back;
        size_t used;

        buf_clear(&f->out);
        msgpack_write_int(&f->out, cases[i].integer);
        assert_int_equal(f->out.size, cases[i].size);
        assert_int_equal(msgpack_read(&f->arena, buf_view(&f->out), &used, &back, NULL), 0);
        assert_int_equal(back.type, VALUE_INT);
        assert_true(back.integer == cases[i].integer);
    }
}

/* Peers may use any form: longer integers than needed, short floats, texts and containers with wide lengths. */
static void every_form_is_read(void **state)
{
    struct fixture *f = *state;
    static const struct {
        struct str bytes;
        struct value value;
    } cases[] = {
        {STR("\xc0"), {.type = VALUE_NIL}},
        {STR("\xc2"), {.type = VALUE_BOOL, .boolean = false}},
        {STR("\xc3"), {.type = VALUE_BOOL, .boolean = true}},
        {STR("\xcc\x05"), {.type = VALUE_INT, .integer = 5}},
        {STR("\xcd\x00\x05"), {.type = VALUE_INT, .integer = 5}},
        {STR("\xce\x00\x00\x00\x05"), {.type = VALUE_INT, .integer = 5}},
        {STR("\xcf\x00\x00\x00\x00\x00\x00\x00\x05"), {.type = VALUE_INT, .integer = 5}},
        {STR("\xcf\x80\x00\x00\x00\x00\x00\x00\x00"), {.type = VALUE_UINT, .large = UINT64_C(1) << 63}},
        {STR("\xd0\xff"), {.type = VALUE_INT, .integer = -1}},
        {STR("\xd1\xff\xfe"), {.type = VALUE_INT, .integer = -2}},
        {STR("\xd2\x80\x00\x00\x00"), {.type = VALUE_INT, .integer = INT32_MIN}},
        {STR("\xd3\xff\xff\xff\xff\xff\xff\xff\xfd"), {.type = VALUE_INT, .integer = -3}},
        {STR("\xca\x3f\xc0\x00\x00"), {.type = VALUE_FLOAT, .number = 1.5}},
        {STR("\xcb\xc0\x00\x00\x00\x00\x00\x00\x00"), {.type = VALUE_FLOAT, .number = -2}},
        {STR("\xd9\x01x"), {.type = VALUE_TEXT, .count = 1, .text = "x"}},
        {STR("\xda\x00\x01x"), {.type = VALUE_TEXT, .count = 1, .text = "x"}},
        {STR("\xdb\x00\x00\x00\x01x"), {.type = VALUE_TEXT, .count = 1, .text = "x"}},
        {STR("\xa0"), {.type = VALUE_TEXT}},
        {STR("\xc4\x01\xff"), {.type = VALUE_BYTES, .count = 1, .text = "\xff"}},
        {STR("\xc5\x00\x01\xff"), {.type = VALUE_BYTES, .count = 1, .text = "\xff"}},
        {STR("\xc6\x00\x00\x00\x01\xff"), {.type = VALUE_BYTES, .count = 1, .text = "\xff"}},
        {STR("\xdc\x00\x00"), {.type = VALUE_LIST}},
        {STR("\xdd\x00\x00\x00\x00"), {.type = VALUE_LIST}},
        {STR("\xde\x00\x00"), {.type = VALUE_MAP}},
        {STR("\xdf\x00\x00\x00\x00"), {.type = VALUE_MAP}},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct value value;
        size_t used;

        assert_int_equal(msgpack_read(&f->arena, cases[i].bytes, &used, &value, &f->error), 0);
        assert_int_equal(used, cases[i].bytes.n);
        assert_true(value_equal(&value, &cases[i].value));
    }
}

/* Cut anywhere, a value is one that has not come whole yet; what follows it is somebody else's. */
static void the_front_of_a_value_is_not_a_value(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        buf_clear(&f->out);
        wire_bytes(&f->out, golden[i]);
        size_t size = f->out.size;
        buf_text(&f->out, "\xc1 the next one");
        for (size_t n = 0; n <= size; n++) {
            /* A copy of exactly so many bytes, so that the address sanitizer sees a step beyond them. */
            char *front = malloc(n ? n : 1);
            struct value value = value_int(5);
            size_t used = 77;
            int rc;

            memcpy(front, f->out.data, n);
            rc = msgpack_read(&f->arena, (struct str){front, n}, &used, &value, &f->error);
            assert_int_equal(rc, n < size ? MITE_EAGAIN : 0);
            assert_int_equal(used, n < size ? 77 : size);
            if (n < size) {
                assert_true(value.type == VALUE_INT && value.integer == 5);
            }
            free(front);
        }
        arena_reset(&f->arena);
    }
}

static void refuses(struct fixture *f, struct str bytes, int code, const char *sentence)
{
    struct value value;
    size_t used;

    assert_int_equal(msgpack_read(&f->arena, bytes, &used, &value, &f->error), code);
    assert_string_equal(f->error.text, sentence);
}

static void what_we_do_not_carry_is_refused(void **state)
{
    struct fixture *f = *state;

    refuses(f, STR("\xc1"), MITE_EPROTO, "byte 0xc1 begins no value");
    refuses(f, STR("\xd4\x01\x02"), MITE_EPROTO, "byte 0xd4 begins an extension type");
    refuses(f, STR("\xd8"), MITE_EPROTO, "byte 0xd8 begins an extension type");
    refuses(f, STR("\xc7\x01\x05x"), MITE_EPROTO, "byte 0xc7 begins an extension type");
    refuses(f, STR("\xc9"), MITE_EPROTO, "byte 0xc9 begins an extension type");
    refuses(f, STR("\xa1\xff"), MITE_EPROTO, "a text is not UTF-8");
    refuses(f, STR("\x92\x01\xc1"), MITE_EPROTO, "byte 0xc1 begins no value");
    refuses(f, STR("\x81\xa1\x80\x01"), MITE_EPROTO, "a text is not UTF-8");
}

static void nesting_has_a_limit(void **state)
{
    static const char *const one_more[] = {"\x91", "\x81\xc0"};
    struct fixture *f = *state;
    struct value value;
    size_t used;

    for (int kind = 0; kind < 2; kind++) {
        buf_clear(&f->out);
        for (int i = 0; i < MSGPACK_MAX_DEPTH; i++) {
            buf_text(&f->out, one_more[kind]);
        }
        buf_char(&f->out, '\x05');
        assert_int_equal(msgpack_read(&f->arena, buf_view(&f->out), &used, &value, &f->error), 0);
        f->out.size--;
        buf_text(&f->out, one_more[kind]);
        buf_char(&f->out, '\x05');
        refuses(f, buf_view(&f->out), MITE_ELIMIT, "values nest deeper than 72");
    }
}

/* Lengths that promise more than there is take no memory: not alone, and not inside one another. */
static void promised_lengths_take_no_memory(void **state)
{
    static const struct str tags[] = {STR("\xdd\xff\xff\xff\xff"), STR("\xdf\xff\xff\xff\xff"),
                                      STR("\xdb\xff\xff\xff\xff"), STR("\xc6\xff\xff\xff\xff")};
    struct fixture *f = *state;
    struct value value;
    size_t used, room = 100000;

    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        refuses(f, tags[i], MITE_ELIMIT, "the value is larger than 67108864 bytes");
        assert_int_equal(f->arena.used_bytes, 0);
    }
    refuses(f, STR("\xdd\x00\x10\x00\x00"), MITE_EAGAIN, "the bytes end inside a value");
    assert_int_equal(f->arena.used_bytes, 0);

    /* 60 lists inside one another, each of which wants all the bytes that are left. */
    assert_int_equal(buf_reserve(&f->out, room), 0);
    memset(f->out.data, 0, room);
    f->out.size = room;
    for (size_t i = 0; i < 60; i++) {
        size_t count = room - 5 * (i + 1);

        memcpy(f->out.data + 5 * i, (char[]){'\xdd', 0, (char)(count >> 16), (char)(count >> 8), (char)count}, 5);
    }
    assert_int_equal(msgpack_read(&f->arena, buf_view(&f->out), &used, &value, &f->error), MITE_EAGAIN);
    assert_true(f->arena.used_bytes <= 16 * room);
}

static void memory_is_bounded_by_the_bytes(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 500; i++) {
        struct value value = random_value(&f->arena, &f->seed, 6);
        size_t used;

        buf_clear(&f->out);
        msgpack_write(&f->out, &value);
        arena_reset(&f->arena);
        assert_int_equal(msgpack_read(&f->arena, buf_view(&f->out), &used, &value, &f->error), 0);
        assert_true(f->arena.used_bytes <= 16 * used);
        arena_reset(&f->arena);
    }
}

/* One value of just the largest size, and one byte more, with more bytes behind it. */
static void a_value_has_a_largest_size(void **state)
{
    struct fixture *f = *state;
    size_t largest = MSGPACK_MAX_BYTES, text = largest - 5;
    struct value value;
    size_t used;

    assert_int_equal(buf_reserve(&f->out, largest + 10), 0);
    memset(f->out.data, 'x', largest + 10);
    f->out.size = largest + 10;
    memcpy(f->out.data, (char[]){'\xdb', (char)(text >> 24), (char)(text >> 16), (char)(text >> 8), (char)text}, 5);
    assert_int_equal(msgpack_read(&f->arena, buf_view(&f->out), &used, &value, &f->error), 0);
    assert_int_equal(used, largest);
    f->out.data[4]++;
    refuses(f, buf_view(&f->out), MITE_ELIMIT, "the value is larger than 67108864 bytes");
}

static void the_arena_limits_too(void **state)
{
    struct fixture *f = *state;
    struct value value;
    size_t used;

    wire_bytes(&f->out, "stats_dump");
    for (size_t limit = 16;; limit += 16) {
        int rc;

        arena_done(&f->arena);
        arena_init(&f->arena, limit);
        rc = msgpack_read(&f->arena, buf_view(&f->out), &used, &value, &f->error);
        if (rc == 0) {
            break;
        }
        assert_int_equal(rc, MITE_ELIMIT);
    }
}

static void every_allocation_may_fail(void **state)
{
    struct fixture *f = *state;
    bool failed = true;

    wire_bytes(&f->out, "stats_dump");
    for (long n = 0; failed; n++) {
        struct arena arena;
        struct value value = value_int(5);
        size_t used = 77;
        int rc;

        arena_init(&arena, 0);
        failmalloc_start(n);
        rc = msgpack_read(&arena, buf_view(&f->out), &used, &value, &f->error);
        failed = failmalloc_stop();
        assert_int_equal(rc, failed ? MITE_ENOMEM : 0);
        assert_int_equal(used, failed ? 77 : f->out.size);
        assert_int_equal(value.type, failed ? VALUE_INT : VALUE_LIST);
        assert_true(n > 1 || failed);
        arena_done(&arena);
    }
}

static void a_write_may_fail(void **state)
{
    struct fixture *f = *state;
    struct value value = wire_value(&f->arena, "event_exception");
    bool failed = true;

    for (long n = 0; failed; n++) {
        buf_done(&f->out);
        failmalloc_start(n);
        msgpack_write(&f->out, &value);
        failed = failmalloc_stop();
        assert_true(f->out.failed == failed);
    }
    buf_done(&f->out);
    buf_init(&f->out, 100);
    msgpack_write(&f->out, &value);
    assert_true(f->out.failed);
    assert_true(f->out.size <= 100);
}

#define MSGPACK_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MSGPACK_TEST(golden_files_come_back_byte_for_byte),
        MSGPACK_TEST(golden_values_are_what_was_sent),
        MSGPACK_TEST(random_values_come_back),
        MSGPACK_TEST(integers_take_the_shortest_form),
        MSGPACK_TEST(every_form_is_read),
        MSGPACK_TEST(the_front_of_a_value_is_not_a_value),
        MSGPACK_TEST(what_we_do_not_carry_is_refused),
        MSGPACK_TEST(nesting_has_a_limit),
        MSGPACK_TEST(promised_lengths_take_no_memory),
        MSGPACK_TEST(memory_is_bounded_by_the_bytes),
        MSGPACK_TEST(a_value_has_a_largest_size),
        MSGPACK_TEST(the_arena_limits_too),
        MSGPACK_TEST(every_allocation_may_fail),
        MSGPACK_TEST(a_write_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
