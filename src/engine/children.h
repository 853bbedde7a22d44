/*
 * Child processes: a fixed number of slots, each with one process of this same program in it, or none. Whoever owns
 * them is told of each end and may start the next one in its slot.
 *
 * A child is in a process group of its own, so that a Ctrl-C reaches the parent alone, which passes it on; it reads
 * /dev/null. When the parent dies, however it dies, its children get SIGTERM: none is left behind.
 *
 * Life cycle: children_new, children_start for a slot, `ended` from the loop once for each start that succeeded,
 * children_free. One a process: the loop watches SIGCHLD.
 */
#pragma once

#include "engine/loop.h"

#include <sys/types.h>

struct children;

struct child_end {
    size_t slot;
    pid_t pid;
    int status; /* what it exited with; -1: a signal killed it */
    int signal; /* that killed it; 0: none */
};

/* `ended` may start another in the slot, and may not free the children. */
int children_new(struct loop *loop, size_t slots, void (*ended)(void *arg, const struct child_end *end), void *arg,
                 struct children **out, struct mite_error *error);
/* argv as for execv, environment as for execve or NULL for our own; the program is this one. MITE_EINVAL: the slot is
 * taken. */
int children_start(struct children *children, size_t slot, char *const argv[], char *const environment[],
                   struct mite_error *error);
size_t children_running(const struct children *children);
pid_t children_pid(const struct children *children, size_t slot); /* 0: none runs there */
void children_signal(struct children *children, int number);      /* all of them */
/* Whoever still runs is killed (SIGKILL) and waited for; `ended` is not called. NULL is a no-op. */
void children_free(struct children *children);
