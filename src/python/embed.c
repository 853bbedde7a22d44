/*
 * Design notes. libpython is here by DT_NEEDED and goes RTLD_GLOBAL with the plugin (the program sees to that), or else
 * Python's own extension modules would miss its symbols. sys.path begins with the working directory, unless that is
 * excluded, and ends with our packages when they lie beside the plugin (a build tree) or under a prefix that Python
 * does not search.
 */
#include "python/embed.h"

#include "base/log.h"
#include "base/str.h"
#include "python/errors.h"
#include "python/module.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#define PATH_MAX_BYTES 4096
#define TEXT(x)        TEXT_(x)
#define TEXT_(x)       #x
#define VERSIONED      "python" TEXT(PY_MAJOR_VERSION) "." TEXT(PY_MINOR_VERSION)

static bool ours; /* the interpreter was started here */

/* ---- the virtual environment ---- */

struct environment {
    char prefix[PATH_MAX_BYTES]; /* empty: none */
    char version[32];            /* "3.11.2", as its pyvenv.cfg says; empty: it does not */
};

/* A line `key = value` of pyvenv.cfg. */
static bool take_line(const char *line, const char *key, char *out, size_t size)
{
    size_t length = strlen(key);
    line += strspn(line, " \t");
    if (strncmp(line, key, length) != 0) {
        return false;
    }
    line += length;
    line += strspn(line, " \t");
    if (*line++ != '=') {
        return false;
    }
    line += strspn(line, " \t");
    snprintf(out, size, "%.*s", (int)strcspn(line, " \t\r\n"), line);
    return true;
}

/* True when there is a pyvenv.cfg in `prefix`. */
static bool read_environment(const char *prefix, struct environment *out)
{
    char path[PATH_MAX_BYTES + 16], line[1024];
    snprintf(path, sizeof(path), "%s/pyvenv.cfg", prefix);
    FILE *file = fopen(path, "re");
    if (!file) {
        return false;
    }
    snprintf(out->prefix, sizeof(out->prefix), "%s", prefix);
    while (fgets(line, sizeof(line), file)) {
        /* venv writes "version", virtualenv "version_info" */
        if (!take_line(line, "version", out->version, sizeof(out->version))) {
            take_line(line, "version_info", out->version, sizeof(out->version));
        }
    }
    fclose(file);
    return true;
}

/* $VIRTUAL_ENV, or the environment that the program itself is installed in. */
static void find_environment(struct environment *out)
{
    char program[PATH_MAX_BYTES];
    const char *active = getenv("VIRTUAL_ENV");

    *out = (struct environment){0};
    if (active && *active) {
        if (!read_environment(active, out)) {
            log_line(LOG_WARNING, "VIRTUAL_ENV is %s, where there is no pyvenv.cfg: not used", active);
        }
        return;
    }
    ssize_t size = readlink("/proc/self/exe", program, sizeof(program) - 1);
    for (int up = 0; up < 2 && size > 0; up++) { /* BIN/mite, so two names off */
        program[size] = '\0';
        char *slash = strrchr(program, '/');
        size = slash ? slash - program : 0;
    }
    if (size > 0) {
        program[size] = '\0';
        read_environment(program, out);
    }
}

static int check_environment(const struct environment *environment, struct mite_error *error)
{
    int major, minor;
    if (!*environment->prefix || sscanf(environment->version, "%d.%d", &major, &minor) != 2 ||
        (major == PY_MAJOR_VERSION && minor == PY_MINOR_VERSION)) {
        return 0;
    }
    return error_set(error, MITE_EINVAL,
                     "the virtual environment %s is of Python %d.%d, this mite of Python %d.%d: make one with "
                     "%s -m venv, or leave it (deactivate)",
                     environment->prefix, major, minor, PY_MAJOR_VERSION, PY_MINOR_VERSION, PYTHON_EXECUTABLE);
}

/* sys.prefix and the packages of the environment. */
static int enter_environment(const struct environment *environment)
{
    if (!*environment->prefix) {
        return 0;
    }
    PyObject *site = PyImport_ImportModule("site");                                  /* new */
    PyObject *prefix = site ? PyUnicode_DecodeFSDefault(environment->prefix) : NULL; /* new */
    PyObject *packages =
        prefix ? PyUnicode_FromFormat("%U/lib/python%d.%d/site-packages", prefix, PY_MAJOR_VERSION, PY_MINOR_VERSION)
               : NULL;                                                                    /* new */
    PyObject *executable = prefix ? PyUnicode_FromFormat("%U/bin/python", prefix) : NULL; /* new */
    PyObject *result = NULL;
    if (packages && executable && PySys_SetObject("prefix", prefix) == 0 &&
        PySys_SetObject("exec_prefix", prefix) == 0 && PySys_SetObject("executable", executable) == 0) {
        result = PyObject_CallMethod(site, "addsitedir", "O", packages); /* new */
    }
    Py_XDECREF(site);
    Py_XDECREF(prefix);
    Py_XDECREF(packages);
    Py_XDECREF(executable);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* ---- sys.path ---- */

char *embed_packages(void)
{
    /* Seen from the plugin in a build tree, and from the extension, which always lies beside them. */
    static const char *const places[] = {"../../python", "."};
    Dl_info self;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (!dladdr((void *)embed_start, &self) || !self.dli_fname) {
            break;
        }
        const char *slash = strrchr(self.dli_fname, '/');
        int folder = slash ? (int)(slash - self.dli_fname) : 1;
        char path[PATH_MAX_BYTES], probe[PATH_MAX_BYTES + 32];
        snprintf(path, sizeof(path), "%.*s/%s", folder, slash ? self.dli_fname : ".", places[i]);
        snprintf(probe, sizeof(probe), "%s/mite/__init__.py", path);
        if (access(probe, R_OK) == 0) {
            return realpath(path, NULL);
        }
    }
    return strdup(PYTHON_PACKAGES);
}

