/*
 * `mite init`: writes a small project from the templates. Nothing that is there is touched: all names are looked at
 * before the first file is written.
 */
#include "base/buf.h"
#include "base/str.h"
#include "cli/complain.h"
#include "cli/exit.h"
#include "cli/options.h"
#include "cli/python.h"
#include "cli/templates.h"
#include "runner/loader_compile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct project {
    const char *dir;
    const struct template_file *files;
    const char *word; /* in the templates */
    char *meaning;    /* owned: what stands there instead */
    bool made_dir;
};

static int find_packages(char **out, struct mite_error *error)
{
    const struct python_api *python;
    int rc = cli_python(&python, error);

    if (rc == 0) {
        *out = python->packages();
    }
    return rc < 0 || *out ? rc : error_set(error, MITE_EIO, "cannot find out where mite's Python packages lie");
}

static int choose(struct project *project, const struct options *options, struct mite_error *error)
{
    if (options->in_c && options->in_python) {
        return error_set(error, MITE_EINVAL, "--c and --python: one of them");
    }
    project->dir = options->positional[0];
    project->files = options->in_c ? templates_c : templates_python;
    project->word = options->in_c ? "@INCLUDE@" : "@PACKAGES@";
    return options->in_c ? toolchain_include_dir(&project->meaning, error) : find_packages(&project->meaning, error);
}

/* DIR/NAME, owned. */
static char *path_of(const struct project *project, const struct template_file *file, struct mite_error *error)
{
    char *path;

    if (asprintf(&path, "%s/%s", project->dir, file->name) < 0) {
        error_set(error, MITE_ENOMEM, "out of memory");
        return NULL;
    }
    return path;
}

static int make_dir(struct project *project, struct mite_error *error)
{
    struct stat info;

    if (mkdir(project->dir, 0777) == 0) {
        project->made_dir = true;
        return 0;
    }
    if (errno != EEXIST) {
        return error_errno(error, errno, "cannot make the directory %s", project->dir);
    }
    if (stat(project->dir, &info) != 0 || !S_ISDIR(info.st_mode)) {
        return error_set(error, MITE_EINVAL, "%s is there already and is no directory", project->dir);
    }
    for (const struct template_file *file = project->files; file->name; file++) {
        char *path = path_of(project, file, error);
        bool there = path && lstat(path, &info) == 0;
        int rc = !path   ? MITE_ENOMEM
                 : there ? error_set(error, MITE_EINVAL,
                                     "%s is there already, and nothing is overwritten: name another directory", path)
                         : 0;

        free(path);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* The template's text with the word replaced. */
static void fill(const struct project *project, const char *text, struct buf *out)
{
    const char *word;

    while ((word = strstr(text, project->word))) {
        buf_append(out, text, (size_t)(word - text));
        buf_text(out, project->meaning);
        text = word + strlen(project->word);
    }
    buf_text(out, text);
}

/* All of it; closes. False: errno tells why not. */
static bool put(int fd, struct str text)
{
    ssize_t n;

    while (text.n > 0 && (n = write(fd, text.p, text.n)) > 0) {
        text.p += n;
        text.n -= (size_t)n;
    }

    int failed = text.n > 0 ? errno : 0;

    failed = close(fd) != 0 && !failed ? errno : failed;
    errno = failed;
    return !failed;
}

/* What was written before it went wrong. */
static void take_back(const struct project *project, const struct template_file *end)
{
    for (const struct template_file *file = project->files; file < end; file++) {
        char *path = path_of(project, file, NULL);

        if (path) {
            unlink(path);
        }
        free(path);
    }
    if (project->made_dir) {
        rmdir(project->dir);
    }
}

static int write_file(const struct project *project, const struct template_file *file, struct mite_error *error)
{
    struct buf text;
    char *path = path_of(project, file, error);
    int rc = path ? 0 : MITE_ENOMEM, fd;

    if (rc < 0) {
        return rc;
    }
    buf_init(&text, 0);
    fill(project, file->text, &text);
    if (text.failed) {
        rc = error_set(error, MITE_ENOMEM, "out of memory");
    } else if ((fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) < 0) {
        rc = error_errno(error, errno, "cannot write %s", path);
    } else if (!put(fd, buf_view(&text))) {
        rc = error_errno(error, errno, "cannot write %s", path);
        unlink(path);
    }
    buf_done(&text);
    free(path);
    return rc;
}

int cmd_init(const struct options *options)
{
    struct mite_error error = {0};
    struct project project = {0};
    int rc = choose(&project, options, &error);

    if (rc == 0) {
        rc = make_dir(&project, &error);
    }
    for (const struct template_file *file = project.files; rc == 0 && file->name; file++) {
        rc = write_file(&project, file, &error);
        if (rc < 0) {
            take_back(&project, file);
        }
    }
    if (rc < 0) {
        complain("mite init", &error);
    } else {
        printf("%s/README.md says how to run it\n", project.dir);
    }
    free(project.meaning);
    error_done(&error);
    return rc == 0 ? EXIT_GOOD : rc == MITE_EINVAL || rc == MITE_ENOTFOUND ? EXIT_USAGE : EXIT_BROKE;
}
