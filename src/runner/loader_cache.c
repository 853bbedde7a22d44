/*
 * Design notes. Two names are made. The job's key is a hash of everything but the content of files; KEY.inputs lists
 * the files that the compiler read and the hash of each. The library's name is a hash of that list, so a list that
 * still tells the truth leads to its library without running anything. A list is written after its library is in place,
 * each file under a name of its own first and then renamed: a reader sees all of it or nothing, and two processes that
 * compile the same thing at once put the same bytes in the same place.
 *
 * A file that was changed while it was being compiled would be remembered with the wrong content: then no list is
 * written and the library gets a name that leads nowhere, for this one use.
 */
#include "runner/loader_cache.h"
#include "base/buf.h"
#include "base/hash.h"
#include "runner/loader_elf.h"
#include "runner/loader_file.h"

#define MITE_IMPLEMENTATION
#include <mite/mite.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define KEEP_S       (30 * 24 * 3600) /* unused for so long */
#define TOUCH_S      (24 * 3600)      /* a use is noted once a day */
#define UNFINISHED   ".new"           /* in the names of files that a compilation writes */
#define UNFINISHED_S 3600             /* so old, its compilation was killed */

/* ---- the directory ---- */

static char *cache_home(void)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char *path = NULL;
    int n;

    if (xdg && xdg[0] == '/') {
        n = asprintf(&path, "%s", xdg);
    } else {
        struct passwd *user = home && home[0] == '/' ? NULL : getpwuid(geteuid());

        n = asprintf(&path, "%s/.cache", user ? user->pw_dir : home ? home : "");
    }
    return n < 0 ? NULL : path;
}

