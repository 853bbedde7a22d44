#include "runner/loader_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILE_BYTES (64u << 20)
#define CHUNK_BYTES    (64u << 10)

int file_open(const char *path, const char *shown, int *out, size_t *size, struct mite_error *error)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), rc = 0;
    struct stat info;

    if (fd < 0 || fstat(fd, &info) != 0) {
        rc = error_errno(error, errno, "cannot read %s", shown);
    } else if (!S_ISREG(info.st_mode)) {
        rc =
            error_set(error, MITE_EINVAL, "%s is %s", shown, S_ISDIR(info.st_mode) ? "a directory" : "no regular file");
    }
    if (rc < 0 && fd >= 0) {
        close(fd);
    }
    if (rc == 0) {
        *out = fd;
        *size = (size_t)info.st_size;
    }
    return rc;
}

int file_read(const char *path, struct buf *out, struct mite_error *error)
{
    int fd, rc;
    size_t size;
    ssize_t n = 1;

    buf_init(out, MAX_FILE_BYTES);
    rc = file_open(path, path, &fd, &size, error);
    if (rc < 0) {
        return rc;
    }
    while (rc == 0 && n != 0) {
        rc = buf_reserve(out, CHUNK_BYTES);
        if (rc < 0) {
            error_set(error, rc, "%s is larger than %u MiB, or memory is out", path, MAX_FILE_BYTES >> 20);
            break;
        }
        n = read(fd, out->data + out->size, CHUNK_BYTES);
        if (n > 0) {
            out->size += (size_t)n;
            out->data[out->size] = '\0';
        } else if (n < 0 && errno != EINTR) {
            rc = error_errno(error, errno, "cannot read %s", path);
        }
    }
    close(fd);
    return rc;
}

int file_temporary(const char *path, char **out, struct mite_error *error)
{
    char *name;

    if (asprintf(&name, "%s.XXXXXX", path) < 0) {
        return error_set(error, MITE_ENOMEM, "no memory for a file's name");
    }

    int fd = mkostemp(name, O_CLOEXEC);

    if (fd < 0) {
        int code = error_errno(error, errno, "cannot write %s", path);

        free(name);
        return code;
    }

    /* mkostemp makes files that are private; the umask can only be read by setting it. */
    mode_t mask = umask(077);

    umask(mask);
    fchmod(fd, 0666 & ~mask);
    close(fd);
    *out = name;
    return 0;
}

static int write_all(const char *path, struct str bytes, struct mite_error *error)
{
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC), rc = 0;
    ssize_t n = 0;

    for (size_t done = 0; fd >= 0 && n >= 0 && done < bytes.n; done += (size_t)n) {
        n = write(fd, bytes.p + done, bytes.n - done);
        if (n < 0 && errno == EINTR) {
            n = 0;
        }
    }
    if (fd < 0 || n < 0) {
        rc = error_errno(error, errno, "cannot write %s", path);
    }
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

int file_write(const char *path, struct str bytes, struct mite_error *error)
{
    char *temporary;
    int rc = file_temporary(path, &temporary, error);

    if (rc < 0) {
        return rc;
    }
    rc = write_all(temporary, bytes, error);
    if (rc == 0 && rename(temporary, path) != 0) {
        rc = error_errno(error, errno, "cannot write %s", path);
    }
    if (rc < 0) {
        unlink(temporary);
    }
    free(temporary);
    return rc;
}
