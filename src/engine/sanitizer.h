/*
 * What AddressSanitizer and valgrind must be told about stacks that they did not make. Without them all of it is
 * nothing, or (valgrind's requests, once a stack) a few instructions.
 */
#pragma once

#include <stddef.h>

#ifdef __SANITIZE_ADDRESS__
#define ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER 1
#endif
#endif

#ifdef ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
void __asan_handle_no_return(void);
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(low, high) 0u
#define VALGRIND_STACK_DEREGISTER(id)      ((void)(id))
#define RUNNING_ON_VALGRIND                0
#endif

/* Around a switch: `save` keeps what ASan knows of the stack that is left (NULL: it is left for good), low and bytes
 * are the other one's; behind the switch back the same `save`, and out come the bounds of the stack that was left. */
static inline void sanitizer_leave(void **save, const void *low, size_t bytes)
{
#ifdef ADDRESS_SANITIZER
    __sanitizer_start_switch_fiber(save, low, bytes);
#endif
}

static inline void sanitizer_arrive(void *save, const void **low, size_t *bytes)
{
#ifdef ADDRESS_SANITIZER
    __sanitizer_finish_switch_fiber(save, low, bytes);
#endif
}

/* Frames of this stack are about to be left by unwinding. */
static inline void sanitizer_unwind(void)
{
#ifdef ADDRESS_SANITIZER
    __asan_handle_no_return();
#endif
}

/* What lies on this stack is over: frames that were left for good are still poisoned. */
static inline void sanitizer_forget(const void *low, size_t bytes)
{
#ifdef ADDRESS_SANITIZER
    __asan_unpoison_memory_region(low, bytes);
#endif
}
