/*
 * A response of any bytes, cut into pieces anywhere: the parser comes to the same end as with all of it at once, and
 * takes no byte twice. The first byte says how long the pieces are, and whether HEAD was asked.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "http/h1_parse.h"

struct outcome {
    enum h1_parsed head, body;
    struct h1_head parsed;
    size_t taken; /* bytes of head and body */
    struct buf body_bytes;
};

/* As h1_io.c does it: the head in one buffer that grows, chunks piece by piece. */
static void parse(struct outcome *out, const char *data, size_t size, size_t step, bool head_request)
{
    struct h1_chunks chunks = {0};
    size_t seen = 0;

    *out = (struct outcome){.head = H1_MORE, .body = H1_MORE};
    buf_init(&out->body_bytes, 0);
    h1_head_init(&out->parsed);
    while (out->head == H1_MORE && seen < size) {
        seen += size - seen < step ? size - seen : step;
        char *copy = malloc(seen); /* so that a byte behind what is there is not ours */
        memcpy(copy, data, seen);
        out->head = h1_head_parse(&out->parsed, copy, seen, head_request);
        if (out->head == H1_DONE) {
            struct buf tidy;
            buf_init(&tidy, 0);
            FUZZ_ASSERT(h1_head_tidy(copy, out->parsed.block_size, &tidy) == 0);
            FUZZ_ASSERT(!out->parsed.tidy ||
                        (tidy.size == out->parsed.block_size && memcmp(tidy.data, copy, tidy.size) == 0));
            buf_done(&tidy);
        }
        free(copy);
    }
    if (out->head != H1_DONE) {
        FUZZ_ASSERT(out->head != H1_MALFORMED || out->parsed.why);
        return;
    }
    FUZZ_ASSERT(out->parsed.size <= size && out->parsed.block_size < out->parsed.size);
    FUZZ_ASSERT(out->parsed.status >= 100 && out->parsed.status <= 999);
    out->taken = out->parsed.size;
    if (out->parsed.framing != H1_CHUNKED) {
        return;
    }
    while (out->body == H1_MORE && out->taken < size) {
        const char *p = data + out->taken, *end = p + (size - out->taken < step ? size - out->taken : step);
        struct str piece;
        while ((out->body = h1_chunks_next(&chunks, &p, end, &piece)) == H1_PIECE) {
            FUZZ_ASSERT(piece.n > 0 && piece.p + piece.n == p);
            buf_str(&out->body_bytes, piece);
        }
        FUZZ_ASSERT(p <= end && (out->body != H1_MORE || p == end));
        FUZZ_ASSERT(out->body != H1_MALFORMED || chunks.why);
        out->taken = (size_t)(p - data);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole, pieces;

    if (size < 2) {
        return 0;
    }
    bool head_request = data[0] >> 7;
    parse(&whole, (const char *)data + 1, size - 1, size, head_request);
    parse(&pieces, (const char *)data + 1, size - 1, 1 + (data[0] & 15), head_request);
    FUZZ_ASSERT(whole.head == pieces.head && whole.body == pieces.body);
    FUZZ_ASSERT(whole.parsed.why == pieces.parsed.why);
    if (whole.head == H1_DONE) {
        FUZZ_ASSERT(whole.parsed.size == pieces.parsed.size && whole.parsed.status == pieces.parsed.status);
        FUZZ_ASSERT(whole.parsed.framing == pieces.parsed.framing && whole.parsed.length == pieces.parsed.length);
        FUZZ_ASSERT(whole.parsed.keep_alive == pieces.parsed.keep_alive && whole.taken == pieces.taken);
        FUZZ_ASSERT(str_equal(buf_view(&whole.body_bytes), buf_view(&pieces.body_bytes)));
    }
    buf_done(&whole.body_bytes);
    buf_done(&pieces.body_bytes);
    return 0;
}
