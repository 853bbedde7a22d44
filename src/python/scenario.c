#include "python/scenario.h"

#include "base/clock.h"
#include "python/config.h"
#include "python/convert.h"
#include "python/datapools.h"
#include "python/errors.h"
#include "python/spec.h"
#include "python/volume.h"

/* ---- sender ---- */

static struct sink *sink; /* borrowed; NULL outside of a run */

void scenario_set_sender(struct sink *where)
{
    sink = where;
}

static PyObject *sender_send(PyObject *object, PyObject *dict)
{
    struct mite_error error = {0};
    struct message_origin origin;
    struct message message;
    struct arena arena;
    struct value map;
    int code = -1;

    if (!PyDict_Check(dict)) {
        return PyErr_Format(PyExc_TypeError, "a message is a dict, not %.200s", Py_TYPE(dict)->tp_name);
    }
    arena_init(&arena, 0);
    struct field *fields = arena_alloc(&arena, ((size_t)PyDict_GET_SIZE(dict) + 1) * sizeof(*fields));
    if (!fields) {
        PyErr_NoMemory();
    } else if (convert_to_value(dict, "message", &arena, &map) == 0) {
        code = message_from_value(&arena, &message, &origin, fields, &map, &error);
        if (code != 0) {
            errors_to_python(&error);
        } else if (message.time == 0) {
            message.time = clock_wall_s();
        }
    }
    if (code == 0 && sink) {
        sink_message(sink, &message);
    }
    arena_done(&arena);
    error_done(&error);
    return code == 0 && !PyErr_Occurred() ? Py_NewRef(Py_None) : NULL;
}

static void sender_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef sender_methods[] = {
    {"send", sender_send, METH_O, "send($self, message, /)\n--\n\nSend a message: a dict with a type."},
    {NULL},
};

static PyType_Slot sender_slots[] = {
    {Py_tp_doc, "Sends messages as the scenario, not as a journey."},
    {Py_tp_dealloc, sender_dealloc},
    {Py_tp_methods, sender_methods},
    {0},
};

static PyType_Spec sender_spec = {
    .name = "mite.scenario.Sender",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = sender_slots,
};

int scenario_exec(PyObject *module)
{
    state->sender_type = module_add_type(module, &sender_spec);
    return state->sender_type ? 0 : -1;
}

/* ---- items ---- */

static int wrong_item(const char *spec, Py_ssize_t number, PyObject *item, const char *what, struct mite_error *error)
{
    PyObject *text = PyObject_Repr(item); /* new */
    const char *utf8 = text ? PyUnicode_AsUTF8(text) : NULL;
    error_set(error, MITE_EINVAL, "item %zd of scenario \"%s\" %s: %.100s", number, spec, what, utf8 ? utf8 : "?");
    PyErr_Clear();
    Py_XDECREF(text);
    return MITE_EINVAL;
}

static int add_item(struct scenario *out, const char *spec, Py_ssize_t number, PyObject *item, PyObject *config,
                    struct mite_error *error)
{
    if ((!PyTuple_Check(item) && !PyList_Check(item)) || PySequence_Fast_GET_SIZE(item) != 3) {
        return wrong_item(spec, number, item, "is not a triplet (journey spec, datapool or None, volume model)", error);
    }
    PyObject *journey = PySequence_Fast_GET_ITEM(item, 0), *data = PySequence_Fast_GET_ITEM(item, 1),
             *volume = PySequence_Fast_GET_ITEM(item, 2); /* borrowed */
    const char *journey_spec = PyUnicode_Check(journey) ? PyUnicode_AsUTF8(journey) : NULL;
    if (!journey_spec) {
        PyErr_Clear();
        return wrong_item(spec, number, item, "does not begin with a journey's spec, a text \"module:name\"", error);
    }
    struct volume_model *model = NULL;
    struct datapool *pool = NULL;
    int code = volume_adapt(volume, journey_spec, &model, error);
    if (code == 0 && data != Py_None) {
        char label[256];
        snprintf(label, sizeof(label), "the datapool of %s", journey_spec);
        code = datapools_adapt(data, label, config, &pool, error);
    }
    if (code == 0) {
        code = scenario_add(out, journey_spec, pool, model, error);
    } else if (code == MITE_EINVAL) {
        error_prefix(error, "item %zd of scenario \"%s\"", number, spec);
    }
    if (code != 0) {
        datapool_unref(pool);
        volume_model_free(model);
    }
    return code;
}

static int add_items(struct scenario *out, const char *spec, PyObject *items, PyObject *config,
                     struct mite_error *error)
{
    int code = scenario_init(out, spec);
    if (code != 0) {
        return error_set(error, code, "no memory for scenario \"%s\"", spec);
    }
    for (Py_ssize_t i = 0; code == 0 && i < PyList_GET_SIZE(items); i++) {
        code = add_item(out, spec, i + 1, PyList_GET_ITEM(items, i), config, error); /* borrowed */
    }
    if (code != 0) {
        scenario_done(out);
    }
    return code;
}

int scenario_load(const char *spec, struct config *config, struct sink *sender, struct scenario *out,
                  struct mite_error *error)
{
    PyObject *function;
    int code = spec_load("scenario", spec, &function, error);
    if (code != 0) {
        return code;
    }
    config_set_source(config);
    scenario_set_sender(sender);
    PyObject *manager = config_manager();                                                              /* new */
    PyObject *object = state->sender_type->tp_alloc(state->sender_type, 0);                            /* new */
    PyObject *run = manager && object ? module_import(IMPORT_SCENARIO) : NULL;                         /* borrowed */
    PyObject *items = run ? PyObject_CallFunctionObjArgs(run, function, manager, object, NULL) : NULL; /* new: a list */
    code = items ? add_items(out, spec, items, manager, error) : spec_error(error, "cannot use scenario \"%s\"", spec);
    Py_DECREF(function);
    Py_XDECREF(manager);
    Py_XDECREF(object);
    Py_XDECREF(items);
    return code;
}
