/*
 * Label sets as `mite stats` keeps and sends them: a msgpack list of the values, which is the key of a series
 * (metric.h) and of a dump's maps. Of all ways to write the same values there is one: texts are UTF-8 and cut at
 * METRIC_LABEL_MAX, bytes are texts (the Python program sends HTTP methods so), nil and what is missing are "".
 */
#pragma once

#include "base/buf.h"

/* Begins a set of `count` labels in an emptied buffer. */
void labels_begin(struct buf *out, size_t count);
/* The next one, from a field's msgpack bytes; p NULL: missing. Lists, maps and extensions are told by their type. */
void labels_add(struct buf *out, struct str value);
void labels_add_text(struct buf *out, struct str text);
