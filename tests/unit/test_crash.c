/* Crashes: each in a child process, whose stderr, stdout and exit status are looked at. */
#include "base/clock.h"
#include "engine/crash.h"
#include "engine/fiber.h"
#include "engine/sanitizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATUS 77

struct outcome {
    int status; /* of the exit; -1: ended by a signal */
    char text[32 << 10];
};

/* ---- what crashes ---- */

/* Volatile, lest the compiler sees what is coming. */
static int *volatile null_pointer;
static volatile int zero;
static void (*volatile null_function)(void);

static __attribute__((noinline)) void write_to_null(void)
{
    *null_pointer = 1;
}

static __attribute__((noinline)) void divide_by_zero(void)
{
#ifdef __x86_64__
    zero = 1000 / zero;
#else
    raise(SIGFPE); /* arm64 divides by zero without complaint */
#endif
}

static void call_null(void)
{
    null_function();
}

static void trap(void)
{
    raise(SIGILL);
}

static __attribute__((noinline)) int recurse(int depth)
{
    volatile char frame[512];

    frame[0] = (char)depth;
    return depth == 0 ? 0 : recurse(depth - 1) + frame[0];
}

static void on_fiber(void *arg)
{
    recurse(1 << 20);
}

static void overflow_a_fiber(void)
{
    struct fiber_pool *pool;

    assert_int_equal(fiber_pool_new(0, &pool, NULL), 0);
    fiber_resume(fiber_new(pool, on_fiber, NULL, NULL));
}

static void overflow_the_main_stack(void)
{
    recurse(INT32_MAX);
}

static void *crash_in_thread(void *arg)
{
    write_to_null();
    return NULL;
}

static void crash_in_two_threads(void)
{
    pthread_t threads[2];

    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, crash_in_thread, NULL);
    }
    pthread_join(threads[0], NULL);
}

/* ---- who and report ---- */

static void says_who(void *arg, struct crash_who *out)
{
    static const char journey[] = "shop.c:browse", transaction[] = "basket";

    *out = (struct crash_who){journey, transaction, strlen(journey), strlen(transaction), arg};
}

static void says_nothing(void *arg, struct crash_who *out)
{
}

static void crashes_itself(void *arg, struct crash_who *out)
{
    write_to_null();
}

static void reports(void *arg, const struct crash *crash)
{
    char *text = malloc(1 << 20); /* it may */

    snprintf(text, 1 << 20, "report of signal %d in %s, %s, at %s%s\n", crash->signal, crash->journey,
             crash->transaction, crash->location, crash->subject == arg ? ", of the subject" : "");
    printf("%s", text);
    free(text);
}

static void hangs(void *arg, const struct crash *crash)
{
    for (;;) {
        pause();
    }
}

static void crashes_again(void *arg, const struct crash *crash)
{
    write_to_null();
}

struct scene {
    void (*crash)(void);
    void (*who)(void *arg, struct crash_who *out);
    void (*report)(void *arg, const struct crash *crash);
};

/* cmocka catches these for itself. */
static void forget_handlers(void)
{
    for (const int *number = (const int[]){SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, 0}; *number; number++) {
        signal(*number, SIG_DFL);
    }
}

static void play(const struct scene *scene)
{
    static int subject;
    struct crash_options options = {.exit_status = STATUS, .report_limit_ms = scene->report == hangs ? 50 : 0};
    struct rlimit no_core = {0};

    forget_handlers();
    setrlimit(RLIMIT_CORE, &no_core);
    assert_int_equal(crash_start(&options, NULL), 0);
    crash_set_who(scene->who, &subject);
    crash_set_report(scene->report, &subject);
    printf("unwritten text; ");
    scene->crash();
}

static void watch(const struct scene *scene, struct outcome *out)
{
    int ends[2], status;
    size_t length = 0;
    ssize_t n;

    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        play(scene);
        _exit(0);
    }
    close(ends[1]);
    while ((n = read(ends[0], out->text + length, sizeof out->text - 1 - length)) > 0) {
        length += (size_t)n;
    }
    out->text[length] = 0;
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    out->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static struct outcome seen;

static void see(const struct scene *scene)
{
    watch(scene, &seen);
    assert_int_equal(seen.status, STATUS);
}

static size_t times(const char *what)
{
    size_t n = 0;

    for (const char *at = seen.text; (at = strstr(at, what)); at++) {
        n++;
    }
    return n;
}

#define assert_says(what)   assert_non_null(strstr(seen.text, what))
#define assert_silent(what) assert_null(strstr(seen.text, what))

/* ---- tests ---- */

static void a_crash_is_told_and_reported(void **state)
{
    see(&(struct scene){write_to_null, says_who, reports});
    assert_says("mite: journey \"shop.c:browse\" crashed in transaction \"basket\": SIGSEGV, invalid memory access at "
                "0x0\nmite: at test_crash+0x");
    assert_says("unwritten text; report of signal 11 in shop.c:browse, basket, at ");
    assert_says(", of the subject\n");
    assert_int_equal(times("crashed"), 1);
    assert_silent("lost");
}

static void frames_have_names_and_lines(void **state)
{
    if (system("addr2line --version >/dev/null 2>&1") != 0) {
        print_message("# skipped: addr2line is not installed\n");
        skip();
    }
    see(&(struct scene){write_to_null, says_who, reports});
    assert_says("\n  at write_to_null ");
    assert_says("test_crash.c:");
    assert_says("\n  at play ");
    assert_silent("on_crash");
    assert_says(":write_to_null, of the subject");

    see(&(struct scene){abort, says_who, reports});
    assert_says(":play, of the subject"); /* not the C library's lines */
}

