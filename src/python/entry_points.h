/*
 * Whether an installed package registers something under a group of entry points, found without an interpreter:
 * starting one for nothing costs 50 ms and 10 MB.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Looks at entry_points.txt of what is installed where the interpreter would import from. Entries called as one of
 * `but` do not count. */
bool entry_points_any(const char *group, const char *const *but, size_t but_count);
