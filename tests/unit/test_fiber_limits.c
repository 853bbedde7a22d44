/* The limits of fibers: stacks that overflow, memory that is not there, a hundred thousand at once. */
#include "failmalloc.h"
#include "fiber_fixture.h"
#include "old_kernel.h"

#include "base/clock.h"
#include "engine/sanitizer.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANY 100000

static int open_pool_on_this_kernel(void **state)
{
    old_kernel = false;
    old_kernel_pages = -1;
    return open_pool(state);
}

static void returns_at_once(void *arg)
{
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

#define test(name) cmocka_unit_test_setup_teardown(name, open_pool_on_this_kernel, close_pool)

int main(void)
{
    const struct CMUnitTest tests[] = {
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
