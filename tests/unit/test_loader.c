/* What finds journeys in C: words, shared libraries as files, the compiler and its cache. */
#include "runner/loader.h"
#include "runner/loader_cache.h"
#include "runner/loader_compile.h"
#include "runner/loader_elf.h"
#include "runner/loader_file.h"
#include "runner/loader_words.h"

#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/mite-loader-XXXXXX";

/* Everything happens in a folder of its own, with the cache in it; the compiler is the system's. */
static int set_up(void **state)
{
    if (!mkdtemp(folder) || chdir(folder) != 0) {
        return -1;
    }
    setenv("XDG_CACHE_HOME", folder, 1);
    unsetenv("CC");
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

#define assert_says(error, part) assert_non_null(strstr((error).text, part))

/* ---- words ---- */

static void check_words(const char *text, ...)
{
    struct words words;
    va_list args;
    const char *expected;
    size_t i = 0;

    words_init(&words);
    assert_int_equal(words_split(&words, str_of(text), NULL), 0);
    va_start(args, text);
    while ((expected = va_arg(args, const char *))) {
        assert_true(i < words.count);
        assert_string_equal(words.items[i++], expected);
    }
    va_end(args);
    assert_int_equal(words.count, i);
    words_done(&words);
}

static void test_words(void **state)
{
    check_words("", NULL);
    check_words(" \t ", NULL);
    check_words("-lm -lz", "-lm", "-lz", NULL);
    check_words(" -DA='a b' ", "-DA=a b", NULL);
    check_words("\"x \\\"y\\\"\" z", "x \"y\"", "z", NULL);
    check_words("a\\ b '\\n'", "a b", "\\n", NULL);
    check_words("''", "", NULL);
    check_words(NULL, NULL);
}

static void test_open_quote(void **state)
{
    struct words words;
    struct mite_error error = {0};

    words_init(&words);
    assert_int_equal(words_split(&words, STR("-DA='a"), &error), MITE_EINVAL);
    assert_says(error, "-DA='a");
    words_done(&words);
}

static void test_directives(void **state)
{
    struct words words;

    words_init(&words);
    assert_int_equal(words_directives(&words,
                                      STR("// mite: -lm\nint a; // mite: -lno\n  //mite:-lz  '-DB=c d'\r\n// mites: x"),
                                      NULL),
                     0);
    assert_int_equal(words.count, 3);
    assert_string_equal(words.items[0], "-lm");
    assert_string_equal(words.items[1], "-lz");
    assert_string_equal(words.items[2], "-DB=c d");
    words_done(&words);
}

static void test_directive_names_a_source(void **state)
{
    struct words words;
    struct mite_error error = {0};

    write_file("two.c", "// mite: more.c\n");
    words_init(&words);
    assert_int_equal(compile_directives(&words, "two.c", &error), MITE_EINVAL);
    assert_says(error, "mite build");
    words_done(&words);
}

/* ---- specs ---- */

static void test_specs(void **state)
{
    assert_true(loader_owns("shop.c:browse"));
    assert_true(loader_owns("dir/shop.c:browse"));
    assert_true(loader_owns("./shop.so:browse"));
    assert_true(loader_owns("C:/shop.c:browse"));
    assert_false(loader_owns("shop:browse"));
    assert_false(loader_owns("shop.cc:browse"));
    assert_false(loader_owns("shop.c"));
    assert_false(loader_owns(".c:browse"));
    assert_false(loader_owns("a.b.csv:c"));
    assert_false(loader_owns(""));
}

/* ---- compiling ---- */

/* The system's compiler; libmite is not needed by what is compiled here. */
static void make_toolchain(struct toolchain *toolchain)
{
    *toolchain = (struct toolchain){.include_dir = str_copy(str_of(getenv("MITE_TEST_INCLUDE"))),
                                    .library = str_copy(STR("-lc"))};
    words_add(&toolchain->compiler, "/usr/bin/cc");
}

static struct words none;

/* 0 or what compile() says. */
static int build(const char *source, const char *output, struct mite_error *error)
{
    struct toolchain toolchain;
    struct compile_job job = {
        .sources = &source, .source_count = 1, .output = output, .cflags = &none, .ldflags = &none};

    make_toolchain(&toolchain);

    int rc = compile(&toolchain, &job, error);

    toolchain_done(&toolchain);
    return rc;
}

static void test_a_library_for_mite(void **state)
{
    write_file("good.c", "#include <mite/mite.h>\n");
    assert_int_equal(build("good.c", "good.so", NULL), 0);
    assert_int_equal(elf_check("good.so", "good.so", NULL), 0);
}

static void test_a_library_of_another_abi(void **state)
{
    struct mite_error error = {0};

    write_file("old.c", "const struct { unsigned abi, size; } mite_module = {77, 8};\n");
    assert_int_equal(build("old.c", "old.so", NULL), 0);
    assert_int_equal(elf_check("old.so", "./old.so", &error), MITE_EINVAL);
    assert_says(error, "./old.so was built for ABI 77");
}

static void test_a_library_of_somebody_else(void **state)
{
    struct mite_error error = {0};

    write_file("else.c", "int something;\n");
    assert_int_equal(build("else.c", "else.so", NULL), 0);
    assert_int_equal(elf_check("else.so", "else.so", &error), MITE_EINVAL);
    assert_says(error, "without anything for mite");
}

/* A copy of good.so with one byte changed, or cut. */
static void spoil(const char *path, size_t offset, unsigned char byte, size_t size)
{
    struct buf bytes;

    assert_int_equal(file_read("good.so", &bytes, NULL), 0);
    if (offset < bytes.size) {
        bytes.data[offset] = (char)byte;
    }
    if (size < bytes.size) {
        bytes.size = size;
    }
    assert_int_equal(file_write(path, buf_view(&bytes), NULL), 0);
    buf_done(&bytes);
}

static void test_a_library_for_another_machine(void **state)
{
    struct mite_error error = {0};

    spoil("other.so", offsetof(Elf64_Ehdr, e_machine), EM_S390, SIZE_MAX);
    assert_int_equal(elf_check("other.so", "other.so", &error), MITE_EINVAL);
    assert_says(error, "is for s390x, this machine is ");
}

static void test_no_library(void **state)
{
    struct mite_error error = {0};

    write_file("text.so", "#!/bin/sh\n");
    assert_int_equal(elf_check("text.so", "text.so", &error), MITE_EINVAL);
    assert_says(error, "no shared library");
    write_file("empty.so", "");
    assert_int_equal(elf_check("empty.so", "empty.so", &error), MITE_EINVAL);
    spoil("object.so", offsetof(Elf64_Ehdr, e_type), ET_REL, SIZE_MAX);
    assert_int_equal(elf_check("object.so", "object.so", &error), MITE_EINVAL);
    assert_says(error, "no shared library");
    assert_int_equal(elf_check("absent.so", "absent.so", &error), MITE_ENOTFOUND);
    assert_int_equal(elf_check(".", ".", &error), MITE_EINVAL);
}

/* Cut anywhere, or with any byte of its headers changed, a file gets a sentence or passes; nothing is read beyond it.
 */
static void test_spoiled_libraries(void **state)
{
    struct stat info;

    assert_int_equal(stat("good.so", &info), 0);
    for (size_t size = 0; size < (size_t)info.st_size; size += 97) {
        spoil("cut.so", SIZE_MAX, 0, size);
        elf_check("cut.so", "cut.so", NULL);
    }
    for (size_t i = 0; i < sizeof(Elf64_Ehdr) + 4 * sizeof(Elf64_Phdr); i++) {
        spoil("spoiled.so", i, 0xff, SIZE_MAX);
        elf_check("spoiled.so", "spoiled.so", NULL);
    }
}

static void test_a_source_that_does_not_compile(void **state)
{
    struct mite_error error = {0};
    int saved = dup(STDERR_FILENO), rc;

    write_file("bad.c", "int f( { }\n");
    assert_non_null(freopen("said", "w", stderr));
    rc = build("bad.c", "bad.so", &error);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    assert_int_equal(rc, MITE_EUSER);
    assert_says(error, "bad.c does not compile");
    assert_int_equal(access("bad.so", F_OK), -1);

    struct buf said;

    assert_int_equal(file_read("said", &said, NULL), 0);
    assert_non_null(strstr(said.data, "bad.c:1:"));
    buf_done(&said);
}

/* ---- the cache ---- */

static char *get(const char *source, const char *flag)
{
    struct toolchain toolchain;
    struct cache cache;
    struct words cflags;
    struct compile_job job = {.sources = &source, .source_count = 1, .cflags = &cflags, .ldflags = &none};
    char *path = NULL;

    make_toolchain(&toolchain);
    words_init(&cflags);
    if (flag) {
        words_add(&cflags, flag);
    }
    assert_int_equal(cache_open(&cache, NULL), 0);
    assert_int_equal(cache_get(&cache, &toolchain, &job, &path, NULL), 0);
    cache_close(&cache);
    words_done(&cflags);
    toolchain_done(&toolchain);
    return path;
}

static void check_same(const char *a, char *b, bool same)
{
    assert_non_null(b);
    assert_int_equal(strcmp(a, b) == 0, same);
    assert_int_equal(access(b, R_OK), 0);
    free(b);
}

static void test_the_cache_knows_content_and_flags(void **state)
{
    write_file("part one.h", "#define ONE 1\n");
    write_file("cached.c", "#include <mite/mite.h>\n#include \"part one.h\"\nint one = ONE;\n");

    char *first = get("cached.c", NULL);

    check_same(first, get("cached.c", NULL), true);
    check_same(first, get("cached.c", "-DX"), false);
    write_file("part one.h", "#define ONE 2\n");
    check_same(first, get("cached.c", NULL), false);
    write_file("cached.c", "#include <mite/mite.h>\n#include \"part one.h\"\nint one = ONE + 1;\n");
    check_same(first, get("cached.c", NULL), false);
    write_file("part one.h", "#define ONE 1\n");
    write_file("cached.c", "#include <mite/mite.h>\n#include \"part one.h\"\nint one = ONE;\n");
    check_same(first, get("cached.c", NULL), true);
    free(first);
}

static void test_a_library_that_is_gone_is_made_again(void **state)
{
    write_file("gone.c", "#include <mite/mite.h>\nint gone;\n");

    char *first = get("gone.c", NULL);

    assert_int_equal(unlink(first), 0);
    check_same(first, get("gone.c", NULL), true);
    write_file(first, "");
    check_same(first, get("gone.c", NULL), true);
    assert_int_equal(elf_check(first, first, NULL), 0);
    free(first);
}

static void test_many_compile_at_once(void **state)
{
    pid_t children[4];

    write_file("many.c", "#include <mite/mite.h>\nint many;\n");
    for (size_t i = 0; i < 4; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            char *path = get("many.c", NULL);

            _exit(path && access(path, R_OK) == 0 ? 0 : 1);
        }
    }
    for (size_t i = 0; i < 4; i++) {
        int status;

        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
}

static void test_old_entries_are_removed(void **state)
{
    struct timespec old[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
    struct timespec hours_ago[2] = {{.tv_sec = time(NULL) - 7200}, {.tv_sec = time(NULL) - 7200}};
    char stale[64], killed[64], kept[64];

    snprintf(stale, sizeof(stale), "%s/mite/stale.so", folder);
    snprintf(killed, sizeof(killed), "%s/mite/key.new.abcdef", folder);
    snprintf(kept, sizeof(kept), "%s/mite/kept.so", folder);
    write_file(stale, "");
    write_file(killed, "");
    write_file(kept, "");
    assert_int_equal(utimensat(AT_FDCWD, stale, old, 0), 0);
    assert_int_equal(utimensat(AT_FDCWD, killed, hours_ago, 0), 0);
    assert_int_equal(utimensat(AT_FDCWD, kept, hours_ago, 0), 0);
    write_file("fresh.c", "#include <mite/mite.h>\nint fresh;\n");
    free(get("fresh.c", NULL));
    assert_int_equal(access(stale, F_OK), -1);
    assert_int_equal(access(killed, F_OK), -1);
    assert_int_equal(access(kept, F_OK), 0);
}

static void test_a_cache_that_is_not_private(void **state)
{
    struct cache cache;
    struct mite_error error = {0};
    char path[64];

    snprintf(path, sizeof(path), "%s/open", folder);
    setenv("XDG_CACHE_HOME", path, 1);
    assert_int_equal(cache_open(&cache, NULL), 0);
    assert_int_equal(chmod(cache.dir, 0770), 0);
    cache_close(&cache);
    assert_int_equal(cache_open(&cache, &error), MITE_EIO);
    assert_says(error, "chmod 700");
    setenv("XDG_CACHE_HOME", "/proc/none", 1);
    assert_int_equal(cache_open(&cache, &error), MITE_EIO);
    assert_says(error, "XDG_CACHE_HOME");
    setenv("XDG_CACHE_HOME", folder, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_open_quote),
        cmocka_unit_test(test_directives),
        cmocka_unit_test(test_directive_names_a_source),
        cmocka_unit_test(test_specs),
        cmocka_unit_test(test_a_library_for_mite),
        cmocka_unit_test(test_a_library_of_another_abi),
        cmocka_unit_test(test_a_library_of_somebody_else),
        cmocka_unit_test(test_a_library_for_another_machine),
        cmocka_unit_test(test_no_library),
        cmocka_unit_test(test_spoiled_libraries),
        cmocka_unit_test(test_a_source_that_does_not_compile),
        cmocka_unit_test(test_the_cache_knows_content_and_flags),
        cmocka_unit_test(test_a_library_that_is_gone_is_made_again),
        cmocka_unit_test(test_many_compile_at_once),
        cmocka_unit_test(test_old_entries_are_removed),
        cmocka_unit_test(test_a_cache_that_is_not_private),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
