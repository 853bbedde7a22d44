/* What finds journeys in C, when memory runs out: at every allocation in turn. */
#include "failmalloc.h"

#include "runner/loader.h"
#include "runner/loader_compile.h"
#include "runner/loader_words.h"

static void test_words(void **state)
{
    bool failed = true;

    for (long n = 0; failed; n++) {
        struct words words;
        int rc;

        words_init(&words);
        failmalloc_start(n);
        rc = words_split(
            &words, STR("-DA='one two' -lm \"a word that is longer than the first buffer of all words is\""), NULL);
        if (rc == 0) {
            rc = words_directives(&words, STR("// mite: -la -lb\nint c;\n// mite: -ld\n"), NULL);
        }
        failed = failmalloc_stop();
        assert_int_equal(rc, failed ? MITE_ENOMEM : 0);
        assert_int_equal(words.failed, failed);
        words_done(&words);
    }
}

static void test_many_words(void **state)
{
    bool failed = true;

    for (long n = 0; failed; n++) {
        struct toolchain toolchain = {.include_dir = "include", .library = "libmite.so.1"};
        const char *sources[] = {"a.c", "b.c", "c.c"};
        struct words none = {0}, out;
        struct compile_job job = {.sources = sources, .source_count = 3, .cflags = &none, .ldflags = &none};

        words_init(&out);
        failmalloc_start(n);
        compile_words(&toolchain, &job, &out);
        failed = failmalloc_stop();
        assert_int_equal(out.failed, failed);
        words_done(&out);
    }
}

static void test_a_loader(void **state)
{
    bool failed = true;

    for (long n = 0; failed; n++) {
        struct loader_options options = {.cflags = "-DA -DB", .ldflags = "-lm"};
        struct mite_error error = {0};
        struct loader *loader;
        int rc;

        failmalloc_start(n);
        rc = loader_new(&options, &loader, &error);
        failed = failmalloc_stop();
        assert_int_equal(rc, failed ? MITE_ENOMEM : 0);
        if (rc == 0) {
            loader_free(loader);
        }
        error_done(&error);
    }
}

static void test_a_file_that_is_not_there(void **state)
{
    struct loader_options options = {0};
    const struct mite_entry *entry;
    struct loader *loader;
    bool failed = true;

    assert_int_equal(loader_new(&options, &loader, NULL), 0);
    for (long n = 0; failed; n++) {
        struct mite_error error = {0};
        int rc;

        failmalloc_start(n);
        rc = loader_find(loader, 1, "no/such.so:browse", &entry, &error);
        failed = failmalloc_stop();
        assert_true(rc == MITE_ENOTFOUND || (failed && rc == MITE_ENOMEM));
        error_done(&error);
    }
    loader_free(loader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_many_words),
        cmocka_unit_test(test_a_loader),
        cmocka_unit_test(test_a_file_that_is_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
