/* A directory for one test, the files in it, and the golden files that they should equal. */
#pragma once

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct scratch {
    char dir[64];
};

static inline void scratch_make(struct scratch *scratch)
{
    snprintf(scratch->dir, sizeof scratch->dir, "/tmp/mite-unit-XXXXXX");
    assert_non_null(mkdtemp(scratch->dir));
}

/* Returned by value, to be used within one call. */
struct scratch_path {
    char s[512];
};

static inline struct scratch_path scratch_path(const struct scratch *scratch, const char *name)
{
    struct scratch_path path;
    snprintf(path.s, sizeof path.s, "%s/%s", scratch->dir, name);
    return path;
}

/* Calls fn for each name in the directory. */
static inline size_t scratch_each(const char *dir, void (*fn)(const char *dir, const char *name, void *arg), void *arg)
{
    size_t count = 0;
    DIR *opened = opendir(dir);
    assert_non_null(opened);
    for (struct dirent *entry; (entry = readdir(opened));) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            count++;
            if (fn) {
                fn(dir, entry->d_name, arg);
            }
        }
    }
    closedir(opened);
    return count;
}

static inline void scratch_remove_entry(const char *dir, const char *name, void *unused)
{
    char path[1024];
    struct stat st;
    int length = snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_in_range(length, 1, sizeof path - 1);
    assert_int_equal(lstat(path, &st), 0);
    if (S_ISDIR(st.st_mode)) {
        scratch_each(path, scratch_remove_entry, NULL);
        assert_int_equal(rmdir(path), 0);
    } else {
        assert_int_equal(unlink(path), 0);
    }
}

static inline void scratch_remove(const struct scratch *scratch)
{
    scratch_each(scratch->dir, scratch_remove_entry, NULL);
    assert_int_equal(rmdir(scratch->dir), 0);
}

static inline void read_whole(struct buf *out, const char *path)
{
    char chunk[4096];
    size_t n;
    FILE *file = fopen(path, "rb");
    if (!file) {
        fail_msg("cannot open %s", path);
    }
    buf_clear(out);
    while ((n = fread(chunk, 1, sizeof chunk, file)) > 0) {
        assert_int_equal(buf_append(out, chunk, n), 0);
    }
    fclose(file);
}

static inline void write_whole(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static inline void read_golden(struct buf *out, const char *name)
{
    char path[512];
    const char *folder = getenv("MITE_TEST_GOLDEN");
    snprintf(path, sizeof path, "%s/%s", folder ? folder : "tests/golden", name);
    read_whole(out, path);
}
