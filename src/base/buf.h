/*
 * A byte buffer that grows up to a stated maximum. It always keeps a zero behind its last byte, so `data` can be
 * printed. A failed append leaves the buffer as it was and sets `failed`, so that a writer may append many times and
 * look once at the end.
 */
#pragma once

#include "base/export.h"
#include "base/str.h"

#include <stdarg.h>
#include <stdint.h>

struct buf {
    char *data; /* owned; NULL before the first append */
    size_t size;
    size_t capacity;
    size_t max_size;
    bool failed;
};

/* No allocation yet. `max_size` 0 means 1 GiB. */
void buf_init(struct buf *buf, size_t max_size) PRIVATE_API(buf_init);
void buf_done(struct buf *buf) PRIVATE_API(buf_done);
void buf_clear(struct buf *buf) PRIVATE_API(buf_clear); /* size 0 and failed false, memory kept */

/* All return 0, MITE_ENOMEM or MITE_ELIMIT. */
int buf_reserve(struct buf *buf, size_t more) PRIVATE_API(buf_reserve);
int buf_append(struct buf *buf, const void *bytes, size_t size) PRIVATE_API(buf_append);
int buf_str(struct buf *buf, struct str s) PRIVATE_API(buf_str);
int buf_text(struct buf *buf, const char *text) PRIVATE_API(buf_text);
int buf_char(struct buf *buf, char c) PRIVATE_API(buf_char);
int buf_printf(struct buf *buf, const char *format, ...) PRIVATE_API(buf_printf) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *buf, const char *format, va_list args) PRIVATE_API(buf_vprintf);
void buf_drop_front(struct buf *buf, size_t size) PRIVATE_API(buf_drop_front);

static inline struct str buf_view(const struct buf *buf)
{
    return (struct str){buf->data ? buf->data : "", buf->size};
}
