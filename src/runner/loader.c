#include "runner/loader.h"

#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"
#include "engine/fiber.h"
#include "runner/loader_cache.h"
#include "runner/loader_compile.h"
#include "runner/loader_elf.h"

#define MITE_IMPLEMENTATION
#include <mite/mite.h>

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_LISTED 256 /* names that are looked at for a sentence about one that is not there */

struct loader {
    struct words cflags, ldflags;
    struct map files; /* by real path, to const struct mite_module * */
    bool ready;       /* the next two are there: made when a source first comes up */
    struct toolchain toolchain;
    struct cache cache;
};

/* What a spec asks for. */
struct wanted {
    const char *kind; /* "journey" */
    const char *name;
    char *file; /* owned: as the user wrote it */
};

static const char *kind_name(unsigned kind)
{
    return kind == MITE_ENTRY_JOURNEY ? "journey" : kind == MITE_ENTRY_DATAPOOL ? "datapool" : "scenario";
}

int loader_new(const struct loader_options *options, struct loader **out, struct mite_error *error)
{
    struct loader *loader = calloc(1, sizeof(*loader));

    if (!loader) {
        return error_set(error, MITE_ENOMEM, "no memory for the loader of journeys in C");
    }
    words_init(&loader->cflags);
    words_init(&loader->ldflags);
    map_init(&loader->files);

    int rc = compile_flags(&loader->cflags, "--cflags", options->cflags, error);

    if (rc == 0) {
        rc = compile_flags(&loader->ldflags, "--ldflags", options->ldflags, error);
    }
    if (rc < 0) {
        loader_free(loader);
        return rc;
    }
    *out = loader;
    return 0;
}

void loader_free(struct loader *loader)
{
    if (!loader) {
        return;
    }
    words_done(&loader->cflags);
    words_done(&loader->ldflags);
    map_done(&loader->files, NULL);
    if (loader->ready) {
        toolchain_done(&loader->toolchain);
        cache_close(&loader->cache);
    }
    free(loader);
}

static bool is_source(struct str file)
{
    return str_ends_in(file, ".c");
}

bool loader_owns(const char *spec)
{
    const char *colon = strrchr(spec, ':');
    struct str file = {spec, colon ? (size_t)(colon - spec) : 0};

    return is_source(file) || str_ends_in(file, ".so");
}

/* ---- a file that is not there ---- */

/* The nearest name in the directory of `file`, which is not there; owned, NULL when none is near. */
static char *nearest_file(const char *file)
{
    const char *slash = strrchr(file, '/'), *names[MAX_LISTED];
    char *folder = slash ? str_copy((struct str){file, (size_t)(slash - file) + 1}) : NULL;
    DIR *dir = opendir(folder ? folder : ".");
    size_t count = 0;
    struct dirent *item;
    char *found = NULL;

    while (dir && count < MAX_LISTED && (item = readdir(dir))) {
        struct str name = str_of(item->d_name);

        if ((is_source(name) || str_ends_in(name, ".so")) && !str_is(name, slash ? slash + 1 : file)) {
            names[count] = str_copy(name);
            count += names[count] != NULL;
        }
    }
    if (dir) {
        closedir(dir);
    }

    const char *nearest = str_nearest(slash ? slash + 1 : file, names, count);

    if (nearest && asprintf(&found, "%s%s", folder ? folder : "", nearest) < 0) {
        found = NULL;
    }
    for (size_t i = 0; i < count; i++) {
        free((char *)names[i]);
    }
    free(folder);
    return found;
}

static int no_file(const char *file, int why, struct mite_error *error)
{
    char *nearest = why == ENOENT ? nearest_file(file) : NULL;

    if (!nearest) {
        return error_set(error, why == ENOMEM ? MITE_ENOMEM : MITE_ENOTFOUND, "cannot read %s: %s", file,
                         strerror(why));
    }
    error_set(error, MITE_ENOTFOUND, "there is no file %s (did you mean \"%s\"?)", file, nearest);
    free(nearest);
    return MITE_ENOTFOUND;
}

/* ---- from a file to its module ---- */

