#include "failmalloc.h"

#include "scenario/function_models.h"
#include "scenario/item_files.h"
#include "scratch.h"
#include "value/json.h"

/* Writes a file of the scratch directory. */
static struct scratch_path write_file(const struct scratch *scratch, const char *name, const char *text)
{
    struct scratch_path path = scratch_path(scratch, name);
    FILE *file = fopen(path.s, "wb");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return path;
}

static void assert_json(const struct value *value, const char *wanted)
{
    struct buf text;

    buf_init(&text, 0);
    json_write(&text, value);
    assert_string_equal(text.data, wanted);
    buf_done(&text);
}

static void check_csv(const char *text, const struct csv_options *options, const char *wanted)
{
    struct scratch scratch;
    struct arena arena;
    struct value items;
    struct mite_error error = {0};

    scratch_make(&scratch);
    arena_init(&arena, 0);
    struct scratch_path path = write_file(&scratch, "data.csv", text);
    int rc = items_from_csv(&arena, path.s, options, &items, &error);
    if (rc == 0) {
        assert_json(&items, wanted);
    } else {
        assert_non_null(strstr(error.text, wanted));
    }
    error_done(&error);
    arena_done(&arena);
    unlink(path.s);
    rmdir(scratch.dir);
}

static void csv_is_read_as_the_rfc_says(void **state)
{
    const struct csv_options plain = {.separator = ','}, headed = {.separator = ',', .header = true};

    check_csv("a,b\nc,d\n", &plain, "[[\"a\", \"b\"], [\"c\", \"d\"]]");
    check_csv("a,b\r\n\r\nc,d", &headed, "[[\"c\", \"d\"]]");
    check_csv("\xef\xbb\xbf\"a\"\"b\",\"c\nd\",\n", &plain, "[[\"a\\\"b\", \"c\\nd\", \"\"]]");
    check_csv("", &plain, "has no items");
    check_csv("a\n", &headed, "has no items");
    check_csv(",\n", &plain, "[[\"\", \"\"]]");
    check_csv("a,b,", &plain, "[[\"a\", \"b\", \"\"]]"); /* and nothing behind it */
    check_csv("\"a\"b,c\n", &plain, "behind a closing quote");
    check_csv("\"a\n", &plain, "line 1 of");
    check_csv("a\xff\n", &plain, "is not UTF-8");
}

static void csv_columns_and_numbers(void **state)
{
    const struct csv_options chosen = {.columns = "n,a", .separator = ';', .header = true, .numbers = true};
    const struct csv_options numbered = {.columns = "2", .separator = ','};

    check_csv("a;b;n\nx;y;1\n;;2.5\n07;1e3;\"3\"\n", &chosen, "[[1, \"x\"], [2.5, \"\"], [\"3\", 7]]");
    check_csv("a;b\n", &chosen, "has no column \"n\" in its first line");
    check_csv("a,b\nc,d\n", &numbered, "[[\"b\"], [\"d\"]]");
    check_csv("a\n", &numbered, "has 1 columns, and column 2 is wanted");
}

typedef int reader(struct arena *arena, const char *path, struct value *out, struct mite_error *error);

static int read_csv(struct arena *arena, const char *path, struct value *out, struct mite_error *error)
{
    return items_from_csv(arena, path, &(struct csv_options){.separator = ',', .header = true, .columns = "b"}, out,
                          error);
}

static int read_lines(struct arena *arena, const char *path, struct value *out, struct mite_error *error)
{
    return items_from_json_lines(arena, path, "b", out, error);
}

static int read_records(struct arena *arena, const char *path, struct value *out, struct mite_error *error)
{
    return items_from_records(arena, path, "b", out, error);
}

/* Whichever allocation fails, the reader says so and leaves nothing behind. */
static void readers_survive_without_memory(void **state)
{
    static const struct {
        reader *read;
        const char *text;
    } readers[] = {{read_csv, "a,b\n\"1\",\"2\"\n3,4\n"},
                   {read_lines, "{\"a\": 1, \"b\": \"x\"}\n{\"b\": [2]}\n"},
                   {read_records, "\x81\xa1"
                                  "b\x01\x81\xa1"
                                  "b\xa1x"}};
    struct scratch scratch;

    scratch_make(&scratch);
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        struct scratch_path path = write_file(&scratch, "data", readers[i].text);
        bool failed = true;
        for (long n = 0; failed; n++) {
            struct mite_error error = {0};
            struct arena arena;
            struct value items;
            arena_init(&arena, 0);
            failmalloc_start(n);
            int rc = readers[i].read(&arena, path.s, &items, &error);
            failed = failmalloc_stop();
            assert_int_equal(rc, failed ? MITE_ENOMEM : 0);
            assert_true(!failed || error.text[0]);
            error_done(&error);
            arena_done(&arena);
        }
        unlink(path.s);
    }
    rmdir(scratch.dir);
}

static bool count_to_three(void *arg, uint64_t index, struct value *item)
{
    static struct value cell;

    cell = value_int((int64_t)index);
    *item = value_list(&cell, 1);
    return index < 3;
}

static void keep_item(void *arg, int code, const struct datapool_item *item, const struct mite_error *error)
{
    int *codes = arg;

    codes[0] = code;
    if (code == 0) {
        codes[1] = (int)item->id.integer;
        assert_int_equal(args_value(item->args)->items[0].integer, codes[1] - 1);
        args_unref(item->args);
    }
}

static void a_function_is_asked_when_an_item_is_wanted(void **state)
{
    struct datapool *pool = NULL;
    struct mite_error error = {0};
    struct arena arena;
    struct value items;
    int codes[2];

    assert_int_equal(datapool_function_new(count_to_three, NULL, &pool, &error), 0);
    for (int i = 1; i <= 3; i++) {
        pool->ops->checkout(pool, keep_item, codes);
        assert_int_equal(codes[0], 0);
        assert_int_equal(codes[1], i);
    }
    pool->ops->checkout(pool, keep_item, codes);
    assert_int_equal(codes[0], MITE_EEND);
    datapool_unref(pool);

    arena_init(&arena, 0);
    assert_int_equal(items_from_function(&arena, count_to_three, NULL, &items, &error), 0);
    assert_json(&items, "[[0], [1], [2]]");
    arena_done(&arena);
}

static int64_t half(void *arg, int64_t start_s, int64_t end_s)
{
    return start_s < 4 ? start_s / 2 : -1;
}

static void a_function_is_a_volume_model(void **state)
{
    struct volume_model *model = NULL;
    struct mite_error error = {0};
    int64_t wanted = -1;

    assert_int_equal(volume_function_new(half, NULL, &model, &error), 0);
    assert_int_equal(model->ops->at(model, 3, 4, &wanted, &error), 0);
    assert_int_equal(wanted, 1);
    assert_int_equal(model->ops->at(model, 4, 5, &wanted, &error), MITE_EEND);
    volume_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_is_read_as_the_rfc_says),    cmocka_unit_test(csv_columns_and_numbers),
        cmocka_unit_test(readers_survive_without_memory), cmocka_unit_test(a_function_is_asked_when_an_item_is_wanted),
        cmocka_unit_test(a_function_is_a_volume_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
