/* JSON: what it lacks comes back all the same, any text makes valid lines, and what is wrong is said with its place. */
#include "failmalloc.h"
#include "random_value.h"
#include "value_fixture.h"
#include "wire.h"

#include "value/json.h"

#include <math.h>

static const char *written(struct fixture *f, struct value value)
{
    buf_clear(&f->out);
    json_write(&f->out, &value);
    assert_false(f->out.failed);
    return f->out.data;
}

static struct value read_json(struct fixture *f, const char *text)
{
    struct value value;

    if (json_read(&f->arena, str_of(text), &value, &f->error) != 0) {
        fail_msg("%s: %s", text, f->error.text);
    }
    return value;
}

/* Reads the text and writes it again. */
static const char *rewritten(struct fixture *f, const char *text)
{
    return written(f, read_json(f, text));
}

static void plain_json_comes_back_as_it_was(void **state)
{
    static const char *const texts[] = {
        "null",
        "true",
        "false",
        "0",
        "-9223372036854775808",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "1.5",
        "\"\"",
        "\"a \\\"quoted\\\" \\\\ \\n\\t\\r\\b\\f\\u0000\\u001f \xc3\xa9 \xf0\x9f\x98\x80 /\"",
        "[]",
        "{}",
        "[1, [2, {\"a\": [], \"b\": {}}], null]",
        "{\"z\": 1, \"a\": 2, \"\": 3, \"a\": 4, \"\\u0000\": 5}",
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_string_equal(rewritten(*state, texts[i]), texts[i]);
    }
    assert_string_equal(rewritten(*state, " [ 1,\n2 ]\t"), "[1, 2]");
    assert_string_equal(rewritten(*state, "\"\\u00e9\\ud83d\\ude00\\/\""), "\"\xc3\xa9\xf0\x9f\x98\x80/\"");
}

static void floats_show_what_they_are(void **state)
{
    static const struct {
        double number;
        const char *text;
    } cases[] = {
        {0, "0.0"},
        {-0.0, "-0.0"},
        {1, "1.0"},
        {0.1, "0.1"},
        {1.0 / 3, "0.3333333333333333"},
        {2.0 / 3, "0.6666666666666666"},
        {1795245656.7183335, "1795245656.7183335"},
        {1e15, "1e+15"},
        {1e-7, "1e-07"},
        {123456789012345680.0, "1.2345678901234568e+17"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {DBL_MIN, "2.2250738585072014e-308"},
        {5e-324, "5e-324"},
        {NAN, "{\"__float__\": \"nan\"}"},
        {INFINITY, "{\"__float__\": \"inf\"}"},
        {-INFINITY, "{\"__float__\": \"-inf\"}"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct value back;

        assert_string_equal(written(*state, value_float(cases[i].number)), cases[i].text);
        back = read_json(*state, cases[i].text);
        assert_int_equal(back.type, VALUE_FLOAT);
        assert_true(isnan(cases[i].number) ? isnan(back.number) : back.number == cases[i].number);
        assert_true(signbit(back.number) == signbit(cases[i].number));
    }
}

static void what_json_lacks_has_a_form(void **state)
{
    static const char *const texts[] = {
        "{\"__bytes__\": \"\"}",
        "{\"__bytes__\": \"AP+/\"}",
        "{\"__map__\": [[1, 2], [[\"a\", true], \"b\"], [null, {\"__bytes__\": \"/w==\"}]]}",
        "{\"__map__\": []}",
    };
    static const enum value_type types[] = {VALUE_BYTES, VALUE_BYTES, VALUE_MAP, VALUE_MAP};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(read_json(*state, texts[i]).type, types[i]);
        assert_string_equal(rewritten(*state, texts[i]), i == 3 ? "{}" : texts[i]);
    }
}

/* A user's map that looks like a form goes as pairs, and comes back as the map that it was. */
static void a_map_that_looks_like_a_form_stays_a_map(void **state)
{
    static const char *const keys[] = {"__bytes__", "__map__", "__float__"};
    static const char *const texts[] = {"AAAA", "nan", ""};

    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 3; j++) {
            struct pair pair = {value_text(str_of(keys[i])), value_text(str_of(texts[j]))};
            struct value map = value_map(&pair, 1), back;

            back = read_json(*state, written(*state, map));
            assert_true(value_equal(&map, &back));
        }
    }
    assert_string_equal(rewritten(*state, "{\"__map__\": [[\"__map__\", []]]}"), "{\"__map__\": [[\"__map__\", []]]}");
    assert_string_equal(rewritten(*state, "{\"__map__\": [], \"a\": 1}"), "{\"__map__\": [], \"a\": 1}");
}

