/*
 * A look into a message's bytes without reading it whole: for what is passed on or dropped.
 */
#pragma once

#include "base/str.h"

/* The text under the key `type` of a msgpack map, a view into the bytes; none when they are no such map. */
struct str peek_type(struct str bytes);
