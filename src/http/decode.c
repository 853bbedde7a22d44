#include "http/decode.h"

#include "base/error.h"

#include <brotli/decode.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#define STEP       16384      /* of unpacked bytes, between two looks at the limit */
#define KEPT_COUNT 64         /* idle ones */
#define KEPT_SIZE  (1u << 20) /* bytes of a zstd decoder, which keeps room for its largest frame's window */

struct decoder {
    struct decoder *next; /* owned: undone after this one; NULL: its output is the body */
    int (*feed)(struct decoder *decoder, struct str piece, struct buf *out, uint64_t limit);
    enum h1_coding coding;
    bool inside;         /* a zstd frame */
    uint8_t magic_count; /* of its first four bytes */
    bool begun, ended;   /* at the end of a stream; another may follow */
    uint8_t held[2];     /* the first bytes of a deflate body, until there are two to tell by */
    unsigned held_count;
    bool inflates; /* deflate: its z_stream was made */
    union {
        z_stream zlib;
        BrotliDecoderState *brotli;
        ZSTD_DStream *zstd;
    };
};

/* Unpacked bytes go to the next decoder, or to the body. */
static int give(struct decoder *decoder, const char *p, size_t n, struct buf *out, uint64_t limit)
{
    if (n == 0) {
        return 0;
    }
    if (decoder->next) {
        return decoder_feed(decoder->next, (struct str){p, n}, out, limit);
    }
    return n > limit - out->size ? MITE_ELIMIT : buf_append(out, p, n);
}

/* ---- gzip and deflate ---- */

/* RFC 1950: method 8 in the first byte, and the two of them a multiple of 31. */
static bool has_zlib_frame(const uint8_t head[2])
{
    return (head[0] & 15) == Z_DEFLATED && (head[0] >> 4) <= 7 && (head[0] << 8 | head[1]) % 31 == 0;
}

static int inflate_some(struct decoder *decoder, struct str piece, struct buf *out, uint64_t limit)
{
    z_stream *zlib = &decoder->zlib;
    char bytes[STEP];

    zlib->next_in = (Bytef *)piece.p;
    zlib->avail_in = (uInt)piece.n;
    do {
        if (decoder->ended) { /* members of a gzip file may follow one another; zeros may fill it up */
            while (zlib->avail_in > 0 && *zlib->next_in == 0) {
                zlib->next_in++;
                zlib->avail_in--;
            }
            if (zlib->avail_in == 0) {
                return 0;
            }
            if (decoder->coding != H1_GZIP || inflateReset(zlib) != Z_OK) {
                return MITE_EPROTO;
            }
            decoder->ended = false;
        }
        zlib->next_out = (Bytef *)bytes;
        zlib->avail_out = sizeof bytes;
        int rc = inflate(zlib, Z_NO_FLUSH);
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) {
            return rc == Z_MEM_ERROR ? MITE_ENOMEM : MITE_EPROTO;
        }
        decoder->ended = rc == Z_STREAM_END;
        int given = give(decoder, bytes, sizeof bytes - zlib->avail_out, out, limit);
        if (given < 0) {
            return given;
        }
    } while (zlib->avail_in > 0 || zlib->avail_out == 0);
    return 0;
}

static int feed_gzip(struct decoder *decoder, struct str piece, struct buf *out, uint64_t limit)
{
    return inflate_some(decoder, piece, out, limit);
}

static int feed_deflate(struct decoder *decoder, struct str piece, struct buf *out, uint64_t limit)
{
    if (decoder->held_count == 2) {
        return inflate_some(decoder, piece, out, limit);
    }
    while (decoder->held_count < 2 && piece.n > 0) {
        decoder->held[decoder->held_count++] = (uint8_t)*piece.p++;
        piece.n--;
    }
    if (decoder->held_count < 2) {
        return 0;
    }
    int bits = has_zlib_frame(decoder->held) ? MAX_WBITS : -MAX_WBITS;
    if ((decoder->inflates ? inflateReset2(&decoder->zlib, bits) : inflateInit2(&decoder->zlib, bits)) != Z_OK) {
        return MITE_ENOMEM;
    }
    decoder->inflates = true;
    int rc = inflate_some(decoder, (struct str){(const char *)decoder->held, 2}, out, limit);
    return rc < 0 || piece.n == 0 ? rc : inflate_some(decoder, piece, out, limit);
}

/* ---- br ---- */

static int feed_brotli(struct decoder *decoder, struct str piece, struct buf *out, uint64_t limit)
{
    const uint8_t *next_in = (const uint8_t *)piece.p;
    size_t avail_in = piece.n;
    uint8_t bytes[STEP];
    BrotliDecoderResult result;

    if (decoder->ended) {
        return MITE_EPROTO;
    }
    do {
        uint8_t *next_out = bytes;
        size_t avail_out = sizeof bytes;
        result = BrotliDecoderDecompressStream(decoder->brotli, &avail_in, &next_in, &avail_out, &next_out, NULL);
        if (result == BROTLI_DECODER_RESULT_ERROR) {
            return MITE_EPROTO;
        }
        int rc = give(decoder, (char *)bytes, sizeof bytes - avail_out, out, limit);
        if (rc < 0) {
            return rc;
        }
    } while (result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT);
    decoder->ended = result == BROTLI_DECODER_RESULT_SUCCESS;
    return avail_in > 0 ? MITE_EPROTO : 0;
}

/* ---- zstd ---- */

/* By their first byte: a frame as RFC 8878 says, or one to skip. libzstd also knows formats that came before. */
static bool begins_frame(const char *p)
{
    return *p == 0x28 || (uint8_t)*p >> 4 == 5;
}

