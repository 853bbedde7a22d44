/* Fibers: switching, the ways in which they end, what they may do to each other (nothing), and what they cost. */
#include "failmalloc.h"
#include "old_kernel.h"

#include "base/clock.h"
#include "engine/fiber.h"
#include "engine/sanitizer.h"

#include <execinfo.h>
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANY 100000

static struct fiber_pool *pool;

static int open_pool(void **state)
{
    old_kernel = false;
    old_kernel_pages = -1;
    return fiber_pool_new(0, &pool, NULL);
}

static int close_pool(void **state)
{
    if (fiber_pool_count(pool) != 0) {
        return -1;
    }
    fiber_pool_free(pool);
    return 0;
}

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

/* ---- overflow ---- */

#define SEEN_AS_OVERFLOW 42
#define SEEN_AT_SWITCH   43
#define SEEN_OTHERWISE   44

static void on_fault(int number, siginfo_t *info, void *context)
{
    bool overflowed = fiber_current() && fiber_overflowed(fiber_current(), number == SIGSEGV ? info->si_addr : NULL);

    _exit(!overflowed ? SEEN_OTHERWISE : number == SIGABRT ? SEEN_AT_SWITCH : SEEN_AS_OVERFLOW);
}

/* Uses `bytes` of stack below `top`, a frame at a time, each of which is written to. */
static __attribute__((noinline)) int recurse(const char *top, long bytes)
{
    volatile char frame[256];

    frame[0] = frame[sizeof frame - 1] = 1;
    return top - (const char *)__builtin_frame_address(0) > bytes ? 0 : recurse(top, bytes) + frame[sizeof frame - 1];
}

static void recurses(void *arg)
{
    recurse(__builtin_frame_address(0), *(long *)arg);
    fiber_park();
}

static void faults(void *arg)
{
    *(volatile char *)arg = 1;
}

