/*
 * Design notes
 *
 * - A fiber's control block lies at the top of its own stack, on the page that its first frames touch anyway: a fiber
 *   needs no other memory, and one that sleeps costs a page. What resuming and leaving touch is one line of the cache,
 *   for of thousands of fibers the next one's is never there.
 * - There are two sides. The loop's side is inside enter() while a fiber runs; the fiber's side is inside leave()
 *   while it does not. A fiber_call() is a leave() that asks the loop's side to call something and to enter() again.
 * - `current` is set from the first enter() of a resume until that is over, calls included: what runs on the loop's
 *   stack by fiber_call() is this journey's doing, and resuming a fiber from there would nest, which is never right.
 * - Forced unwinding runs on the fiber's stack up to its outermost frame; there the stop function leaves for good. The
 *   exception object is part of the control block, so that ending a fiber allocates nothing.
 * - The canary is looked at on the fiber's side, so that the backtrace of the abort is that of the journey.
 */
#include "engine/fiber.h"

#include "engine/fiber_switch.h"
#include "engine/sanitizer.h"
#include "engine/stack.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <unwind.h>

/* Instrumented frames are a few times larger. */
#define STACK_FACTOR (SANITIZED ? 4u : 1u)
#define LINE_BYTES   64u

enum fiber_state { FIBER_NEW, FIBER_RUNNING, FIBER_PARKED, FIBER_ENDED };

/* __cxa_eh_globals, as the C++ ABI lays it down. */
struct cxx_globals {
    void *caught;
    unsigned uncaught;
};

struct fiber {
    void *sp;                /* where it was left */
    void (*call)(void *arg); /* what fiber_call() asks for; NULL: nothing */
    void *call_arg;
    void *arg;
    struct cxx_globals cxx; /* of this fiber while it is left, of the loop while it runs */
    void *sanitizer;        /* what ASan keeps of it while it is left */
    enum fiber_state state;
    bool end_asked; /* by fiber_unwind(), while it was parked */
    bool unwinding;
    bool canary; /* its stack has one */

    struct fiber_pool *pool; /* borrowed */
    void (*fn)(void *arg);
    void (*ended)(void *arg); /* may be NULL */
    struct stack stack;
    struct _Unwind_Exception exception; /* what unwinds it by force */
} __attribute__((aligned(LINE_BYTES))); /* more than the ABIs want of the stack below it */

_Static_assert(offsetof(struct fiber, pool) == LINE_BYTES, "what is needed often is one line");

struct fiber_pool {
    struct stack_pool *stacks; /* owned */
    size_t count;
};

/* Read by signal handlers, also in other threads: in the initial-exec model that allocates nothing. */
static _Thread_local struct fiber *current __attribute__((tls_model("initial-exec")));
/* The loop's side while a fiber runs: where it was left, what ASan keeps of it, its bounds. */
static void *loop_sp, *loop_sanitizer;
static const void *loop_low;
static size_t loop_bytes;
static void *(*get_cxx_globals)(void);

int fiber_pool_new(size_t stack_bytes, struct fiber_pool **out, struct mite_error *error)
{
    struct fiber_pool *pool = calloc(1, sizeof *pool);

    if (!pool) {
        return error_set(error, MITE_ENOMEM, "no memory for fibers");
    }
    int rc = stack_pool_new(STACK_FACTOR * (stack_bytes ? stack_bytes : FIBER_STACK_BYTES), &pool->stacks, error);
    if (rc < 0) {
        free(pool);
        return rc;
    }
    *out = pool;
    return 0;
}

void fiber_pool_free(struct fiber_pool *pool)
{
    if (!pool) {
        return;
    }
    assert(pool->count == 0);
    stack_pool_free(pool->stacks);
    free(pool);
}

size_t fiber_pool_count(const struct fiber_pool *pool)
{
    return pool->count;
}

void fiber_keep_cxx_globals(void *(*get)(void))
{
    get_cxx_globals = get;
}

/* ---- the fiber's side ---- */

/* Back to the loop. For good when the fiber has ended. */
static void leave(struct fiber *fiber)
{
    if (fiber->canary && !stack_canary_alive(&fiber->stack)) {
        abort(); /* the neighbour's stack may be damaged too: nothing that runs on one can be trusted */
    }
    sanitizer_leave(fiber->state == FIBER_ENDED ? NULL : &fiber->sanitizer, loop_low, loop_bytes);
    fiber_switch(&fiber->sp, loop_sp);
    sanitizer_arrive(fiber->sanitizer, NULL, NULL);
}

static _Noreturn void end(struct fiber *fiber)
{
    fiber->state = FIBER_ENDED;
    leave(fiber);
    abort(); /* nobody resumes what has ended */
}

static void run(void *arg)
{
    struct fiber *fiber = arg;

    sanitizer_arrive(NULL, &loop_low, &loop_bytes);
    fiber->fn(fiber->arg);
    end(fiber);
}

