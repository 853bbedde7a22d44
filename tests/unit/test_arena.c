/* Arenas: alignment, the limit, what a reset keeps. */
#include "failmalloc.h"

#include "base/arena.h"
#include "base/error.h"

static void gives_aligned_memory_of_any_size(void **state)
{
    struct arena arena;

    arena_init(&arena, 0);
    for (size_t size = 0; size < 5000; size += 7) {
        char *memory = arena_alloc(&arena, size);

        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 16, 0);
        memset(memory, 'x', size);
    }
    memset(arena_alloc(&arena, 3 << 20), 'x', 3 << 20);
    arena_done(&arena);
    assert_int_equal(arena.used_bytes, 0);
    assert_non_null(arena_alloc(&arena, 0)); /* usable again; nothing still has an address */
    arena_done(&arena);
}

static void copies_text(void **state)
{
    struct arena arena;
    struct str copy;

    arena_init(&arena, 0);
    copy = arena_str(&arena, STR("a\0b"));
    assert_true(str_equal(copy, STR("a\0b")));
    assert_int_equal(copy.p[3], '\0');
    assert_string_equal(arena_str(&arena, STR("")).p, "");
    assert_null(arena_str(&arena, STR_NONE).p);
    arena_done(&arena);
}

static void the_limit_holds(void **state)
{
    struct arena arena;

    arena_init(&arena, 100);
    assert_non_null(arena_alloc(&arena, 64));
    assert_null(arena_alloc(&arena, 64));
    assert_int_equal(arena_failure(&arena, 64), MITE_ELIMIT);
    assert_null(arena_str(&arena, STR("a text that is longer than what is left of the limit")).p);
    assert_non_null(arena_alloc(&arena, 32));
    assert_null(arena_alloc(&arena, 0));
    arena_reset(&arena);
    assert_non_null(arena_alloc(&arena, 64));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_int_equal(arena_failure(&arena, SIZE_MAX), MITE_ELIMIT);
    arena_done(&arena);
    arena_init(&arena, 0);
    assert_null(arena_alloc(&arena, SIZE_MAX - 3));
    assert_null(arena_alloc(&arena, SIZE_MAX - 15)); /* rounded it fits, with its block's header it does not */
    arena_done(&arena);
}

static void a_reset_arena_allocates_no_more(void **state)
{
    struct arena arena;

    arena_init(&arena, 0);
    arena_reset(&arena); /* of nothing */
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) {
            assert_non_null(arena_alloc(&arena, 100));
        }
        arena_reset(&arena);
    }
    failmalloc_start(0);
    for (int i = 0; i < 60; i++) {
        assert_non_null(arena_alloc(&arena, 100));
    }
    assert_false(failmalloc_stop());
    arena_done(&arena);
}

static void a_huge_block_does_not_stay(void **state)
{
    struct arena arena;

    arena_init(&arena, 0);
    assert_non_null(arena_alloc(&arena, 32 << 20));
    arena_reset(&arena);
    assert_null(arena.blocks);
    arena_done(&arena);
}

static void tells_lack_of_memory_from_the_limit(void **state)
{
    struct arena arena;

    arena_init(&arena, 1 << 20);
    failmalloc_start(0);
    assert_null(arena_alloc(&arena, 64));
    assert_true(failmalloc_stop());
    assert_int_equal(arena_failure(&arena, 64), MITE_ENOMEM);
    assert_int_equal(arena.used_bytes, 0);
    assert_non_null(arena_alloc(&arena, 64));
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_aligned_memory_of_any_size),
        cmocka_unit_test(copies_text),
        cmocka_unit_test(the_limit_holds),
        cmocka_unit_test(a_reset_arena_allocates_no_more),
        cmocka_unit_test(a_huge_block_does_not_stay),
        cmocka_unit_test(tells_lack_of_memory_from_the_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
