/*
 * msgpack form of values, by msgpack-c. Integers use the shortest form, floats 64 bits, text str, bytes bin, as the
 * Python program does, so that what we send has the same bytes. Extension types and raw non-UTF-8 text are refused.
 */
#pragma once

#include "base/buf.h"
#include "value/value.h"

/* What a peer may send. */
#define MSGPACK_MAX_DEPTH VALUE_MAX_DEPTH
#define MSGPACK_MAX_BYTES (64u << 20)

/* Writers. Errors show in buf->failed. */
void msgpack_write(struct buf *out, const struct value *v) PRIVATE_API(msgpack_write);
void msgpack_write_map(struct buf *out, uint32_t pairs) PRIVATE_API(msgpack_write_map);
void msgpack_write_list(struct buf *out, uint32_t items) PRIVATE_API(msgpack_write_list);
void msgpack_write_nil(struct buf *out) PRIVATE_API(msgpack_write_nil);
void msgpack_write_bool(struct buf *out, bool b) PRIVATE_API(msgpack_write_bool);
void msgpack_write_int(struct buf *out, int64_t i) PRIVATE_API(msgpack_write_int);
void msgpack_write_float(struct buf *out, double f) PRIVATE_API(msgpack_write_float);
void msgpack_write_text(struct buf *out, struct str s) PRIVATE_API(msgpack_write_text);
void msgpack_write_bytes(struct buf *out, struct str s) PRIVATE_API(msgpack_write_bytes);

/*
 * Reads one value from the front of `bytes` into the arena (texts are copied, so that `bytes` may go). *used tells how
 * many bytes it took. The arena gives at most 16 bytes for each of them, whatever lengths they name. MITE_EAGAIN: the
 * bytes end before the value does; MITE_ELIMIT: deeper or larger than above, or than the arena; MITE_EPROTO and
 * MITE_ENOMEM.
 */
int msgpack_read(struct arena *arena, struct str bytes, size_t *used, struct value *out, struct mite_error *error)
    PRIVATE_API(msgpack_read);
