/*
 * Child processes. The program that runs in them is this test: with an argument it is a child that does what the
 * argument says.
 */
#include "engine/children.h"

#include "engine/timer.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SLOTS 3

struct fixture {
    struct loop *loop;
    struct children *children;
    struct child_end ends[8];
    size_t end_count, awaited;
    struct fixture *restarts; /* itself: the first end starts another in its slot */
};

static char program[] = "test_children";

static void start(struct fixture *f, size_t slot, const char *what)
{
    char *argv[] = {program, (char *)what, NULL};

    assert_int_equal(children_start(f->children, slot, argv, NULL, NULL), 0);
}

static void on_ended(void *arg, const struct child_end *end)
{
    struct fixture *f = arg;

    f->ends[f->end_count++] = *end;
    if (f->restarts) {
        f->restarts = NULL;
        start(f, end->slot, "exit 5");
    }
    if (f->end_count == f->awaited) {
        loop_stop(f->loop);
    }
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_int_equal(loop_new(&f->loop, NULL), 0);
    assert_int_equal(children_new(f->loop, SLOTS, on_ended, f, &f->children, NULL), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    children_free(f->children);
    assert_int_equal(loop_free(f->loop, NULL), 0);
    free(f);
    return 0;
}

static void wait_for_ends(struct fixture *f, size_t count)
{
    f->awaited = count;
    if (f->end_count < count) {
        assert_int_equal(loop_run(f->loop, NULL), 0);
    }
}

static void each_end_is_told_with_its_status(void **state)
{
    struct fixture *f = *state;

    start(f, 0, "exit 0");
    start(f, 2, "exit 7");
    pid_t pid = children_pid(f->children, 2);
    assert_true(pid > 0);
    assert_int_equal(children_pid(f->children, 1), 0);
    assert_int_equal(children_running(f->children), 2);
    wait_for_ends(f, 2);
    assert_int_equal(children_running(f->children), 0);
    const struct child_end *seven = &f->ends[f->ends[0].slot == 2 ? 0 : 1];
    assert_int_equal(seven->slot, 2);
    assert_int_equal(seven->pid, pid);
    assert_int_equal(seven->status, 7);
    assert_int_equal(seven->signal, 0);
}

static void one_that_is_killed_has_no_status(void **state)
{
    struct fixture *f = *state;

    start(f, 1, "wait");
    children_signal(f->children, SIGKILL);
    wait_for_ends(f, 1);
    assert_int_equal(f->ends[0].slot, 1);
    assert_int_equal(f->ends[0].status, -1);
    assert_int_equal(f->ends[0].signal, SIGKILL);
}

static void a_signal_reaches_all(void **state)
{
    struct fixture *f = *state;

    for (size_t slot = 0; slot < SLOTS; slot++) {
        start(f, slot, "wait");
    }
    children_signal(f->children, SIGTERM);
    wait_for_ends(f, SLOTS);
    for (size_t i = 0; i < SLOTS; i++) {
        assert_int_equal(f->ends[i].signal, SIGTERM);
    }
}

static void the_next_one_may_start_when_one_has_ended(void **state)
{
    struct fixture *f = *state;

    f->restarts = f;
    start(f, 0, "exit 1");
    wait_for_ends(f, 2);
    assert_int_equal(f->ends[0].status, 1);
    assert_int_equal(f->ends[1].status, 5);
}

static void a_slot_takes_one(void **state)
{
    struct fixture *f = *state;
    char *argv[] = {program, NULL};

    start(f, 0, "wait");
    assert_int_equal(children_start(f->children, 0, argv, NULL, NULL), MITE_EINVAL);
    assert_int_equal(children_start(f->children, SLOTS, argv, NULL, NULL), MITE_EINVAL);
}

static void a_child_is_alone_with_dev_null(void **state)
{
    struct fixture *f = *state;

    start(f, 0, "look");
    wait_for_ends(f, 1);
    assert_int_equal(f->ends[0].status, 0);
}

static void environments_are_handed_on(void **state)
{
    struct fixture *f = *state;
    char *argv[] = {program, "environment", NULL}, *environment[] = {"CHILD=yes", NULL};

    assert_int_equal(children_start(f->children, 0, argv, environment, NULL), 0);
    wait_for_ends(f, 1);
    assert_int_equal(f->ends[0].status, 0);
}

/* Freeing leaves nobody behind. */
static void freeing_kills(void **state)
{
    struct fixture *f = *state;

    start(f, 0, "stubborn");
    pid_t pid = children_pid(f->children, 0);
    children_free(f->children);
    f->children = NULL;
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
    assert_int_equal(f->end_count, 0);
}

/* A parent that is killed takes its children along: the grandchild holds a pipe open for as long as it lives. */
static void none_survives_its_parent(void **state)
{
    int ready[2];
    char byte;

    assert_int_equal(pipe(ready), 0);
    pid_t parent = fork();
    if (parent == 0) {
        struct fixture *f = calloc(1, sizeof *f);
        char *argv[] = {program, "tell and wait", NULL};

        dup2(ready[1], STDOUT_FILENO);
        close(ready[1]);
        if (loop_new(&f->loop, NULL) == 0 && children_new(f->loop, 1, on_ended, f, &f->children, NULL) == 0 &&
            children_start(f->children, 0, argv, NULL, NULL) == 0) {
            loop_run(f->loop, NULL);
        }
        _exit(1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1); /* the child is there */
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    assert_int_equal(read(ready[0], &byte, 1), 0); /* and is no more */
    close(ready[0]);
}

/* ---- what children do ---- */

static int look(void)
{
    char byte;
    int death_signal = 0;
    struct sigaction output;

    prctl(PR_GET_PDEATHSIG, &death_signal);
    sigaction(SIGTTOU, NULL, &output);
    return getpgrp() == getpid() && read(STDIN_FILENO, &byte, 1) == 0 && death_signal == SIGTERM &&
                   output.sa_handler == SIG_IGN
               ? 0
               : 1;
}

static int child(const char *what)
{
    if (strncmp(what, "exit ", 5) == 0) {
        return atoi(what + 5);
    }
    if (strcmp(what, "look") == 0) {
        return look();
    }
    if (strcmp(what, "environment") == 0) {
        const char *value = getenv("CHILD");
        return value && strcmp(value, "yes") == 0 && !getenv("PATH") ? 0 : 1;
    }
    if (strcmp(what, "stubborn") == 0) {
        signal(SIGTERM, SIG_IGN);
    }
    if (strcmp(what, "tell and wait") == 0) {
        printf("!");
        fflush(stdout);
    }
    for (;;) {
        pause();
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_end_is_told_with_its_status, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_killed_has_no_status, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_signal_reaches_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_next_one_may_start_when_one_has_ended, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_slot_takes_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_child_is_alone_with_dev_null, set_up, tear_down),
        cmocka_unit_test_setup_teardown(environments_are_handed_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(freeing_kills, set_up, tear_down),
        cmocka_unit_test(none_survives_its_parent),
    };

    return argc > 1 ? child(argv[1]) : cmocka_run_group_tests(tests, NULL, NULL);
}
