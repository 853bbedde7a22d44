/*
 * peek.h on whatever a peer sends: what it calls a map every reader takes, and what a reader takes it calls one; the
 * type that it finds is the one that is there.
 */
#include "fuzz.h"

#include "bus/peek.h"
#include "value/msgpack.h"

/* Of equal keys peek takes the first, as value_get does; a key that is no text ends its search. */
static void assert_type(const struct value *map, struct str found)
{
    for (uint32_t i = 0; i < map->count; i++) {
        const struct pair *pair = &map->pairs[i];
        if (pair->key.type != VALUE_TEXT) {
            break;
        }
        if (str_is(value_str(&pair->key), "type")) {
            struct str type = pair->value.type == VALUE_TEXT ? value_str(&pair->value) : STR_NONE;
            FUZZ_ASSERT((type.p != NULL) == (found.p != NULL) && str_equal(type, found));
            return;
        }
    }
    FUZZ_ASSERT(!found.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size}, type = peek_type(bytes);
    struct arena arena;
    struct value value;
    size_t used;

    arena_init(&arena, 0);
    bool reads = msgpack_read(&arena, bytes, &used, &value, NULL) == 0 && used == size && value.type == VALUE_MAP;
    FUZZ_ASSERT(reads == peek_is_map(bytes));
    FUZZ_ASSERT(!type.p || (type.p >= bytes.p && type.p + type.n <= bytes.p + size));
    if (reads) {
        assert_type(&value, type);
    }
    arena_done(&arena);
    return 0;
}
