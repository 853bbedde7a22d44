#include "controller/journal.h"

#include "value/msgpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL_MAX  ((size_t)1 << 30)  /* bytes that are read */
#define JOURNAL_LONG ((size_t)64 << 20) /* bytes behind what was true when it was written anew */

/* Whoever had the file may have put another in its place since it was opened here. */
static bool is_there(int fd, const char *path)
{
    struct stat ours, there;

    return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino &&
           ours.st_dev == there.st_dev;
}

static int lock(int fd, const char *path, struct mite_error *error)
{
    bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;

    if (locked && is_there(fd, path)) {
        return 0;
    }
    return locked || errno == EWOULDBLOCK
               ? error_set(error, MITE_EIO, "%s is in use by another controller: give each a file of its own", path)
               : error_errno(error, errno, "cannot lock %s", path);
}

/* ---- reading ---- */

static int read_all(int fd, struct buf *out, const char *path, struct mite_error *error)
{
    ssize_t n;

    do {
        if (buf_reserve(out, 1 << 16) < 0) {
            return error_set(error, MITE_ELIMIT, "%s is larger than %zu bytes, or than memory", path, JOURNAL_MAX);
        }
        n = read(fd, out->data + out->size, 1 << 16);
        out->size += n > 0 ? (size_t)n : 0;
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n == 0 ? 0 : error_errno(error, errno, "cannot read %s", path);
}

/* Values up to the first that is cut off. The first of all never is: the file was put in its place whole. */
static int replay(struct str bytes, size_t *whole, const char *path,
                  int (*each)(void *arg, const struct value *value, struct str bytes, struct mite_error *error),
                  void *arg, struct mite_error *error)
{
    struct arena arena;
    struct value value;
    size_t used;
    int rc = 0, cut = 0;

    arena_init(&arena, 0);
    while (rc == 0 && bytes.n > 0 && (cut = msgpack_read(&arena, bytes, &used, &value, NULL)) == 0) {
        rc = each(arg, &value, (struct str){bytes.p, used}, error);
        bytes.p += used;
        bytes.n -= used;
        *whole += used;
        arena_reset(&arena);
    }
    arena_done(&arena);
    if (rc == 0 && cut == MITE_ENOMEM) {
        return error_set(error, MITE_ENOMEM, "no memory to read %s", path);
    }
    if (rc == 0 && cut < 0 && (cut != MITE_EAGAIN || *whole == 0)) {
        return error_set(error, MITE_EPROTO, "%s is no file of ours: name another, or remove it", path);
    }
    return rc;
}

int journal_open(struct journal *journal, const char *path,
                 int (*each)(void *arg, const struct value *value, struct str bytes, struct mite_error *error),
                 void *arg, struct mite_error *error)
{
    struct buf bytes;
    size_t whole = 0;

    *journal = (struct journal){.fd = -1, .path = str_copy(str_of(path))};
    if (!journal->path) {
        return error_set(error, MITE_ENOMEM, "no memory to open %s", path);
    }
    journal->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (journal->fd < 0) {
        int rc = error_errno(error, errno, "cannot open %s", path);
        journal_close(journal);
        return rc;
    }
    buf_init(&bytes, JOURNAL_MAX);
    int rc = lock(journal->fd, path, error);
    rc = rc == 0 ? read_all(journal->fd, &bytes, path, error) : rc;
    rc = rc == 0 ? replay(buf_view(&bytes), &whole, path, each, arg, error) : rc;
    if (rc == 0 && (ftruncate(journal->fd, (off_t)whole) < 0 || lseek(journal->fd, (off_t)whole, SEEK_SET) < 0)) {
        rc = error_errno(error, errno, "cannot write %s", path);
    }
    journal->size = whole;
    journal->long_at = whole + JOURNAL_LONG;
    buf_done(&bytes);
    if (rc < 0) {
        journal_close(journal);
    }
    return rc;
}

/* ---- writing ---- */

static int write_all(int fd, struct str bytes, const char *path, struct mite_error *error)
{
    while (bytes.n > 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno != EINTR) {
            return error_errno(error, errno, "cannot write %s", path);
        }
        bytes.p += n > 0 ? n : 0;
        bytes.n -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

int journal_append(struct journal *journal, struct str bytes, struct mite_error *error)
{
    if (journal->failed) {
        return error_set(error, MITE_EIO, "%s has been emptied", journal->path);
    }
    int rc = write_all(journal->fd, bytes, journal->path, error);
    if (rc == 0) {
        journal->size += bytes.n;
        return 0;
    }
    journal->failed = true;
    if (ftruncate(journal->fd, 0) < 0) {
        error_prefix(error, "remove that file, it lacks what has happened since");
    }
    return rc;
}

int journal_rewrite(struct journal *journal, struct str bytes, struct mite_error *error)
{
    char path[4096];

    if (snprintf(path, sizeof path, "%s.new", journal->path) >= (int)sizeof path) {
        return error_set(error, MITE_EINVAL, "%s: the path is too long", journal->path);
    }
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return error_errno(error, errno, "cannot write %s", path);
    }
    int rc = lock(fd, path, error);
    rc = rc == 0 ? write_all(fd, bytes, path, error) : rc;
    if (rc == 0 && (fsync(fd) < 0 || rename(path, journal->path) < 0)) {
        rc = error_errno(error, errno, "cannot replace %s", journal->path);
    }
    if (rc < 0) {
        unlink(path);
        close(fd);
        return rc;
    }
    close(journal->fd);
    journal->fd = fd;
    journal->size = bytes.n;
    journal->long_at = 2 * bytes.n + JOURNAL_LONG;
    journal->failed = false;
    return 0;
}

void journal_close(struct journal *journal)
{
    if (journal->fd >= 0) {
        close(journal->fd);
    }
    free(journal->path);
    *journal = (struct journal){.fd = -1};
}

void journal_remove(struct journal *journal)
{
    if (journal->fd >= 0) {
        unlink(journal->path);
    }
    journal_close(journal);
}
