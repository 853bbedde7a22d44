/* Stacks: their bounds and guards, on kernels of every kind, and what memory they keep. */
#include "failmalloc.h"
#include "old_kernel.h"

#include "engine/stack.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES (64u << 10)

static int reset(void **state)
{
    old_kernel = false;
    old_kernel_pages = -1;
    return 0;
}

static struct stack_pool *open_pool(size_t bytes)
{
    struct stack_pool *pool;

    assert_int_equal(stack_pool_new(bytes, &pool, NULL), 0);
    return pool;
}

static void get(struct stack_pool *pool, struct stack *out)
{
    assert_int_equal(stack_get(pool, out), 0);
}

static bool faults(char *at)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        *(volatile char *)at = 1;
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static void can_be_written_from_end_to_end(void **state)
{
    struct stack_pool *pool = open_pool(BYTES);
    struct stack a, b;

    get(pool, &a);
    get(pool, &b);
    assert_int_equal((uintptr_t)a.high % 4096, 0);
    assert_int_equal(a.high - a.low + a.guard_bytes, BYTES);
    memset(a.low, 1, (size_t)(a.high - a.low));
    memset(b.low, 2, (size_t)(b.high - b.low));
    assert_int_equal(a.low[0], 1);
    assert_int_equal(a.high[-1], 1);
    stack_put(pool, &a);
    stack_put(pool, &b);
    stack_pool_free(pool);
}

static void is_rounded_to_pages(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const struct {
        size_t asked, got;
    } cases[] = {{1, 4 * page}, {4 * page, 4 * page}, {4 * page + 1, 5 * page}, {64u << 20, 64u << 20}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stack_pool *pool = open_pool(cases[i].asked);
        struct stack stack;

        get(pool, &stack);
        assert_int_equal(stack.high - stack.low + stack.guard_bytes, cases[i].got);
        stack_put(pool, &stack);
        stack_pool_free(pool);
    }
    struct stack_pool *none = NULL;
    assert_int_equal(stack_pool_new(SIZE_MAX, &none, NULL), MITE_EINVAL);
    assert_null(none);
    stack_pool_free(NULL);
}

static void assert_guarded(struct stack_pool *pool)
{
    struct stack stack;

    get(pool, &stack);
    assert_false(stack.canary);
    assert_false(stack_guards(&stack, stack.low));
    assert_true(stack_guards(&stack, stack.low - 1));
    assert_true(stack_guards(&stack, stack.low - stack.guard_bytes));
    assert_false(stack_guards(&stack, stack.low - stack.guard_bytes - 1));
    assert_false(stack_guards(&stack, NULL));
    assert_false(faults(stack.low));
    assert_true(faults(stack.low - 1));
    assert_true(faults(stack.low - stack.guard_bytes));
    stack_put(pool, &stack);
}

static void has_a_guard_that_faults(void **state)
{
    struct stack_pool *pool = open_pool(BYTES);

    assert_guarded(pool);
    assert_guarded(pool); /* the same one again: its guard outlives what was given back */
    stack_pool_free(pool);
}

static void has_a_guard_on_an_older_kernel_too(void **state)
{
    struct stack_pool *pool = open_pool(BYTES);

    old_kernel = true;
    assert_guarded(pool);
    stack_pool_free(pool);
}

/* Runs what writes to stderr; what it wrote. */
static void stderr_of(void (*fn)(void *arg), void *arg, char *text, size_t bytes)
{
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);

    assert_non_null(file);
    dup2(fileno(file), STDERR_FILENO);
    fn(arg);
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(file);
    text[fread(text, 1, bytes - 1, file)] = 0;
    fclose(file);
}

struct three {
    struct stack_pool *pool;
    struct stack stacks[3];
};

static void get_three(void *arg)
{
    struct three *three = arg;

    for (int i = 0; i < 3; i++) {
        get(three->pool, &three->stacks[i]);
    }
}

static void has_a_canary_beyond_the_limit_of_mappings(void **state)
{
    struct three three = {.pool = open_pool(BYTES)};
    struct stack *watched = &three.stacks[1];
    char text[1024];

    old_kernel = true;
    old_kernel_pages = 1;
    stderr_of(get_three, &three, text, sizeof text);
    assert_non_null(strstr(text, "vm.max_map_count"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1); /* one line, though there are two such stacks */
    assert_false(three.stacks[0].canary);
    assert_true(watched->canary);
    assert_true(three.stacks[2].canary);

    assert_true(stack_canary_alive(watched));
    watched->low[0] = 1;
    assert_true(stack_canary_alive(watched));
    watched->low[-1] = 1;
    assert_false(stack_canary_alive(watched));
    watched->low[-1] = 0;
    watched->low[-100] = 1;
    assert_false(stack_canary_alive(watched));
    for (int i = 0; i < 3; i++) {
        stack_put(three.pool, &three.stacks[i]);
    }
    stack_pool_free(three.pool);
}

static size_t resident_pages(const struct stack *stack)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), count = (size_t)(stack->high - stack->low) / page, resident = 0;
    unsigned char pages[BYTES / 4096];

    assert_true(count <= sizeof pages);
    assert_int_equal(mincore(stack->low, (size_t)(stack->high - stack->low), pages), 0);
    for (size_t i = 0; i < count; i++) {
        resident += pages[i] & 1;
    }
    return resident;
}

