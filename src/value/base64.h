/*
 * Bytes as text of the base64 alphabet (RFC 4648), always padded.
 */
#pragma once

#include "base/buf.h"

/* Errors show in out->failed. */
void base64_encode(struct buf *out, struct str bytes);

/* Room that decoding so many letters needs. */
static inline size_t base64_decoded_max(size_t letters)
{
    return letters / 4 * 3;
}

/* Into `out`, which has the room; false when the text is not base64 (then `out` holds anything). */
bool base64_decode(struct str text, char *out, size_t *size);
