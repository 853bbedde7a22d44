#include "cli/python.h"
#include "cli/cli.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct python_api *registered;
static bool loaded; /* the plugin, by us */

void cli_set_python(const struct python_api *api)
{
    registered = api;
}

bool cli_in_python(void)
{
    return registered != NULL && !loaded;
}

/* The plugin lies in mite/ beside the library once installed, in src/python/ of a build tree before. */
static bool find_plugin(char *path, size_t size)
{
    static const char *const places[] = {"mite/", "src/python/", ""};
    Dl_info self;

    if (!dladdr((void *)cli_set_python, &self) || !self.dli_fname) {
        return false;
    }

    const char *slash = strrchr(self.dli_fname, '/');
    int folder = slash ? (int)(slash - self.dli_fname) + 1 : 0;

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        int n = snprintf(path, size, "%.*s%slibmite-python.so", folder, self.dli_fname, places[i]);

        if (n > 0 && (size_t)n < size && access(path, R_OK) == 0) {
            return true;
        }
    }
    return false;
}

int cli_python(const struct python_api **out, struct mite_error *error)
{
    char path[4096];

    if (!registered) {
        if (!find_plugin(path, sizeof(path))) {
            return error_set(error, MITE_ENOTFOUND, "this mite was built without Python: it runs journeys in C only");
        }

        /* Global, for Python's own extension modules need the symbols of the libpython that comes with it. Never
         * closed: an interpreter cannot be unloaded. */
        void *plugin = dlopen(path, RTLD_NOW | RTLD_GLOBAL);

        if (!plugin) {
            return error_set(error, MITE_ENOTFOUND, "cannot load the Python plugin: %s", dlerror());
        }

        const struct python_api *(*entry)(void) = (const struct python_api *(*)(void))dlsym(plugin, PYTHON_API_SYMBOL);

        if (!entry || entry()->version != MITE_PYTHON_API_VERSION) {
            return error_set(error, MITE_ENOTFOUND,
                             "the Python plugin %s belongs to another version of mite: install "
                             "both from one build",
                             path);
        }
        loaded = true;
        registered = entry();
    }
    *out = registered;
    return 0;
}
