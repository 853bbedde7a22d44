/* LD_PRELOAD: a kernel without MADV_GUARD_INSTALL, as Debian 12's own. OLD_KERNEL_PAGES=N: no more than N pages can be
 * protected, as when vm.max_map_count is reached. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

int madvise(void *at, size_t bytes, int advice)
{
    int (*real)(void *, size_t, int) = (int (*)(void *, size_t, int))dlsym(RTLD_NEXT, "madvise");

    if (advice == 102) {
        errno = EINVAL;
        return -1;
    }
    return real(at, bytes, advice);
}

int mprotect(void *at, size_t bytes, int protection)
{
    int (*real)(void *, size_t, int) = (int (*)(void *, size_t, int))dlsym(RTLD_NEXT, "mprotect");
    static long made;

    if (protection == PROT_NONE && getenv("OLD_KERNEL_PAGES") && made++ >= atol(getenv("OLD_KERNEL_PAGES"))) {
        errno = ENOMEM;
        return -1;
    }
    return real(at, bytes, protection);
}
