/* The recorder: what it appends, what it deletes, and the names it refuses. */
#include "scratch.h"
#include "stats_messages.h"

#include "sinks/recorder.h"
#include "value/msgpack.h"

struct fixture {
    struct scratch scratch;
    struct recorder *recorder;
    struct recorder_counts counts;
    struct buf got;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    scratch_make(&f->scratch);
    buf_init(&f->got, 0);
    *state = f;
    return recorder_new(scratch_path(&f->scratch, "data").s, &f->recorder, NULL);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    sink_free(recorder_sink(f->recorder));
    scratch_remove(&f->scratch);
    buf_done(&f->got);
    free(f);
    return 0;
}

static void create(struct fixture *f, struct str name, int64_t number)
{
    struct message message = make_message(MESSAGE_DATA_CREATED, NULL);
    message.data = (struct message_data){name, value_int(number)};
    sink_message(recorder_sink(f->recorder), &message);
    recorder_count(f->recorder, &f->counts);
}

static void purge(struct fixture *f, struct str name)
{
    struct message message = make_message(MESSAGE_PURGE_DATA, NULL);
    message.data = (struct message_data){.name = name};
    sink_message(recorder_sink(f->recorder), &message);
    recorder_count(f->recorder, &f->counts);
}

static size_t files_in(const char *dir)
{
    return scratch_each(dir, NULL, NULL);
}

static void assert_data(struct fixture *f, const char *file, const char *bytes)
{
    read_whole(&f->got, scratch_path(&f->scratch, file).s);
    assert_int_equal(f->got.size, strlen(bytes));
    assert_memory_equal(f->got.data, bytes, f->got.size);
}

static void test_appends(void **state)
{
    struct fixture *f = *state;
    create(f, STR("users"), 1);
    create(f, STR("orders"), 3);
    create(f, STR("users"), 2);
    /* A reader sees whole records while the recorder is still open. */
    assert_data(f, "data/users.msgpack", "\x01\x02");
    assert_data(f, "data/orders.msgpack", "\x03");
    assert_int_equal(f->counts.written, 3);
}

static void test_appends_to_what_is_there(void **state)
{
    struct fixture *f = *state;
    write_whole(scratch_path(&f->scratch, "data/users.msgpack").s, "\x01");
    create(f, STR("users"), 2);
    assert_data(f, "data/users.msgpack", "\x01\x02");
}

static void test_purges(void **state)
{
    struct fixture *f = *state;
    create(f, STR("users"), 1);
    purge(f, STR("users"));
    assert_int_equal(files_in(scratch_path(&f->scratch, "data").s), 0);
    purge(f, STR("users")); /* nothing there: no failure */
    assert_int_equal(f->counts.purged, 1);
    assert_int_equal(f->counts.failed, 0);
    create(f, STR("users"), 2);
    assert_data(f, "data/users.msgpack", "\x02");
}

/* By hand, or by whoever reads the data: the next record is in a file that is there. */
static void test_a_file_that_somebody_else_deleted(void **state)
{
    struct fixture *f = *state;
    create(f, STR("users"), 1);
    assert_int_equal(unlink(scratch_path(&f->scratch, "data/users.msgpack").s), 0);
    create(f, STR("users"), 2);
    create(f, STR("users"), 3);
    assert_data(f, "data/users.msgpack", "\x02\x03");
    assert_int_equal(f->counts.written, 3);
}

static void test_names_that_leave_are_refused(void **state)
{
    static const struct str names[] = {
        {"../x", 4}, {"..", 2}, {".", 1}, {"", 0}, {"/tmp/x", 6}, {"a/b", 3}, {"a\0b", 3}, {NULL, 0},
    };
    struct fixture *f = *state;
    char longer[RECORDER_NAME_MAX + 1];
    memset(longer, 'x', sizeof longer);
    assert_null(recorder_first_refusal(f->recorder));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        create(f, names[i], 1);
        purge(f, names[i]);
    }
    create(f, (struct str){longer, sizeof longer}, 1);
    assert_int_equal(f->counts.refused, 17);
    assert_int_equal(f->counts.written, 0);
    assert_string_equal(recorder_first_refusal(f->recorder), "the name \"../x\" leaves the directory");
    assert_int_equal(files_in(f->scratch.dir), 1);
    create(f, (struct str){longer, sizeof longer - 1}, 1);
    assert_int_equal(f->counts.written, 1);
}

