/*
 * Cache of compiled sources: $XDG_CACHE_HOME/mite, else ~/.cache/mite. What is found there is run, so the directory
 * must be the user's own and closed to others.
 *
 * A library is found again by what it was made of: the compiler, all that it is called with, mite's ABI, the working
 * directory (messages and debug information carry paths as the user wrote them), the content of every file that the
 * compiler read, the system's headers included, and the state of the user's objects and static libraries that it links.
 * What nobody has used for 30 days is removed when something is added.
 *
 * cache_open, cache_get as often as wanted, cache_close.
 */
#pragma once

#include "runner/loader_compile.h"

struct cache {
    char *dir; /* owned */
};

/* Makes the directory where it is missing. MITE_EIO: it cannot be made or written, or is not private to this user. */
int cache_open(struct cache *cache, struct mite_error *error);
void cache_close(struct cache *cache);

/* The library of one source: found, or compiled now. *out is its path, owned. Output and deps of the job are chosen
 * here. Several processes may ask at the same time. Fails as compile() does. */
int cache_get(struct cache *cache, const struct toolchain *toolchain, const struct compile_job *job, char **out,
              struct mite_error *error);
