/*
 * A look into a message's bytes without reading it whole: for what is passed on or dropped.
 */
#pragma once

#include "base/str.h"

/* The text under the key `type` of a msgpack map, a view into the bytes; none when they are no such map. */
struct str peek_type(struct str bytes);

/* Whether the bytes are one msgpack map and nothing else, which every reader of ours takes: no extension types, texts
 * in UTF-8, not too deep. */
bool peek_is_map(struct str bytes);
