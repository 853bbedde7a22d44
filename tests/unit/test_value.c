/* Values: look-up, comparison, copies; and base64, which their JSON form uses. */
#include "failmalloc.h"
#include "random_value.h"

#include "value/base64.h"

#define TEXT(s) value_text(STR(s))

static const struct value items[] = {{.type = VALUE_INT, .integer = 7}, {.type = VALUE_NIL}};

static void finds_text_keys(void **state)
{
    const struct pair pairs[] = {{value_int(1), TEXT("number")},
                                 {value_bytes(STR("a")), TEXT("bytes")},
                                 {TEXT("a"), TEXT("first")},
                                 {TEXT("a"), TEXT("second")},
                                 {TEXT("ab"), value_nil()}};
    struct value map = value_map(pairs, 5), list = value_list(items, 2);

    assert_true(str_is(value_str(value_get(&map, "a")), "first"));
    assert_int_equal(value_get(&map, "ab")->type, VALUE_NIL);
    assert_null(value_get(&map, "abc"));
    assert_null(value_get(&map, ""));
    assert_null(value_get(&list, "a"));
    assert_null(value_get(NULL, "a"));
}

static void numbers_of_any_type(void **state)
{
    struct value integer = value_int(-3), large = {.type = VALUE_UINT, .large = UINT64_MAX}, f = value_float(0.5),
                 text = TEXT("3");

    assert_true(value_number(&integer, 9) == -3);
    assert_true(value_number(&large, 9) == 18446744073709551615.0);
    assert_true(value_number(&f, 9) == 0.5);
    assert_true(value_number(&text, 9) == 9);
    assert_true(value_number(NULL, 9) == 9);
}

static void equal_means_type_and_content(void **state)
{
    const struct pair ab[] = {{TEXT("a"), value_int(1)}, {TEXT("b"), value_int(2)}},
                      ba[] = {{TEXT("b"), value_int(2)}, {TEXT("a"), value_int(1)}};
    const struct value different[] = {
        value_nil(),
        value_bool(false),
        value_bool(true),
        value_int(0),
        value_int(1),
        value_float(1),
        TEXT(""),
        TEXT("a"),
        value_bytes(STR("")),
        value_bytes(STR("a")),
        value_list(NULL, 0),
        value_list(items, 1),
        value_list(items, 2),
        value_map(NULL, 0),
        value_map(ab, 1),
        value_map(ab, 2),
        value_map(ba, 2),
        {.type = VALUE_UINT, .large = UINT64_MAX},
    };
    size_t count = sizeof different / sizeof *different;

    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            assert_true(value_equal(&different[i], &different[j]) == (i == j));
        }
    }
}

static void a_copy_needs_nothing_of_the_original(void **state)
{
    uint64_t seed = 42;

    for (int i = 0; i < 300; i++) {
        struct arena from, to;
        struct value value, copy, again;

        arena_init(&from, 0);
        arena_init(&to, 0);
        value = random_value(&from, &seed, 5);
        assert_int_equal(value_copy(&to, &value, &copy), 0);
        assert_true(value_equal(&value, &copy));
        assert_int_equal(value_copy(&to, &copy, &again), 0);
        arena_done(&from);
        assert_true(value_equal(&again, &copy)); /* the address sanitizer watches */
        arena_done(&to);
    }
}

/* A list with a text, a map and what is empty: every kind of allocation that a copy makes. */
static struct value some_of_each(void)
{
    static struct pair pairs[1];
    static struct value all[5];

    pairs[0] = (struct pair){TEXT("key"), value_list(items, 2)};
    all[0] = TEXT("text");
    all[1] = value_map(pairs, 1);
    all[2] = value_bytes(STR_NONE);
    all[3] = value_list(NULL, 0);
    all[4] = value_map(NULL, 0);
    return value_list(all, 5);
}

static void a_copy_may_fail(void **state)
{
    struct value value = some_of_each(), copy;
    bool failed = true;

    for (long n = 0; failed; n++) {
        struct arena arena;
        int rc;

        arena_init(&arena, 0);
        copy = value_int(5);
        failmalloc_start(n);
        rc = value_copy(&arena, &value, &copy);
        failed = failmalloc_stop();
        assert_int_equal(rc, failed ? MITE_ENOMEM : 0);
        assert_int_equal(copy.type, failed ? VALUE_INT : VALUE_LIST); /* untouched on failure */
        arena_done(&arena);
    }
    for (size_t limit = 16, rc = 1; rc != 0; limit += 16) {
        struct arena arena;

        arena_init(&arena, limit);
        copy = value_int(5);
        rc = (size_t)value_copy(&arena, &value, &copy);
        assert_true(rc == 0 || (int)rc == MITE_ELIMIT);
        assert_int_equal(copy.type, rc ? VALUE_INT : VALUE_LIST);
        arena_done(&arena);
    }
}

static void types_have_names(void **state)
{
    assert_string_equal(value_type_name(VALUE_NIL), "nil");
    assert_string_equal(value_type_name(VALUE_UINT), "integer");
    assert_string_equal(value_type_name(VALUE_MAP), "map");
}

/* The test vectors of RFC 4648, section 10. */
static void base64_there_and_back(void **state)
{
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"},
                                             {"\xff\xef\xbe", "/+++"}};
    struct buf text;
    char bytes[16];
    size_t size;

    buf_init(&text, 0);
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        buf_clear(&text);
        base64_encode(&text, str_of(vectors[i][0]));
        assert_true(str_is(buf_view(&text), vectors[i][1]));
        assert_true(base64_decode(str_of(vectors[i][1]), bytes, &size));
        assert_true(str_is((struct str){bytes, size}, vectors[i][0]));
        assert_true(size <= base64_decoded_max(strlen(vectors[i][1])));
    }
    buf_done(&text);
}

static void base64_refuses_the_rest(void **state)
{
    static const char *const bad[] = {"A",        "AB",   "ABC",  "ABCDE",           "A===", "====", "AB=C",
                                      "AB==CDEF", "A-B_", "AB C", "\xff\xff\xff\xff"};
    char bytes[16];
    size_t size;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(base64_decode(str_of(bad[i]), bytes, &size));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_text_keys),
        cmocka_unit_test(numbers_of_any_type),
        cmocka_unit_test(equal_means_type_and_content),
        cmocka_unit_test(a_copy_needs_nothing_of_the_original),
        cmocka_unit_test(a_copy_may_fail),
        cmocka_unit_test(types_have_names),
        cmocka_unit_test(base64_there_and_back),
        cmocka_unit_test(base64_refuses_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