static int feed_zstd(struct decoder *decoder, struct str piece, struct buf *out, uint64_t limit)
{
    ZSTD_inBuffer in = {piece.p, piece.n, 0};
    char bytes[STEP];
    ZSTD_outBuffer to;

    do {
        if (!decoder->inside) {
            if (!begins_frame(piece.p + in.pos)) {
                return MITE_EPROTO;
            }
            decoder->magic_count = 0;
        }
        /* A frame's first bytes one by one: libzstd looks for formats of old in what it is given at once, and is less
         * strict with frames that come as a whole. */
        bool single = decoder->magic_count < 4 && in.pos < piece.n;
        in.size = single ? in.pos + 1 : piece.n;
        decoder->magic_count += single;
        to = (ZSTD_outBuffer){bytes, sizeof bytes, 0};
        size_t rc = ZSTD_decompressStream(decoder->zstd, &to, &in);
        if (ZSTD_isError(rc)) {
            return MITE_EPROTO;
        }
        decoder->ended = rc == 0;
        decoder->inside = rc != 0;
        int given = give(decoder, bytes, to.pos, out, limit);
        if (given < 0) {
            return given;
        }
    } while (in.pos < piece.n || (decoder->inside && to.pos == to.size));
    return 0;
}

/* ---- life ---- */

/* The library's part; that of deflate comes when its first bytes tell which. */
static bool make(struct decoder *decoder)
{
    switch (decoder->coding) {
    case H1_GZIP:
        return inflateInit2(&decoder->zlib, MAX_WBITS + 16) == Z_OK;
    case H1_BROTLI:
        return (decoder->brotli = BrotliDecoderCreateInstance(NULL, NULL, NULL)) != NULL;
    case H1_ZSTD:
        return (decoder->zstd = ZSTD_createDStream()) != NULL;
    default:
        return true;
    }
}

static void destroy(struct decoder *decoder)
{
    if (decoder->coding == H1_GZIP || (decoder->coding == H1_DEFLATE && decoder->inflates)) {
        inflateEnd(&decoder->zlib);
    } else if (decoder->coding == H1_BROTLI) {
        BrotliDecoderDestroyInstance(decoder->brotli);
    } else if (decoder->coding == H1_ZSTD) {
        ZSTD_freeDStream(decoder->zstd);
    }
    free(decoder);
}

/* Ready for another body. False: its library cannot do that, or it has grown too large to be kept. */
static bool make_ready(struct decoder *decoder)
{
    decoder->next = NULL;
    decoder->inside = decoder->begun = decoder->ended = false;
    decoder->magic_count = 0;
    decoder->held_count = 0;
    switch (decoder->coding) {
    case H1_GZIP:
        return inflateReset(&decoder->zlib) == Z_OK;
    case H1_DEFLATE:
        return true;
    case H1_ZSTD:
        return ZSTD_sizeof_DStream(decoder->zstd) <= KEPT_SIZE &&
               !ZSTD_isError(ZSTD_DCtx_reset(decoder->zstd, ZSTD_reset_session_only));
    default:
        return false;
    }
}

static struct decoder *take(struct decoder_store *store, enum h1_coding coding)
{
    static int (*const feeds[])(struct decoder *, struct str, struct buf *, uint64_t) = {
        [H1_GZIP] = feed_gzip, [H1_DEFLATE] = feed_deflate, [H1_BROTLI] = feed_brotli, [H1_ZSTD] = feed_zstd};
    struct decoder *decoder = coding < H1_UNKNOWN_CODING ? store->idle[coding] : NULL;

    if (decoder) {
        store->idle[coding] = decoder->next;
        store->count--;
        decoder->next = NULL;
        return decoder;
    }
    decoder = coding < H1_UNKNOWN_CODING ? calloc(1, sizeof *decoder) : NULL;
    if (!decoder) {
        return NULL;
    }
    decoder->coding = coding;
    decoder->feed = feeds[coding];
    if (!make(decoder)) {
        free(decoder);
        return NULL;
    }
    return decoder;
}

struct decoder *decoder_take(struct decoder_store *store, const uint8_t *codings, unsigned count)
{
    struct decoder *first = NULL;

    for (unsigned i = 0; i < count; i++) {
        struct decoder *decoder = take(store, (enum h1_coding)codings[i]);
        if (!decoder) {
            decoder_give_back(store, first);
            return NULL;
        }
        decoder->next = first;
        first = decoder;
    }
    return first;
}

void decoder_give_back(struct decoder_store *store, struct decoder *decoder)
{
    while (decoder) {
        struct decoder *next = decoder->next;
        if (store->count < KEPT_COUNT && make_ready(decoder)) {
            decoder->next = store->idle[decoder->coding];
            store->idle[decoder->coding] = decoder;
            store->count++;
        } else {
            destroy(decoder);
        }
        decoder = next;
    }
}

void decoder_store_done(struct decoder_store *store)
{
    for (unsigned i = 0; i < H1_UNKNOWN_CODING; i++) {
        while (store->idle[i]) {
            struct decoder *decoder = store->idle[i];
            store->idle[i] = decoder->next;
            destroy(decoder);
        }
    }
    store->count = 0;
}

int decoder_feed(struct decoder *decoder, struct str piece, struct buf *out, uint64_t limit)
{
    if (piece.n == 0) {
        return 0;
    }
    decoder->begun = true;
    return decoder->feed(decoder, piece, out, limit);
}

bool decoder_is_whole(const struct decoder *decoder)
{
    for (; decoder; decoder = decoder->next) {
        if (decoder->begun && !decoder->ended) {
            return false;
        }
    }
    return true;
}
