/*
 * The three readers of a controller's answers on whatever a peer sends: what they take is written as bytes that read as
 * the same again.
 */
#include "fuzz.h"

#include "work/protocol.h"

/* One reader and its writer: reads `bytes`, and writes what it read to `out`. */
static int welcome(struct arena *arena, struct str bytes, struct buf *out, struct mite_error *error)
{
    struct work_welcome message;
    int rc = work_read_welcome(arena, bytes, &message, error);

    if (rc == 0) {
        work_write_welcome(out, &message);
    }
    return rc;
}

static int assignment(struct arena *arena, struct str bytes, struct buf *out, struct mite_error *error)
{
    struct work_assignment message;
    int rc = work_read_assignment(arena, bytes, &message, error);

    if (rc == 0) {
        work_write_assignment(out, &message);
    }
    return rc;
}

static int orders(struct arena *arena, struct str bytes, struct buf *out, struct mite_error *error)
{
    struct work_orders message;
    int rc = work_read_orders(arena, bytes, &message, error);

    if (rc == 0) {
        work_write_orders(out, &message);
    }
    return rc;
}

typedef int handler(struct arena *arena, struct str bytes, struct buf *out, struct mite_error *error);

static void check(handler *handle, struct str bytes)
{
    struct mite_error error = {0};
    struct arena arena;
    struct buf out, second;

    arena_init(&arena, 0);
    buf_init(&out, 0);
    buf_init(&second, 0);
    int rc = handle(&arena, bytes, &out, &error);
    FUZZ_ASSERT(arena.used_bytes <= 64 * bytes.n + 1024);
    if (rc == 0) {
        FUZZ_ASSERT(!out.failed);
        FUZZ_ASSERT(handle(&arena, buf_view(&out), &second, &error) == 0);
        FUZZ_ASSERT(str_equal(buf_view(&out), buf_view(&second)));
    } else {
        FUZZ_ASSERT(rc == MITE_EPROTO || rc == MITE_ELIMIT || (rc == MITE_EAGAIN && handle == orders));
        FUZZ_ASSERT(rc == MITE_EAGAIN || error.text[0]);
    }
    buf_done(&out);
    buf_done(&second);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};

    check(welcome, bytes);
    check(assignment, bytes);
    check(orders, bytes);
    return 0;
}
