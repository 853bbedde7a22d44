#include "python/config.h"

#include "python/convert.h"
#include "python/errors.h"

struct manager {
    PyObject_HEAD
    bool of_run; /* it is the run's configuration, not its own */
    struct config own;
    PyObject *told; /* runner id → version of the newest change it was told */
};

static struct config *source;
static PyObject *shared;        /* the dict; owned */
static uint64_t shared_version; /* of the source when the dict was filled */

void config_set_source(struct config *config)
{
    source = config;
    shared_version = 0;
    Py_CLEAR(shared);
}

/* The entries changed after `version`, in the dict. */
static int copy_changes(const struct config *config, uint64_t version, PyObject *dict)
{
    struct map_entry *entry;
    for (uint32_t i = 0; (entry = map_next(&config->entries, &i));) {
        const struct config_entry *change = entry->value;
        if (change->version <= version) {
            continue;
        }
        PyObject *key = PyUnicode_DecodeUTF8(entry->key.p, (Py_ssize_t)entry->key.n, "replace"); /* new */
        PyObject *value = key ? convert_to_python(&change->value, CONVERT_LISTS) : NULL;         /* new */
        int failed = value ? PyDict_SetItem(dict, key, value) : -1;
        Py_XDECREF(key);
        Py_XDECREF(value);
        if (failed) {
            return -1;
        }
    }
    return 0;
}

PyObject *config_shared(void)
{
    if (!shared && !(shared = PyDict_New())) {
        return NULL;
    }
    if (source && source->version != shared_version) {
        if (copy_changes(source, shared_version, shared) != 0) {
            return NULL;
        }
        shared_version = source->version;
    }
    return Py_NewRef(shared);
}

static int config_put(struct config *config, PyObject *key, PyObject *object)
{
    struct arena arena;
    struct value value;
    struct str name = convert_str(key, "a configuration key");
    if (!name.p) {
        return -1;
    }
    arena_init(&arena, 0);
    int failed = convert_to_value(object, name.p, &arena, &value);
    if (!failed && config_set(config, name, &value) != 0) {
        PyErr_NoMemory();
        failed = -1;
    }
    arena_done(&arena);
    return failed;
}

int config_take_dict(struct config *config, PyObject *dict)
{
    PyObject *key, *value; /* borrowed */
    for (Py_ssize_t at = 0; PyDict_Next(dict, &at, &key, &value);) {
        if (config_put(config, key, value) != 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- ConfigManager ---- */

static PyObject *manager_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    struct manager *self = (struct manager *)type->tp_alloc(type, 0); /* new, zeroed */
    if (self) {
        config_init(&self->own);
        self->told = PyDict_New(); /* new */
        if (!self->told) {
            Py_CLEAR(self);
        }
    }
    return (PyObject *)self;
}

PyObject *config_manager(void)
{
    struct manager *self = (struct manager *)manager_new(state->config_type, NULL, NULL);
    if (self) {
        self->of_run = true;
    }
    return (PyObject *)self;
}

static struct config *config_of(struct manager *self)
{
    return self->of_run && source ? source : &self->own;
}

static PyObject *manager_get(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"key", "default", NULL};
    PyObject *key, *fallback = Py_None; /* borrowed */
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:get", names, &key, &fallback)) {
        return NULL;
    }
    struct str name = convert_str(key, "a configuration key");
    if (!name.p) {
        return NULL;
    }
    const struct value *value = config_get(config_of((struct manager *)self), name);
    return value ? convert_to_python(value, CONVERT_LISTS) : Py_NewRef(fallback);
}

static PyObject *manager_set(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"key", "value", NULL};
    PyObject *key, *value; /* borrowed */
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO:set", names, &key, &value) ||
        config_put(config_of((struct manager *)self), key, value) != 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* A list of [key, value] of what changed since this runner was last told. */
static PyObject *manager_changes(PyObject *object, PyObject *runner)
{
    struct manager *self = (struct manager *)object;
    PyObject *seen = PyDict_GetItemWithError(self->told, runner); /* borrowed */
    uint64_t version = seen ? PyLong_AsUnsignedLongLong(seen) : 0;
    if (PyErr_Occurred()) {
        return NULL;
    }
    PyObject *changed = PyDict_New(), *pairs = NULL, *list = NULL, *now = NULL; /* new */
    if (changed && copy_changes(config_of(self), version, changed) == 0) {
        now = PyLong_FromUnsignedLongLong(config_of(self)->version); /* new */
        pairs = PyDict_Items(changed);                               /* new: a list of tuples */
    }
    if (now && pairs && PyDict_SetItem(self->told, runner, now) == 0) {
        list = pairs;
        pairs = NULL;
    }
    Py_XDECREF(changed);
    Py_XDECREF(now);
    Py_XDECREF(pairs);
    return list;
}

static PyObject *manager_subscript(PyObject *object, PyObject *key)
{
    struct manager *self = (struct manager *)object;
    struct str name = convert_str(key, "a configuration key");
    const struct value *value = name.p ? config_get(config_of(self), name) : NULL;
    if (!value && !PyErr_Occurred()) {
        PyErr_SetObject(PyExc_KeyError, key);
    }
    return value ? convert_to_python(value, CONVERT_LISTS) : NULL;
}

static int manager_contains(PyObject *object, PyObject *key)
{
    struct manager *self = (struct manager *)object;
    struct str name = convert_str(key, "a configuration key");
    return name.p ? config_get(config_of(self), name) != NULL : -1;
}

static int manager_traverse(struct manager *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->told);
    return 0;
}

static int manager_clear(struct manager *self)
{
    Py_CLEAR(self->told);
    return 0;
}

static void manager_dealloc(struct manager *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    manager_clear(self);
    config_done(&self->own);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(get_doc, "get($self, key, default=None)\n--\n\nThe value of a key.");
PyDoc_STRVAR(set_doc,
             "set($self, key, value)\n--\n\nSet a key; runners learn of it. The value must be one that msgpack "
             "carries.");
PyDoc_STRVAR(changes_doc, "get_changes_for_runner($self, runner_id, /)\n--\n\n"
                          "A list of (key, value): what has changed since this runner was last told.");

static PyMethodDef manager_methods[] = {
    {"get", (PyCFunction)(void (*)(void))manager_get, METH_VARARGS | METH_KEYWORDS, get_doc},
    {"set", (PyCFunction)(void (*)(void))manager_set, METH_VARARGS | METH_KEYWORDS, set_doc},
    {"get_changes_for_runner", manager_changes, METH_O, changes_doc},
    {NULL},
};

static PyType_Slot manager_slots[] = {
    {Py_tp_doc, "ConfigManager()\n--\n\nKey/value configuration that controller and runners share."},
    {Py_tp_new, manager_new},
    {Py_tp_dealloc, manager_dealloc},
    {Py_tp_traverse, manager_traverse},
    {Py_tp_clear, manager_clear},
    {Py_tp_methods, manager_methods},
    {Py_mp_subscript, manager_subscript},
    {Py_sq_contains, manager_contains},
    {0},
};

static PyType_Spec manager_spec = {
    .name = "mite.config.ConfigManager",
    .basicsize = sizeof(struct manager),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = manager_slots,
};

int config_exec(PyObject *module)
{
    state->config_type = module_add_type(module, &manager_spec);
    return state->config_type ? 0 : -1;
}
