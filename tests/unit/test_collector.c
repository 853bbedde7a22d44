/* The collector: its files against golden ones, rolling, filter, and where it stops. */
#include "scratch.h"
#include "stats_messages.h"

#include "sinks/collector.h"

struct fixture {
    struct scratch scratch;
    struct collector_options options;
    struct collector *collector;
    struct collector_counts counts;
    struct buf got, expected;
    struct mite_error error;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    scratch_make(&f->scratch);
    f->options = (struct collector_options){.dir = f->scratch.dir, .min_free_bytes = 1};
    buf_init(&f->got, 0);
    buf_init(&f->expected, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->collector) {
        sink_free(collector_sink(f->collector));
    }
    scratch_remove(&f->scratch);
    buf_done(&f->got);
    buf_done(&f->expected);
    error_done(&f->error);
    free(f);
    return 0;
}

static void open_collector(struct fixture *f)
{
    int code = collector_new(&f->options, &f->collector, &f->error);
    if (code != 0) {
        fail_msg("%s", f->error.text);
    }
}

static void close_collector(struct fixture *f)
{
    collector_close(f->collector);
    collector_count(f->collector, &f->counts);
}

static void restart_collector(struct fixture *f)
{
    sink_free(collector_sink(f->collector));
    open_collector(f);
}

static void send_data(struct sink *sink)
{
    static const struct value tags[] = {
        {.type = VALUE_TEXT, .count = 1, .text = "a"},
        {.type = VALUE_NIL},
        {.type = VALUE_BOOL, .boolean = true},
        {.type = VALUE_FLOAT, .number = 1.5},
    };
    static const struct pair pairs[] = {
        {{.type = VALUE_TEXT, .count = 2, .text = "id"}, {.type = VALUE_INT, .integer = 1}},
        {{.type = VALUE_TEXT, .count = 5, .text = "token"}, {.type = VALUE_BYTES, .count = 2, .text = "\x00\xff"}},
        {{.type = VALUE_TEXT, .count = 4, .text = "tags"}, {.type = VALUE_LIST, .count = 4, .items = tags}},
    };
    struct message message = make_message(MESSAGE_DATA_CREATED, NULL);
    message.data = (struct message_data){STR("users"), value_map(pairs, 3)};
    sink_message(sink, &message);
}

/* What the golden files hold. */
static void send_three(struct fixture *f)
{
    struct sink *sink = collector_sink(f->collector);
    send_txn(sink, "__root__ :: pay", true, 0);
    send_request(sink, "__root__ :: pay", "GET", 200, 0.0015);
    send_data(sink);
}

static void assert_file_is(struct fixture *f, const char *name, struct str expected)
{
    read_whole(&f->got, scratch_path(&f->scratch, name).s);
    assert_int_equal(f->got.size, expected.n);
    assert_memory_equal(buf_view(&f->got).p, expected.p, expected.n);
}

static void assert_golden(struct fixture *f, const char *golden)
{
    read_golden(&f->expected, golden);
    assert_file_is(f, "current", buf_view(&f->expected));
}

static void test_msgpack_file(void **state)
{
    struct fixture *f = *state;
    open_collector(f);
    send_three(f);
    close_collector(f);
    assert_golden(f, "collector.msgpack");
    assert_int_equal(f->counts.written, 3);
    assert_int_equal(f->counts.written_bytes, f->expected.size);
    assert_null(collector_stopped(f->collector));
}

static void test_json_file(void **state)
{
    struct fixture *f = *state;
    f->options.json = true;
    open_collector(f);
    send_three(f);
    close_collector(f);
    assert_golden(f, "collector.jsonl");
}

/* `\x81 \xa1 a 1`: the map {"a": 1}. */
#define SMALL_MAP                                                                                                      \
    STR("\x81\xa1"                                                                                                     \
        "a\x01")

static void test_raw_bytes(void **state)
{
    struct fixture *f = *state;
    open_collector(f);
    collector_raw(f->collector, SMALL_MAP);
    collector_raw(f->collector, SMALL_MAP);
    collector_flush(f->collector);
    assert_file_is(f, "current",
                   STR("\x81\xa1"
                       "a\x01\x81\xa1"
                       "a\x01"));
}

