/* Fibers: switching, the ways in which they end, what they may do to each other (nothing). */
#include "fiber_fixture.h"

#include <execinfo.h>
#include <fenv.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

/* What happened, a letter each. */
struct story {
    char text[64];
    size_t length;
    struct fiber *fiber;
    bool unwinding; /* seen by a clean-up */
};

static void tell(struct story *story, char letter)
{
    assert_true(story->length < sizeof story->text - 1);
    story->text[story->length++] = letter;
}

static void on_ended(void *arg)
{
    assert_null(fiber_current());
    tell(arg, 'E');
}

static struct fiber *begin(struct story *story, void (*fn)(void *arg))
{
    story->fiber = fiber_new(pool, fn, on_ended, story);
    assert_non_null(story->fiber);
    return story->fiber;
}

/* ---- switching ---- */

static void parks_twice(void *arg)
{
    struct story *story = arg;

    assert_ptr_equal(fiber_current(), story->fiber);
    assert_ptr_equal(fiber_arg(fiber_current()), story);
    tell(story, 'a');
    fiber_park();
    tell(story, 'b');
    fiber_park();
    assert_ptr_equal(fiber_current(), story->fiber);
    tell(story, 'c');
}

static void runs_from_resume_to_park(void **state)
{
    struct story story = {.length = 0};
    struct fiber *fiber = begin(&story, parks_twice);

    assert_string_equal(story.text, "");
    assert_int_equal(fiber_pool_count(pool), 1);
    fiber_resume(fiber);
    assert_string_equal(story.text, "a");
    assert_null(fiber_current());
    fiber_resume(fiber);
    assert_string_equal(story.text, "ab");
    fiber_resume(fiber);
    assert_string_equal(story.text, "abcE");
    assert_int_equal(fiber_pool_count(pool), 0);
}

static void many_run_in_turns(void **state)
{
    enum { COUNT = 300 };
    static struct story stories[COUNT];

    memset(stories, 0, sizeof stories);
    for (int i = 0; i < COUNT; i++) {
        begin(&stories[i], parks_twice);
    }
    for (int turn = 0; turn < 3; turn++) {
        for (int i = 0; i < COUNT; i++) {
            fiber_resume(stories[i].fiber);
        }
    }
    for (int i = 0; i < COUNT; i++) {
        assert_string_equal(stories[i].text, "abcE");
    }
}

static void begins_the_next(void *arg)
{
    struct story *story = arg;

    on_ended(arg);
    if (story->length < 3) {
        story->fiber = fiber_new(pool, NULL, on_ended, story);
        fiber_unwind(story->fiber);
    }
}

static void returns_at_once(void *arg)
{
}

static void another_may_begin_when_one_has_ended(void **state)
{
    struct story story = {.length = 0};

    fiber_resume(fiber_new(pool, returns_at_once, begins_the_next, &story));
    assert_string_equal(story.text, "EE");
    fiber_resume(fiber_new(pool, returns_at_once, NULL, NULL));
}

/* More than any ABI preserves in registers, so that some of each kind lives in one across the switch. */
static void counts(void *arg)
{
    long step = *(long *)arg, a = step, b = 2 * step, c = 3 * step, d = 4 * step, e = 5 * step, f = 6 * step;
    double x = (double)step, y = 0.5 * x, z = 0.25 * x;

    for (int i = 0; i < 1000; i++) {
        a += step, b ^= a, c += b, d ^= c, e += d, f ^= e;
        x += y, y += z, z += 1;
        fiber_park();
    }
    *(long *)arg = a ^ b ^ c ^ d ^ e ^ f ^ (long)x ^ (long)y ^ (long)z;
}

static void registers_are_kept(void **state)
{
    long together[4], alone[4];

    for (long i = 0; i < 4; i++) {
        struct fiber *fiber = fiber_new(pool, counts, NULL, &alone[i]);
        alone[i] = i + 1;
        for (int round = 0; round <= 1000; round++) {
            fiber_resume(fiber);
        }
    }
    struct fiber *fibers[4];
    for (long i = 0; i < 4; i++) {
        together[i] = i + 1;
        fibers[i] = fiber_new(pool, counts, NULL, &together[i]);
    }
    for (int round = 0; round <= 1000; round++) {
        for (int i = 0; i < 4; i++) {
            fiber_resume(fibers[i]);
        }
    }
    assert_memory_equal(together, alone, sizeof together);
}

static void rounds_up(void *arg)
{
    assert_int_equal(fegetround(), FE_TONEAREST);
    fesetround(FE_UPWARD);
    fiber_park();
    assert_int_equal(fegetround(), FE_UPWARD);
}

static void rounding_is_each_fibers_own(void **state)
{
    struct fiber *fiber = fiber_new(pool, rounds_up, NULL, NULL);

    fiber_resume(fiber);
    assert_int_equal(fegetround(), FE_TONEAREST);
    fiber_resume(fiber);
    assert_int_equal(fegetround(), FE_TONEAREST);
}

static void looks_back(void *arg)
{
    void *frames[64];

    *(int *)arg = backtrace(frames, 64);
}

static void a_backtrace_ends_where_the_fiber_begins(void **state)
{
    int depth = 0;

    fiber_resume(fiber_new(pool, looks_back, NULL, &depth));
    assert_in_range(depth, 2, 8);
}

/* ---- ends ---- */

static void tell_d(struct story **story)
{
    tell(*story, 'd');
}

static void tell_D(struct story **story)
{
    (*story)->unwinding = fiber_unwinding(fiber_current());
    tell(*story, 'D');
}

static void park_in_cleanup(struct story **story)
{
    tell(*story, 'p');
    fiber_park();
    tell(*story, 'q');
}

