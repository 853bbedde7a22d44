/*
 * The caller's request headers as one text, "Name: value\r\n" each.
 */
#pragma once

#include "base/buf.h"
#include "http/client.h"

/* Appends them. MITE_EINVAL for a name that is none or a value with a line break or a zero in it; MITE_ENOMEM. */
int header_lines_append(struct buf *out, const struct http_header *headers, size_t count, struct mite_error *error);

bool header_lines_has(struct str lines, struct str name);
struct str header_lines_value(struct str lines, struct str name); /* of the first one; p NULL when there is none */

/* Takes every line of that name out, in place, in what `lines` views. */
void header_lines_drop(struct str *lines, struct str name);
