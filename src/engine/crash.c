/*
 * Design notes
 *
 * The handler is a list of steps, and `next_step` says which comes next. A fault inside a step enters the handler anew,
 * further down on the same alternate stack, and goes on with the next one: nothing returns from there. In the child a
 * second fault ends the child, and the parent says that nothing was saved.
 *
 * The child leaves the alternate stack for one of its own, large enough for what prints: the same switch as a fiber's.
 *
 * _Fork() runs no handlers of pthread_atfork(): malloc's would wait for a lock that the crashed code may hold.
 */
#include "engine/crash.h"

#include "engine/crash_trace.h"
#include "engine/fiber.h"
#include "engine/fiber_switch.h"
#include "engine/sanitizer.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define HANDLER_STACK_BYTES (128u << 10)
#define REPORT_STACK_BYTES  (1u << 20)
#define REPORT_LIMIT_MS     5000u

static const struct kind {
    int signal;
    const char *name;
    bool address; /* si_addr is what could not be reached */
} kinds[] = {
    {SIGSEGV, "SIGSEGV, invalid memory access", true},
    {SIGBUS, "SIGBUS, memory that is not there (was a library in use written over?)", true},
    {SIGILL, "SIGILL, illegal instruction", false},
    {SIGFPE, "SIGFPE, arithmetic error such as a division by zero", false},
    {SIGABRT, "SIGABRT, abort() or a failed assert()", false},
};
#define KINDS (sizeof kinds / sizeof *kinds)

static struct {
    struct crash_options options;
    void (*who)(void *arg, struct crash_who *out);
    void *who_arg;
    void (*report)(void *arg, const struct crash *crash);
    void *report_arg;
    pid_t pid;
    char *stacks; /* the handler's, then the child's; NULL: not started */
    stack_t old_stack;
    struct sigaction old_actions[KINDS];
    bool installed[KINDS];
} setup;

/* The crash. There is one, for nobody returns from it. */
static struct crash crash;
static struct trace trace;
static const void *interrupted; /* the handler's third argument */
static atomic_flag crashed = ATOMIC_FLAG_INIT;
static _Thread_local bool crashing __attribute__((tls_model("initial-exec")));
static volatile sig_atomic_t next_step;
static volatile bool in_child;
static volatile bool left_by_exit; /* what aborts is on_exit_called() */

static void say(const char *text, size_t length)
{
    while (length > 0) {
        ssize_t n = write(STDERR_FILENO, text, length);
        if (n < 0 && errno != EINTR) {
            return;
        }
        text += n < 0 ? 0 : n;
        length -= n < 0 ? 0 : (size_t)n;
    }
}

