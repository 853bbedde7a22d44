/*
 * From C sources to a shared library, by the system's compiler: $CC, else cc, gcc or clang. The mite that runs is what
 * the library is built for and linked to, installed or in its build tree.
 *
 * toolchain_init, then compile as often as wanted, toolchain_done.
 */
#pragma once

#include "runner/loader_words.h"

#include <signal.h>

struct toolchain {
    struct words compiler; /* the program's path, and what $CC says besides */
    char *include_dir;     /* owned: has mite/mite.h */
    char *library;         /* owned: the libmite that runs */
};

/* MITE_EIO: no compiler, or mite's own header is missing. On failure there is nothing to be done with. */
int toolchain_init(struct toolchain *toolchain, struct mite_error *error);
void toolchain_done(struct toolchain *toolchain);

/* The folder with mite/mite.h of the mite that runs; owned. MITE_EIO: it was not installed. */
int toolchain_include_dir(char **out, struct mite_error *error);

struct compile_job {
    const char *const *sources; /* borrowed, like all here */
    size_t source_count;
    const char *output;   /* replaced at once by the finished library, or left as it was */
    const char *deps;     /* gets the names of all files read, in make's form; NULL: not wanted. One source only */
    struct words *cflags; /* before the sources */
    struct words *ldflags;
};

/* Everything the compiler is called with but the names of what it writes; adds to `out`. */
void compile_words(const struct toolchain *toolchain, const struct compile_job *job, struct words *out);

/* Runs the compiler; what it writes goes to stderr. After a second a line says what is being compiled. MITE_EUSER: it
 * does not compile, and the compiler has said why. MITE_EIO: the compiler cannot be run, or crashed. A signal that
 * ends us ends the compiler too, and comes when its files are removed. */
int compile(const struct toolchain *toolchain, const struct compile_job *job, struct mite_error *error);

/* MITE_EINVAL for a source that is C++ by its name, which a C compiler cannot link: the sentence tells how. */
int compile_check_language(struct str source, struct mite_error *error) PRIVATE_API(compile_check_language);

/* Until the mask of before is set again, such signals wait: for what else is to be removed. */
void compile_hold_signals(sigset_t *before);

/* --cflags or --ldflags into words; NULL gives none. `option` is its name for the sentence. */
int compile_flags(struct words *words, const char *option, const char *text, struct mite_error *error);

/* The flags that a source asks for by lines `// mite: -lNAME`, added to `words`. */
int compile_directives(struct words *words, const char *source, struct mite_error *error);