static void a_form_that_says_nonsense_is_an_object(void **state)
{
    static const char *const texts[] = {
        "{\"__bytes__\": 5}",       "{\"__bytes__\": \"A\"}",          "{\"__map__\": [[1]]}",
        "{\"__map__\": {}}",        "{\"__map__\": [[1, 2], 3]}",      "{\"__float__\": 1}",
        "{\"__float__\": \"NaN\"}", "{\"__float__\": \"nan\\u0000\"}",
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct value value = read_json(*state, texts[i]);

        assert_int_equal(value.type, VALUE_MAP);
        assert_int_equal(value.count, 1);
        assert_int_equal(value.pairs[0].key.type, VALUE_TEXT);
    }
}

static void random_values_come_back(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 2000; i++) {
        struct value value = random_value(&f->arena, &f->seed, 5), back;

        written(f, value);
        assert_true(str_is_utf8(buf_view(&f->out)));
        assert_null(memchr(f->out.data, '\n', f->out.size)); /* one line */
        assert_int_equal(json_read(&f->arena, buf_view(&f->out), &back, &f->error), 0);
        if (!value_equal(&value, &back)) {
            fail_msg("came back otherwise: %s", f->out.data);
        }
        arena_reset(&f->arena);
    }
}

static void messages_come_back(void **state)
{
    static const char *const files[] = {"event_http_metrics_GET", "event_exception", "stats_dump",
                                        "request_work_with_work.reply", "event_controller_report"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct value value = wire_value(&f->arena, files[i]), back = read_json(f, written(f, value));

        assert_true(value_equal(&value, &back));
    }
}

/* Text that is not UTF-8, as headers of a target may be, still makes JSON. */
static void any_text_makes_json(void **state)
{
    struct fixture *f = *state;
    struct value back;

    json_write_text(&f->out, STR("caf\xe9 \xff\xfe \xe2\x82 \xed\xa0\x80\0 end\xc3"));
    assert_string_equal(f->out.data, "\"caf\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd "
                                     "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\\u0000 end\xef\xbf\xbd\"");
    assert_int_equal(json_read(&f->arena, buf_view(&f->out), &back, NULL), 0);
    buf_clear(&f->out);
    json_write_text(&f->out, STR_NONE);
    assert_string_equal(f->out.data, "\"\"");
}

