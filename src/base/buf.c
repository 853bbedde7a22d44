#include "base/buf.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_MAX ((size_t)1 << 30)
#define FIRST_SIZE  256

void buf_init(struct buf *buf, size_t max_size)
{
    *buf = (struct buf){.max_size = max_size ? max_size : DEFAULT_MAX};
}

void buf_done(struct buf *buf)
{
    free(buf->data);
    buf_init(buf, buf->max_size);
}

void buf_clear(struct buf *buf)
{
    buf->size = 0;
    buf->failed = false;
    if (buf->data) {
        buf->data[0] = '\0';
    }
}

int buf_grow(struct buf *buf, size_t more)
{
    if (more > buf->max_size - buf->size) {
        buf->failed = true;
        return MITE_ELIMIT;
    }

    size_t capacity = buf->capacity ? buf->capacity : FIRST_SIZE;

    while (capacity <= buf->size + more) {
        capacity *= 2;
    }
    if (capacity > buf->max_size) {
        capacity =
            buf->max_size + 1; /* what fits the capacity is allowed: the paths that do not come here rely on it */
    }

    char *data = realloc(buf->data, capacity);

    if (!data) {
        buf->failed = true;
        return MITE_ENOMEM;
    }
    buf->data = data;
    buf->capacity = capacity;
    buf->data[buf->size] = '\0';
    return 0;
}

int buf_text(struct buf *buf, const char *text)
{
    return buf_append(buf, text, strlen(text));
}

int buf_vprintf(struct buf *buf, const char *format, va_list args)
{
    size_t room = buf->capacity - buf->size;
    va_list again;
    int rc = 0, n;

    va_copy(again, args);
    n = vsnprintf(room ? buf->data + buf->size : NULL, room, format, args);
    if (n < 0) { /* longer than an int can say */
        buf->failed = true;
        rc = MITE_ELIMIT;
    } else if ((size_t)n >= room) {
        rc = buf_reserve(buf, (size_t)n);
        if (rc == 0) {
            vsnprintf(buf->data + buf->size, (size_t)n + 1, format, again);
        }
    }
    va_end(again);
    if (rc == 0) {
        buf->size += (size_t)n;
    } else if (room) {
        buf->data[buf->size] = '\0';
    }
    return rc;
}

int buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    int rc;

    va_start(args, format);
    rc = buf_vprintf(buf, format, args);
    va_end(args);
    return rc;
}

void buf_drop_front(struct buf *buf, size_t size)
{
    if (size > 0) {
        memmove(buf->data, buf->data + size, buf->size - size + 1);
        buf->size -= size;
    }
}