static void every_kind_is_named(void **state)
{
    const struct {
        void (*crash)(void);
        const char *text;
    } cases[] = {
        {abort, "mite: crashed: SIGABRT, abort() or a failed assert()\n"},
        {divide_by_zero, "mite: crashed: SIGFPE, arithmetic error"},
        {trap, "mite: crashed: SIGILL, illegal instruction\n"},
        {call_null, "mite: crashed: SIGSEGV, invalid memory access at 0x0\n"},
        {overflow_the_main_stack, "mite: crashed: SIGSEGV, invalid memory access at 0x"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        see(&(struct scene){cases[i].crash, says_nothing, reports});
        assert_says(cases[i].text);
        assert_says("report of signal");
    }
}

static void a_call_into_nowhere_shows_its_caller(void **state)
{
    see(&(struct scene){call_null, says_nothing, reports});
    assert_says("mite: at 0x0 test_crash+0x");
}

static void an_overflow_is_called_one(void **state)
{
    see(&(struct scene){overflow_a_fiber, says_who, reports});
    assert_says("mite: journey \"shop.c:browse\" crashed in transaction \"basket\": it outgrew its stack "
                "(--fiber-stack=BYTES gives more)\n");
    assert_says(" times\n"); /* a recursion is not listed frame by frame */
    assert_says("report of signal 11");
}

static void without_who_and_report_there_is_still_a_line(void **state)
{
    see(&(struct scene){write_to_null, NULL, NULL});
    assert_says("mite: crashed: SIGSEGV");
    assert_says("unwritten text; ");
    assert_silent("lost");
}

static void a_crash_in_who_goes_on_without(void **state)
{
    see(&(struct scene){abort, crashes_itself, reports});
    assert_says("mite: crashed: SIGABRT");
    assert_says("report of signal 6 in ");
    assert_silent("of the subject");
}

static void what_could_not_be_saved_is_said(void **state)
{
    uint64_t start_ns = clock_now_ns();

    see(&(struct scene){write_to_null, says_who, hangs});
    assert_says("took too long and was given up");
    assert_true(clock_now_ns() - start_ns < 4 * NS_PER_S);

    see(&(struct scene){write_to_null, says_who, crashes_again});
    assert_says("too little intact");
    assert_int_equal(times("crashed"), 1);
}

static void give_up(void)
{
    crash_give_up("it takes for ever", 78);
}

static void a_handler_may_give_up(void **state)
{
    watch(&(struct scene){give_up, says_who, reports}, &seen);
    assert_int_equal(seen.status, 78);
    assert_says("mite: journey \"shop.c:browse\" was given up in transaction \"basket\": it takes for ever\n");
    assert_says("report of signal 0 in shop.c:browse");
}

static void threads_crash_once(void **state)
{
    see(&(struct scene){crash_in_two_threads, says_who, reports});
    assert_int_equal(times("mite: journey"), 1);
    assert_int_equal(times("report of signal 11"), 1);
}

static void crash_in_a_child(void)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        write_to_null();
    }
    waitpid(child, &status, 0);
    _exit(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV ? STATUS : 1);
}

static void a_child_of_the_users_just_dies(void **state)
{
    see(&(struct scene){crash_in_a_child, says_who, reports});
    assert_silent("crashed");
    assert_silent("report");
}

static void handlers_of_others_are_left_alone(void **state)
{
    struct crash_options options = {.exit_status = STATUS};
    struct sigaction now;

    forget_handlers();
    signal(SIGFPE, SIG_IGN);
    assert_int_equal(crash_start(&options, NULL), 0);
    assert_int_equal(crash_start(&options, NULL), 0);
    sigaction(SIGFPE, NULL, &now);
    assert_true(now.sa_handler == SIG_IGN);
    sigaction(SIGILL, NULL, &now);
    assert_true(now.sa_flags & SA_ONSTACK);
    signal(SIGILL, SIG_IGN); /* somebody else's, later */
    crash_stop();
    crash_stop();
    sigaction(SIGILL, NULL, &now);
    assert_true(now.sa_handler == SIG_IGN);
    sigaction(SIGSEGV, NULL, &now);
    assert_true(now.sa_handler == SIG_DFL);
    signal(SIGFPE, SIG_DFL);
    signal(SIGILL, SIG_DFL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_is_told_and_reported),
        cmocka_unit_test(frames_have_names_and_lines),
        cmocka_unit_test(every_kind_is_named),
        cmocka_unit_test(a_call_into_nowhere_shows_its_caller),
        cmocka_unit_test(an_overflow_is_called_one),
        cmocka_unit_test(without_who_and_report_there_is_still_a_line),
        cmocka_unit_test(a_crash_in_who_goes_on_without),
        cmocka_unit_test(what_could_not_be_saved_is_said),
        cmocka_unit_test(a_handler_may_give_up),
        cmocka_unit_test(threads_crash_once),
        cmocka_unit_test(a_child_of_the_users_just_dies),
        cmocka_unit_test(handlers_of_others_are_left_alone),
    };

    if (SANITIZED) {
        print_message("1..0 # skipped: AddressSanitizer keeps its own handlers\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
