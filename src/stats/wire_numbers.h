/* Counts on the wire: integers from 0, and not so large that sums of them lose their meaning. */
#pragma once

#include "value/msgpack.h"

#define WIRE_NUMBER_MAX (UINT64_C(1) << 53)

static inline void wire_write_number(struct buf *out, uint64_t n)
{
    struct value large = {.type = VALUE_UINT, .large = n};

    if (n <= INT64_MAX) {
        msgpack_write_int(out, (int64_t)n);
    } else {
        msgpack_write(out, &large);
    }
}

static inline bool wire_read_number(const struct value *wire, uint64_t most, uint64_t *out)
{
    uint64_t n = wire->type == VALUE_UINT ? wire->large : (uint64_t)wire->integer;

    if ((wire->type != VALUE_UINT && (wire->type != VALUE_INT || wire->integer < 0)) || n > most) {
        return false;
    }
    *out = n;
    return true;
}