/* The exit status of a child whose fiber does this. */
static int status_of(void (*fn)(void *arg), void *arg)
{
    static char alternate[64 << 10];
    int status;
    pid_t child = fork();

    if (child == 0) {
        stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
        struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
        sigaltstack(&stack, NULL);
        sigaction(SIGSEGV, &action, NULL);
        sigaction(SIGABRT, &action, NULL);
        fiber_resume(fiber_new(pool, fn, NULL, arg));
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void overflow_is_told_from_other_faults(void **state)
{
    long some = 20 << 10, endless = 16 << 20;
    void *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_int_equal(status_of(recurses, &some), 0);
    assert_int_equal(status_of(recurses, &endless), SEEN_AS_OVERFLOW);
    assert_int_equal(status_of(faults, nowhere), SEEN_OTHERWISE);
    munmap(nowhere, 4096);
}

static void overflow_is_noticed_on_an_older_kernel_too(void **state)
{
    long endless = 16 << 20;

    old_kernel = true;
    assert_int_equal(status_of(recurses, &endless), SEEN_AS_OVERFLOW);
}

/* The stack that is overrun lies above another one: it goes through its canary, then into that. */
static void a_dead_canary_aborts_at_the_next_switch(void **state)
{
    long some = 20 << 10, just_too_deep = FIBER_STACK_BYTES;

    if (SANITIZED) {
        skip(); /* frames are of no known size */
    }
    old_kernel = true;
    old_kernel_pages = 0;
    struct fiber *victim = fiber_new(pool, returns_at_once, NULL, NULL);
    assert_int_equal(status_of(recurses, &some), 0);
    assert_int_equal(status_of(recurses, &just_too_deep), SEEN_AT_SWITCH);
    fiber_resume(victim);
}

/* ---- cost ---- */

static void parks_for_ever(void *arg)
{
    for (;;) {
        fiber_park();
    }
}

static void allocates_nothing_once_warm(void **state)
{
    struct fiber *fibers[50];

    for (int round = 0; round < 3; round++) {
        if (round == 1) {
            failmalloc_start(0);
        }
        for (int i = 0; i < 50; i++) {
            fibers[i] = fiber_new(pool, parks_for_ever, NULL, NULL);
            fiber_resume(fibers[i]);
        }
        for (int i = 0; i < 50; i++) {
            fiber_unwind(fibers[i]);
        }
    }
    assert_false(failmalloc_stop());
}

static void survives_a_lack_of_memory(void **state)
{
    bool failed = true;

    for (long n = 0; failed; n++) {
        struct fiber_pool *poor = NULL;
        struct fiber *fiber = NULL;
        failmalloc_start(n);
        int code = fiber_pool_new(0, &poor, NULL);
        if (code == 0) {
            fiber = fiber_new(poor, returns_at_once, NULL, NULL);
            code = fiber ? 0 : MITE_ENOMEM;
        }
        failed = failmalloc_stop();
        assert_int_equal(code, failed ? MITE_ENOMEM : 0);
        if (fiber) {
            fiber_resume(fiber);
        }
        fiber_pool_free(poor);
    }
}

/* In kB; -1: the system does not say. */
static long read_kb(const char *path, const char *name)
{
    char line[256];
    long kb = -1;
    FILE *file = fopen(path, "re");

    while (file && kb < 0 && fgets(line, sizeof line, file)) {
        if (strncmp(line, name, strlen(name)) == 0) {
            sscanf(line + strlen(name), ": %ld", &kb);
        }
    }
    if (file) {
        fclose(file);
    }
    return kb;
}

/* Why this machine cannot run a hundred thousand; NULL: it can. */
static const char *too_small(void)
{
    long available_kb = read_kb("/proc/meminfo", "MemAvailable");

    return SANITIZED                ? "the sanitizer's shadow of so many stacks is too large"
           : RUNNING_ON_VALGRIND    ? "valgrind is too slow for so many stacks"
           : available_kb < 1 << 20 ? "there is less than 1 GB of memory available"
                                    : NULL;
}

static void sleep_by_the_hundred_thousand(void)
{
    static struct fiber *fibers[MANY];
    long before_kb = read_kb("/proc/self/status", "VmRSS");
    uint64_t start_ns = clock_now_ns();

    for (int i = 0; i < MANY; i++) {
        fibers[i] = fiber_new(pool, parks_for_ever, NULL, NULL);
        assert_non_null(fibers[i]);
        fiber_resume(fibers[i]);
    }
    uint64_t took_ns = clock_now_ns() - start_ns;
    long each_bytes = (read_kb("/proc/self/status", "VmRSS") - before_kb) * 1024 / MANY;
    print_message("# 100,000 fibers: %ld bytes each, started in %.2f s\n", each_bytes, ns_to_s(took_ns));
    assert_true(each_bytes <= 5000);
    assert_true(took_ns < 3 * NS_PER_S);
    for (int i = 0; i < MANY; i++) {
        fiber_unwind(fibers[i]);
    }
    assert_true(read_kb("/proc/self/status", "VmRSS") - before_kb < 20 << 10); /* and it is given back */
}

static void a_hundred_thousand_sleep_in_little_memory(void **state)
{
    if (too_small()) {
        print_message("# skipped: %s\n", too_small());
        skip();
    }
    sleep_by_the_hundred_thousand();
}

static void and_on_an_older_kernel(void **state)
{
    if (too_small()) {
        print_message("# skipped: %s\n", too_small());
        skip();
    }
    old_kernel = true;
    sleep_by_the_hundred_thousand();
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
        test(overflow_is_told_from_other_faults),
        test(overflow_is_noticed_on_an_older_kernel_too),
        test(a_dead_canary_aborts_at_the_next_switch),
        test(allocates_nothing_once_warm),
        test(survives_a_lack_of_memory),
        test(a_hundred_thousand_sleep_in_little_memory),
        test(and_on_an_older_kernel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
