/*
 * Errors: a function that can fail returns 0 or a negative code of `enum mite_code` and writes one sentence into the
 * `struct mite_error` that its caller passed. Codes of libuv, curl, zmq and errno become ours once, at the boundary.
 *
 * A `struct mite_error` starts as `{0}` (or by error_init()) and ends with error_done(). Passing NULL is allowed: the
 * sentence is dropped.
 */
#pragma once

#include "base/export.h"

#include <stdarg.h>
#include <stddef.h>

enum mite_code {
    MITE_OK = 0,
    MITE_EINVAL = -1,     /* what was passed makes no sense */
    MITE_ENOMEM = -2,     /* out of memory */
    MITE_EIO = -3,        /* the system or a peer failed */
    MITE_ENOTFOUND = -4,  /* no such file, module, name */
    MITE_ETIMEDOUT = -5,  /* took longer than it may */
    MITE_ECANCELLED = -6, /* somebody of ours called it off */
    MITE_ELIMIT = -7,     /* larger than a stated limit */
    MITE_EPROTO = -8,     /* bytes that break their protocol or format */
    MITE_EEND = -9,       /* nothing comes any more: a model stopped, a pool is used up, a file is at its end */
    MITE_EAGAIN = -10,    /* nothing now, ask again later */
    MITE_EUSER = -11,     /* code of the user's failed; `detail` has its traceback */
};

struct mite_error {
    int code;       /* of the last error_set() */
    char text[512]; /* one sentence, no newline at its end */
    char *detail;   /* owned, may be NULL: further lines, such as a traceback in the user's code */
};

/* The same as `{0}`, but that the text is left alone where it is never looked at: half a kilobyte that a path which is
 * taken for every request need not write. */
static inline void error_init(struct mite_error *error)
{
    error->code = 0;
    error->text[0] = '\0';
    error->detail = NULL;
}

/* Writes the sentence and returns `code`, so that a caller can `return error_set(...)`. Cut at 511 bytes. */
int error_set(struct mite_error *error, int code, const char *format, ...) PRIVATE_API(error_set)
    __attribute__((format(printf, 3, 4)));

/* The same with strerror(errno_value) appended: `cannot open FILE: No such file or directory`; ENOENT gives
 * MITE_ENOTFOUND, ENOMEM MITE_ENOMEM, everything else MITE_EIO. */
int error_errno(struct mite_error *error, int errno_value, const char *format, ...) PRIVATE_API(error_errno)
    __attribute__((format(printf, 3, 4)));

/* Adds text in front of the sentence: "FORMAT: OLD TEXT". Returns error->code. */
int error_prefix(struct mite_error *error, const char *format, ...) PRIVATE_API(error_prefix)
    __attribute__((format(printf, 2, 3)));

/* Takes a copy of `lines` (may be NULL) as the detail. */
void error_detail(struct mite_error *error, const char *lines, size_t length) PRIVATE_API(error_detail);

/* Frees the detail and makes the error empty again. */
void error_done(struct mite_error *error) PRIVATE_API(error_done);

/* Static analysis looks at one file at a time and would follow paths on which these return success. */
#ifdef __clang_analyzer__
#define error_set(error, code, ...) ((error_set)(error, code, __VA_ARGS__), code)
#define error_errno(...)            ((error_errno)(__VA_ARGS__), MITE_EIO)
#endif
