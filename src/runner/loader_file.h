/*
 * The few things that the loader does with whole files.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

/* A regular file to read from, without waiting: its descriptor, to be closed, and its size. `shown` is what sentences
 * call it. MITE_ENOTFOUND, MITE_EIO, MITE_EINVAL (a directory, a pipe). */
int file_open(const char *path, const char *shown, int *out, size_t *size, struct mite_error *error);

/* All of a file into a buffer that is initialised here; buf_done() it whatever comes back. As file_open(),
 * and MITE_ELIMIT (more than 64 MiB). */
int file_read(const char *path, struct buf *out, struct mite_error *error);

/* Makes an empty file beside `path`, of a name that nobody else has, readable as the user's umask says; owned. It is
 * to be renamed to `path` or unlinked. */
int file_temporary(const char *path, char **out, struct mite_error *error);

/* Replaces a file by these bytes, at once or not at all. */
int file_write(const char *path, struct str bytes, struct mite_error *error);
