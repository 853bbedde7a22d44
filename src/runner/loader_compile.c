#include "runner/loader_compile.h"
#include "base/buf.h"
#include "base/log.h"
#include "runner/loader_file.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 1000 /* a compilation that takes longer is told of */
#define GRACE_MS    2000 /* for one that is to end */

extern char **environ;

/* ---- the compiler, and the mite that it compiles for ---- */

static bool is_program(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

/* Where a program lies, as a shell finds it; owned, NULL when nowhere. */
static char *find_program(const char *name)
{
    const char *path = getenv("PATH");
    char file[4096];

    if (strchr(name, '/')) {
        return is_program(name) ? str_copy(str_of(name)) : NULL;
    }
    for (const char *p = path ? path : "/usr/local/bin:/usr/bin:/bin"; p;
         p = strchr(p, ':') ? strchr(p, ':') + 1 : NULL) {
        int n = snprintf(file, sizeof(file), "%.*s/%s", (int)strcspn(p, ":"), p, name);

        if (file[0] == '/' && n > 0 && (size_t)n < sizeof(file) && is_program(file)) {
            return str_copy(str_of(file));
        }
    }
    return NULL;
}

/* $CC, which may have arguments behind the program's name. */
static int named_compiler(struct words *compiler, const char *cc, struct mite_error *error)
{
    int rc = words_split(compiler, str_of(cc), error);

    if (rc < 0) {
        return error_prefix(error, "CC");
    }

    char *path = find_program(compiler->items[0]);

    if (!path) {
        return error_set(error, MITE_EIO, "CC=%s: there is no such program; leave CC empty for cc, gcc or clang", cc);
    }
    free(compiler->items[0]);
    compiler->items[0] = path;
    return 0;
}

static int find_compiler(struct words *compiler, struct mite_error *error)
{
    static const char *const usual[] = {"cc", "gcc", "clang"};
    const char *cc = getenv("CC");

    if (cc && cc[strspn(cc, " \t")]) {
        return named_compiler(compiler, cc, error);
    }
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
        char *path = find_program(usual[i]);

        if (path) {
            words_add(compiler, path);
            free(path);
            return 0;
        }
    }
    return error_set(error, MITE_EIO,
                     "there is no C compiler on this machine: install gcc or clang, or build the library elsewhere "
                     "(mite build FILE.c -o FILE.so)");
}

/* The library that holds this code; owned. */
static char *own_library(void)
{
    Dl_info self;

    return dladdr((void *)toolchain_init, &self) && self.dli_fname ? realpath(self.dli_fname, NULL) : NULL;
}

int toolchain_include_dir(char **out, struct mite_error *error)
{
    /* Seen from the library: its build tree or package, PREFIX/lib, PREFIX/lib/TRIPLET. */
    static const char *const places[] = {"include", "../include", "../../include"};
    char *library = own_library(), path[4096], *found = NULL;
    int folder = library ? (int)(strrchr(library, '/') - library) : 0;

    for (size_t i = 0; library && !found && i < sizeof(places) / sizeof(places[0]); i++) {
        int n = snprintf(path, sizeof(path), "%.*s/%s/mite/mite.h", folder, library, places[i]);

        if (n > 0 && (size_t)n < sizeof(path) && access(path, R_OK) == 0) {
            path[n - (int)strlen("/mite/mite.h")] = '\0';
            found = realpath(path, NULL);
        }
    }
    free(library);
    if (!found) {
        return error_set(error, MITE_EIO, "the header mite/mite.h is not installed with this mite: install it whole");
    }
    *out = found;
    return 0;
}

int toolchain_init(struct toolchain *toolchain, struct mite_error *error)
{
    *toolchain = (struct toolchain){.library = own_library()};

    int rc = toolchain->library ? 0 : error_set(error, MITE_EIO, "cannot find out where libmite lies");

    if (rc == 0) {
        rc = toolchain_include_dir(&toolchain->include_dir, error);
    }
    if (rc == 0) {
        rc = find_compiler(&toolchain->compiler, error);
    }
    if (rc == 0 && toolchain->compiler.failed) {
        rc = error_set(error, MITE_ENOMEM, "no memory for the compiler's arguments");
    }
    if (rc < 0) {
        toolchain_done(toolchain);
    }
    return rc;
}

void toolchain_done(struct toolchain *toolchain)
{
    words_done(&toolchain->compiler);
    free(toolchain->include_dir);
    free(toolchain->library);
    *toolchain = (struct toolchain){0};
}

/* ---- what it is called with ---- */

void compile_words(const struct toolchain *toolchain, const struct compile_job *job, struct words *out)
{
    /* Exceptions: a journey that fails is unwound by force, and cleanup attributes run. Stack clash protection: a frame
     * larger than the guard behind a fiber's stack cannot step over it. Symbolic: a journey's own function is meant,
     * also where libc has one of that name. */
    static const char *const always[] = {"-g",
                                         "-O2",
                                         "-Wall",
                                         "-fPIC",
                                         "-shared",
                                         "-fexceptions",
                                         "-fstack-clash-protection",
                                         "-Wl,-Bsymbolic-functions",
                                         "-Wl,-z,defs"};

    words_add_all(out, &toolchain->compiler);
    for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
        words_add(out, always[i]);
    }
    words_add(out, "-I");
    words_add(out, toolchain->include_dir);
    words_add_all(out, job->cflags);
    for (size_t i = 0; i < job->source_count; i++) {
        words_add(out, job->sources[i]);
    }
    words_add_all(out, job->ldflags);
    words_add(out, toolchain->library);
}

