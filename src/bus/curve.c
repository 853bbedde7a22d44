#include "bus/curve.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#define KEY_CHARACTERS 40

static int check_mode(int fd, const char *file, struct mite_error *error)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return error_errno(error, errno, "cannot read key %s", file);
    }
    if (st.st_mode & (S_IRWXG | S_IRWXO)) {
        return error_set(error, MITE_EINVAL, "secret key %s can be read by others than its owner: chmod 600 %s", file,
                         file);
    }
    return 0;
}

/* One line of Z85 and nothing else. */
static int read_line(int fd, const char *file, struct curve_key *out, struct mite_error *error)
{
    char line[KEY_CHARACTERS + 3]; /* with its newline, and a byte too many to be seen */
    unsigned char bytes[32];
    ssize_t n = read(fd, line, sizeof line);

    if (n < 0) {
        return error_errno(error, errno, "cannot read key %s", file);
    }
    n -= n > 0 && line[n - 1] == '\n';
    n -= n > 0 && line[n - 1] == '\r';
    line[n < KEY_CHARACTERS ? n : KEY_CHARACTERS] = '\0';
    bool good = n == KEY_CHARACTERS && strlen(line) == KEY_CHARACTERS && zmq_z85_decode(bytes, line);
    if (good) {
        memcpy(out->text, line, sizeof out->text);
    }
    explicit_bzero(line, sizeof line);
    explicit_bzero(bytes, sizeof bytes);
    return good ? 0
                : error_set(error, MITE_EINVAL,
                            "%s holds no key: one line of %d characters is expected, as mite keygen writes it", file,
                            KEY_CHARACTERS);
}

int curve_read(const char *file, bool secret, struct curve_key *out, struct mite_error *error)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* it may be a pipe, by mistake or malice */

    if (fd < 0) {
        int failed = errno;
        return failed == ENOENT ? error_set(error, MITE_ENOTFOUND, "no key %s: mite keygen DIR makes keys", file)
                                : error_errno(error, failed, "cannot read key %s", file);
    }
    int rc = secret ? check_mode(fd, file, error) : 0;
    if (rc == 0) {
        rc = read_line(fd, file, out, error);
    }
    close(fd);
    return rc;
}

int curve_public(const struct curve_key *secret, struct curve_key *out, struct mite_error *error)
{
    return zmq_curve_public(out->text, secret->text) == 0
               ? 0
               : error_set(error, MITE_EINVAL, "cannot make the public key of a secret one: %s",
                           zmq_strerror(zmq_errno()));
}

/* ---- making ---- */

enum { SERVER_KEY, SERVER_PUB, CLIENT_KEY, CLIENT_PUB, FILES };

static const char *const names[FILES] = {"server.key", "server.pub", "client.key", "client.pub"};

static int open_dir(const char *dir, int *out, struct mite_error *error)
{
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        return error_errno(error, errno, "cannot make directory %s", dir);
    }
    *out = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *out >= 0 ? 0 : error_errno(error, errno, "cannot open directory %s", dir);
}

static int exists(const char *dir, const char *name, struct mite_error *error)
{
    return error_set(error, MITE_EINVAL, "%s/%s exists already, and keys are not overwritten: name another directory",
                     dir, name);
}

static int check_none_exists(int dir_fd, const char *dir, struct mite_error *error)
{
    struct stat st;

    for (int i = 0; i < FILES; i++) {
        if (fstatat(dir_fd, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0) {
            return exists(dir, names[i], error);
        }
    }
    return 0;
}

/* 0 or an errno. */
static int write_line(int fd, const struct curve_key *key)
{
    char line[KEY_CHARACTERS + 2];
    int length = snprintf(line, sizeof line, "%s\n", key->text);
    ssize_t written = write(fd, line, (size_t)length);
    int failed = written == length ? 0 : written < 0 ? errno : ENOSPC;

    explicit_bzero(line, sizeof line);
    return failed;
}

/* Leaves no file behind when it fails. One that somebody else has made meanwhile is theirs. */
static int write_key(int dir_fd, const char *dir, const char *name, const struct curve_key *key, mode_t mode,
                     struct mite_error *error)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

    if (fd < 0) {
        int failed = errno;
        return failed == EEXIST ? exists(dir, name, error)
                                : error_errno(error, failed, "cannot write %s/%s", dir, name);
    }
    int failed = write_line(fd, key);
    if (close(fd) != 0 && failed == 0) {
        failed = errno;
    }
    if (failed != 0) {
        unlinkat(dir_fd, name, 0);
        return error_errno(error, failed, "cannot write %s/%s", dir, name);
    }
    return 0;
}

static int write_keys(int dir_fd, const char *dir, const struct curve_key keys[FILES], struct mite_error *error)
{
    int rc = check_none_exists(dir_fd, dir, error), made = 0;

    while (rc == 0 && made < FILES) {
        bool secret = made == SERVER_KEY || made == CLIENT_KEY;
        rc = write_key(dir_fd, dir, names[made], &keys[made], secret ? 0600 : 0644, error);
        made += rc == 0;
    }
    while (rc < 0 && made > 0) {
        unlinkat(dir_fd, names[--made], 0); /* half a set is none */
    }
    return rc;
}

int curve_generate(const char *dir, struct mite_error *error)
{
    struct curve_key keys[FILES];
    int dir_fd = -1, rc = open_dir(dir, &dir_fd, error);

    if (rc < 0) {
        return rc;
    }
    if (zmq_curve_keypair(keys[SERVER_PUB].text, keys[SERVER_KEY].text) != 0 ||
        zmq_curve_keypair(keys[CLIENT_PUB].text, keys[CLIENT_KEY].text) != 0) {
        rc = error_set(error, MITE_EIO, "cannot make keys: %s", zmq_strerror(zmq_errno()));
    } else {
        rc = write_keys(dir_fd, dir, keys, error);
    }
    explicit_bzero(keys, sizeof keys);
    close(dir_fd);
    return rc;
}
