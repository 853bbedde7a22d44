/*
 * Loader: from the spec of something in C, "shop.c:browse" or "./shop.so:browse", to its entry in a loaded file.
 *
 * A source is compiled on first use and kept in the user's cache directory (loader_cache.h); a shared library is taken
 * as it is. What a file says of itself (its architecture, mite's ABI) is read before anything in it is loaded, let
 * alone called.
 *
 * Life cycle: loader_new, loader_find as often as wanted, loader_free. A file that was loaded once stays so until the
 * process ends: what it gave (names, code, data) may be in use anywhere. From the main thread only, and not while load
 * runs: compiling blocks.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>

struct loader;
struct mite_entry; /* mite/mite.h */

/* Borrowed until loader_free. */
struct loader_options {
    const char *cflags, *ldflags; /* --cflags, --ldflags: words as in a shell; NULL: none */
};

int loader_new(const struct loader_options *options, struct loader **out, struct mite_error *error);
void loader_free(struct loader *loader);

/* Whether a spec is one of a file in C, by its form: what stands before the colon ends in ".c" or ".so". Touches no
 * file. */
bool loader_owns(const char *spec);

/*
 * The entry of that kind (enum mite_entry_kind) that the spec names; loaded files are kept and looked at again. *out
 * lasts until the process ends.
 * MITE_EINVAL: no spec, a file of another ABI or architecture, no library at all, something else by that name.
 * MITE_ENOTFOUND: no such file or name; the sentence suggests one.
 * MITE_EUSER: the source does not compile; the compiler has said on stderr why.
 * MITE_EIO: this machine cannot: no compiler, no cache directory, a library that is missing.
 */
int loader_find(struct loader *loader, unsigned kind, const char *spec, const struct mite_entry **out,
                struct mite_error *error);