/* A journey's slip, which would leave its author without data and without a word. */
static void test_messages_that_lack_something_are_refused(void **state)
{
    struct fixture *f = *state;
    struct field no_data[] = {{STR("name"), value_text(STR("users"))}}, no_name[] = {{STR("nam"), value_int(1)}};
    struct message message = {0};
    message_from_fields(&message, STR("data_created"), no_data, 1);
    sink_message(recorder_sink(f->recorder), &message);
    assert_string_equal(recorder_first_refusal(f->recorder),
                        "data_created needs a text \"name\", and \"data\" where it creates");
    message_from_fields(&message, STR("purge_data"), no_name, 1);
    sink_message(recorder_sink(f->recorder), &message);
    message_from_fields(&message, STR("mine"), no_name, 1);
    sink_message(recorder_sink(f->recorder), &message);
    recorder_count(f->recorder, &f->counts);
    assert_int_equal(f->counts.refused, 2);
}

static void test_symbolic_links_are_not_followed(void **state)
{
    struct fixture *f = *state;
    struct scratch_path secret = scratch_path(&f->scratch, "secret");
    write_whole(secret.s, "mine");
    assert_int_equal(symlink(secret.s, scratch_path(&f->scratch, "data/users.msgpack").s), 0);
    create(f, STR("users"), 1);
    assert_int_equal(f->counts.refused, 1);
    assert_data(f, "secret", "mine");
    purge(f, STR("users")); /* deletes the link, not what it points to */
    assert_data(f, "secret", "mine");
}

static void test_a_failure_is_counted(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mkdir(scratch_path(&f->scratch, "data/users.msgpack").s, 0777), 0);
    create(f, STR("users"), 1);
    create(f, STR("users"), 1);
    assert_int_equal(f->counts.failed, 2);
    assert_string_equal(recorder_first_failure(f->recorder), "cannot open \"users.msgpack\": Is a directory");
}

static size_t open_descriptors(void)
{
    return files_in("/proc/self/fd");
}

static void test_open_files_are_bounded(void **state)
{
    struct fixture *f = *state;
    size_t before = open_descriptors();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3 * RECORDER_OPEN_MAX; i++) {
            char name[32];
            snprintf(name, sizeof name, "pool%d", i);
            create(f, str_of(name), round + 1);
        }
    }
    assert_in_range(open_descriptors(), before, before + RECORDER_OPEN_MAX);
    assert_data(f, "data/pool0.msgpack", "\x01\x02");
    assert_int_equal(f->counts.written, 6 * RECORDER_OPEN_MAX);
}

static void test_default_directory(void **state)
{
    struct fixture *f = *state;
    char old[512];
    assert_non_null(getcwd(old, sizeof old));
    assert_int_equal(chdir(f->scratch.dir), 0);
    assert_string_equal(recorder_default_dir(), "recorder_data");
    assert_int_equal(mkdir("recorder-data", 0777), 0);
    assert_string_equal(recorder_default_dir(), "recorder-data");
    assert_int_equal(mkdir("recorder_data", 0777), 0);
    assert_string_equal(recorder_default_dir(), "recorder_data");
    assert_int_equal(chdir(old), 0);
}

static void test_a_directory_of_its_own_goes_when_nothing_was_recorded(void **state)
{
    struct fixture *f = *state;
    struct scratch_path dir = scratch_path(&f->scratch, "new");
    struct recorder *kept = f->recorder;

    for (int records = 0; records < 2; records++) {
        assert_int_equal(recorder_new(dir.s, &f->recorder, NULL), 0);
        if (records > 0) {
            create(f, STR("users"), 1);
        }
        sink_free(recorder_sink(f->recorder));
        assert_int_equal(access(dir.s, F_OK), records > 0 ? 0 : -1);
    }
    f->recorder = kept;
}

static void test_no_directory(void **state)
{
    struct fixture *f = *state;
    struct recorder *second;
    struct mite_error error = {0};
    write_whole(scratch_path(&f->scratch, "file").s, "");
    assert_int_equal(recorder_new(scratch_path(&f->scratch, "file").s, &second, &error), MITE_EIO);
    assert_non_null(strstr(error.text, "cannot open directory \""));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_appends),
        TEST(test_appends_to_what_is_there),
        TEST(test_purges),
        TEST(test_a_file_that_somebody_else_deleted),
        TEST(test_names_that_leave_are_refused),
        TEST(test_messages_that_lack_something_are_refused),
        TEST(test_symbolic_links_are_not_followed),
        TEST(test_a_failure_is_counted),
        TEST(test_open_files_are_bounded),
        TEST(test_default_directory),
        TEST(test_a_directory_of_its_own_goes_when_nothing_was_recorded),
        TEST(test_no_directory),
    };
    return cmocka_run_group_tests_name("recorder", tests, NULL, NULL);
}
