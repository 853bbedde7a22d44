/*
 * JSON form of values. What JSON lacks is written so that nothing is lost on the way there and back:
 *   bytes                         {"__bytes__": "BASE64"}
 *   a map with a key not text     {"__map__": [[key, value], ...]}
 *   NaN and the infinities        {"__float__": "nan" | "inf" | "-inf"}
 * A map whose only key is one of these names is written in the second form too. A float always shows a point or an
 * exponent (1.0), so that it comes back as a float, with the fewest digits that give the same number.
 */
#pragma once

#include "base/buf.h"
#include "value/value.h"

/* One line, no newline at its end. Errors show in out->failed. */
void json_write(struct buf *out, const struct value *v) PRIVATE_API(json_write);
void json_write_text(struct buf *out, struct str s)
    PRIVATE_API(json_write_text); /* quoted and escaped; always valid JSON */
void json_write_float(struct buf *out, double f) PRIVATE_API(json_write_float);

/*
 * The whole text must be one value. MITE_EPROTO (the sentence names line and column), MITE_ELIMIT, MITE_ENOMEM. Of
 * equal keys in one object the last wins.
 */
int json_read(struct arena *arena, struct str text, struct value *out, struct mite_error *error) PRIVATE_API(json_read);