/* Called for each frame, before its clean-up. */
static _Unwind_Reason_Code on_frame(int version, _Unwind_Action actions, _Unwind_Exception_Class exception_class,
                                    struct _Unwind_Exception *exception, struct _Unwind_Context *context, void *arg)
{
    if (actions & _UA_END_OF_STACK) {
        end(arg);
    }
    return _URC_NO_REASON;
}

/* The C++ runtime calls this when a handler caught what unwinds and kept it. */
static void on_swallowed(_Unwind_Reason_Code reason, struct _Unwind_Exception *exception)
{
    static const char text[] = "mite: a \"catch (...)\" kept a journey from ending: it must rethrow (\"throw;\")\n";

    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    abort();
}

static _Noreturn void unwind(struct fiber *fiber)
{
    fiber->unwinding = true;
    memcpy(&fiber->exception.exception_class, "MITEFIBR", sizeof fiber->exception.exception_class);
    fiber->exception.exception_cleanup = on_swallowed;
    sanitizer_unwind();
    _Unwind_ForcedUnwind(&fiber->exception, on_frame, fiber);
    abort(); /* on_frame has seen the end of the stack before */
}

void fiber_park(void)
{
    struct fiber *fiber = current;

    assert(fiber && !fiber->call);
    fiber->state = FIBER_PARKED;
    leave(fiber);
    if (fiber->end_asked && !fiber->unwinding) {
        unwind(fiber);
    }
}

void fiber_exit(void)
{
    assert(current && !current->call);
    unwind(current);
}

void fiber_call(void (*fn)(void *arg), void *arg)
{
    struct fiber *fiber = current;

    if (!fiber || fiber->call) {
        fn(arg);
        return;
    }
    fiber->call_arg = arg;
    fiber->call = fn;
    leave(fiber);
}

/* ---- the loop's side ---- */

struct fiber *fiber_new(struct fiber_pool *pool, void (*fn)(void *arg), void (*ended)(void *arg), void *arg)
{
    struct stack stack;

    if (stack_get(pool->stacks, &stack) < 0) {
        return NULL;
    }
    struct fiber *fiber = (struct fiber *)(stack.high - sizeof *fiber);
    memset(fiber, 0, LINE_BYTES);
    fiber->arg = arg;
    fiber->canary = stack.canary;
    fiber->pool = pool;
    fiber->fn = fn;
    fiber->ended = ended;
    fiber->stack = stack;
    fiber->sp = fiber_switch_prepare(fiber, run, fiber);
    pool->count++;
    return fiber;
}

/* Its memory is its stack. */
static void retire(struct fiber *fiber)
{
    struct fiber_pool *pool = fiber->pool;
    struct stack stack = fiber->stack;
    void (*ended)(void *arg) = fiber->ended;
    void *arg = fiber->arg;

    pool->count--;
    stack_put(pool->stacks, &stack);
    if (ended) {
        ended(arg);
    }
}

static void swap_cxx_globals(struct fiber *fiber)
{
    if (get_cxx_globals) {
        struct cxx_globals *now = get_cxx_globals(), kept = fiber->cxx;
        fiber->cxx = *now;
        *now = kept;
    }
}

/* Runs the fiber until it leaves. */
static void enter(struct fiber *fiber)
{
    sanitizer_leave(&loop_sanitizer, fiber->stack.low, (size_t)(fiber->stack.high - fiber->stack.low));
    fiber_switch(&loop_sp, fiber->sp);
    sanitizer_arrive(loop_sanitizer, NULL, NULL);
}

void fiber_resume(struct fiber *fiber)
{
    assert(!current && (fiber->state == FIBER_NEW || fiber->state == FIBER_PARKED));
    current = fiber;
    fiber->state = FIBER_RUNNING;
    swap_cxx_globals(fiber);
    enter(fiber);
    while (fiber->call) {
        fiber->call(fiber->call_arg);
        fiber->call = NULL;
        enter(fiber);
    }
    swap_cxx_globals(fiber);
    current = NULL;
    if (fiber->state == FIBER_ENDED) {
        retire(fiber);
    }
}

void fiber_unwind(struct fiber *fiber)
{
    if (fiber->state == FIBER_NEW) {
        retire(fiber);
        return;
    }
    fiber->end_asked = true;
    fiber_resume(fiber);
}

/* ---- anywhere ---- */

struct fiber *fiber_current(void)
{
    return current;
}

void *fiber_arg(const struct fiber *fiber)
{
    return fiber->arg;
}

bool fiber_unwinding(const struct fiber *fiber)
{
    return fiber->unwinding;
}

bool fiber_overflowed(const struct fiber *fiber, const void *address)
{
    return stack_guards(&fiber->stack, address) || (fiber->canary && !stack_canary_alive(&fiber->stack));
}