static void what_is_wrong_is_said_with_its_place(void **state)
{
    static const struct {
        struct str text;
        const char *sentence;
    } cases[] = {
        {{NULL, 0}, "line 1, column 1: a value is expected here"},
        {STR("  "), "line 1, column 3: a value is expected here"},
        {STR("[1,\n 2 3]"), "line 2, column 4: a comma or ] is expected here"},
        {STR("[1,]"), "line 1, column 4: a value is expected here"},
        {STR("[,1]"), "line 1, column 2: a value is expected here"},
        {STR("[1"), "line 1, column 3: a comma or ] is expected here"},
        {STR("["), "line 1, column 2: a value is expected here"},
        {STR("{\"a\": }"), "line 1, column 7: a value is expected here"},
        {STR("{\"a\" 1}"), "line 1, column 6: a colon is expected here"},
        {STR("{\"a\""), "line 1, column 5: a colon is expected here"},
        {STR("{\"a\": 1,}"), "line 1, column 9: a key in quotes is expected here"},
        {STR("{a: 1}"), "line 1, column 2: a key in quotes is expected here"},
        {STR("{"), "line 1, column 2: a key in quotes is expected here"},
        {STR("{\"a\": 1]"), "line 1, column 8: a comma or } is expected here"},
        {STR("1 2"), "line 1, column 3: more follows behind the value"},
        {STR("[]\0"), "line 1, column 3: more follows behind the value"},
        {STR("\v1"), "line 1, column 1: a value is expected here"},
        {STR("'a'"), "line 1, column 1: a value is expected here"},
        {STR("nul"), "line 1, column 1: a value is expected here"},
        {STR("NaN"), "line 1, column 1: a value is expected here"},
        {STR("nullify"), "line 1, column 5: more follows behind the value"},
        {STR("\"abc"), "line 1, column 5: a text does not end"},
        {STR("\"abc\\"), "line 1, column 6: a text does not end"},
        {STR("\"abc\\\""), "line 1, column 7: a text does not end"},
        {STR("\"a\nb\""), "line 1, column 3: a text holds a control character"},
        {STR("\"\xff\""), "line 1, column 2: a text is not UTF-8"},
        {STR("\"ab\\x\""), "line 1, column 4: there is no such escape"},
        {STR("\"ab\\\xc3\xa9\""), "line 1, column 4: there is no such escape"},
        {STR("\"\\u12\""), "line 1, column 2: \\u is not followed by a character"},
        {STR("\"\\u12g4\""), "line 1, column 2: \\u is not followed by a character"},
        {STR("\"\\ud800\""), "line 1, column 2: \\u is not followed by a character"},
        {STR("\"\\ud800\\n1234\""), "line 1, column 2: \\u is not followed by a character"},
        {STR("\"\\ud800\\u0041\""), "line 1, column 2: \\u is not followed by a character"},
        {STR("\"\\udc00\\ud800\""), "line 1, column 2: \\u is not followed by a character"},
        {STR("-"), "line 1, column 2: a number is malformed"},
        {STR("01"), "line 1, column 3: a number is malformed"},
        {STR("-01"), "line 1, column 4: a number is malformed"},
        {STR("1."), "line 1, column 3: a number is malformed"},
        {STR("1.e5"), "line 1, column 3: a number is malformed"},
        {STR(".5"), "line 1, column 1: a value is expected here"},
        {STR("1e"), "line 1, column 3: a number is malformed"},
        {STR("1e+"), "line 1, column 4: a number is malformed"},
        {STR("+1"), "line 1, column 1: a value is expected here"},
        {STR("1e999"), "line 1, column 6: a number is too large"},
        {STR("18446744073709551616"), "line 1, column 21: an integer needs more than 64 bits"},
        {STR("184467440737095516150"), "line 1, column 22: an integer needs more than 64 bits"},
        {STR("-9223372036854775809"), "line 1, column 21: an integer needs more than 64 bits"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct value value = value_int(5);

        assert_int_equal(json_read(&f->arena, cases[i].text, &value, &f->error), MITE_EPROTO);
        assert_memory_equal(f->error.text, "not JSON: ", 10);
        assert_string_equal(f->error.text + 10, cases[i].sentence);
        assert_true(value.type == VALUE_INT && value.integer == 5);
    }
}

/* `deep` times `open`, a number, `deep` times `close`. */
static int read_nested(struct fixture *f, int deep, const char *open, const char *close)
{
    struct value value;

    buf_clear(&f->out);
    for (int i = 0; i < deep; i++) {
        buf_text(&f->out, open);
    }
    buf_char(&f->out, '1');
    for (int i = 0; i < deep; i++) {
        buf_text(&f->out, close);
    }
    return json_read(&f->arena, buf_view(&f->out), &value, &f->error);
}

static void nesting_has_a_limit(void **state)
{
    static const char *const kinds[][2] = {
        {"[", "]"}, {"{\"a\": ", "}"}, {"{\"__map__\": [[0, ", "]]}"}, {"{\"__map__\": [[", ", 0]]}"}};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        assert_int_equal(read_nested(f, VALUE_MAX_DEPTH, kinds[i][0], kinds[i][1]), 0);
        assert_int_equal(read_nested(f, VALUE_MAX_DEPTH + 1, kinds[i][0], kinds[i][1]), MITE_ELIMIT);
        assert_string_equal(f->error.text, "values nest deeper than 72");
        assert_int_equal(read_nested(f, 100000, kinds[i][0], kinds[i][1]), MITE_ELIMIT);
    }
}