static int make_ready(struct loader *loader, struct mite_error *error)
{
    int rc = loader->ready ? 0 : toolchain_init(&loader->toolchain, error);

    if (loader->ready || rc < 0) {
        return rc;
    }
    rc = cache_open(&loader->cache, error);
    if (rc < 0) {
        toolchain_done(&loader->toolchain);
        return rc;
    }
    loader->ready = true;
    return 0;
}

/* *out: the compiled library, owned. */
static int compile_source(struct loader *loader, const char *file, char **out, struct mite_error *error)
{
    struct words ldflags;
    int rc = make_ready(loader, error);

    words_init(&ldflags);
    if (rc == 0) {
        rc = compile_directives(&ldflags, file, error);
    }
    if (rc == 0) {
        words_add_all(&ldflags, &loader->ldflags);

        struct compile_job job = {.sources = &file, .source_count = 1, .cflags = &loader->cflags, .ldflags = &ldflags};

        rc = cache_get(&loader->cache, &loader->toolchain, &job, out, error);
    }
    words_done(&ldflags);
    return rc;
}

/* A sentence of our own for what people meet; else what the system's loader says, without the path that it repeats. */
static int not_loaded(const char *path, const char *shown, struct mite_error *error)
{
    static const char missing[] = ": cannot open shared object file", undefined[] = "undefined symbol: ";
    const char *text = dlerror(), *end = text ? strstr(text, missing) : NULL;
    struct str library = {text, end ? (size_t)(end - text) : 0};

    if (end && !str_is(library, path)) {
        return error_set(error, MITE_EIO,
                         "%s needs the library " STR_FMT ", which is not on this machine: install it, or name its "
                         "directory in LD_LIBRARY_PATH",
                         shown, STR_ARG(library));
    }

    const char *symbol = text ? strstr(text, undefined) : NULL;

    if (symbol) {
        symbol += strlen(undefined);

        bool ours = strncmp(symbol, "mite_", strlen("mite_")) == 0;

        return error_set(error, MITE_EINVAL, "%s uses " STR_FMT ", which %s", shown, (int)strcspn(symbol, " ,"), symbol,
                         ours ? "this mite does not have: it was built for a newer one, build it again"
                              : "nothing defines: build it with the library that has it (a line \"// mite: -lNAME\", "
                                "or --ldflags)");
    }
    if (text && strncmp(text, path, strlen(path)) == 0 && text[strlen(path)] == ':') {
        text += strlen(path) + 1 + strspn(text + strlen(path) + 1, " ");
    }
    return error_set(error, MITE_EINVAL, "%s: %s", shown, text ? text : "cannot be loaded");
}

/* A library in C++ brings its runtime along, which mite itself does not need. */
static void keep_cxx_globals(void *handle)
{
    void *symbol = dlsym(handle, "__cxa_get_globals");

    if (symbol) {
        fiber_keep_cxx_globals((void *(*)(void))symbol);
    }
}

/* The library at `path`. Its constructors run inside dlopen, so it has been checked. */
static int open_library(const char *path, const char *shown, const struct mite_module **out, struct mite_error *error)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (!handle) {
        return not_loaded(path, shown, error);
    }

    keep_cxx_globals(handle);

    const struct mite_module *module = dlsym(handle, "mite_module");

    if (!module || module->abi != MITE_ABI) {
        return error_set(error, MITE_EINVAL, "%s has no table of journeys that this mite can read: build it again",
                         shown);
    }
    *out = module;
    return 0;
}

static int open_file(struct loader *loader, const char *file, const struct mite_module **out, struct mite_error *error)
{
    char *real = realpath(file, NULL), *library = NULL;
    int rc = 0;

    if (!real) {
        return no_file(file, errno, error);
    }

    const struct mite_module *module = map_get(&loader->files, str_of(real));

    if (!module) {
        rc = is_source(str_of(file)) ? compile_source(loader, file, &library, error) : elf_check(real, file, error);
        if (rc == 0) {
            rc = open_library(library ? library : real, file, &module, error);
        }
        if (rc == 0 && map_set(&loader->files, str_of(real), (void *)module, NULL) < 0) {
            rc = error_set(error, MITE_ENOMEM, "no memory for %s", file);
        }
    }
    free(library);
    free(real);
    if (rc == 0) {
        *out = module;
    }
    return rc;
}

