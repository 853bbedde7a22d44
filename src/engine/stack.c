#include "engine/stack.h"

#include "base/log.h"
#include "engine/sanitizer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* glibc 2.36 has no name for it */
#endif

#define SLAB_BYTES      ((size_t)16 << 20) /* of address space */
#define SLAB_STACKS     256u
#define WARM_STACKS     256u
#define LOOK_EVERY      1024u
#define TRIM_EVERY      16u /* a power of two */
#define TRIM_KEEP_PAGES 2u
/* Mappings that are left to the rest of the process: 30,000 stacks with the kernel's default limit. */
#define OTHER_MAPPINGS    5530u
#define MAPPINGS_DEFAULT  65530u
#define MAPPINGS_PER_PAGE 2u

enum guard { GUARD_MARK, GUARD_PAGE, GUARD_CANARY };

struct slab {
    SLIST_ENTRY(slab) link;
    char *memory;
    unsigned carved; /* stacks that were cut off it, from the front */
    unsigned valgrind_ids[SLAB_STACKS];
};

SLIST_HEAD(slab_list, slab);

struct stack_pool {
    size_t stack_bytes, page_bytes;
    unsigned slab_stacks;
    struct slab_list slabs; /* stacks are cut off the first one */
    struct stack *idle;     /* owned; last in, first out; room for every stack of every slab */
    size_t idle_count, stack_count;
    size_t cold_count;       /* of the idle ones, from the first: those that keep no memory */
    size_t fewest_idle;      /* since the last look at how many are needed */
    unsigned puts;           /* since then */
    enum guard guard;        /* for new stacks: the best that has not failed yet */
    bool marks;              /* the first GUARD_MARK was tried, and holds */
    size_t pages, max_pages; /* stacks with GUARD_PAGE */
};

/* How many guard pages the kernel's limit of mappings has room for. */
static size_t read_max_pages(void)
{
    unsigned long mappings = MAPPINGS_DEFAULT;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "re");

    if (file) {
        if (fscanf(file, "%lu", &mappings) != 1) {
            mappings = MAPPINGS_DEFAULT;
        }
        fclose(file);
    }
    return mappings > OTHER_MAPPINGS ? (mappings - OTHER_MAPPINGS) / MAPPINGS_PER_PAGE : 0;
}

int stack_pool_new(size_t stack_bytes, struct stack_pool **out, struct mite_error *error)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    if (stack_bytes > SIZE_MAX / 2) {
        return error_set(error, MITE_EINVAL, "fiber stacks of %zu bytes are too large", stack_bytes);
    }
    struct stack_pool *pool = calloc(1, sizeof *pool);
    if (!pool) {
        return error_set(error, MITE_ENOMEM, "no memory for fiber stacks");
    }
    pool->page_bytes = page;
    pool->stack_bytes = stack_bytes < 4 * page ? 4 * page : (stack_bytes + page - 1) / page * page;
    pool->slab_stacks = pool->stack_bytes > SLAB_BYTES ? 1 : (unsigned)(SLAB_BYTES / pool->stack_bytes);
    if (pool->slab_stacks > SLAB_STACKS) {
        pool->slab_stacks = SLAB_STACKS;
    }
    pool->max_pages = read_max_pages();
    *out = pool;
    return 0;
}

void stack_pool_free(struct stack_pool *pool)
{
    struct slab *slab;

    if (!pool) {
        return;
    }
    while ((slab = SLIST_FIRST(&pool->slabs))) {
        SLIST_REMOVE_HEAD(&pool->slabs, link);
        for (unsigned i = 0; i < slab->carved; i++) {
            VALGRIND_STACK_DEREGISTER(slab->valgrind_ids[i]);
        }
        munmap(slab->memory, pool->slab_stacks * pool->stack_bytes);
        free(slab);
    }
    free(pool->idle);
    free(pool);
}

/* ---- new ones ---- */

static struct slab *add_slab(struct stack_pool *pool)
{
    size_t bytes = pool->slab_stacks * pool->stack_bytes, count = pool->stack_count + pool->slab_stacks;
    struct stack *idle = realloc(pool->idle, count * sizeof *idle);

