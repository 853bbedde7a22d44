#include "python/module.h"

#include "base/log.h"
#include "cli/cli.h"
#include "python/acurl_module.h"
#include "python/bus.h"
#include "python/config.h"
#include "python/context.h"
#include "python/metrics_page.h"
#include "python/pool_types.h"
#include "python/ready.h"
#include "python/scenario.h"
#include "python/sinks.h"
#include "python/task.h"
#include "python/transaction.h"
#include "python/volume.h"

struct module_state *state;

static const struct {
    const char *module, *name;
} imports[IMPORT_COUNT] = {
    [IMPORT_CANCELLED_ERROR] = {"asyncio.exceptions", "CancelledError"},
    [IMPORT_TASK] = {"asyncio", "Task"},
    [IMPORT_GETLINE] = {"linecache", "getline"},
    [IMPORT_FORMAT_EXCEPTION] = {"traceback", "format_exception"},
    [IMPORT_MITE_ERROR] = {"mite.exceptions", "MiteError"},
    [IMPORT_STOP_VOLUME_MODEL] = {"mite.exceptions", "StopVolumeModel"},
    [IMPORT_DATAPOOL_EXHAUSTED] = {"mite.exceptions", "DataPoolExhausted"},
    [IMPORT_DATAPOOL_EMPTIED] = {"mite.exceptions", "DataPoolEmptied"},
    [IMPORT_REFUSED] = {"mite._host", "Refused"},
    [IMPORT_HINT] = {"mite._host", "hint"},
    [IMPORT_JOURNEY] = {"mite._host", "journey"},
    [IMPORT_CHECKOUT] = {"mite._host", "checkout"},
    [IMPORT_SCENARIO] = {"mite._host", "scenario"},
    [IMPORT_PROCESSOR] = {"mite._host", "processor"},
};

/* Each adds its types; the first ones are used by those that follow. */
static int (*const parts[])(PyObject *module) = {
    ready_exec,  task_exec,     transaction_exec, context_exec, config_exec,       pool_types_exec,
    volume_exec, scenario_exec, sinks_exec,       bus_exec,     acurl_module_exec, metrics_page_exec,
};

PyObject *module_import(enum module_import what)
{
    if (!state->imports[what]) {
        /* Asked for while an exception is being looked at: the import must not lose it. */
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        PyObject *module = PyImport_ImportModule(imports[what].module);                            /* new */
        state->imports[what] = module ? PyObject_GetAttrString(module, imports[what].name) : NULL; /* new, kept */
        Py_XDECREF(module);
        if (type) {
            PyErr_Restore(type, value, traceback); /* steals all three; a failed import's own gives way */
        }
    }
    return state->imports[what];
}

PyTypeObject *module_add_type(PyObject *module, PyType_Spec *spec)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL); /* new */
    if (type && PyModule_AddType(module, type) != 0) {
        Py_CLEAR(type);
    }
    return type;
}

static int make_names(void)
{
#define X(name)                                                                                                        \
    if (!(state->str_##name = PyUnicode_InternFromString(#name))) {                                                    \
        return -1;                                                                                                     \
    }
    MODULE_NAMES(X)
#undef X
    return 0;
}

static int module_exec(PyObject *module)
{
    if (state) {
        PyErr_SetString(PyExc_ImportError, "_mite can be loaded once a process, by one interpreter");
        return -1;
    }
    state = PyModule_GetState(module);
    state->module = module;
    if (make_names() != 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i](module) != 0) {
            return -1;
        }
    }
    return PyModule_AddStringConstant(module, "__version__", MITE_VERSION);
}

/* Every object of the state, for the three walks over it. */
#define STATE_OBJECTS(DO)                                                                                              \
    DO(ready_type)                                                                                                     \
    DO(task_type)                                                                                                      \
    DO(context_type)                                                                                                   \
    DO(transaction_type)                                                                                               \
    DO(item_type)                                                                                                      \
    DO(recyclable_type)                                                                                                \
    DO(iterable_type)                                                                                                  \
    DO(chain_type)                                                                                                     \
    DO(config_type)                                                                                                    \
    DO(sender_type)                                                                                                    \
    DO(sink_type)                                                                                                      \
    DO(done)                                                                                                           \
    DO(current)                                                                                                        \
    DO(journey)                                                                                                        \
    DO(task_kwnames)                                                                                                   \
    DO(loop)                                                                                                           \
    DO(package_root)

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    struct module_state *self = PyModule_GetState(module);
#define VISIT(object) Py_VISIT(self->object);
    STATE_OBJECTS(VISIT)
#undef VISIT
    for (size_t i = 0; i < IMPORT_COUNT; i++) {
        Py_VISIT(self->imports[i]);
    }
    return 0;
}

static int module_clear(PyObject *module)
{
    struct module_state *self = PyModule_GetState(module);
#define CLEAR(object) Py_CLEAR(self->object);
    STATE_OBJECTS(CLEAR)
#undef CLEAR
    for (size_t i = 0; i < IMPORT_COUNT; i++) {
        Py_CLEAR(self->imports[i]);
    }
    return 0;
}

static void module_free(void *module)
{
    struct module_state *self = PyModule_GetState(module);
    acurl_module_clear();
    module_clear(module);
#define X(name) Py_CLEAR(self->str_##name);
    MODULE_NAMES(X)
#undef X
    if (state == self) {
        state = NULL;
    }
}

/* The program, with the interpreter that runs us for its Python. */
static PyObject *run_main(PyObject *module, PyObject *list)
{
    PyObject *words = PySequence_Tuple(list); /* new */
    Py_ssize_t count = words ? PyTuple_GET_SIZE(words) : 0;
    char **argv = words ? PyMem_New(char *, (size_t)count + 1) : NULL;
    PyObject *status = NULL;
    Py_ssize_t i = 0;
    for (; argv && i < count; i++) {
        argv[i] = (char *)PyUnicode_AsUTF8(PyTuple_GET_ITEM(words, i)); /* borrowed from the word */
        if (!argv[i]) {
            break;
        }
    }
    if (argv && i == count) {
        argv[count] = NULL;
        cli_set_python(python_api());
        status = PyLong_FromLong(mite_main((int)count, argv)); /* new */
    } else if (!PyErr_Occurred()) {
        PyErr_NoMemory();
    }
    PyMem_Free(argv);
    Py_XDECREF(words);
    return status;
}

/* For mite._logging. */
static PyObject *py_log_enabled(PyObject *module, PyObject *args)
{
    int level;
    if (!PyArg_ParseTuple(args, "i", &level)) {
        return NULL;
    }
    return PyBool_FromLong(log_enabled((enum log_level)level));
}

static PyObject *py_log_line(PyObject *module, PyObject *args)
{
    int level;
    const char *text;
    if (!PyArg_ParseTuple(args, "is", &level, &text)) {
        return NULL;
    }
    log_line((enum log_level)level, "%s", text);
    Py_RETURN_NONE;
}

static PyMethodDef module_methods[] = {
    {"log_enabled", py_log_enabled, METH_VARARGS, NULL},
    {"log_line", py_log_line, METH_VARARGS, NULL},
    {"main", run_main, METH_O, "main($module, argv, /)\n--\n\nRun the program; the exit status is returned."},
    {NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_mite",
    .m_doc = "What of mite is written in C. Use the packages mite, mite_http and acurl.",
    .m_size = sizeof(struct module_state),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__mite(void)
{
    return PyModuleDef_Init(&module_def);
}
