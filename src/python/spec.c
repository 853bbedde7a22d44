#include "python/spec.h"

#include "python/errors.h"
#include "runner/loader_compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* True when it was `module` or a package around it that could not be found, not one that it imports. */
static bool is_missing(PyObject *exception, struct str module)
{
    if (!PyErr_GivenExceptionMatches(exception, PyExc_ModuleNotFoundError)) {
        return false;
    }
    PyObject *name = PyObject_GetAttr(exception, state->str_name);                       /* new */
    const char *missing = name && PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : NULL; /* borrowed from name */
    size_t length = missing ? strlen(missing) : 0;
    bool same = missing && length <= module.n && memcmp(missing, module.p, length) == 0 &&
                (length == module.n || module.p[length] == '.');
    PyErr_Clear();
    Py_XDECREF(name);
    return same;
}

/* Ctrl-C while code of the user's ran before the load. */
static bool is_interrupt(PyObject *exception)
{
    return PyErr_GivenExceptionMatches(exception, PyExc_KeyboardInterrupt);
}

/* A journey in C that was named like one in Python, as a question; "" when there is no such file (".c", ".so"). */
static void suggest_file(char *out, size_t size, const char *spec, struct str module, const char *suffix)
{
    char path[256];
    int n = snprintf(path, sizeof(path), "./" STR_FMT "%s", STR_ARG(module), suffix);
    out[0] = '\0';
    if (n > 0 && (size_t)n < sizeof(path) && access(path, F_OK) == 0) {
        snprintf(out, size, " (did you mean \"%s%s\"?)", path + (suffix[1] == 'c' ? 2 : 0), spec + module.n);
    }
}

/* A source in C++ where a module is expected. */
static int check_language(const char *what, const char *spec, struct str module, struct mite_error *error)
{
    char path[256];
    int n = snprintf(path, sizeof(path), STR_FMT, STR_ARG(module));
    bool is_file = n > 0 && (size_t)n < sizeof(path) && access(path, F_OK) == 0;
    int code = is_file ? compile_check_language(module, error) : 0;
    return code < 0 ? error_prefix(error, "cannot load %s \"%s\"", what, spec) : 0;
}

/* Whether the module is a shared library that is none of Python's: of journeys in C, most often. */
static bool is_other_library(PyObject *exception)
{
    PyObject *text =
        PyErr_GivenExceptionMatches(exception, PyExc_ImportError) ? PyObject_Str(exception) : NULL; /* new */
    const char *words = text ? PyUnicode_AsUTF8(text) : NULL;
    bool other = words && strstr(words, "(PyInit_");
    PyErr_Clear();
    Py_XDECREF(text);
    return other;
}

/* A path where a module is expected, as a question: "load/shop.py:visit" is "load.shop:visit". */
static void suggest_module(char *out, size_t size, const char *spec, struct str module)
{
    struct str name = module;
    if (name.n > 2 && memcmp(name.p, "./", 2) == 0) {
        name = (struct str){name.p + 2, name.n - 2};
    }
    if (name.n > 3 && memcmp(name.p + name.n - 3, ".py", 3) == 0) {
        name.n -= 3;
    }
    out[0] = '\0';
    if (name.p[0] != '.' && name.p[0] != '/' && (name.n < module.n || memchr(name.p, '/', name.n))) {
        snprintf(out, size, " (did you mean \"" STR_FMT "%s\"?)", STR_ARG(name), spec + module.n);
        for (char *at = strchr(out, '/'); at; at = strchr(at, '/')) {
            *at = '.';
        }
    }
}