    if (!idle) {
        return NULL;
    }
    pool->idle = idle;
    struct slab *slab = malloc(sizeof *slab);
    if (!slab) {
        return NULL;
    }
    slab->memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (slab->memory == MAP_FAILED) {
        free(slab);
        return NULL;
    }
    /* Refused only by kernels that have no huge pages. */
    madvise(slab->memory, bytes, MADV_NOHUGEPAGE);
    slab->carved = 0;
    pool->stack_count = count;
    SLIST_INSERT_HEAD(&pool->slabs, slab, link);
    return slab;
}

/* Not an error that somebody could deal with: the load goes on, with an overflow seen later than it could be. */
static void enter_canaries(struct stack_pool *pool)
{
    pool->guard = GUARD_CANARY;
    log_line(LOG_WARNING,
             "no guard pages for more than %zu fiber stacks: an overflow of the others is noticed late; raise "
             "vm.max_map_count (sysctl) to two for each fiber and 5,530 more, or use Linux 6.13 or later",
             pool->pages);
}

/* Emulators take advice that they do not know without following it: so the first guard is tried, once a pool. */
static bool faults(char *guard)
{
    int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    bool refused = zeros >= 0 && read(zeros, guard, 1) < 0 && errno == EFAULT;

    if (zeros >= 0) {
        close(zeros);
    }
    return refused;
}

/* Whether the page at `guard` now faults. */
static bool protect(struct stack_pool *pool, char *guard)
{
    if (pool->guard == GUARD_MARK) {
        if (madvise(guard, pool->page_bytes, MADV_GUARD_INSTALL) == 0 && (pool->marks || faults(guard))) {
            pool->marks = true;
            return true;
        }
        pool->guard = GUARD_PAGE;
    }
    if (pool->guard == GUARD_PAGE) {
        if (pool->pages < pool->max_pages && mprotect(guard, pool->page_bytes, PROT_NONE) == 0) {
            pool->pages++;
            return true;
        }
        enter_canaries(pool);
    }
    return false;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void carve(struct stack_pool *pool, struct slab *slab, struct stack *out)
{
    char *guard = slab->memory + slab->carved * pool->stack_bytes;

    *out = (struct stack){
        .low = guard + pool->page_bytes,
        .high = guard + pool->stack_bytes,
        .guard_bytes = (unsigned)pool->page_bytes,
        .canary = !protect(pool, guard),
    };
    slab->valgrind_ids[slab->carved++] = VALGRIND_STACK_REGISTER(out->low, out->high);
}

int stack_get(struct stack_pool *pool, struct stack *out)
{
    if (pool->idle_count > 0) {
        *out = pool->idle[--pool->idle_count];
        pool->fewest_idle = least(pool->fewest_idle, pool->idle_count);
        pool->cold_count = least(pool->cold_count, pool->idle_count);
        return 0;
    }
    struct slab *slab = SLIST_FIRST(&pool->slabs);
    if ((!slab || slab->carved == pool->slab_stacks) && !(slab = add_slab(pool))) {
        return MITE_ENOMEM;
    }
    carve(pool, slab, out);
    return 0;
}

/* ---- back ---- */

/* Many journeys may end in one turn of the loop and others begin in the next, so that how many stacks lie idle at one
 * moment says little: those that lay idle all the time are not needed and, but for some, keep no memory. */
static void cool(struct stack_pool *pool)
{
    while (pool->cold_count + WARM_STACKS < pool->fewest_idle) {
        struct stack *stack = &pool->idle[pool->cold_count++];
        madvise(stack->low, (size_t)(stack->high - stack->low), MADV_DONTNEED);
    }
    pool->fewest_idle = pool->idle_count;
    pool->puts = 0;
}

void stack_put(struct stack_pool *pool, struct stack *stack)
{
    size_t bytes = (size_t)(stack->high - stack->low), keep = TRIM_KEEP_PAGES * pool->page_bytes;

    sanitizer_forget(stack->low, bytes);
    stack->uses++;
    if (stack->uses % TRIM_EVERY == 0 && bytes > keep) {
        madvise(stack->low, bytes - keep, MADV_DONTNEED);
    }
    pool->idle[pool->idle_count++] = *stack;
    if (++pool->puts == LOOK_EVERY) {
        cool(pool);
    }
}