/* The directory and those above it. */
static int make_directory(char *path)
{
    for (char *p = path + 1; *p; p++) {
        if (*p == '/') {
            *p = '\0';
            mkdir(path, 0700); /* whether it is there shows at the last one */
            *p = '/';
        }
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : errno;
}

static int check_directory(const char *dir, struct mite_error *error)
{
    struct stat info;

    if (lstat(dir, &info) != 0) {
        return error_errno(error, errno, "cannot use the cache directory %s", dir);
    }
    if (!S_ISDIR(info.st_mode)) {
        return error_set(error, MITE_EIO, "the cache directory %s is no directory: remove it", dir);
    }
    if (info.st_uid != geteuid()) {
        return error_set(error, MITE_EIO,
                         "the cache directory %s is not yours: what lies there would be run; set XDG_CACHE_HOME", dir);
    }
    if (info.st_mode & (S_IRWXG | S_IRWXO)) {
        return error_set(error, MITE_EIO,
                         "the cache directory %s is open to other users, and what lies there is run: chmod 700 it",
                         dir);
    }
    return 0;
}

/* Only when something is added: what is there can be used without. */
static int check_writable(const char *dir, struct mite_error *error)
{
    if (access(dir, W_OK) == 0) {
        return 0;
    }
    return error_set(error, MITE_EIO,
                     "cannot write to the cache directory %s: %s; XDG_CACHE_HOME names another, and mite build makes "
                     "a library that needs none",
                     dir, strerror(errno));
}

int cache_open(struct cache *cache, struct mite_error *error)
{
    char *home = cache_home(), *dir;

    if (!home || asprintf(&dir, "%s/mite", home) < 0) {
        free(home);
        return error_set(error, MITE_ENOMEM, "no memory for the cache directory's name");
    }
    free(home);

    int failed = make_directory(dir);
    int rc = failed ? error_set(error, MITE_EIO, "cannot make the cache directory %s: %s; XDG_CACHE_HOME names another",
                                dir, strerror(failed))
                    : check_directory(dir, error);

    if (rc < 0) {
        free(dir);
        return rc;
    }
    cache->dir = dir;
    return 0;
}

void cache_close(struct cache *cache)
{
    free(cache->dir);
    *cache = (struct cache){0};
}

#define KEY_SIZE 33 /* 128 bits in hex, and a zero */

/* What is asked for. */
struct lookup {
    const struct cache *cache;
    const struct toolchain *toolchain;
    const struct compile_job *job;
    char key[KEY_SIZE]; /* the job's */
    char *list;         /* the path of KEY.inputs */
};

static int no_memory(struct mite_error *error)
{
    return error_set(error, MITE_ENOMEM, "no memory to look into the cache");
}

/* ---- keys ---- */

static void key_of(struct str bytes, char out[KEY_SIZE])
{
    static const uint64_t first[2] = {1, 2}, second[2] = {3, 4};

    snprintf(out, KEY_SIZE, "%016" PRIx64 "%016" PRIx64, hash_keyed(first, bytes), hash_keyed(second, bytes));
}

static void put(struct buf *what, const char *text)
{
    buf_append(what, text ? text : "", text ? strlen(text) + 1 : 1);
}

/* A file that is linked, by what changes when it is written. */
static void put_linked_file(struct buf *what, const char *path)
{
    struct stat info;

    if (stat(path, &info) == 0 && S_ISREG(info.st_mode)) {
        buf_printf(what, "%s %" PRIuMAX " %" PRIdMAX " %" PRIdMAX ".%09ld", path, (uintmax_t)info.st_ino,
                   (intmax_t)info.st_size, (intmax_t)info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    }
}

/* "-lNAME" is looked for where each "-LDIRECTORY" says; a shared one is not part of the library. */
static void put_archives(struct buf *what, const struct words *flags, const char *name)
{
    char path[4096];

    for (size_t i = 0; i < flags->count; i++) {
        if (strncmp(flags->items[i], "-L", 2) == 0) {
            snprintf(path, sizeof(path), "%s/lib%s.a", flags->items[i] + 2, name);
            put_linked_file(what, path);
        }
    }
}

/* What is linked into the library by the user's flags: the compiler's list of inputs has none of it. */
static void put_linked(struct buf *what, const struct words *flags)
{
    for (size_t i = 0; i < flags->count; i++) {
        const char *flag = flags->items[i];
        if (flag[0] != '-') {
            put_linked_file(what, flag);
        } else if (strncmp(flag, "-l", 2) == 0) {
            put_archives(what, flags, flag + 2);
        }
    }
}

/* The key: everything but the content of files. */
static int find_key(struct lookup *lookup, struct mite_error *error)
{
    static const char *const variables[] = {"CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH"};
    struct words words;
    struct buf what;
    struct stat info = {0};
    char *directory = getcwd(NULL, 0);

    words_init(&words);
    buf_init(&what, 0);
    compile_words(lookup->toolchain, lookup->job, &words);
    for (size_t i = 0; i < words.count; i++) {
        put(&what, words.items[i]);
    }
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        put(&what, getenv(variables[i]));
    }
    put(&what, directory);
    put_linked(&what, lookup->job->ldflags);

    /* A compiler that was replaced is another one. */
    (void)stat(lookup->toolchain->compiler.items[0], &info);
    buf_printf(&what, "%d %" PRIdMAX " %" PRIdMAX, MITE_ABI, (intmax_t)info.st_size, (intmax_t)info.st_mtime);

    bool good = !words.failed && !what.failed && directory;

    if (good) {
        key_of(buf_view(&what), lookup->key);
    }
    free(directory);
    buf_done(&what);
    words_done(&words);
    return good ? 0 : no_memory(error);
}

/* Adds "HASH PATH\n" for the file as it is now. */
static int put_input(struct buf *inputs, const char *path)
{
    struct buf content;
    char key[KEY_SIZE];
    int rc = file_read(path, &content, NULL);

    if (rc == 0) {
        key_of(buf_view(&content), key);
        rc = buf_printf(inputs, "%s %s\n", key, path);
    }
    buf_done(&content);
    return rc;
}

/* The library that was made of these inputs for this job; owned. */
static char *library_path(const struct lookup *lookup, const struct buf *inputs)
{
    struct buf what;
    char key[KEY_SIZE], *path = NULL;

    buf_init(&what, 0);
    buf_text(&what, lookup->key);
    buf_str(&what, buf_view(inputs));
    key_of(buf_view(&what), key);
    if (what.failed || asprintf(&path, "%s/%s.so", lookup->cache->dir, key) < 0) {
        path = NULL;
    }
    buf_done(&what);
    return path;
}

/* ---- what is there ---- */

/* The files of an old list as they are now. False: one is gone. */
static bool read_again(struct str list, struct buf *inputs)
{
    while (list.n > 0) {
        const char *newline = memchr(list.p, '\n', list.n);
        size_t n = newline ? (size_t)(newline - list.p) : list.n;
        char *path = n > KEY_SIZE ? str_copy((struct str){list.p + KEY_SIZE, n - KEY_SIZE}) : NULL;
        bool good = newline && path && put_input(inputs, path) == 0;

        free(path);
        if (!good) {
            return false;
        }
        list.p += n + 1;
        list.n -= n + 1;
    }
    return true;
}

/* Keeps what is used from being removed. */
static void touch(const char *path)
{
    struct stat info;

    if (stat(path, &info) == 0 && time(NULL) - info.st_mtime > TOUCH_S) {
        utimensat(AT_FDCWD, path, NULL, 0);
    }
}

/* The library's path, owned; NULL: not there. */
static char *find(const struct lookup *lookup)
{
    struct buf before, now;
    char *path = NULL;

    buf_init(&now, 0);
    if (file_read(lookup->list, &before, NULL) == 0 && read_again(buf_view(&before), &now)) {
        path = library_path(lookup, &now);
    }
    if (path && elf_check(path, path, NULL) == 0) { /* a machine that went down may have left half of it */
        touch(path);
        touch(lookup->list);
    } else {
        free(path);
        path = NULL;
    }
    buf_done(&before);
    buf_done(&now);
    return path;
}

/* ---- what is added ---- */

/* The next name of a list in make's form, from *at on, into `path`. False: no more. */
static bool next_dependency(struct str deps, size_t *at, struct buf *path)
{
    size_t i = *at;

    buf_clear(path);
    for (; i < deps.n; i++) {
        char c = deps.p[i], next = i + 1 < deps.n ? deps.p[i + 1] : '\0';

        if (c == '\\' && next == '\n') {
            i++;
            c = ' ';
        } else if ((c == '\\' && (next == ' ' || next == '#' || next == '\\')) || (c == '$' && next == '$')) {
            buf_char(path, next);
            i++;
            continue;
        }
        if (c == ' ' || c == '\n' || c == '\t') {
            if (path->size > 0) {
                break;
            }
        } else {
            buf_char(path, c);
        }
    }
    *at = i;
    return path->size > 0;
}

static bool is_newer(const char *path, const struct timespec *than)
{
    struct stat info;

    return stat(path, &info) != 0 || info.st_ctim.tv_sec > than->tv_sec ||
           (info.st_ctim.tv_sec == than->tv_sec && info.st_ctim.tv_nsec > than->tv_nsec);
}

/* The inputs that the compiler noted. False: cannot be known, or one has changed since `started`. */
static bool read_dependencies(const char *deps_path, const struct timespec *started, struct buf *inputs)
{
    struct buf deps, path;
    bool good = file_read(deps_path, &deps, NULL) == 0;
    size_t at = 0;

    buf_init(&path, 0);
    next_dependency(buf_view(&deps), &at, &path); /* "OUTPUT:" */
    while (good && next_dependency(buf_view(&deps), &at, &path)) {
        good = !path.failed && !is_newer(path.data, started) && put_input(inputs, path.data) == 0;
    }
    good = good && inputs->size > 0 && !inputs->failed;
    buf_done(&path);
    buf_done(&deps);
    return good;
}

/* Removes what nobody used for long, and what killed compilations left. */
static void prune(const struct cache *cache)
{
    DIR *dir = opendir(cache->dir);
    time_t now = time(NULL);
    struct dirent *item;
    struct stat info;

    while (dir && (item = readdir(dir))) {
        if (fstatat(dirfd(dir), item->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode) &&
            now - info.st_mtime > (strstr(item->d_name, UNFINISHED) ? UNFINISHED_S : KEEP_S)) {
            unlinkat(dirfd(dir), item->d_name, 0);
        }
    }
    if (dir) {
        closedir(dir);
    }
}

/* From the fresh library to its place in the cache; *out is that, owned. */
static int keep(const struct lookup *lookup, const char *fresh, const char *deps, const struct timespec *started,
                char **out, struct mite_error *error)
{
    struct buf inputs;
    int rc = 0;

    buf_init(&inputs, 0);

    bool known = read_dependencies(deps, started, &inputs);
    char *path = known ? library_path(lookup, &inputs) : str_copy(str_of(fresh));

    if (!path) {
        rc = no_memory(error);
    } else if (known && rename(fresh, path) != 0) {
        rc = error_errno(error, errno, "cannot write to the cache directory %s", lookup->cache->dir);
    } else if (known) {
        rc = file_write(lookup->list, buf_view(&inputs), error);
    }
    buf_done(&inputs);
    if (rc < 0) {
        free(path);
        return rc;
    }
    prune(lookup->cache);
    *out = path;
    return 0;
}

/* A compiler that is told to do something else (--cflags=-c) is content with that. */
static int check_made(const struct lookup *lookup, const char *library, struct mite_error *error)
{
    const char *compiler = lookup->toolchain->compiler.items[0], *slash = strrchr(compiler, '/');
    char *shown;

    if (asprintf(&shown, "what %s made of %s", slash ? slash + 1 : compiler, lookup->job->sources[0]) < 0) {
        return no_memory(error);
    }

    int rc = elf_check(library, shown, error);

    free(shown);
    return rc;
}

static int add(const struct lookup *lookup, char **out, struct mite_error *error)
{
    const char *dir = lookup->cache->dir;
    char *base, *deps = NULL, *fresh = NULL;
    struct timespec started;
    int rc = check_writable(dir, error);

    if (rc < 0) {
        return rc;
    }
    if (asprintf(&base, "%s/%s" UNFINISHED, dir, lookup->key) < 0) {
        return no_memory(error);
    }
    rc = file_temporary(base, &deps, error);
    free(base);

    /* Unique too, for the name before its suffix is. */
    if (rc == 0 && asprintf(&fresh, "%s.so", deps) < 0) {
        fresh = NULL;
        rc = no_memory(error);
    }
    if (rc == 0) {
        struct compile_job mine = *lookup->job;

        mine.output = fresh;
        mine.deps = deps;
        clock_gettime(CLOCK_REALTIME, &started);
        rc = compile(lookup->toolchain, &mine, error);
    }
    if (rc == 0) {
        rc = check_made(lookup, fresh, error);
        rc = rc < 0 ? rc : keep(lookup, fresh, deps, &started, out, error);
        if (rc < 0) {
            unlink(fresh);
        }
    }
    if (deps) {
        unlink(deps);
    }
    free(deps);
    free(fresh);
    return rc;
}

int cache_get(struct cache *cache, const struct toolchain *toolchain, const struct compile_job *job, char **out,
              struct mite_error *error)
{
    struct lookup lookup = {.cache = cache, .toolchain = toolchain, .job = job};
    int rc = find_key(&lookup, error);

    if (rc < 0) {
        return rc;
    }
    if (asprintf(&lookup.list, "%s/%s.inputs", cache->dir, lookup.key) < 0) {
        return no_memory(error);
    }
    char *found = find(&lookup);
    if (found) {
        *out = found;
    } else {
        sigset_t before;

        compile_hold_signals(&before);
        rc = add(&lookup, out, error);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    free(lookup.list);
    return rc;
}