static __attribute__((noinline)) void parks_inside(struct story *story)
{
    __attribute__((cleanup(tell_d), unused)) struct story *inner = story;

    tell(story, 'a');
    fiber_park();
    tell(story, 'b');
}

static void cleans_up(void *arg)
{
    __attribute__((cleanup(tell_D), unused)) struct story *outer = arg;

    parks_inside(arg);
    tell(arg, 'c');
}

static void force_runs_the_cleanup(void **state)
{
    struct story story = {.length = 0}, calm = {.length = 0};
    struct fiber *fiber = begin(&story, cleans_up);

    fiber_resume(fiber);
    fiber_unwind(fiber);
    assert_string_equal(story.text, "adDE");
    assert_true(story.unwinding);

    fiber = begin(&calm, cleans_up);
    fiber_resume(fiber);
    fiber_resume(fiber);
    assert_string_equal(calm.text, "abdcDE");
    assert_false(calm.unwinding);
}

static __attribute__((noinline)) void exits_inside(struct story *story)
{
    __attribute__((cleanup(tell_d), unused)) struct story *inner = story;

    tell(story, 'a');
    fiber_exit();
}

static void exits(void *arg)
{
    __attribute__((cleanup(tell_D), unused)) struct story *outer = arg;

    exits_inside(arg);
    tell(arg, 'c');
}

static void exit_runs_the_cleanup(void **state)
{
    struct story story = {.length = 0};

    fiber_resume(begin(&story, exits));
    assert_string_equal(story.text, "adDE");
    assert_true(story.unwinding);
}

static void parks_at_the_end(void *arg)
{
    __attribute__((cleanup(tell_D), unused)) struct story *outer = arg;
    __attribute__((cleanup(park_in_cleanup), unused)) struct story *inner = arg;

    fiber_park();
    tell(arg, 'x');
}

static void a_cleanup_may_park(void **state)
{
    struct story story = {.length = 0};
    struct fiber *fiber = begin(&story, parks_at_the_end);

    fiber_resume(fiber);
    fiber_unwind(fiber);
    assert_string_equal(story.text, "p");
    fiber_unwind(fiber); /* it is on its way already */
    assert_string_equal(story.text, "pqDE");
}

static void one_that_has_not_begun_just_goes(void **state)
{
    struct story story = {.length = 0};

    fiber_unwind(begin(&story, parks_twice));
    assert_string_equal(story.text, "E");
}

/* ---- calls on the loop's stack ---- */

struct called {
    char *place; /* on the stack that it ran on */
    struct fiber *current;
    int depth;
};

static void note_place(void *arg)
{
    struct called *called = arg;

    called->place = __builtin_frame_address(0);
    called->current = fiber_current();
    if (called->depth-- > 0) {
        fiber_call(note_place, called);
    }
}

static void calls_outside(void *arg)
{
    struct called *called = arg;
    char *here = __builtin_frame_address(0);

    fiber_call(note_place, called);
    assert_ptr_equal(called->current, fiber_current());
    assert_true(here - called->place > (1 << 20) || called->place - here > (1 << 20));
    fiber_park();
    called->depth = 2; /* from inside a call it is a plain one */
    fiber_call(note_place, called);
    assert_int_equal(called->depth, -1);
}

static void calls_run_on_the_loops_stack(void **state)
{
    struct called called = {.depth = 0};
    struct fiber *fiber = fiber_new(pool, calls_outside, NULL, &called);

    fiber_resume(fiber);
    fiber_resume(fiber);
    fiber_call(note_place, &called);
    assert_null(called.current);
}

/* ---- threads and runtimes ---- */

static void *look_from_elsewhere(void *arg)
{
    *(struct fiber **)arg = fiber_current();
    return NULL;
}

static void asks_a_thread(void *arg)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, look_from_elsewhere, arg), 0);
    pthread_join(thread, NULL);
}

static void other_threads_have_no_current(void **state)
{
    struct fiber *seen = (struct fiber *)&state; /* anything but NULL */

    fiber_resume(fiber_new(pool, asks_a_thread, NULL, &seen));
    assert_null(seen);
}

static struct {
    void *caught;
    unsigned uncaught;
} cxx_globals;

static void *get_cxx_globals(void)
{
    return &cxx_globals;
}

static void catches(void *arg)
{
    assert_null(cxx_globals.caught);
    cxx_globals.caught = arg;
    cxx_globals.uncaught = 1;
    fiber_park();
    assert_ptr_equal(cxx_globals.caught, arg);
    assert_int_equal(cxx_globals.uncaught, 1);
    cxx_globals.caught = NULL;
    cxx_globals.uncaught = 0;
}

static void caught_exceptions_are_each_fibers_own(void **state)
{
    int a, b;

    fiber_keep_cxx_globals(get_cxx_globals);
    struct fiber *first = fiber_new(pool, catches, NULL, &a), *second = fiber_new(pool, catches, NULL, &b);
    fiber_resume(first);
    fiber_resume(second);
    assert_null(cxx_globals.caught);
    fiber_resume(first);
    fiber_resume(second);
    fiber_keep_cxx_globals(NULL);
}

#define test(name) cmocka_unit_test_setup_teardown(name, open_pool, close_pool)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(runs_from_resume_to_park),
        test(many_run_in_turns),
        test(another_may_begin_when_one_has_ended),
        test(registers_are_kept),
        test(rounding_is_each_fibers_own),
        test(a_backtrace_ends_where_the_fiber_begins),
        test(force_runs_the_cleanup),
        test(exit_runs_the_cleanup),
        test(a_cleanup_may_park),
        test(one_that_has_not_begun_just_goes),
        test(calls_run_on_the_loops_stack),
        test(other_threads_have_no_current),
        test(caught_exceptions_are_each_fibers_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