static int import_error(const char *what, const char *spec, struct str module, struct mite_error *error)
{
    PyObject *exception = errors_take(); /* new */
    if (is_interrupt(exception)) {
        Py_DECREF(exception);
        return error_set(error, MITE_ECANCELLED, "interrupted while %s \"%s\" was loaded", what, spec);
    }
    if (check_language(what, spec, module, error) < 0) {
        Py_DECREF(exception);
        return MITE_EINVAL;
    }
    if (is_missing(exception, module)) {
        PyObject *name = PyObject_GetAttr(exception, state->str_name); /* new: a str */
        char source[512];
        suggest_module(source, sizeof(source), spec, module);
        if (!source[0]) {
            suggest_file(source, sizeof(source), spec, module, ".c");
        }
        int code = error_set(error, MITE_ENOTFOUND,
                             "cannot load %s \"%s\": there is no module \"%s\" in this directory or on "
                             "Python's path (PYTHONPATH adds to it)%s",
                             what, spec, PyUnicode_AsUTF8(name), source);
        Py_DECREF(name);
        Py_DECREF(exception);
        return code;
    }
    if (is_other_library(exception)) {
        char library[512];
        suggest_file(library, sizeof(library), spec, module, ".so");
        if (library[0]) {
            Py_DECREF(exception);
            return error_set(error, MITE_ENOTFOUND,
                             "cannot load %s \"%s\": the library " STR_FMT ".so in this directory is no module of "
                             "Python's%s",
                             what, spec, STR_ARG(module), library);
        }
    }
    errors_put(exception);
    return errors_to_c(error, "cannot load %s \"%s\": importing " STR_FMT " failed", what, spec, STR_ARG(module));
}

/* The module's name that is nearest, as a question; "" when none is near. */
static int name_error(const char *what, const char *spec, PyObject *module, struct str module_name, const char *name,
                      struct mite_error *error)
{
    PyObject *names = PyObject_Dir(module); /* new: a list */
    Py_ssize_t count = names ? PyList_GET_SIZE(names) : 0;
    const char **texts = calloc((size_t)count + 1, sizeof(*texts));
    size_t known = 0;
    for (Py_ssize_t i = 0; texts && i < count; i++) {
        texts[known] = PyUnicode_AsUTF8(PyList_GET_ITEM(names, i)); /* borrowed from the list's item */
        known += texts[known] != NULL;
    }
    PyErr_Clear();
    const char *nearest = texts ? str_nearest(name, texts, known) : NULL;
    int code = error_set(error, MITE_ENOTFOUND, "cannot load %s \"%s\": module " STR_FMT " has no \"%s\"%s%s%s", what,
                         spec, STR_ARG(module_name), name, nearest ? " (did you mean \"" : "", nearest ? nearest : "",
                         nearest ? "\"?)" : "");
    free(texts);
    Py_XDECREF(names);
    return code;
}

int spec_load(const char *what, const char *spec, PyObject **out, struct mite_error *error)
{
    struct str module_name, name;
    int code = spec_split(spec, &module_name, &name, error);
    if (code != 0) {
        return code;
    }
    PyObject *path = PyUnicode_FromStringAndSize(module_name.p, (Py_ssize_t)module_name.n); /* new */
    PyObject *module = path ? PyImport_Import(path) : NULL;                                 /* new */
    Py_XDECREF(path);
    if (!module) {
        return import_error(what, spec, module_name, error);
    }
    PyObject *object = PyObject_GetAttrString(module, name.p); /* new; the name ends where the spec does */
    if (!object && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        code = name_error(what, spec, module, module_name, name.p, error);
    } else if (!object) {
        code = errors_to_c(error, "cannot load %s \"%s\"", what, spec);
    }
    Py_DECREF(module);
    if (object) {
        *out = object;
    }
    return code;
}

int spec_error(struct mite_error *error, const char *format, ...)
{
    PyObject *exception = errors_take(); /* new */
    PyObject *refused = module_import(IMPORT_REFUSED);
    bool is_refused = refused && PyErr_GivenExceptionMatches(exception, refused);
    char what[256];
    va_list args;

    PyErr_Clear();
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    if (is_interrupt(exception)) {
        Py_DECREF(exception);
        return error_set(error, MITE_ECANCELLED, "%s: interrupted", what);
    }
    if (!is_refused) {
        errors_put(exception);
        return errors_to_c(error, "%s", what);
    }
    PyObject *text = PyObject_Str(exception); /* new */
    const char *utf8 = text ? PyUnicode_AsUTF8(text) : NULL;
    int code = error_set(error, MITE_EINVAL, "%s: %s", what, utf8 ? utf8 : "?");
    PyErr_Clear();
    Py_XDECREF(text);
    Py_DECREF(exception);
    return code;
}
