/* The cursor reads what msgpack's own reader reads, and skips everything else whole. */
#include "from_json.h"
#include "random_value.h"
#include "wire.h"

#include "stats/event.h"
#include "value/cursor.h"

#include <math.h>

static struct cursor_item item_of(const char *bytes, size_t size)
{
    struct cursor cursor = cursor_of((struct str){bytes, size});
    struct cursor_item item;

    assert_true(cursor_next(&cursor, &item));
    assert_ptr_equal(cursor.at, cursor.end);
    return item;
}

#define ITEM(literal) item_of(literal, sizeof(literal) - 1)

static void test_numbers(void **state)
{
    assert_int_equal(ITEM("\x7f").integer, 127);
    assert_int_equal(ITEM("\xff").integer, -1);
    assert_int_equal(ITEM("\xe0").integer, -32);
    assert_int_equal(ITEM("\xcc\xff").integer, 255);
    assert_int_equal(ITEM("\xcd\x01\x02").integer, 258);
    assert_int_equal(ITEM("\xce\xff\xff\xff\xff").integer, UINT32_MAX);
    assert_int_equal(ITEM("\xd0\x80").integer, -128);
    assert_int_equal(ITEM("\xd1\xff\xfe").integer, -2);
    assert_int_equal(ITEM("\xd2\x80\x00\x00\x00").integer, INT32_MIN);
    assert_int_equal(ITEM("\xd3\x80\x00\x00\x00\x00\x00\x00\x00").integer, INT64_MIN);
    assert_int_equal(ITEM("\xcf\xff\xff\xff\xff\xff\xff\xff\xff").kind, CURSOR_UINT);
    assert_int_equal(ITEM("\xcf\x00\xff\xff\xff\xff\xff\xff\xff").kind, CURSOR_INT);
    assert_true(ITEM("\xca\x3f\x80\x00\x00").number == 1.0);
    assert_true(ITEM("\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00").number == 0.5);
    assert_int_equal(ITEM("\xc0").kind, CURSOR_NIL);
    assert_true(ITEM("\xc3").boolean);
}

static void test_texts(void **state)
{
    assert_true(str_is(ITEM("\xa3yes").text, "yes"));
    assert_true(str_is(ITEM("\xd9\x03yes").text, "yes"));
    assert_true(str_is(ITEM("\xda\x00\x03yes").text, "yes"));
    assert_int_equal(ITEM("\xc4\x03yes").kind, CURSOR_BYTES);
    assert_int_equal(ITEM("\xd4\x01x").kind, CURSOR_EXTENSION);
    assert_int_equal(ITEM("\xc7\x02\x01xy").kind, CURSOR_EXTENSION);
    assert_int_equal(ITEM("\xdc\x00\x02").count, 2);
    assert_int_equal(ITEM("\xdf\x00\x00\x00\x02").count, 2);
}

/* Whatever msgpack writes is skipped whole, and nothing of it when a byte is missing. */
static void test_skips_any_value(void **state)
{
    struct buf bytes;
    uint64_t seed = 88172645463325252;

    buf_init(&bytes, 0);
    for (int i = 0; i < 300; i++) {
        struct arena arena;
        arena_init(&arena, 0);
        struct value value = random_value(&arena, &seed, 3);
        buf_clear(&bytes);
        msgpack_write(&bytes, &value);
        size_t size = bytes.size;
        struct cursor cursor = cursor_of(buf_view(&bytes));
        assert_int_equal(cursor_value(&cursor).n, size);
        for (size_t cut = 0; cut < size; cut++) {
            cursor = cursor_of((struct str){bytes.data, cut});
            assert_null(cursor_value(&cursor).p);
            assert_ptr_equal(cursor.at, bytes.data);
        }
        arena_done(&arena);
    }
    buf_done(&bytes);
}

static void test_a_list_of_lies_ends(void **state)
{
    struct cursor cursor = cursor_of(STR("\xdf\xff\xff\xff\xff\xdf\xff\xff\xff\xff\x01"));

    assert_null(cursor_value(&cursor).p);
    cursor = cursor_of(STR("\xc1"));
    assert_null(cursor_value(&cursor).p);
}

static void test_numbers_are_finite(void **state)
{
    double number = 7;

    assert_false(cursor_number(STR("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00"), &number));
    assert_false(cursor_number(STR("\xa1"
                                   "5"),
                               &number));
    assert_false(cursor_number(STR_NONE, &number));
    assert_true(number == 7);
    assert_true(cursor_number(STR("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), &number) &&
                number == 18446744073709551615.0);
}

/* ---- messages ---- */

static void test_fields_of_a_message(void **state)
{
    struct buf bytes;
    struct event event;
    double number;

    buf_init(&bytes, 0);
    wire_bytes(&bytes, "event_http_metrics_GET");
    assert_int_equal(event_read(buf_view(&bytes), &event), 0);
    assert_true(str_is(event_text(&event, EVENT_TYPE), "http_metrics"));
    assert_true(str_is(event_text(&event, EVENT_TEST), "wirejourneys:scenario"));
    assert_true(str_is(event_text(&event, EVENT_JOURNEY), "wirejourneys:shop"));
    assert_true(str_is(event_text(&event, EVENT_TRANSACTION), "__root__ :: shop"));
    assert_true(str_is(event_text(&event, EVENT_METHOD), "GET"));
    assert_true(cursor_number(event.field[EVENT_RESPONSE_CODE], &number) && number == 200);
    assert_true(cursor_number(event.field[EVENT_TOTAL_TIME], &number) && fabs(number - 0.000838) < 1e-12);
    assert_true(cursor_number(event.field[EVENT_DNS_TIME], &number) && fabs(number - 0.000142) < 1e-12);
    assert_null(event.field[EVENT_MESSAGE].p);
    buf_done(&bytes);
}

/* Every field is found by its name, and no other. */
static void test_every_field(void **state)
{
    struct buf bytes;
    struct event event;
    char json[100];

    buf_init(&bytes, 0);
    for (int field = 0; field < EVENT_FIELDS; field++) {
        struct str name = event_field_name((enum event_field)field);
        snprintf(json, sizeof json, "{\"x" STR_FMT "\": 1, \"\": 2, \"" STR_FMT "\": 3}", STR_ARG(name), STR_ARG(name));
        assert_int_equal(event_read(from_json(&bytes, json), &event), 0);
        for (int other = 0; other < EVENT_FIELDS; other++) {
            assert_int_equal(event.field[other].n, other == field);
        }
        assert_int_equal(*event.field[field].p, 3);
    }
    buf_done(&bytes);
}

static void test_no_message(void **state)
{
    static const struct str bad[] = {STR(""),          STR("\x90"),         STR("\x81"),
                                     STR("\x81\xa1x"), STR("\x81\x01\x01"), STR("\x80\x01")};
    struct event event;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(event_read(bad[i], &event), MITE_EPROTO);
    }
    assert_int_equal(event_read(STR("\x80"), &event), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_skips_any_value),
        cmocka_unit_test(test_a_list_of_lies_ends),
        cmocka_unit_test(test_numbers_are_finite),
        cmocka_unit_test(test_fields_of_a_message),
        cmocka_unit_test(test_every_field),
        cmocka_unit_test(test_no_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