/* ---- from a name to its entry ---- */

static int other_kind(const struct wanted *wanted, const struct mite_entry *entry, struct mite_error *error)
{
    return error_set(error, MITE_EINVAL, "\"%s\" in %s is a %s, not a %s", wanted->name, wanted->file,
                     kind_name(entry->kind), wanted->kind);
}

/* As they stand in their files; the compiler writes them in another order. */
static int compare_places(const void *a, const void *b)
{
    const struct mite_entry *x = *(const struct mite_entry *const *)a, *y = *(const struct mite_entry *const *)b;
    int files = strcmp(x->file, y->file);

    return files ? files : (x->line > y->line) - (x->line < y->line);
}

/* Lists what there is of that kind, and suggests the nearest. */
static int no_entry(const struct wanted *wanted, const struct mite_module *module, unsigned kind,
                    struct mite_error *error)
{
    const struct mite_entry *entries[MAX_LISTED];
    const char *names[MAX_LISTED], *nearest;
    size_t count = 0;
    struct buf list;

    for (const struct mite_entry *const *p = module->begin; p < module->end && count < MAX_LISTED; p++) {
        if ((*p)->kind == kind) {
            entries[count++] = *p;
        }
    }
    qsort(entries, count, sizeof(entries[0]), compare_places);
    buf_init(&list, 0);
    for (size_t i = 0; i < count; i++) {
        names[i] = entries[i]->name;
        buf_printf(&list, "%s%s", i ? ", " : "; it has ", names[i]);
    }
    nearest = str_nearest(wanted->name, names, count);
    error_set(error, MITE_ENOTFOUND, "%s has no %s \"%s\"%s%s%s%.250s", wanted->file, wanted->kind, wanted->name,
              nearest ? " (did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?)" : "",
              list.data ? list.data : " and no other");
    buf_done(&list);
    return MITE_ENOTFOUND;
}

static int find_entry(const struct wanted *wanted, const struct mite_module *module, unsigned kind,
                      const struct mite_entry **out, struct mite_error *error)
{
    const struct mite_entry *found = NULL, *other = NULL;

    for (const struct mite_entry *const *p = module->begin; p < module->end; p++) {
        if (strcmp((*p)->name, wanted->name) != 0) {
            continue;
        }
        if ((*p)->kind != kind) {
            other = *p;
        } else if (found) {
            return error_set(error, MITE_EINVAL, "%s has two of the name \"%s\", at %s:%d and %s:%d", wanted->file,
                             wanted->name, found->file, found->line, (*p)->file, (*p)->line);
        } else {
            found = *p;
        }
    }
    if (!found) {
        return other ? other_kind(wanted, other, error) : no_entry(wanted, module, kind, error);
    }
    *out = found;
    return 0;
}

int loader_find(struct loader *loader, unsigned kind, const char *spec, const struct mite_entry **out,
                struct mite_error *error)
{
    const char *colon = strrchr(spec, ':');
    struct wanted wanted = {.kind = kind_name(kind)};
    const struct mite_module *module = NULL;

    if (!colon || !colon[1] || !loader_owns(spec)) {
        return error_set(error, MITE_EINVAL, "\"%s\" is no spec: write FILE.c:NAME or FILE.so:NAME", spec);
    }
    wanted.name = colon + 1;
    wanted.file = str_copy((struct str){spec, (size_t)(colon - spec)});
    if (!wanted.file) {
        return error_set(error, MITE_ENOMEM, "no memory for %s \"%s\"", wanted.kind, spec);
    }

    int rc = open_file(loader, wanted.file, &module, error);

    if (rc == 0) {
        rc = find_entry(&wanted, module, kind, out, error);
    }
    if (rc < 0) {
        error_prefix(error, "cannot load %s \"%s\"", wanted.kind, spec);
    }
    free(wanted.file);
    return rc;
}
