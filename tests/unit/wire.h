/* The golden files of tests/wire. */
#pragma once

#include "value/msgpack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Appends the bytes of a file; the build names the folder. */
static inline void wire_bytes(struct buf *out, const char *file)
{
    const char *folder = getenv("MITE_TEST_WIRE");
    char path[4096], chunk[4096];
    size_t n;

    snprintf(path, sizeof path, "%s/%s.msgpack", folder ? folder : "tests/wire", file);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0) {
        assert_int_equal(buf_append(out, chunk, n), 0);
    }
    assert_false(ferror(f));
    fclose(f);
}

/* The one value of a file, in the arena. */
static inline struct value wire_value(struct arena *arena, const char *file)
{
    struct buf bytes;
    struct value value;
    size_t used;

    buf_init(&bytes, 0);
    wire_bytes(&bytes, file);
    assert_int_equal(msgpack_read(arena, buf_view(&bytes), &used, &value, NULL), 0);
    assert_int_equal(used, bytes.size);
    buf_done(&bytes);
    return value;
}
