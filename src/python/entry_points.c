#include "python/entry_points.h"

#include "python/embed.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_SIZE 4096

struct search {
    const char *group;
    const char *const *but;
    size_t but_count;
    bool found;
};

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

/* "name = module:object" */
static bool counts(const struct search *search, const char *line)
{
    const char *name = line + strspn(line, " \t");
    size_t length = strcspn(name, " \t=");

    if (length == 0 || strchr("#;\r\n", *name) || !strchr(name, '=')) {
        return false;
    }
    for (size_t i = 0; i < search->but_count; i++) {
        if (strlen(search->but[i]) == length && strncmp(search->but[i], name, length) == 0) {
            return false;
        }
    }
    return true;
}

static void read_entry_points(struct search *search, const char *path)
{
    FILE *file = fopen(path, "re");
    char line[1024];
    bool inside = false;

    while (file && !search->found && fgets(line, sizeof line, file)) {
        size_t length = strlen(search->group);
        if (*line == '[') {
            inside = strncmp(line + 1, search->group, length) == 0 && line[1 + length] == ']';
        } else if (inside) {
            search->found = counts(search, line);
        }
    }
    if (file) {
        fclose(file);
    }
}

static void search_directory(struct search *search, const char *directory, bool follow);

/* A .pth file names further directories, one a line. */
static void follow_paths(struct search *search, const char *directory, const char *path)
{
    FILE *file = fopen(path, "re");
    char line[1024], further[PATH_SIZE + 1024];

    while (file && !search->found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (*line == '\0' || *line == '#' || strncmp(line, "import", 6) == 0) {
            continue;
        }
        snprintf(further, sizeof further, "%s%s%s", *line == '/' ? "" : directory, *line == '/' ? "" : "/", line);
        search_directory(search, further, false);
    }
    if (file) {
        fclose(file);
    }
}

static void search_directory(struct search *search, const char *directory, bool follow)
{
    DIR *dir = search->found ? NULL : opendir(directory);
    struct dirent *entry;
    char path[PATH_SIZE + 300];

    while (dir && !search->found && (entry = readdir(dir))) {
        if (ends_with(entry->d_name, ".dist-info") || ends_with(entry->d_name, ".egg-info")) {
            snprintf(path, sizeof path, "%s/%s/entry_points.txt", directory, entry->d_name);
            read_entry_points(search, path);
        } else if (follow && ends_with(entry->d_name, ".pth")) {
            snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
            follow_paths(search, directory, path);
        }
    }
    if (dir) {
        closedir(dir);
    }
}

static void on_directory(void *arg, const char *directory)
{
    search_directory(arg, directory, true);
}

bool entry_points_any(const char *group, const char *const *but, size_t but_count)
{
    struct search search = {.group = group, .but = but, .but_count = but_count};

    embed_search(on_directory, &search);
    return search.found;
}
