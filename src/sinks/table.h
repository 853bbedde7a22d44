/*
 * The summary's tables: a row is a name, three counts and eight latencies. On a wide terminal a row is one line; on a
 * narrow one the latencies stand in a second line below the name, so that names keep their room and 80 columns suffice.
 */
#pragma once

#include "base/buf.h"
#include "sinks/text.h"
#include "stats/hist.h"

struct table {
    struct buf *out; /* borrowed */
    size_t width;    /* columns in all */
    size_t name_width;
    bool wide;
    bool colour;
    double seconds; /* of the run, for rates */
};

void table_init(struct table *table, struct buf *out, int width, bool colour, uint64_t elapsed_ns);

/* `title` heads the names, `bad` the column of what went wrong: "errors". */
void table_head(struct table *table, const char *title, const char *bad);
void table_row(struct table *table, struct str name, size_t indent, uint64_t count, uint64_t bad,
               const struct hist *hist);
