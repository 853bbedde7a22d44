/*
 * msgpack_read() on whatever a peer sends: it takes no more memory than it promises, and what it takes it can hand on,
 * as msgpack and as JSON, without a change.
 */
#include "fuzz.h"

#include "value/json.h"
#include "value/msgpack.h"

/* Values compare by their JSON, in which every NaN is the same. */
static void assert_same(const struct value *a, const struct value *b)
{
    struct buf left, right;

    buf_init(&left, 0);
    buf_init(&right, 0);
    json_write(&left, a);
    json_write(&right, b);
    FUZZ_ASSERT(!left.failed && !right.failed);
    FUZZ_ASSERT(str_equal(buf_view(&left), buf_view(&right)));
    buf_done(&left);
    buf_done(&right);
}

static void hand_on(const struct value *value)
{
    struct arena arena;
    struct buf bytes, again;
    struct value back;
    size_t used;

    arena_init(&arena, 0);
    buf_init(&bytes, 0);
    buf_init(&again, 0);
    msgpack_write(&bytes, value);
    FUZZ_ASSERT(msgpack_read(&arena, buf_view(&bytes), &used, &back, NULL) == 0 && used == bytes.size);
    assert_same(value, &back);
    msgpack_write(&again, &back);
    FUZZ_ASSERT(str_equal(buf_view(&bytes), buf_view(&again)));

    buf_clear(&bytes);
    json_write(&bytes, value);
    FUZZ_ASSERT(json_read(&arena, buf_view(&bytes), &back, NULL) == 0);
    assert_same(value, &back);
    FUZZ_ASSERT(value_copy(&arena, value, &back) == 0);
    assert_same(value, &back);
    buf_done(&bytes);
    buf_done(&again);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};
    struct mite_error error = {0};
    struct arena arena;
    struct value value;
    size_t used;
    int rc;

    arena_init(&arena, 0);
    rc = msgpack_read(&arena, bytes, &used, &value, &error);
    FUZZ_ASSERT(arena.used_bytes <= 16 * size);
    if (rc == 0) {
        FUZZ_ASSERT(used > 0 && used <= size);
        hand_on(&value);
        bytes.n = used - 1;
        FUZZ_ASSERT(msgpack_read(&arena, bytes, &used, &value, NULL) == MITE_EAGAIN);
    } else {
        FUZZ_ASSERT(rc == MITE_EAGAIN || rc == MITE_EPROTO || rc == MITE_ELIMIT);
        FUZZ_ASSERT(error.text[0]);
    }
    arena_done(&arena);
    return 0;
}
