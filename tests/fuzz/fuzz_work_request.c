/* work_read_request() on whatever a peer sends: what it takes is written as bytes that read as the same again. */
#include "fuzz.h"

#include "work/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};
    struct mite_error error = {0};
    struct work_request request, again;
    struct arena arena;
    struct buf out, second;

    arena_init(&arena, 0);
    buf_init(&out, 0);
    buf_init(&second, 0);
    int rc = work_read_request(&arena, bytes, &request, &error);
    FUZZ_ASSERT(arena.used_bytes <= 64 * size + 1024);
    if (rc == 0) {
        work_write_request(&out, &request);
        FUZZ_ASSERT(!out.failed);
        FUZZ_ASSERT(work_read_request(&arena, buf_view(&out), &again, &error) == 0);
        work_write_request(&second, &again);
        FUZZ_ASSERT(str_equal(buf_view(&out), buf_view(&second)));
    } else {
        FUZZ_ASSERT(rc == MITE_EPROTO || rc == MITE_ELIMIT);
        FUZZ_ASSERT(error.text[0]);
    }
    buf_done(&out);
    buf_done(&second);
    arena_done(&arena);
    return 0;
}
