#include "python/volume.h"

#include "python/errors.h"

#include <stdlib.h>

/* ---- the DSL ---- */

struct chain {
    PyObject_HEAD
    struct volume_stretch *stretches; /* as written: open ends stay open, for the chain may be joined to others */
    struct volume_stretch *resolved;  /* with ends; NULL before the first call */
    size_t count;
};

static struct chain *chain_set(struct chain *self, const struct volume_stretch *first, size_t first_count,
                               const struct volume_stretch *second, size_t second_count)
{
    struct volume_stretch *stretches = PyMem_New(struct volume_stretch, first_count + second_count);
    if (!stretches) {
        return (struct chain *)PyErr_NoMemory();
    }
    memcpy(stretches, first, first_count * sizeof(*first));
    if (second_count > 0) {
        memcpy(stretches + first_count, second, second_count * sizeof(*second));
    }
    PyMem_Free(self->stretches);
    PyMem_Free(self->resolved);
    self->stretches = stretches;
    self->resolved = NULL;
    self->count = first_count + second_count;
    return self;
}

static int nothing_init(struct chain *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"duration", NULL};
    struct volume_stretch stretch = {.kind = VOLUME_NOTHING};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "d:Nothing", names, &stretch.duration_s)) {
        return -1;
    }
    return chain_set(self, &stretch, 1, NULL, 0) ? 0 : -1;
}

static int constant_init(struct chain *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"duration", "tps", NULL};
    struct volume_stretch stretch = {.kind = VOLUME_CONSTANT, .has_from = true, .has_to = true};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "dd:Constant", names, &stretch.duration_s, &stretch.from)) {
        return -1;
    }
    stretch.to = stretch.from;
    return chain_set(self, &stretch, 1, NULL, 0) ? 0 : -1;
}

/* A number or None. */
static int take_end(PyObject *object, double *out, bool *has)
{
    *has = object != Py_None;
    *out = *has ? PyFloat_AsDouble(object) : 0;
    return *out == -1 && PyErr_Occurred() ? -1 : 0;
}

static int ramp_init(struct chain *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"duration", "to", "frm", NULL};
    struct volume_stretch stretch = {.kind = VOLUME_RAMP};
    PyObject *to = Py_None, *from = Py_None; /* borrowed */
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "d|OO:Ramp", names, &stretch.duration_s, &to, &from) ||
        take_end(to, &stretch.to, &stretch.has_to) != 0 || take_end(from, &stretch.from, &stretch.has_from) != 0) {
        return -1;
    }
    return chain_set(self, &stretch, 1, NULL, 0) ? 0 : -1;
}

static PyObject *chain_add(PyObject *left, PyObject *right)
{
    if (!PyObject_TypeCheck(left, state->chain_type) || !PyObject_TypeCheck(right, state->chain_type)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    struct chain *a = (struct chain *)left, *b = (struct chain *)right;
    struct chain *sum = (struct chain *)state->chain_type->tp_alloc(state->chain_type, 0); /* new */
    if (sum && !chain_set(sum, a->stretches, a->count, b->stretches, b->count)) {
        Py_CLEAR(sum);
    }
    return (PyObject *)sum;
}

static int resolve(struct chain *self)
{
    struct mite_error error = {0};
    struct volume_stretch *resolved = PyMem_New(struct volume_stretch, self->count + 1);
    if (!resolved) {
        PyErr_NoMemory();
        return -1;
    }
    if (self->count > 0) {
        memcpy(resolved, self->stretches, self->count * sizeof(*resolved));
    }
    if (volume_chain_resolve(resolved, self->count, &error) != 0) {
        PyMem_Free(resolved);
        errors_to_python(&error);
        error_done(&error);
        return -1;
    }
    self->resolved = resolved;
    return 0;
}

static PyObject *chain_call(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"start", "end", NULL};
    struct chain *self = (struct chain *)object;
    struct mite_error error = {0};
    double start, end;
    int64_t wanted;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "dd", names, &start, &end) ||
        (!self->resolved && resolve(self) != 0)) {
        return NULL;
    }
    int code = volume_chain_at(self->resolved, self->count, (int64_t)start, (int64_t)end, &wanted, &error);
    if (code == MITE_EEND) {
        PyObject *stop = module_import(IMPORT_STOP_VOLUME_MODEL); /* borrowed */
        if (stop) {
            PyErr_SetNone(stop);
        }
    } else if (code != 0) {
        errors_to_python(&error);
    }
    error_done(&error);
    return code == 0 ? PyLong_FromLongLong(wanted) : NULL;
}

