/*
 * Preloaded into a program: counts the allocations that code of libmite asks for itself (what libcurl, libuv and others
 * ask for is theirs) and prints the number at the end.
 */
#define _GNU_SOURCE
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

static uintptr_t low, high; /* libmite's code */
static unsigned long count;

static int find(struct dl_phdr_info *info, size_t size, void *arg)
{
    for (int i = 0; strstr(info->dlpi_name, "/libmite.so") && i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X)) {
            low = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            high = low + info->dlpi_phdr[i].p_memsz;
        }
    }
    return 0;
}

__attribute__((constructor)) static void begin(void)
{
    dl_iterate_phdr(find, NULL);
}

__attribute__((destructor)) static void end(void)
{
    if (low) {
        fprintf(stderr, "allocations: %lu\n", count);
    }
}

static void note(void *caller)
{
    count += (uintptr_t)caller >= low && (uintptr_t)caller < high;
}

void *malloc(size_t size)
{
    note(__builtin_return_address(0));
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    note(__builtin_return_address(0));
    return __libc_calloc(n, size);
}

void *realloc(void *memory, size_t size)
{
    note(__builtin_return_address(0));
    return __libc_realloc(memory, size);
}
