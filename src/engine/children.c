/*
 * Design notes
 *
 * Only processes of our own slots are waited for: others of this process (compilers, the child of a crash) belong to
 * whoever started them.
 *
 * Between fork and exec a child calls nothing but system calls. A pipe that exec closes tells the parent whether that
 * worked: what comes through it is the errno of the step that failed.
 */
#include "engine/children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "/proc/self/exe"

extern char **environ;

struct children {
    uv_signal_t watch;
    struct loop *loop; /* borrowed */
    void (*ended)(void *arg, const struct child_end *end);
    void *arg;
    size_t count;
    pid_t pids[]; /* by slot; 0: none */
};

/* ---- ends ---- */

static struct child_end end_of(size_t slot, pid_t pid, int status)
{
    return (struct child_end){
        .slot = slot,
        .pid = pid,
        .status = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
        .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
    };
}

/* One signal may stand for several ends. */
static void on_signal(uv_signal_t *watch, int number)
{
    struct children *children = (struct children *)watch; /* its first member */

    for (size_t slot = 0; slot < children->count; slot++) {
        pid_t pid = children->pids[slot];
        int status;

        if (pid != 0 && waitpid(pid, &status, WNOHANG) == pid) {
            struct child_end end = end_of(slot, pid, status);
            children->pids[slot] = 0;
            children->ended(children->arg, &end);
        }
    }
}

/* ---- starts ---- */

static _Noreturn void fail_child(int report_fd)
{
    int code = errno;

    if (write(report_fd, &code, sizeof code) < 0) {
        /* The parent is gone: nobody wants to know. */
    }
    _exit(127);
}

static void reset_signals(void)
{
    sigset_t none;

    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL); /* what is ignored stays so over an exec; handlers do not */
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGTTOU, SIG_IGN); /* its group is never the terminal's: after `stty tostop` its first line would stop it */
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the new process. `parent` may be dead by now, and the signal for that never come. */
static _Noreturn void become(pid_t parent, int report_fd, char *const argv[], char *const environment[])
{
    int null_fd = open("/dev/null", O_RDONLY);

    reset_signals();
    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || setpgid(0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) < 0) {
        fail_child(report_fd);
    }
    if (getppid() != parent) {
        _exit(127);
    }
    if (null_fd != STDIN_FILENO) {
        close(null_fd);
    }
    execve(PROGRAM, argv, environment);
    fail_child(report_fd);
}

/* The errno of the child's that failed; 0: it runs the program now. */
static int read_report(int fd)
{
    int code = 0;
    ssize_t n;

    do {
        n = read(fd, &code, sizeof code);
    } while (n < 0 && errno == EINTR);
    return n == sizeof code ? code : 0;
}

static void wait_for(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

int children_start(struct children *children, size_t slot, char *const argv[], char *const environment[],
                   struct mite_error *error)
{
    pid_t parent = getpid();
    int report[2];

    if (slot >= children->count || children->pids[slot] != 0) {
        return error_set(error, MITE_EINVAL, "cannot start a process in slot %zu: it is taken or there is none", slot);
    }
    if (pipe2(report, O_CLOEXEC) < 0) {
        return error_errno(error, errno, "cannot start a process");
    }
    pid_t pid = fork();
    if (pid == 0) {
        become(parent, report[1], argv, environment ? environment : environ);
    }
    int code = errno;
    close(report[1]);
    if (pid > 0) {
        code = read_report(report[0]);
    }
    close(report[0]);
    if (pid < 0 || code != 0) {
        if (pid > 0) {
            wait_for(pid);
        }
        return error_errno(error, code, "cannot start a process");
    }
    children->pids[slot] = pid;
    return 0;
}

/* ---- life ---- */

int children_new(struct loop *loop, size_t slots, void (*ended)(void *arg, const struct child_end *end), void *arg,
                 struct children **out, struct mite_error *error)
{
    struct children *children = calloc(1, sizeof *children + slots * sizeof children->pids[0]);

    if (!children) {
        return error_set(error, MITE_ENOMEM, "no memory for %zu child processes", slots);
    }
    children->loop = loop;
    children->ended = ended;
    children->arg = arg;
    children->count = slots;
    int rc = uv_signal_init(loop_uv(loop), &children->watch);
    if (rc < 0) {
        free(children);
        return error_set(error, MITE_EIO, "cannot watch child processes: %s", uv_strerror(rc));
    }
    rc = uv_signal_start(&children->watch, on_signal, SIGCHLD);
    if (rc < 0) {
        children_free(children);
        return error_set(error, MITE_EIO, "cannot watch child processes: %s", uv_strerror(rc));
    }
    loop_touch(loop);
    *out = children;
    return 0;
}

size_t children_running(const struct children *children)
{
    size_t running = 0;

    for (size_t slot = 0; slot < children->count; slot++) {
        running += children->pids[slot] != 0;
    }
    return running;
}

pid_t children_pid(const struct children *children, size_t slot)
{
    return slot < children->count ? children->pids[slot] : 0;
}

void children_signal(struct children *children, int number)
{
    for (size_t slot = 0; slot < children->count; slot++) {
        if (children->pids[slot] != 0) {
            kill(children->pids[slot], number);
        }
    }
}

static void on_closed(uv_handle_t *watch)
{
    free(watch);
}

void children_free(struct children *children)
{
    if (!children) {
        return;
    }
    children_signal(children, SIGKILL);
    for (size_t slot = 0; slot < children->count; slot++) {
        if (children->pids[slot] != 0) {
            wait_for(children->pids[slot]);
        }
    }
    uv_close((uv_handle_t *)&children->watch, on_closed);
    loop_touch(children->loop);
}
