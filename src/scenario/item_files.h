/*
 * Datapool items from files: CSV, JSON lines, what the recorder wrote. Each reader gives a list of lists in the arena;
 * what it cannot read it names with file and line (or record). MITE_ENOTFOUND, MITE_EIO: the file; MITE_EPROTO: what is
 * in it; MITE_EINVAL: no file, no item in it, columns or fields that it does not have; MITE_ENOMEM, MITE_ELIMIT.
 */
#pragma once

#include "value/value.h"

#define ITEM_FILE_MAX_BYTES ((size_t)4 << 30)

struct csv_options {
    const char *columns; /* "user,password" by the names in the first line, numbers from 1 without one; NULL: all */
    char separator;
    bool header;  /* the first line has the names */
    bool numbers; /* what looks like a number becomes one */
};

/* RFC 4180; lines may end in LF alone, empty ones are passed over. */
int items_from_csv(struct arena *arena, const char *path, const struct csv_options *options, struct value *out,
                   struct mite_error *error);

/* One value a line. With `fields` ("user,password") these of each object; without, a list is the item itself and
 * anything else the item's one argument. */
int items_from_json_lines(struct arena *arena, const char *path, const char *fields, struct value *out,
                          struct mite_error *error);

/* msgpack values one after the other; as above. */
int items_from_records(struct arena *arena, const char *path, const char *fields, struct value *out,
                       struct mite_error *error);
