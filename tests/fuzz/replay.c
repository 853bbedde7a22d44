/* Gives every file of the folders named to a fuzz target: the corpus as a test that any compiler can run. */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#define LARGEST ((size_t)1 << 20)

static void replay_file(const char *path)
{
    uint8_t *data = malloc(LARGEST), *exact;
    FILE *file = fopen(path, "rb");
    size_t size;

    if (!data || !file) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
    size = fread(data, 1, LARGEST, file);
    fclose(file);
    /* As large as the file, so that a step beyond its end is seen. */
    exact = realloc(data, size + !size);
    LLVMFuzzerTestOneInput(exact ? exact : data, size);
    free(exact ? exact : data);
}

static int replay_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    char path[4096];
    int count = 0;

    if (!dir) {
        fprintf(stderr, "%s: %s\n", folder, strerror(errno));
        exit(1);
    }
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
            replay_file(path);
            count++;
        }
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;

    for (int i = 1; i < argc; i++) {
        count += replay_folder(argv[i]);
    }
    printf("%d files\n", count);
    return count > 0 ? 0 : 1;
}
