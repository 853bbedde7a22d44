/*
 * Crashes: what is said and saved when the process gets SIGSEGV, SIGBUS, SIGILL, SIGFPE or SIGABRT.
 *
 * The handler has a stack of its own, allocates nothing and takes no lock. It asks `who` whose code ran, writes one
 * sentence and one line of raw addresses, and forks a child that may do more: it looks up functions and source lines
 * (with addr2line, where that is installed), prints them and calls `report`, which saves what was measured. The child
 * has 5 s; when it fails or takes longer that is said. Then the process exits.
 *
 * Each step may itself fail on what the crash left behind: a second fault goes on with the next one.
 *
 * Code that calls exit() or quick_exit() while `who` is set is ended in the same way, and said to have done that.
 *
 * A fault in the guard of the running fiber's stack, or a dead canary, is said to be what it is, a stack overflow.
 *
 * Life cycle: crash_start before anybody else installs handlers (Python's faulthandler comes back to ours when it has
 * spoken), crash_stop gives back the old ones, where nobody else has come after us. Of the main thread only; faults of
 * others are handled on their own stacks. A process that forks leaves its child to die as usual. A signal that has a
 * handler already is left to it; under AddressSanitizer all are, for its reports say more.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>

/* Whose code ran. Texts are copied, a longer one is cut. */
struct crash_who {
    const char *journey;     /* NULL: nobody's that is known */
    const char *transaction; /* NULL or "": none is open */
    size_t journey_bytes, transaction_bytes;
    const void *subject; /* the caller's own, for `report` */
};

struct crash {
    int signal; /* 0: crash_give_up() */
    bool overflow;
    char journey[256], transaction[256]; /* "": none */
    const void *subject;                 /* from `who`; NULL when that failed */
    char what[160];                      /* "SIGSEGV, invalid memory access at 0x10" */
    char location[512]; /* FILE:LINE:FUNCTION of the innermost frame whose line is known and that is the
                           user's, neither the C library's nor mite's; or "" */
    char trace[16384];  /* a line for each frame, innermost first */
};

struct crash_options {
    int exit_status;          /* of the crashed process */
    unsigned report_limit_ms; /* 0: 5,000 */
    bool own_program;         /* nothing of the user's is in the program itself: only in what it loads */
};

int crash_start(const struct crash_options *options, struct mite_error *error);
void crash_stop(void);

/* In the handler: may only read. NULL takes it back. */
void crash_set_who(void (*who)(void *arg, struct crash_who *out), void *arg);
/*
 * In the child, on a stack of 1 MiB, with no other threads. It may allocate and print, but what another thread or the
 * crashed code held locked stays so: what matters most comes first, and without allocating. NULL takes it back.
 */
void crash_set_report(void (*report)(void *arg, const struct crash *crash), void *arg);

/* Ends the process as a crash does, with a status of its own: for another signal's handler that finds it past help.
 * `what` goes into the sentence. */
_Noreturn void crash_give_up(const char *what, int exit_status);