static void test_raw_bytes_as_json(void **state)
{
    struct fixture *f = *state;
    f->options.json = true;
    open_collector(f);
    collector_raw(f->collector, SMALL_MAP);
    collector_raw(f->collector, STR("\xc1"));
    collector_raw(f->collector, STR("\x81\xa1"));
    close_collector(f);
    assert_file_is(f, "current", STR("{\"a\": 1}\n"));
    assert_int_equal(f->counts.written, 1);
    assert_int_equal(f->counts.left_out, 2);
}

struct rolled {
    size_t count;
    unsigned long long start_s, end_s;
    char last[256];
};

static void note_rolled(const char *dir, const char *name, void *arg)
{
    struct rolled *rolled = arg;
    if (strncmp(name, "current", 7) != 0) {
        snprintf(rolled->last, sizeof rolled->last, "%s", name);
        rolled->count++;
        if (sscanf(name, "%llu_%llu_", &rolled->start_s, &rolled->end_s) != 2) {
            fail_msg("a rolled file is called %s", name);
        }
    }
}

static struct rolled rolled_files(const struct fixture *f)
{
    struct rolled rolled = {0};
    scratch_each(f->scratch.dir, note_rolled, &rolled);
    return rolled;
}

static void test_rolls(void **state)
{
    struct fixture *f = *state;
    f->options.roll_after = 2;
    f->options.id = "a1";
    open_collector(f);
    for (int i = 0; i < 5; i++) {
        collector_raw(f->collector, SMALL_MAP);
    }
    close_collector(f);
    struct rolled rolled = rolled_files(f);
    assert_int_equal(rolled.count, 2);
    assert_true(rolled.start_s <= rolled.end_s && rolled.start_s > 1700000000);
    assert_non_null(strstr(rolled.last, "_a1_"));
    assert_file_is(f, rolled.last,
                   STR("\x81\xa1"
                       "a\x01\x81\xa1"
                       "a\x01"));
    assert_file_is(f, "current", SMALL_MAP);
}

static void test_rolls_what_was_left(void **state)
{
    struct fixture *f = *state;
    write_whole(scratch_path(&f->scratch, "current").s, "left");
    write_whole(scratch_path(&f->scratch, "current_start_time").s, "1234");
    open_collector(f);
    close_collector(f);
    struct rolled rolled = rolled_files(f);
    assert_int_equal(rolled.count, 1);
    assert_int_equal(rolled.start_s, 1234);
    assert_file_is(f, rolled.last, STR("left"));
    assert_file_is(f, "current", STR(""));
    read_whole(&f->got, scratch_path(&f->scratch, "current_start_time").s);
    assert_true(strtoull(buf_view(&f->got).p, NULL, 10) > 1700000000);
}

static void test_names_never_collide(void **state)
{
    struct fixture *f = *state;
    open_collector(f);
    for (int i = 0; i < 5; i++) {
        restart_collector(f); /* all within a second or two */
    }
    assert_int_equal(rolled_files(f).count, 5);
}

static void test_two_in_one_directory(void **state)
{
    struct fixture *f = *state;
    struct collector *second;
    f->options.roll_after = 2;
    open_collector(f);
    collector_raw(f->collector, SMALL_MAP);
    assert_int_equal(collector_new(&f->options, &second, &f->error), 0);
    for (int i = 0; i < 2; i++) {
        collector_raw(f->collector, SMALL_MAP);
        collector_raw(second, SMALL_MAP);
    }
    struct collector_counts counts;
    collector_count(second, &counts);
    sink_free(collector_sink(second));
    close_collector(f);
    assert_int_equal(f->counts.written + counts.written, 5);
    assert_int_equal(f->counts.left_out + counts.left_out, 0);
    assert_null(collector_stopped(f->collector));
}

static bool keep_none(void *arg, struct str bytes)
{
    size_t *seen = arg;
    *seen += bytes.n;
    return false;
}

