#include "sinks/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

int file_open_dir(const char *path, int *out_fd, struct mite_error *error)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        return error_errno(error, errno, "cannot make directory \"%s\"", path);
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return error_errno(error, errno, "cannot open directory \"%s\"", path);
    }
    if (faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) != 0) {
        int code = error_errno(error, errno, "cannot write in directory \"%s\"", path);
        close(fd);
        return code;
    }
    *out_fd = fd;
    return 0;
}

int file_write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno;
        }
        data += written;
        size -= (size_t)written;
    }
    return 0;
}

int file_rename_new(int dir_fd, const char *from, const char *to)
{
    if (renameat2(dir_fd, from, dir_fd, to, RENAME_NOREPLACE) == 0) {
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return errno;
    }
    /* A file system without that flag: look first. */
    if (faccessat(dir_fd, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        return EEXIST;
    }
    return renameat(dir_fd, from, dir_fd, to) == 0 ? 0 : errno;
}

int file_replace(int dir_fd, const char *name, const char *data, size_t size)
{
    char temporary[64];
    snprintf(temporary, sizeof temporary, ".%.40s.%d", name, (int)getpid());
    int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) {
        return errno;
    }
    int error = file_write_all(fd, data, size);
    if (close(fd) != 0 && error == 0) {
        error = errno;
    }
    if (error == 0 && renameat(dir_fd, temporary, dir_fd, name) != 0) {
        error = errno;
    }
    if (error != 0) {
        unlinkat(dir_fd, temporary, 0);
    }
    return error;
}

uint64_t file_read_number(int dir_fd, const char *name, uint64_t fallback)
{
    char text[32] = "", *end;
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return fallback;
    }
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0) {
        return fallback;
    }
    unsigned long long number = strtoull(text, &end, 10);
    return end == text ? fallback : number;
}

bool file_disk_free(int dir_fd, uint64_t *out_bytes)
{
    struct statvfs st;
    if (fstatvfs(dir_fd, &st) != 0) {
        return false;
    }
    *out_bytes = (uint64_t)st.f_bavail * st.f_frsize;
    return true;
}