/* What stands in the innermost of as many maps as may be takes one more level of JSON when it is a form too. */
static void a_form_fits_into_the_deepest_map(void **state)
{
    struct fixture *f = *state;
    struct pair pairs[VALUE_MAX_DEPTH];
    struct value value = value_bytes(STR("x")), back;

    for (int i = 0; i < VALUE_MAX_DEPTH; i++) {
        pairs[i] = (struct pair){value_nil(), value};
        value = value_map(&pairs[i], 1);
    }
    back = read_json(f, written(f, value));
    assert_true(value_equal(&value, &back));
}

static const char every_kind[] = "{\"a\": [1, 2.5, true, null, \"a text that is longer than a small one\"], \"b\": {}, "
                                 "\"c\": {\"__bytes__\": \"AAAA\"}, \"d\": {\"__map__\": [[1, [2]]]}, "
                                 "\"e\": {\"__float__\": \"inf\"}, \"f\": \"\\u0001\"}";

static void every_allocation_may_fail(void **state)
{
    struct fixture *f = *state;
    bool failed = true;
    long n;

    for (n = 0; failed; n++) {
        struct arena arena;
        struct value value = value_int(5);
        int rc;

        arena_init(&arena, 0);
        failmalloc_start(n);
        rc = json_read(&arena, str_of(every_kind), &value, &f->error);
        failed = failmalloc_stop();
        assert_int_equal(rc, failed ? MITE_ENOMEM : 0);
        assert_int_equal(value.type, failed ? VALUE_INT : VALUE_MAP);
        arena_done(&arena);
    }
    assert_true(n > 2);
}

static void the_arena_limits(void **state)
{
    struct fixture *f = *state;
    struct value value;
    int rc = 1;

    for (size_t limit = 16; rc != 0; limit += 16) {
        arena_done(&f->arena);
        arena_init(&f->arena, limit);
        rc = json_read(&f->arena, str_of(every_kind), &value, &f->error);
        assert_true(rc == 0 || rc == MITE_ELIMIT);
    }
}

static void a_write_may_fail(void **state)
{
    struct fixture *f = *state;
    struct value value = read_json(f, every_kind);

    for (size_t limit = 1;; limit++) {
        buf_done(&f->out);
        buf_init(&f->out, limit);
        json_write(&f->out, &value);
        assert_true(f->out.size <= limit);
        if (!f->out.failed) {
            break;
        }
    }
    assert_string_equal(f->out.data, every_kind);
}

/* Cut anywhere, a text is wrong; a copy of exactly so many bytes shows the address sanitizer a step beyond them. */
static void the_front_of_a_value_is_not_a_value(void **state)
{
    struct fixture *f = *state;
    size_t size = sizeof every_kind - 1;
    struct value value;

    for (size_t n = 0; n < size; n++) {
        char *front = malloc(n ? n : 1);

        memcpy(front, every_kind, n);
        assert_int_equal(json_read(&f->arena, (struct str){front, n}, &value, &f->error), MITE_EPROTO);
        free(front);
    }
}

static void long_numbers_are_read(void **state)
{
    struct fixture *f = *state;
    struct value value;

    buf_text(&f->out, "0.");
    for (int i = 0; i < 500; i++) {
        buf_char(&f->out, '0');
    }
    buf_text(&f->out, "1e501");
    assert_int_equal(json_read(&f->arena, buf_view(&f->out), &value, &f->error), 0);
    assert_true(value.number == 1);
    assert_int_equal(read_json(f, "-0").integer, 0);
    assert_true(read_json(f, "1E-400").number == 0);
}

#define JSON_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JSON_TEST(plain_json_comes_back_as_it_was),
        JSON_TEST(floats_show_what_they_are),
        JSON_TEST(what_json_lacks_has_a_form),
        JSON_TEST(a_map_that_looks_like_a_form_stays_a_map),
        JSON_TEST(a_form_that_says_nonsense_is_an_object),
        JSON_TEST(random_values_come_back),
        JSON_TEST(messages_come_back),
        JSON_TEST(any_text_makes_json),
        JSON_TEST(what_is_wrong_is_said_with_its_place),
        JSON_TEST(nesting_has_a_limit),
        JSON_TEST(a_form_fits_into_the_deepest_map),
        JSON_TEST(the_front_of_a_value_is_not_a_value),
        JSON_TEST(long_numbers_are_read),
        JSON_TEST(every_allocation_may_fail),
        JSON_TEST(the_arena_limits),
        JSON_TEST(a_write_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
