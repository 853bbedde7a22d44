/* msgpack bytes written as JSON, in which a map with other keys than texts is {"__map__": [[k, v], ...]}. */
#pragma once

#include "value/json.h"
#include "value/msgpack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Replaces what is in `out`. */
static inline struct str from_json(struct buf *out, const char *json)
{
    struct arena arena;
    struct value value;

    arena_init(&arena, 0);
    assert_int_equal(json_read(&arena, str_of(json), &value, NULL), 0);
    buf_clear(out);
    msgpack_write(out, &value);
    assert_false(out->failed);
    arena_done(&arena);
    return buf_view(out);
}

/* The other way: one value, which is all there is. Replaces what is in `out`. */
static inline const char *to_json(struct buf *out, struct str bytes)
{
    struct arena arena;
    struct value value;
    size_t used;

    arena_init(&arena, 0);
    assert_int_equal(msgpack_read(&arena, bytes, &used, &value, NULL), 0);
    assert_int_equal(used, bytes.n);
    buf_clear(out);
    json_write(out, &value);
    assert_false(out->failed);
    arena_done(&arena);
    return out->data;
}
