/*
 * The few things that collector and recorder do with files. All names are relative to a directory's descriptor, so that
 * nothing moves when the process changes its directory. Functions that return an int return 0 or an errno unless they
 * take a struct mite_error.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Opens a directory, made (one level) when missing; makes sure that files can be made in it. */
int file_open_dir(const char *path, int *out_fd, struct mite_error *error);

/* Writes all of it, whatever signals come. */
int file_write_all(int fd, const char *data, size_t size);

/* Renames, but never over something: EEXIST. */
int file_rename_new(int dir_fd, const char *from, const char *to);

/* Makes a small file, or puts new content in place of the old one at once. */
int file_replace(int dir_fd, const char *name, const char *data, size_t size);

/* The number at the start of a small file; `fallback` when there is none. */
uint64_t file_read_number(int dir_fd, const char *name, uint64_t fallback);

/* False when the system does not say. */
bool file_disk_free(int dir_fd, uint64_t *out_bytes);