static void gives_deep_pages_back_now_and_then(void **state)
{
    struct stack_pool *pool = open_pool(BYTES);
    struct stack stack;

    get(pool, &stack);
    memset(stack.low, 1, (size_t)(stack.high - stack.low));
    for (int i = 0; i < 16; i++) {
        assert_true(resident_pages(&stack) > 2);
        stack_put(pool, &stack);
        get(pool, &stack);
    }
    assert_int_equal(resident_pages(&stack), 2);
    assert_int_equal(stack.high[-1], 1); /* and these are the topmost */
    stack_put(pool, &stack);
    stack_pool_free(pool);
}

#define MANY 3000

static struct stack many[MANY];

static void get_many(struct stack_pool *pool)
{
    for (int i = 0; i < MANY; i++) {
        get(pool, &many[i]);
    }
}

static void put_many(struct stack_pool *pool)
{
    for (int i = 0; i < MANY; i++) {
        stack_put(pool, &many[i]);
    }
}

static size_t count_warm(void)
{
    size_t warm = 0;

    for (int i = 0; i < MANY; i++) {
        warm += resident_pages(&many[i]) > 0;
    }
    return warm;
}

static void keeps_little_when_many_lie_idle(void **state)
{
    enum { WARM = 256, LOOK_EVERY = 1024 };
    struct stack_pool *pool = open_pool(BYTES);

    get_many(pool);
    for (int i = 0; i < MANY; i++) {
        many[i].high[-1] = 1;
    }
    put_many(pool);
    assert_in_range(count_warm(), WARM, WARM + 2 * LOOK_EVERY);
    for (int i = 0; i < 3 * LOOK_EVERY; i++) { /* one that comes and goes needs no others */
        struct stack stack;
        get(pool, &stack);
        stack_put(pool, &stack);
    }
    assert_int_equal(count_warm(), WARM + 1);
    get_many(pool);
    for (int i = 0; i < MANY; i++) { /* both kinds are as good as new */
        memset(many[i].low, 1, 4096);
    }
    put_many(pool);
    stack_pool_free(pool);
}

static void keeps_all_that_are_used_in_turns(void **state)
{
    enum { COUNT = 1000 };
    struct stack_pool *pool = open_pool(BYTES);

    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < COUNT; i++) {
            get(pool, &many[i]);
            assert_int_equal(many[i].high[-1], round > 0);
            many[i].high[-1] = 1;
        }
        for (int i = 0; i < COUNT; i++) {
            stack_put(pool, &many[i]);
        }
    }
    stack_pool_free(pool);
}

static void allocates_nothing_once_warm(void **state)
{
    struct stack_pool *pool = open_pool(BYTES);
    struct stack a, b;

    get(pool, &a);
    get(pool, &b);
    failmalloc_start(0);
    for (int i = 0; i < 100; i++) {
        stack_put(pool, &a);
        stack_put(pool, &b);
        get(pool, &a);
        get(pool, &b);
    }
    assert_false(failmalloc_stop());
    stack_put(pool, &a);
    stack_put(pool, &b);
    stack_pool_free(pool);
}

static void survives_a_lack_of_memory(void **state)
{
    bool failed = true;

    for (long n = 0; failed; n++) {
        struct stack_pool *pool = NULL;
        struct stack stack;
        failmalloc_start(n);
        int code = stack_pool_new(BYTES, &pool, NULL);
        if (code == 0 && (code = stack_get(pool, &stack)) == 0) {
            stack_put(pool, &stack);
        }
        failed = failmalloc_stop();
        assert_int_equal(code, failed ? MITE_ENOMEM : 0);
        if (pool) { /* and it works again */
            get(pool, &stack);
            stack_put(pool, &stack);
        }
        stack_pool_free(pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(can_be_written_from_end_to_end, reset),
        cmocka_unit_test_setup(is_rounded_to_pages, reset),
        cmocka_unit_test_setup(has_a_guard_that_faults, reset),
        cmocka_unit_test_setup(has_a_guard_on_an_older_kernel_too, reset),
        cmocka_unit_test_setup(has_a_canary_beyond_the_limit_of_mappings, reset),
        cmocka_unit_test_setup(gives_deep_pages_back_now_and_then, reset),
        cmocka_unit_test_setup(keeps_little_when_many_lie_idle, reset),
        cmocka_unit_test_setup(keeps_all_that_are_used_in_turns, reset),
        cmocka_unit_test_setup(allocates_nothing_once_warm, reset),
        cmocka_unit_test_setup(survives_a_lack_of_memory, reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
