/* What the tests of values and their written forms read into, write to, and complain in. */
#pragma once

#include "base/buf.h"
#include "value/value.h"

#include <stdlib.h>

struct fixture {
    struct arena arena;
    struct buf out;
    struct mite_error error;
    uint64_t seed; /* of random_value.h */
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    arena_init(&f->arena, 0);
    buf_init(&f->out, 0);
    f->seed = 20240229;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    arena_done(&f->arena);
    buf_done(&f->out);
    error_done(&f->error);
    free(f);
    return 0;
}