static void test_filtered_messages_count_towards_the_roll(void **state)
{
    struct fixture *f = *state;
    size_t seen = 0;
    f->options.roll_after = 3;
    f->options.filter = keep_none;
    f->options.filter_arg = &seen;
    open_collector(f);
    send_three(f);
    close_collector(f);
    read_golden(&f->expected, "collector.msgpack");
    assert_int_equal(seen, f->expected.size); /* the filter saw the bytes of all three */
    assert_int_equal(f->counts.filtered, 3);
    assert_int_equal(f->counts.written, 0);
    assert_int_equal(rolled_files(f).count, 1);
}

static void test_filter_sees_msgpack_for_json_too(void **state)
{
    struct fixture *f = *state;
    size_t seen = 0;
    f->options.json = true;
    f->options.filter = keep_none;
    f->options.filter_arg = &seen;
    open_collector(f);
    send_three(f);
    read_golden(&f->expected, "collector.msgpack");
    assert_int_equal(seen, f->expected.size);
}

static void test_stops_at_its_limit(void **state)
{
    struct fixture *f = *state;
    f->options.max_bytes = 10; /* two maps of four bytes, not three */
    open_collector(f);
    for (int i = 0; i < 5; i++) {
        collector_raw(f->collector, SMALL_MAP);
    }
    close_collector(f);
    assert_file_is(f, "current",
                   STR("\x81\xa1"
                       "a\x01\x81\xa1"
                       "a\x01"));
    assert_int_equal(f->counts.written, 2);
    assert_int_equal(f->counts.left_out, 3);
    assert_string_equal(collector_stopped(f->collector), "it reached its limit of 10 B");
}

static void test_stops_when_the_disk_is_full(void **state)
{
    struct fixture *f = *state;
    f->options.min_free_bytes = UINT64_MAX;
    open_collector(f);
    collector_raw(f->collector, SMALL_MAP);
    collector_flush(f->collector);
    collector_raw(f->collector, SMALL_MAP);
    close_collector(f);
    assert_int_equal(f->counts.written, 0);
    assert_int_equal(f->counts.left_out, 2);
    assert_non_null(strstr(collector_stopped(f->collector), "the disk has less than "));
    assert_file_is(f, "current", STR(""));
}

static void test_no_directory(void **state)
{
    struct fixture *f = *state;
    struct scratch_path path = scratch_path(&f->scratch, "file");
    char expected[700];
    write_whole(path.s, "");
    f->options.dir = path.s;
    assert_int_equal(collector_new(&f->options, &f->collector, &f->error), MITE_EIO);
    snprintf(expected, sizeof expected, "cannot open directory \"%s\": Not a directory", path.s);
    assert_string_equal(f->error.text, expected);
    struct scratch_path deep = scratch_path(&f->scratch, "no/such");
    f->options.dir = deep.s;
    assert_int_equal(collector_new(&f->options, &f->collector, &f->error), MITE_ENOTFOUND);
}

static void test_bad_id(void **state)
{
    struct fixture *f = *state;
    f->options.id = "../x";
    assert_int_equal(collector_new(&f->options, &f->collector, &f->error), MITE_EINVAL);
}

static bool exists(struct fixture *f, const char *name)
{
    return access(scratch_path(&f->scratch, name).s, F_OK) == 0;
}

static void test_a_run_that_never_began_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    open_collector(f);
    collector_discard(f->collector);
    assert_false(exists(f, "current"));
    assert_false(exists(f, "current_start_time"));
    restart_collector(f);
    send_data(collector_sink(f->collector));
    collector_discard(f->collector);
    assert_true(exists(f, "current"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_msgpack_file),
        TEST(test_json_file),
        TEST(test_raw_bytes),
        TEST(test_raw_bytes_as_json),
        TEST(test_rolls),
        TEST(test_rolls_what_was_left),
        TEST(test_names_never_collide),
        TEST(test_two_in_one_directory),
        TEST(test_filtered_messages_count_towards_the_roll),
        TEST(test_filter_sees_msgpack_for_json_too),
        TEST(test_stops_at_its_limit),
        TEST(test_stops_when_the_disk_is_full),
        TEST(test_no_directory),
        TEST(test_bad_id),
        TEST(test_a_run_that_never_began_leaves_nothing),
    };
    return cmocka_run_group_tests_name("collector", tests, NULL, NULL);
}
