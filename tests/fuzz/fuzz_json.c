/*
 * json_read() on any text: what it takes is written as one line of JSON, and read back as the same; msgpack carries it
 * too.
 */
#include "fuzz.h"

#include "value/json.h"
#include "value/msgpack.h"

static void hand_on(struct arena *arena, const struct value *value)
{
    struct buf line, again;
    struct value back;
    size_t used;

    buf_init(&line, 0);
    buf_init(&again, 0);
    json_write(&line, value);
    FUZZ_ASSERT(!line.failed && str_is_utf8(buf_view(&line)) && !memchr(line.data, '\n', line.size));
    FUZZ_ASSERT(json_read(arena, buf_view(&line), &back, NULL) == 0);
    json_write(&again, &back);
    FUZZ_ASSERT(str_equal(buf_view(&line), buf_view(&again)));

    buf_clear(&again);
    msgpack_write(&again, value);
    FUZZ_ASSERT(msgpack_read(arena, buf_view(&again), &used, &back, NULL) == 0 && used == again.size);
    buf_clear(&again);
    json_write(&again, &back);
    FUZZ_ASSERT(str_equal(buf_view(&line), buf_view(&again)));
    buf_done(&line);
    buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mite_error error = {0};
    struct arena arena;
    struct value value;
    struct buf text;
    int rc;

    arena_init(&arena, 0);
    buf_init(&text, 0);
    rc = json_read(&arena, (struct str){(const char *)data, size}, &value, &error);
    if (rc == 0) {
        hand_on(&arena, &value);
    } else {
        FUZZ_ASSERT(rc == MITE_EPROTO || rc == MITE_ELIMIT);
        FUZZ_ASSERT(error.text[0]);
    }
    json_write_text(&text, (struct str){(const char *)data, size}); /* any bytes make a text */
    FUZZ_ASSERT(json_read(&arena, buf_view(&text), &value, NULL) == 0 && value.type == VALUE_TEXT);
    buf_done(&text);
    arena_done(&arena);
    return 0;
}
