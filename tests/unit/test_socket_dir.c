/* Directories for sockets: what others left is removed, what they use is not touched. */
#include "cli/socket_dir.h"

#include "scratch.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

/* In place of the library's: how many locks are tried. */
static int tries;

int flock(int fd, int operation)
{
    tries++;
    return (int)syscall(SYS_flock, fd, operation);
}

struct fixture {
    struct scratch scratch;
    struct socket_dir dir;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    scratch_make(&f->scratch);
    setenv("TMPDIR", f->scratch.dir, 1);
    tries = 0;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    socket_dir_remove(&f->dir);
    socket_dir_done(&f->dir);
    scratch_remove(&f->scratch);
    free(f);
    return 0;
}

static void make_socket(const char *dir, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", dir, name);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

static bool is_there(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

static void test_what_was_left_behind(void **state)
{
    struct fixture *f = *state;
    struct scratch_path left = scratch_path(&f->scratch, "mite-aaaaaa");

    mkdir(left.s, 0700);
    make_socket(left.s, "controller");
    make_socket(left.s, "events");
    assert_int_equal(socket_dir_make(&f->dir, NULL), 0);
    assert_false(is_there(left.s));
    assert_true(is_there(f->dir.path));
}

static void test_what_is_in_use(void **state)
{
    struct fixture *f = *state;
    struct socket_dir other = {.fd = -1};

    assert_int_equal(socket_dir_make(&f->dir, NULL), 0);
    make_socket(f->dir.path, "controller");
    assert_int_equal(socket_dir_make(&other, NULL), 0);
    assert_true(is_there(f->dir.controller + strlen("ipc://")));
    socket_dir_remove(&other);
    socket_dir_done(&other);
    assert_false(is_there(other.path));
}

/* Whoever made it takes the lock next, and must get it. */
static void test_one_that_was_just_made(void **state)
{
    struct fixture *f = *state;
    struct scratch_path made = scratch_path(&f->scratch, "mite-bbbbbb");

    mkdir(made.s, 0700);
    assert_int_equal(socket_dir_make(&f->dir, NULL), 0);
    assert_true(is_there(made.s));
    assert_int_equal(tries, 1); /* for its own */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_was_left_behind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_in_use, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_that_was_just_made, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
