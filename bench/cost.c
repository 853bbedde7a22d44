/*
 * cost FD PROGRAM [ARGUMENT...]: runs the program and writes to the descriptor what it cost, as the kernel counted it:
 * wait status, user and system time (s), wall time (s), peak of resident memory (KiB), when it was started (s,
 * monotonic).
 *
 * The kernel counts the memory of the process that a program was started from into the program's own peak. A Python
 * interpreter would be more than wrk needs; this is next to nothing.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void become(int report, char **argv)
{
    close(report);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* an interrupted bench leaves no load behind */
    execvp(argv[0], argv);
    fprintf(stderr, "cost: %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

int main(int argc, char **argv)
{
    struct rusage usage;
    int status;

    if (argc < 3) {
        fprintf(stderr, "usage: cost FD PROGRAM [ARGUMENT...]\n");
        return 2;
    }

    int report = atoi(argv[1]);
    double started_s = now_s();
    pid_t pid = fork();

    if (pid == 0) {
        become(report, argv + 2);
    }
    if (pid < 0 || wait4(pid, &status, 0, &usage) < 0) {
        fprintf(stderr, "cost: %s\n", strerror(errno));
        return 1;
    }

    double wall_s = now_s() - started_s;

    dprintf(report, "%d %.6f %.6f %.6f %ld %.6f\n", status, seconds(usage.ru_utime), seconds(usage.ru_stime), wall_s,
            usage.ru_maxrss, started_s);
    return 0;
}