int compile_check_language(struct str source, struct mite_error *error)
{
    static const char *const endings[] = {".cc", ".cpp", ".cxx"};

    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        if (str_ends_in(source, endings[i])) {
            return error_set(error, MITE_EINVAL,
                             STR_FMT " is C++: CC=g++ mite build --cflags=-std=c++20 " STR_FMT " makes a library of it",
                             STR_ARG(source), STR_ARG(source));
        }
    }
    return 0;
}

int compile_flags(struct words *words, const char *option, const char *text, struct mite_error *error)
{
    int rc = words_split(words, str_of(text), error);

    return rc < 0 ? error_prefix(error, "%s", option) : 0;
}

static bool is_flag(const char *word)
{
    size_t n = strlen(word);

    return word[0] == '-' || n < 2 || strcmp(word + n - 2, ".c") != 0;
}

int compile_directives(struct words *words, const char *source, struct mite_error *error)
{
    struct buf text;
    size_t first = words->count;
    int rc = file_read(source, &text, error);

    if (rc == 0) {
        rc = words_directives(words, buf_view(&text), error);
        if (rc < 0) {
            error_prefix(error, "%s", source);
        }
    }
    for (size_t i = first; rc == 0 && i < words->count; i++) {
        if (!is_flag(words->items[i])) {
            rc = error_set(error, MITE_EINVAL,
                           "%s: a line \"// mite:\" names the source %s: several sources make one library by "
                           "mite build",
                           source, words->items[i]);
        }
    }
    buf_done(&text);
    return rc;
}

/* ---- running it ---- */

/* What ends us, as far as it is not ignored (nohup). */
static void add_ending_signals(sigset_t *set)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action;

    sigemptyset(set);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN) {
            sigaddset(set, signals[i]);
        }
    }
}

void compile_hold_signals(sigset_t *before)
{
    sigset_t ending;

    add_ending_signals(&ending);
    pthread_sigmask(SIG_BLOCK, &ending, before);
}

/* Its stdout becomes our stderr: on ours are results. With what it starts it is a group of its own, so that all of that
 * can be ended. */
static int spawn(char **argv, pid_t *out)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults, blocked;
    int code = posix_spawn_file_actions_init(&actions);

    if (code != 0) {
        return code;
    }
    code = posix_spawnattr_init(&attributes);
    if (code != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return code;
    }
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE); /* Python ignores it */
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTTOU); /* a terminal with tostop lets it write */
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setsigmask(&attributes, &blocked);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    code = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (code == 0) {
        code = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    }
    if (code == 0) {
        code = posix_spawn(out, argv[0], &actions, &attributes, argv, environ);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

/* Tells of a compilation that takes long, and ends it when we are to end. Without pidfd_open (Linux before 5.3)
 * neither: then a signal ends us alone, at once. */
static void wait_patiently(pid_t pid, const char *source)
{
    sigset_t ending;
    int timeout_ms = PATIENCE_MS, n = 0;

    add_ending_signals(&ending);

    struct pollfd fds[] = {{.fd = pidfd_open(pid, 0), .events = POLLIN},
                           {.fd = signalfd(-1, &ending, SFD_CLOEXEC), .events = POLLIN}};

    if (fds[0].fd < 0) {
        pthread_sigmask(SIG_UNBLOCK, &ending, NULL);
    }
    while (fds[0].fd >= 0 && (n = poll(fds, 2, timeout_ms)) <= 0 && (n == 0 || errno == EINTR)) {
        if (n == 0) {
            log_line(LOG_INFO, "compiling %s", source);
            timeout_ms = -1;
        }
    }
    if (n > 0 && fds[1].revents) {
        kill(-pid, SIGTERM);
        poll(fds, 1, GRACE_MS);
        kill(-pid, SIGKILL);
    }
    for (size_t i = 0; i < 2; i++) {
        if (fds[i].fd >= 0) {
            close(fds[i].fd);
        }
    }
}

static int run(char **argv, const char *source, struct mite_error *error)
{
    const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
    pid_t pid;
    int status, code = spawn(argv, &pid);

    if (code != 0) {
        return error_set(error, MITE_EIO, "cannot run the compiler %s: %s", argv[0], strerror(code));
    }
    wait_patiently(pid, source);
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return error_errno(error, errno, "cannot wait for the compiler %s", argv[0]);
        }
    }
    if (WIFSIGNALED(status)) {
        return error_set(error, MITE_EIO, "the compiler %s was ended by signal %d (%s)", argv[0], WTERMSIG(status),
                         strsignal(WTERMSIG(status)));
    }
    return WEXITSTATUS(status) == 0
               ? 0
               : error_set(error, MITE_EUSER, "%s does not compile: see above what %s says", source, name);
}

static int compile_to(char *temporary, const struct toolchain *toolchain, const struct compile_job *job,
                      struct mite_error *error)
{
    struct words argv;

    words_init(&argv);
    compile_words(toolchain, job, &argv);
    words_add(&argv, "-o");
    words_add(&argv, temporary);
    if (job->deps) {
        words_add(&argv, "-MD");
        words_add(&argv, "-MF");
        words_add(&argv, job->deps);
    }

    int rc = argv.failed ? error_set(error, MITE_ENOMEM, "no memory for the compiler's arguments")
                         : run(argv.items, job->sources[0], error);

    words_done(&argv);
    if (rc == 0 && rename(temporary, job->output) != 0) {
        rc = error_errno(error, errno, "cannot write %s", job->output);
    }
    return rc;
}

int compile(const struct toolchain *toolchain, const struct compile_job *job, struct mite_error *error)
{
    sigset_t before;
    char *temporary;

    compile_hold_signals(&before);

    int rc = file_temporary(job->output, &temporary, error);

    if (rc == 0) {
        rc = compile_to(temporary, toolchain, job, error);
        if (rc < 0) {
            unlink(temporary);
        }
        free(temporary);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}