static void search_python_path(void (*each)(void *arg, const char *directory), void *arg)
{
    const char *at = getenv("PYTHONPATH");
    char path[PATH_MAX_BYTES];

    while (at && *at) {
        size_t length = strcspn(at, ":");
        snprintf(path, sizeof(path), "%.*s", (int)length, at);
        each(arg, path);
        at += length + (at[length] == ':');
    }
}

void embed_search(void (*each)(void *arg, const char *directory), void *arg)
{
    static const char *const places[] = {"lib/python3/dist-packages", "lib/" VERSIONED "/dist-packages",
                                         "lib/" VERSIONED "/site-packages", "local/lib/" VERSIONED "/dist-packages"};
    struct environment environment;
    const char *home = getenv("HOME"), *base = getenv("PYTHONUSERBASE");
    char path[2 * PATH_MAX_BYTES];

    each(arg, ".");
    search_python_path(each, arg);
    find_environment(&environment);
    snprintf(path, sizeof(path), "%s/lib/" VERSIONED "/site-packages", environment.prefix);
    each(arg, path);
    snprintf(path, sizeof(path), "%s%s/lib/" VERSIONED "/site-packages",
             base   ? base
             : home ? home
                    : "",
             base ? "" : "/.local");
    each(arg, path);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        snprintf(path, sizeof(path), PYTHON_HOME "/%s", places[i]);
        each(arg, path);
    }
    char *packages = embed_packages();
    if (packages) {
        each(arg, packages);
    }
    free(packages);
}

static int path_insert(Py_ssize_t at, const char *directory)
{
    PyObject *list = PySys_GetObject("path");              /* borrowed */
    PyObject *text = PyUnicode_DecodeFSDefault(directory); /* new */
    int known = list && text ? PySequence_Contains(list, text) : -1;
    int failed = known == 1 ? 0 : known < 0 ? -1 : PyList_Insert(list, at < 0 ? PyList_GET_SIZE(list) : at, text);
    Py_XDECREF(text);
    return failed;
}

static int add_packages(void)
{
    char *directory = embed_packages();
    int failed = directory && *directory ? path_insert(-1, directory) : 0;
    free(directory);
    return failed;
}

static int add_working_directory(void)
{
    char directory[PATH_MAX_BYTES];
    return getcwd(directory, sizeof(directory)) ? path_insert(0, directory) : 0;
}

/* ---- life ---- */

static int status_error(PyStatus status, struct mite_error *error)
{
    return error_set(error, MITE_EINVAL, "cannot start Python %d.%d with home %s: %s", PY_MAJOR_VERSION,
                     PY_MINOR_VERSION, PYTHON_HOME, status.err_msg ? status.err_msg : "no reason given");
}

static int initialise(struct mite_error *error)
{
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    config.parse_argv = 0;
    config.install_signal_handlers = 0; /* SIGINT is the program's */
    PyStatus status = PyConfig_SetBytesString(&config, &config.home, PYTHON_HOME);
    if (!PyStatus_Exception(status)) {
        status = PyConfig_SetBytesString(&config, &config.executable, PYTHON_EXECUTABLE);
    }
    if (!PyStatus_Exception(status)) {
        status = PyConfig_SetBytesString(&config, &config.program_name, PYTHON_EXECUTABLE);
    }
    if (!PyStatus_Exception(status)) {
        status = Py_InitializeFromConfig(&config);
    }
    PyConfig_Clear(&config);
    return PyStatus_Exception(status) ? status_error(status, error) : 0;
}

static int import_module(struct mite_error *error)
{
    PyObject *module = PyImport_ImportModule("_mite"); /* new; sys.modules keeps it */
    if (!module) {
        PyErr_Print();
        return error_set(error, MITE_EINVAL, "Python %d.%d cannot load mite's packages: is the installation whole?",
                         PY_MAJOR_VERSION, PY_MINOR_VERSION);
    }
    Py_DECREF(module);
    return 0;
}

/* From nothing to an interpreter that has our packages. */
static int start_ours(struct mite_error *error)
{
    struct environment environment;
    find_environment(&environment);
    int code = check_environment(&environment, error);
    if (code != 0) {
        return code;
    }
    if (PyImport_AppendInittab("_mite", PyInit__mite) != 0) {
        return error_set(error, MITE_ENOMEM, "no memory to start Python");
    }
    code = initialise(error);
    if (code != 0) {
        return code;
    }
    ours = true;
    code = import_module(error);
    if (code == 0 && (enter_environment(&environment) != 0 || add_packages() != 0)) {
        code = errors_to_c(error, "cannot set Python's path");
    }
    return code;
}

int embed_start(bool exclude_working_directory, struct mite_error *error)
{
    int code = Py_IsInitialized() ? import_module(error) : start_ours(error);
    if (code == 0 && !exclude_working_directory && add_working_directory() != 0) {
        code = errors_to_c(error, "cannot set Python's path");
    }
    return code;
}

void embed_stop(void)
{
    if (ours) {
        ours = false;
        Py_FinalizeEx();
    }
}
