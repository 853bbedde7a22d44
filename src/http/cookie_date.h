/*
 * Dates of cookies, read as leniently as RFC 6265, 5.1.1 wants: any order, any separators.
 */
#pragma once

#include "base/str.h"

#include <stdint.h>

/* Seconds since the epoch, at least 1 (a date before 1970 is as past as any). False when it is no date. */
bool cookie_date_parse(struct str text, int64_t *out);