static __attribute__((format(printf, 1, 2))) void say_line(const char *format, ...)
{
    static char line[1536];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    say(line, n < 0 ? 0 : (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

/* ---- the child ---- */

static void report_and_exit(void *arg)
{
    trace.own_program = setup.options.own_program;
    trace_write(&trace, crash.trace, sizeof crash.trace, crash.location, sizeof crash.location);
    say(crash.trace, strlen(crash.trace));
    if (setup.report) {
        setup.report(setup.report_arg, &crash);
    }
    fflush(NULL);
    _exit(0);
}

static _Noreturn void be_child(void)
{
    unsigned limit_ms = setup.options.report_limit_ms ? setup.options.report_limit_ms : REPORT_LIMIT_MS;
    struct itimerval limit = {.it_value = {.tv_sec = limit_ms / 1000, .tv_usec = limit_ms % 1000 * 1000}};
    sigset_t alarm_only;
    void *left;

    in_child = true;
    signal(SIGALRM, SIG_DFL);
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
    setitimer(ITIMER_REAL, &limit, NULL);
    fiber_switch(&left,
                 fiber_switch_prepare(setup.stacks + HANDLER_STACK_BYTES + REPORT_STACK_BYTES, report_and_exit, NULL));
    _exit(1); /* nobody switches back */
}

/* ---- the handler's steps ---- */

static void copy(char *to, size_t bytes, const char *from, size_t length)
{
    length = !from ? 0 : length < bytes ? length : bytes - 1;
    if (length > 0) {
        memcpy(to, from, length);
    }
    to[length] = 0;
}

static void ask_who(void)
{
    struct crash_who who = {.journey = NULL};

    if (setup.who) {
        setup.who(setup.who_arg, &who);
        copy(crash.journey, sizeof crash.journey, who.journey, who.journey_bytes);
        copy(crash.transaction, sizeof crash.transaction, who.transaction, who.transaction_bytes);
        crash.subject = who.subject;
    }
}

static void say_what(void)
{
    const char *verb = crash.signal ? "crashed" : "was given up";

    if (!crash.journey[0]) {
        say_line("mite: %s: %s\n", verb, crash.what);
    } else if (crash.transaction[0]) {
        say_line("mite: journey \"%s\" %s in transaction \"%s\": %s\n", crash.journey, verb, crash.transaction,
                 crash.what);
    } else {
        say_line("mite: journey \"%s\" %s: %s\n", crash.journey, verb, crash.what);
    }
}

static void note_frames(void)
{
    trace_note(&trace, interrupted);
}

static void say_frames(void)
{
    static char raw[1400];

    trace_write_raw(&trace, raw, sizeof raw);
    say_line("mite: at %s\n", raw);
}

static void save(void)
{
    int status = 0;
    pid_t child = setup.stacks ? _Fork() : -1;

    if (child == 0) {
        be_child();
    }
    if (child < 0) {
        say_line("mite: cannot fork: what was measured and not yet written is lost\n");
        return;
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
        say_line("mite: saving what was measured took too long and was given up: the rest of it is lost\n");
    } else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        say_line("mite: the crash left too little intact to save what was measured: the rest of it is lost\n");
    }
}

static void (*const steps[])(void) = {ask_who, say_what, note_frames, say_frames, save};
#define STEPS ((int)(sizeof steps / sizeof *steps))

static void describe(int number, const siginfo_t *info)
{
    const struct kind *kind = kinds;
    struct fiber *fiber = fiber_current();
    /* One that somebody sent has none, nor has one that is no address at all (SI_KERNEL). */
    bool address = info->si_code > 0 && info->si_code != SI_KERNEL;

    while (kind->signal != number) {
        kind++;
    }
    address = address && kind->address;
    crash.signal = number;
    crash.overflow = fiber && fiber_overflowed(fiber, address ? info->si_addr : NULL);
    if (crash.overflow) {
        snprintf(crash.what, sizeof crash.what, "it outgrew its stack (--fiber-stack=BYTES gives more)");
    } else if (left_by_exit) {
        snprintf(crash.what, sizeof crash.what, "it called exit(), which ends the whole run");
    } else if (address) {
        snprintf(crash.what, sizeof crash.what, "%s at 0x%lx", kind->name, (unsigned long)info->si_addr);
    } else {
        snprintf(crash.what, sizeof crash.what, "%s", kind->name);
    }
}

/* One thread is the first; others wait here until it has ended the process. */
static void be_the_one(void)
{
    while (atomic_flag_test_and_set(&crashed)) {
        pause();
    }
    crashing = true;
}

static _Noreturn void go_on(void)
{
    while (next_step < STEPS) {
        steps[next_step++]();
    }
    _exit(setup.options.exit_status);
}

static void on_crash(int number, siginfo_t *info, void *context)
{
    if (in_child) {
        _exit(1);
    }
    if (getpid() != setup.pid) { /* a child of the user's: its figures are not its own */
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    if (!crashing) {
        be_the_one();
        interrupted = context;
        describe(number, info);
    }
    go_on();
}

void crash_give_up(const char *what, int exit_status)
{
    if (!crashing) {
        be_the_one();
        copy(crash.what, sizeof crash.what, what, strlen(what));
        setup.options.exit_status = exit_status;
    }
    go_on();
}

/* Of exit() and quick_exit(), whose code ever that was. Nobody would say that the run is over, nor what it measured,
 * and its status could be one of success. */
static void on_exit_called(void)
{
    if (setup.stacks && setup.who && getpid() == setup.pid && !crashing) {
        left_by_exit = true;
        abort();
    }
}

/* ---- life ---- */

static int make_stacks(struct mite_error *error)
{
    size_t bytes = HANDLER_STACK_BYTES + REPORT_STACK_BYTES;
    char *stacks = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

    if (stacks == MAP_FAILED) {
        return error_errno(error, errno, "no memory for the crash handler's stack");
    }
    stack_t stack = {.ss_sp = stacks, .ss_size = HANDLER_STACK_BYTES};
    if (sigaltstack(&stack, &setup.old_stack) < 0) {
        int failed = errno;
        munmap(stacks, bytes);
        return error_errno(error, failed, "cannot set the crash handler's stack");
    }
    setup.stacks = stacks;
    return 0;
}

/* In the handler everything waits but another fault. */
static void install(void)
{
    struct sigaction action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};

    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < KINDS; i++) {
        sigdelset(&action.sa_mask, kinds[i].signal);
    }
    for (size_t i = 0; i < KINDS; i++) {
        struct sigaction *old = &setup.old_actions[i];
        setup.installed[i] = sigaction(kinds[i].signal, NULL, old) == 0 && old->sa_handler == SIG_DFL &&
                             sigaction(kinds[i].signal, &action, NULL) == 0;
    }
}

int crash_start(const struct crash_options *options, struct mite_error *error)
{
    if (setup.stacks || SANITIZED) {
        return 0;
    }
    static bool exit_watched;
    int rc = make_stacks(error);
    if (rc < 0) {
        return rc;
    }
    exit_watched = exit_watched || (atexit(on_exit_called) == 0 && at_quick_exit(on_exit_called) == 0);
    setup.options = *options;
    setup.pid = getpid();
    install();
    return 0;
}

void crash_stop(void)
{
    stack_t stack;

    if (!setup.stacks) {
        return;
    }
    for (size_t i = 0; i < KINDS; i++) {
        struct sigaction now;
        if (setup.installed[i] && sigaction(kinds[i].signal, NULL, &now) == 0 && now.sa_sigaction == on_crash) {
            sigaction(kinds[i].signal, &setup.old_actions[i], NULL);
        }
    }
    if (sigaltstack(NULL, &stack) == 0 && stack.ss_sp == setup.stacks) {
        sigaltstack(&setup.old_stack, NULL);
    }
    munmap(setup.stacks, HANDLER_STACK_BYTES + REPORT_STACK_BYTES);
    setup.stacks = NULL;
}

void crash_set_who(void (*who)(void *arg, struct crash_who *out), void *arg)
{
    setup.who = NULL;
    setup.who_arg = arg;
    setup.who = who;
}

void crash_set_report(void (*report)(void *arg, const struct crash *crash), void *arg)
{
    setup.report = NULL;
    setup.report_arg = arg;
    setup.report = report;
}
