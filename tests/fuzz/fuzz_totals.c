/*
 * totals_read() on whatever a runner sends: it takes all or nothing, and what it took, written again and read by
 * another, are the same bytes.
 */
#include "fuzz.h"

#include "stats/totals_delta.h"
#include "value/msgpack.h"

static void hand_on(const struct totals *totals, struct buf *bytes)
{
    struct arena arena;
    struct totals other;
    struct buf again;
    struct value map;
    size_t used;

    arena_init(&arena, 0);
    buf_init(&again, 0);
    FUZZ_ASSERT(totals_init(&other) == 0);
    totals_write(bytes, totals);
    FUZZ_ASSERT(msgpack_read(&arena, buf_view(bytes), &used, &map, NULL) == 0 && used == bytes->size);
    if (totals_read(&other, &map, NULL) == 0) { /* rows of one group may add up to more than one message can tell */
        totals_write(&again, &other);
        FUZZ_ASSERT(str_equal(buf_view(bytes), buf_view(&again)));
    }
    totals_done(&other);
    buf_done(&again);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct totals totals;
    struct buf bytes;
    struct value map;
    struct mite_error error = {0};
    size_t used;

    arena_init(&arena, 0);
    buf_init(&bytes, 0);
    FUZZ_ASSERT(totals_init(&totals) == 0);
    if (msgpack_read(&arena, (struct str){(const char *)data, size}, &used, &map, NULL) == 0) {
        if (totals_read(&totals, &map, &error) == 0) {
            hand_on(&totals, &bytes);
        } else {
            FUZZ_ASSERT(error.text[0] && totals_empty(&totals));
        }
    }
    totals_done(&totals);
    buf_done(&bytes);
    arena_done(&arena);
    return 0;
}
