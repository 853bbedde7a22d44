/*
 * Fibers: what journeys in C run on. A fiber is a function with a stack of its own that gives the processor back to
 * the loop where it has to wait (fiber_park) and goes on there when it is resumed; it reads top to bottom and blocks
 * nobody else. Switching saves the registers that the ABI makes callee-saved and makes no system call.
 *
 * Life cycle: fiber_new takes a stack from the pool, the first fiber_resume enters `fn`; fiber_resume returns when the
 * fiber parks or ends. It ends by returning from `fn`, by fiber_exit, or by force (fiber_unwind): then its stack goes
 * back to the pool and `ended` is called on the loop's stack. From then on the pointer means nothing.
 *
 * Ending from inside or by force unwinds the stack: cleanup attributes and C++ destructors run, in frames of code that
 * was compiled with -fexceptions. A `catch (...)` that does not rethrow what passes through aborts the process, and so
 * does a noexcept function on the way.
 *
 * Overflow: below each stack lies a guard (stack.h). Where it is a page without access the fault comes at once; where
 * it is a canary the process aborts at the next switch. fiber_overflowed() tells crash.c which it was.
 *
 * Who may call: everything in one thread, that of the loop. fiber_resume and fiber_unwind only from the loop, never
 * from inside a fiber: a wake-up from inside another fiber goes through loop_defer().
 *
 * The switch knows no shadow stacks (CET SHSTK, GCS): its object says that it was not made for them, so the system
 * leaves them off. C++: what std::current_exception() is based on is kept for each fiber once
 * fiber_keep_cxx_globals() was told where it lives.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct fiber;
struct fiber_pool;

#define FIBER_STACK_BYTES (64u << 10)

/* `stack_bytes` of address space for each fiber, the guard included, rounded up to pages; 0: FIBER_STACK_BYTES.
 * Allocates no stack yet. */
int fiber_pool_new(size_t stack_bytes, struct fiber_pool **out, struct mite_error *error) PRIVATE_API(fiber_pool_new);
/* Every fiber has ended. NULL is a no-op. */
void fiber_pool_free(struct fiber_pool *pool) PRIVATE_API(fiber_pool_free);
size_t fiber_pool_count(const struct fiber_pool *pool) PRIVATE_API(fiber_pool_count); /* fibers that have not ended */

/* A fiber that has not begun. `ended` may be NULL; `arg` goes to both. NULL without memory. Once as many were alive
 * before it allocates nothing. */
struct fiber *fiber_new(struct fiber_pool *pool, void (*fn)(void *arg), void (*ended)(void *arg), void *arg)
    PRIVATE_API(fiber_new);

/* Runs it until it parks or ends. Only for one that has not begun or is parked. */
void fiber_resume(struct fiber *fiber) PRIVATE_API(fiber_resume);

/* Ends one that has not begun or is parked, by force: it is resumed for its clean-up only, and has ended when this
 * returns unless a clean-up parked; then it goes on with the next fiber_resume. */
void fiber_unwind(struct fiber *fiber) PRIVATE_API(fiber_unwind);

/* ---- inside a fiber ---- */

/* Back to the loop, until somebody resumes this fiber. Does not return when it is ended by force. */
void fiber_park(void) PRIVATE_API(fiber_park);
/* Ends this fiber. */
_Noreturn void fiber_exit(void) PRIVATE_API(fiber_exit);
/*
 * Calls fn(arg) on the loop's stack, which is as large as a process's, and returns when it has returned. For whatever
 * is not the journey's own code (libcurl, sinks, Python): so a fiber's stack holds little, and one that sleeps costs a
 * page. `fn` must not park, exit or throw. Outside a fiber, and inside such a call, this is a plain call.
 */
void fiber_call(void (*fn)(void *arg), void *arg) PRIVATE_API(fiber_call);

/* ---- anywhere; these three also in signal handlers ---- */

/* The fiber whose code runs (also inside fiber_call); NULL on the loop and in other threads. */
struct fiber *fiber_current(void) PRIVATE_API(fiber_current);
void *fiber_arg(const struct fiber *fiber) PRIVATE_API(fiber_arg); /* what fiber_new was given */
/* Whether it has outgrown its stack: a fault at `address` (may be NULL) lies in its guard, or its canary is dead. */
bool fiber_overflowed(const struct fiber *fiber, const void *address) PRIVATE_API(fiber_overflowed);

/* Its clean-up runs: it was ended by force or by fiber_exit. */
bool fiber_unwinding(const struct fiber *fiber) PRIVATE_API(fiber_unwinding);

/* `get` is the C++ runtime's __cxa_get_globals, found by whoever loaded code in C++; NULL: there is none. */
void fiber_keep_cxx_globals(void *(*get)(void)) PRIVATE_API(fiber_keep_cxx_globals);