static void chain_dealloc(struct chain *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyMem_Free(self->stretches);
    PyMem_Free(self->resolved);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *chain_not_made(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (type == state->chain_type) {
        PyErr_SetString(PyExc_TypeError, "make a volume model of Nothing, Constant and Ramp, joined with +");
        return NULL;
    }
    return type->tp_alloc(type, 0);
}

PyDoc_STRVAR(chain_doc,
             "Stretches of Nothing, Constant and Ramp, joined with +. Called with the start and the end of a window\n"
             "(seconds since the start) it gives the number of journeys to run at once.");
PyDoc_STRVAR(nothing_doc, "Nothing(duration)\n--\n\nNo journeys for so many seconds.");
PyDoc_STRVAR(constant_doc, "Constant(duration, tps)\n--\n\nSo many journeys at once for so many seconds.");
PyDoc_STRVAR(
    ramp_doc,
    "Ramp(duration, to=None, frm=None)\n--\n\n"
    "From one number of journeys to another within so many seconds. The ends come from the neighbours; `frm` is\n"
    "for a first stretch, `to` for a last one.");

static PyType_Slot chain_slots[] = {
    {Py_tp_doc, (void *)chain_doc}, {Py_tp_new, chain_not_made}, {Py_tp_dealloc, chain_dealloc},
    {Py_tp_call, chain_call},       {Py_nb_add, chain_add},      {0},
};
static PyType_Slot nothing_slots[] = {{Py_tp_doc, (void *)nothing_doc}, {Py_tp_init, nothing_init}, {0}};
static PyType_Slot constant_slots[] = {{Py_tp_doc, (void *)constant_doc}, {Py_tp_init, constant_init}, {0}};
static PyType_Slot ramp_slots[] = {{Py_tp_doc, (void *)ramp_doc}, {Py_tp_init, ramp_init}, {0}};

#define CHAIN_SPEC(called, with)                                                                                       \
    {                                                                                                                  \
        .name = "mite.volume_model." called, .basicsize = sizeof(struct chain),                                        \
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, .slots = with                                               \
    }
static PyType_Spec chain_spec = CHAIN_SPEC("VolumeModel", chain_slots);
static PyType_Spec nothing_spec = CHAIN_SPEC("Nothing", nothing_slots);
static PyType_Spec constant_spec = CHAIN_SPEC("Constant", constant_slots);
static PyType_Spec ramp_spec = CHAIN_SPEC("Ramp", ramp_slots);

static int add_stretch(PyObject *module, PyType_Spec *spec)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, (PyObject *)state->chain_type); /* new */
    int failed = type ? PyModule_AddType(module, (PyTypeObject *)type) : -1;
    Py_XDECREF(type);
    return failed;
}

int volume_exec(PyObject *module)
{
    state->chain_type = module_add_type(module, &chain_spec);
    return state->chain_type && add_stretch(module, &nothing_spec) == 0 && add_stretch(module, &constant_spec) == 0 &&
                   add_stretch(module, &ramp_spec) == 0
               ? 0
               : -1;
}

/* ---- any callable ---- */

struct adapter {
    struct volume_model base;
    PyObject *model;
    char *label; /* owned */
};

/* The result as a number of journeys. */
static int to_number(struct adapter *self, PyObject *result, int64_t *wanted, struct mite_error *error)
{
    PyObject *number = PyUnicode_Check(result) || PyBytes_Check(result) ? NULL : PyNumber_Long(result); /* new */
    int overflow = 0;
    long long value = number ? PyLong_AsLongLongAndOverflow(number, &overflow) : 0;
    Py_XDECREF(number);
    PyErr_Clear();
    if (!number || overflow) {
        PyObject *text = PyObject_Repr(result); /* new */
        const char *utf8 = text ? PyUnicode_AsUTF8(text) : NULL;
        error_set(error, MITE_EINVAL, "the volume model of %s gave %.100s, which is no number of journeys", self->label,
                  utf8 ? utf8 : "something without a repr()");
        PyErr_Clear();
        Py_XDECREF(text);
        return MITE_EINVAL;
    }
    if (value < 0) {
        return error_set(
            error, MITE_EINVAL,
            "the volume model of %s gave %lld journeys: it must give 0 or more (to end it, raise StopVolumeModel)",
            self->label, value);
    }
    *wanted = value;
    return 0;
}

static int at(struct volume_model *model, int64_t start_s, int64_t end_s, int64_t *wanted, struct mite_error *error)
{
    struct adapter *self = (struct adapter *)model;
    PyObject *result = PyObject_CallFunction(self->model, "LL", (long long)start_s, (long long)end_s); /* new */
    if (result) {
        int code = to_number(self, result, wanted, error);
        Py_DECREF(result);
        return code;
    }
    PyObject *stop = module_import(IMPORT_STOP_VOLUME_MODEL); /* borrowed */
    if (stop && PyErr_ExceptionMatches(stop)) {
        PyErr_Clear();
        return MITE_EEND;
    }
    return errors_to_c(error, "the volume model of %s failed", self->label);
}

static void adapter_free(struct volume_model *model)
{
    struct adapter *self = (struct adapter *)model;
    Py_DECREF(self->model);
    free(self->label);
    free(self);
}

static const struct volume_model_ops ops = {.at = at, .free = adapter_free};

/* An integer attribute of mite's own callables, `fallback` for all others. */
static int64_t hint(PyObject *object, const char *name, int64_t fallback)
{
    PyObject *value = PyObject_GetAttrString(object, name); /* new */
    int64_t number = value && PyLong_Check(value) ? PyLong_AsLongLong(value) : fallback;
    PyErr_Clear();
    Py_XDECREF(value);
    return number;
}

int volume_adapt(PyObject *object, const char *label, struct volume_model **out, struct mite_error *error)
{
    if (PyObject_TypeCheck(object, state->chain_type)) {
        struct chain *chain = (struct chain *)object;
        int code = volume_chain_new(chain->stretches, chain->count, out, error);
        return code == 0 ? 0 : error_prefix(error, "the volume model of %s", label);
    }
    if (!PyCallable_Check(object)) {
        return error_set(error, MITE_EINVAL,
                         "the volume model of %s is of type %s: it must be a function of a window's start and end",
                         label, Py_TYPE(object)->tp_name);
    }
    struct adapter *self = calloc(1, sizeof(*self));
    char *copy = strdup(label);
    if (!self || !copy) {
        free(self);
        free(copy);
        return error_set(error, MITE_ENOMEM, "no memory for the volume model of %s", label);
    }
    self->base = (struct volume_model){
        .ops = &ops,
        .duration_s = hint(object, "_mite_duration", -1),
        .max_starts = hint(object, "_mite_max_starts", -1),
        .stops_scenario = hint(object, "_mite_stops_scenario", 0) != 0,
    };
    self->model = Py_NewRef(object);
    self->label = copy;
    *out = &self->base;
    return 0;
}
