/*
 * Lets this kernel look like one without MADV_GUARD_INSTALL, or with few mappings left. A test that includes this is
 * linked with --wrap for madvise and mprotect (meson.build: `wrapped`).
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

int __real_madvise(void *at, size_t bytes, int advice);
int __real_mprotect(void *at, size_t bytes, int protection);
int __wrap_madvise(void *at, size_t bytes, int advice);
int __wrap_mprotect(void *at, size_t bytes, int protection);

static bool old_kernel;            /* older than 6.13 */
static long old_kernel_pages = -1; /* that may be protected before the limit of mappings; negative: no limit */

int __wrap_madvise(void *at, size_t bytes, int advice)
{
    if (old_kernel && advice == 102) {
        errno = EINVAL;
        return -1;
    }
    return __real_madvise(at, bytes, advice);
}

int __wrap_mprotect(void *at, size_t bytes, int protection)
{
    if (old_kernel_pages == 0) {
        errno = ENOMEM;
        return -1;
    }
    old_kernel_pages -= old_kernel_pages > 0;
    return __real_mprotect(at, bytes, protection);
}
