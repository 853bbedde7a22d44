#include "cli/socket_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME       "mite-XXXXXX"
#define PREFIX     "mite-"
#define CONTROLLER "controller"
#define EVENTS     "events"

/* ---- what others left ---- */

/* A directory of our user's own, with a socket in it that nobody listens at: whoever does holds the lock, and has held
 * it since before the socket was there. One without is not even tried: its owner may be about to take the lock. */
static bool is_left_behind(int fd)
{
    struct stat dir, end;

    return fstat(fd, &dir) == 0 && dir.st_uid == geteuid() && fstatat(fd, CONTROLLER, &end, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISSOCK(end.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void sweep_one(int parent_fd, const char *name)
{
    int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0) {
        return;
    }
    if (is_left_behind(fd)) {
        unlinkat(fd, CONTROLLER, 0);
        unlinkat(fd, EVENTS, 0);
        unlinkat(parent_fd, name, AT_REMOVEDIR);
    }
    close(fd);
}

static void sweep(const char *parent)
{
    DIR *dir = opendir(parent);
    const struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        if (strlen(entry->d_name) == strlen(NAME) && strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0) {
            sweep_one(dirfd(dir), entry->d_name);
        }
    }
    if (dir) {
        closedir(dir);
    }
}

/* ---- ours ---- */

/* Where locks cannot be had nobody takes ours for one that was left behind, for want of a lock. */
static int hold(struct socket_dir *dir, struct mite_error *error)
{
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd < 0) {
        return error_errno(error, errno, "cannot open the directory for the workers' sockets, %s", dir->path);
    }
    flock(dir->fd, LOCK_EX | LOCK_NB);
    return 0;
}

int socket_dir_make(struct socket_dir *dir, struct mite_error *error)
{
    const char *parent = getenv("TMPDIR");

    dir->fd = -1;
    if (!parent || !*parent || strlen(parent) + sizeof "/" NAME > sizeof dir->path) {
        parent = "/tmp";
    }
    sweep(parent);
    snprintf(dir->path, sizeof dir->path, "%s/" NAME, parent);
    if (!mkdtemp(dir->path)) { /* mode 0700 */
        int code = errno;
        error_errno(error, code, "cannot make a directory for the workers' sockets, %s", dir->path);
        dir->path[0] = '\0';
        return MITE_EIO;
    }
    snprintf(dir->controller, sizeof dir->controller, "ipc://%s/" CONTROLLER, dir->path);
    snprintf(dir->events, sizeof dir->events, "ipc://%s/" EVENTS, dir->path);
    return hold(dir, error);
}

void socket_dir_remove(const struct socket_dir *dir)
{
    if (dir->path[0]) {
        unlink(dir->controller + strlen("ipc://"));
        unlink(dir->events + strlen("ipc://"));
        rmdir(dir->path);
    }
}

void socket_dir_done(struct socket_dir *dir)
{
    if (dir->path[0] && dir->fd >= 0) {
        close(dir->fd);
    }
}
