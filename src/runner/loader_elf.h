/*
 * What a shared library says of itself, read from its file before it is loaded: a library runs code of its own the
 * moment it is loaded, so one that is not for this mite must be found out before.
 */
#pragma once

#include "base/error.h"

/* MITE_EINVAL with a sentence about `shown` (its path as the user wrote it): no library at all, one for another
 * machine, one without anything for mite, one for another ABI of mite's. MITE_ENOTFOUND, MITE_EIO: cannot be read. */
int elf_check(const char *path, const char *shown, struct mite_error *error);
