/*
 * `mite build`: one library of C sources, as the loader would make it of one.
 */
#include "base/str.h"
#include "cli/complain.h"
#include "cli/exit.h"
#include "cli/options.h"
#include "runner/loader_compile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* "dir/shop.c" gives "shop.so", in the directory where one stands; owned. */
static char *default_output(const char *source)
{
    const char *slash = strrchr(source, '/'), *base = slash ? slash + 1 : source, *dot = strrchr(base, '.');
    char *output;

    return asprintf(&output, "%.*s.so", (int)(dot ? (size_t)(dot - base) : strlen(base)), base) < 0 ? NULL : output;
}

/* What a compiler would say less plainly. */
static int check_files(const struct options *options, const char *output, struct mite_error *error)
{
    const char *compiler = getenv("CC");
    struct stat source, target;
    bool exists = stat(output, &target) == 0;

    if (exists && !S_ISREG(target.st_mode)) {
        return error_set(error, MITE_EINVAL, "cannot write %s: it is no file", output);
    }
    for (size_t i = 0; i < options->positional_count; i++) {
        const char *suffix = strrchr(options->positional[i], '.');
        if (suffix && strcmp(suffix, ".so") == 0) {
            return error_set(error, MITE_EINVAL, "%s is a library: mite build takes sources; --ldflags names libraries",
                             options->positional[i]);
        }
        int rc = compiler && *compiler ? 0 : compile_check_language(str_of(options->positional[i]), error);
        if (rc < 0) {
            return rc;
        }
        if (stat(options->positional[i], &source) != 0) {
            return error_errno(error, errno, "cannot read %s", options->positional[i]);
        }
        if (exists && source.st_dev == target.st_dev && source.st_ino == target.st_ino) {
            return error_set(error, MITE_EINVAL, "%s is a source: -o names the library to write", output);
        }
    }
    return 0;
}

static int build(const struct options *options, const char *output, struct mite_error *error)
{
    struct toolchain toolchain;
    struct words cflags, ldflags;
    int rc = check_files(options, output, error);

    words_init(&cflags);
    words_init(&ldflags);
    if (rc == 0) {
        rc = compile_flags(&cflags, "--cflags", options->cflags, error);
    }
    for (size_t i = 0; rc == 0 && i < options->positional_count; i++) {
        rc = compile_directives(&ldflags, options->positional[i], error);
    }
    if (rc == 0) {
        rc = compile_flags(&ldflags, "--ldflags", options->ldflags, error);
    }
    if (rc == 0) {
        rc = toolchain_init(&toolchain, error);
        if (rc == 0) {
            struct compile_job job = {.sources = options->positional,
                                      .source_count = options->positional_count,
                                      .output = output,
                                      .cflags = &cflags,
                                      .ldflags = &ldflags};

            rc = compile(&toolchain, &job, error);
            toolchain_done(&toolchain);
        }
    }
    words_done(&cflags);
    words_done(&ldflags);
    return rc;
}

int cmd_build(const struct options *options)
{
    struct mite_error error = {0};
    char *output = options->output ? str_copy(str_of(options->output)) : default_output(options->positional[0]);
    int rc = output ? build(options, output, &error) : error_set(&error, MITE_ENOMEM, "out of memory");

    if (rc < 0) {
        complain("mite build", &error);
    }
    free(output);
    error_done(&error);
    return rc == 0 ? EXIT_GOOD : rc == MITE_EIO || rc == MITE_ENOMEM ? EXIT_BROKE : EXIT_USAGE;
}
