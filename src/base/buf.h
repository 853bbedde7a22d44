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

/* All that append return 0, MITE_ENOMEM or MITE_ELIMIT. */
int buf_grow(struct buf *buf, size_t more) PRIVATE_API(buf_grow); /* buf_reserve() where there is no room */
int buf_text(struct buf *buf, const char *text) PRIVATE_API(buf_text);
int buf_printf(struct buf *buf, const char *format, ...) PRIVATE_API(buf_printf) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *buf, const char *format, va_list args) PRIVATE_API(buf_vprintf);
void buf_drop_front(struct buf *buf, size_t size) PRIVATE_API(buf_drop_front);

static inline int buf_reserve(struct buf *buf, size_t more)
{
    return more < buf->capacity - buf->size ? 0 : buf_grow(buf, more); /* one byte is the zero's */
}

static inline int buf_append(struct buf *buf, const void *bytes, size_t size)
{
    int rc = buf_reserve(buf, size);

    if (rc == 0 && size > 0) {
        memcpy(buf->data + buf->size, bytes, size);
        buf->size += size;
        buf->data[buf->size] = '\0';
    }
    return rc;
}

static inline int buf_str(struct buf *buf, struct str s)
{
    return buf_append(buf, s.p, s.n);
}

static inline int buf_char(struct buf *buf, char c)
{
    return buf_append(buf, &c, 1);
}

static inline struct str buf_view(const struct buf *buf)
{
    return (struct str){buf->data ? buf->data : "", buf->size};
}
