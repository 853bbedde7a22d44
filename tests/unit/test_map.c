/* Hash maps: order, replacement, removal, keys that come and go, lack of memory. */
#include "failmalloc.h"

#include "base/error.h"
#include "base/map.h"

#include <stdio.h>

static struct str number_key(char out[16], int i)
{
    return (struct str){out, (size_t)snprintf(out, 16, "key %d", i)};
}

static void keeps_the_order_of_insertion(void **state)
{
    struct map map;
    struct map_entry *entry;
    char key[16];
    int n = 0;

    map_init(&map);
    assert_null(map_get(&map, STR("nothing")));
    assert_null(map_remove(&map, STR("nothing")));
    for (intptr_t i = 1; i <= 5000; i++) {
        assert_int_equal(map_set(&map, number_key(key, (int)i), (void *)i, NULL), 0);
    }
    for (uint32_t i = 0; (entry = map_next(&map, &i));) {
        assert_int_equal((intptr_t)entry->value, ++n);
        assert_true(str_equal(entry->key, number_key(key, n)));
        assert_ptr_equal(map_get(&map, entry->key), entry->value);
    }
    assert_int_equal(n, 5000);
    assert_int_equal(map.live_count, 5000);
    map_done(&map, NULL);
    assert_null(map_get(&map, STR("key 1")));
}

static void hands_back_what_it_replaces(void **state)
{
    struct map map;
    int first, second;
    void *old = &second;

    map_init(&map);
    assert_int_equal(map_set(&map, STR("key"), &first, &old), 0);
    assert_null(old);
    assert_int_equal(map_set(&map, STR("key"), &second, &old), 0);
    assert_ptr_equal(old, &first);
    assert_int_equal(map.live_count, 1);
    assert_ptr_equal(map_remove(&map, STR("key")), &second);
    assert_null(map_remove(&map, STR("key")));
    assert_null(map_get(&map, STR("key")));
    assert_int_equal(map.live_count, 0);
    map_done(&map, NULL);
}

static void any_bytes_are_a_key(void **state)
{
    struct str keys[] = {STR(""), STR("\0"), STR("\0\0"), STR("a"), STR("a\0"), STR("12345678"), STR("12345678\0")};
    size_t count = sizeof keys / sizeof *keys;
    struct map map;

    map_init(&map);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(map_set(&map, keys[i], &keys[i], NULL), 0);
    }
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(map_get(&map, keys[i]), &keys[i]);
    }
    map_done(&map, NULL);
}

/* A window of keys slides along: the tables stay small, and what is there is found. */
static void keys_come_and_go(void **state)
{
    struct map map;
    char key[16];

    map_init(&map);
    for (intptr_t i = 0; i < 20000; i++) {
        assert_int_equal(map_set(&map, number_key(key, (int)i), (void *)(i + 1), NULL), 0);
        if (i >= 15) {
            assert_int_equal((intptr_t)map_remove(&map, number_key(key, (int)i - 15)), i - 14);
        }
        assert_null(map_get(&map, number_key(key, (int)i + 1)));
    }
    assert_int_equal(map.live_count, 15);
    assert_true(map.slot_count <= 64);
    map_done(&map, NULL);
}

/* Each rebuild leaves room, so that a full map with one key in and one key out is not rebuilt each time. */
static void room_is_left_for_turnover(void **state)
{
    char key[16];

    for (int size = 1; size < 100; size++) {
        struct map map;
        struct map_entry *tables;
        int rebuilds = 0;

        map_init(&map);
        for (int i = 0; i < size; i++) {
            assert_int_equal(map_set(&map, number_key(key, i), &map, NULL), 0);
        }
        tables = map.entries;
        for (int i = size; i < size + 1000; i++) {
            map_remove(&map, number_key(key, i - size));
            assert_int_equal(map_set(&map, number_key(key, i), &map, NULL), 0);
            rebuilds += map.entries != tables;
            tables = map.entries;
        }
        assert_true(rebuilds <= 3 * 1000 / size + 1);
        map_done(&map, NULL);
    }
}

static void frees_its_values(void **state)
{
    struct map map;

    map_init(&map);
    for (int i = 0; i < 40; i++) {
        char key[16];

        assert_int_equal(map_set(&map, number_key(key, i), malloc(10), NULL), 0);
    }
    free(map_remove(&map, STR("key 7")));
    map_done(&map, free); /* the leak checker says whether that is all */
}

static void lack_of_memory_leaves_the_map_as_it_was(void **state)
{
    int set = 0;
    struct map map;
    char key[16];

    map_init(&map);
    for (int i = 0; i < 100; i++) {
        bool failed = true;

        for (long n = 0; failed; n++) {
            void *old = key;
            int rc;

            failmalloc_start(n);
            rc = map_set(&map, number_key(key, i), &map, &old);
            failed = failmalloc_stop();
            assert_int_equal(rc, failed ? MITE_ENOMEM : 0);
            assert_int_equal(map.live_count, failed ? i : i + 1);
            assert_ptr_equal(old, failed ? key : NULL);
            assert_ptr_equal(map_get(&map, number_key(key, i)), failed ? NULL : &map);
            set += failed;
        }
        for (int j = 0; j <= i; j++) {
            assert_ptr_equal(map_get(&map, number_key(key, j)), &map);
        }
    }
    assert_true(set > 100); /* a copy of each key, and the tables */
    map_done(&map, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_order_of_insertion),
        cmocka_unit_test(hands_back_what_it_replaces),
        cmocka_unit_test(any_bytes_are_a_key),
        cmocka_unit_test(keys_come_and_go),
        cmocka_unit_test(room_is_left_for_turnover),
        cmocka_unit_test(frees_its_values),
        cmocka_unit_test(lack_of_memory_leaves_the_map_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
