/* The journal: what was appended comes back, what was cut off does not, and one process has it at a time. */
#include "controller/journal.h"

#include "scratch.h"
#include "value/msgpack.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static struct scratch scratch;
static struct scratch_path path; /* of a journal */

static int set_up(void **state)
{
    scratch_make(&scratch);
    path = scratch_path(&scratch, "state");
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(&scratch);
    return 0;
}

struct seen {
    int64_t numbers[16];
    size_t count;
    int answer;
};

static int see(void *arg, const struct value *value, struct str bytes, struct mite_error *error)
{
    struct seen *seen = arg;

    seen->numbers[seen->count++] = value->integer;
    return seen->answer ? error_set(error, seen->answer, "no") : 0;
}

static void append(struct journal *journal, int64_t n)
{
    struct buf bytes;

    buf_init(&bytes, 0);
    msgpack_write_int(&bytes, n);
    assert_int_equal(journal_append(journal, buf_view(&bytes), NULL), 0);
    buf_done(&bytes);
}

static void open_good(struct journal *journal, struct seen *seen)
{
    struct mite_error error = {0};

    *seen = (struct seen){0};
    assert_int_equal(journal_open(journal, path.s, see, seen, &error), 0);
    assert_string_equal(error.text, "");
}

static void test_comes_back(void **state)
{
    struct journal journal;
    struct seen seen;

    open_good(&journal, &seen);
    assert_int_equal(seen.count, 0);
    append(&journal, 1);
    append(&journal, 1000000);
    journal_close(&journal);
    open_good(&journal, &seen);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.numbers[1], 1000000);
    append(&journal, 3);
    journal_close(&journal);

    assert_int_equal(truncate(path.s, 1 + 3), 0); /* within the second */
    open_good(&journal, &seen);
    assert_int_equal(seen.count, 1);
    append(&journal, 4);
    journal_close(&journal);
    open_good(&journal, &seen);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.numbers[1], 4);

    assert_int_equal(journal_rewrite(&journal, STR("\x07"), NULL), 0);
    append(&journal, 8);
    journal_close(&journal);
    open_good(&journal, &seen);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.numbers[0], 7);
    journal_remove(&journal);
    assert_int_equal(access(path.s, F_OK), -1);
}

static void test_one_at_a_time(void **state)
{
    struct journal one, two;
    struct mite_error error = {0};
    struct seen seen;

    open_good(&one, &seen);
    assert_int_equal(journal_open(&two, path.s, see, &seen, &error), MITE_EIO);
    assert_non_null(strstr(error.text, "another controller"));
    assert_int_equal(journal_rewrite(&one, STR("\x07"), NULL), 0); /* the new file is locked as well */
    assert_int_equal(journal_open(&two, path.s, see, &seen, &error), MITE_EIO);
    journal_remove(&one);
}

/* A file that lacks what has happened since is worse than none. */
static void test_full(void **state)
{
    struct rlimit before, small;
    struct journal journal;
    struct mite_error error = {0};
    struct seen seen;

    open_good(&journal, &seen);
    append(&journal, 1);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){3, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int rc = journal_append(&journal, STR("\xcd\x01\x02"), &error); /* part of it fits */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(rc, MITE_EIO);
    assert_int_equal(journal_append(&journal, STR("\x02"), NULL), MITE_EIO);
    struct stat st;
    assert_int_equal(stat(path.s, &st), 0);
    assert_int_equal(st.st_size, 0);

    assert_int_equal(journal_rewrite(&journal, STR("\x03\x04"), NULL), 0);
    append(&journal, 5);
    journal_close(&journal);
    open_good(&journal, &seen);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.numbers[2], 5);
    journal_remove(&journal);
}

/* Whatever else somebody has is not taken for a journal that was cut off. */
static void test_something_else(void **state)
{
    static const char *const texts[] = {"\x89PNG\r\n\x1a\n", "\xc1", "\xd9\x7f", "\x01\xc1"};
    struct journal journal;
    struct stat st;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct mite_error error = {0};
        struct seen seen = {0};
        write_whole(path.s, texts[i]);
        assert_int_equal(journal_open(&journal, path.s, see, &seen, &error), MITE_EPROTO);
        assert_non_null(strstr(error.text, "no file of ours"));
        assert_int_equal(stat(path.s, &st), 0);
        assert_int_equal(st.st_size, strlen(texts[i]));
    }
}

static void test_reader_may_refuse(void **state)
{
    struct journal journal;
    struct mite_error error = {0};
    struct seen seen;

    open_good(&journal, &seen);
    append(&journal, 1);
    append(&journal, 2);
    journal_close(&journal);
    seen = (struct seen){.answer = MITE_EINVAL};
    assert_int_equal(journal_open(&journal, path.s, see, &seen, &error), MITE_EINVAL);
    assert_int_equal(seen.count, 1);
    assert_int_equal(journal_open(&journal, "/nowhere/at/all", see, &seen, &error), MITE_ENOTFOUND);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_comes_back),     TEST(test_one_at_a_time),     TEST(test_full),
        TEST(test_something_else), TEST(test_reader_may_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
