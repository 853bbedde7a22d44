#include "python/processors.h"

#include "base/buf.h"
#include "python/convert.h"
#include "python/errors.h"
#include "python/spec.h"
#include "value/msgpack.h"

#include <stdlib.h>

struct processor {
    struct sink sink;
    bool raw;          /* wants bytes */
    PyObject *object;  /* the user's */
    PyObject *process; /* bound method */
    char *spec;
};

static PyObject *message_dict(const struct message *message)
{
    struct arena arena;
    struct value value;
    arena_init(&arena, 0);
    PyObject *dict = message_to_value(&arena, message, &value) == 0 ? convert_to_python(&value, CONVERT_LISTS)
                                                                    : PyErr_NoMemory(); /* new */
    arena_done(&arena);
    return dict;
}

static PyObject *message_bytes(const struct message *message)
{
    struct buf bytes;
    buf_init(&bytes, 0);
    message_write(&bytes, message);
    PyObject *object = bytes.failed ? PyErr_NoMemory() : PyBytes_FromStringAndSize(bytes.data, (Py_ssize_t)bytes.size);
    buf_done(&bytes);
    return object;
}

/* Takes the reference of `message` (NULL with an exception). An exception that is already set is not ours: it stays. */
static void process(struct processor *self, PyObject *message)
{
    PyObject *result = message ? PyObject_CallOneArg(self->process, message) : NULL; /* new */
    if (!result) {
        errors_log_once(self->spec, "message processor %s failed", self->spec);
    }
    Py_XDECREF(message);
    Py_XDECREF(result);
}

static void give_dict(struct sink *sink, const struct message *message)
{
    process((struct processor *)sink, message_dict(message));
}

static void give_bytes(struct sink *sink, const struct message *message)
{
    process((struct processor *)sink, message_bytes(message));
}

static PyObject *dict_of(struct str bytes)
{
    struct arena arena;
    struct value value;
    size_t used;
    arena_init(&arena, 0);
    PyObject *dict = NULL; /* new */
    if (msgpack_read(&arena, bytes, &used, &value, NULL) == 0) {
        dict = convert_to_python(&value, CONVERT_LISTS);
    } else {
        PyErr_SetString(PyExc_ValueError, "the message cannot be read");
    }
    arena_done(&arena);
    return dict;
}

void processors_bytes(struct sink *sink, struct str bytes)
{
    struct processor *self = (struct processor *)sink;
    process(self, self->raw ? PyBytes_FromStringAndSize(bytes.p, (Py_ssize_t)bytes.n) : dict_of(bytes));
}

/* A processor with a close() is told of the end. */
static void processor_free(struct sink *sink)
{
    struct processor *self = (struct processor *)sink;
    PyObject *close = self->object ? PyObject_GetAttr(self->object, state->str_close) : NULL; /* new */
    PyObject *result = close ? PyObject_CallNoArgs(close) : NULL;                             /* new */
    if (!result && PyErr_Occurred()) {
        if (close) {
            errors_log_once(self->spec, "message processor %s failed to close", self->spec);
        }
        PyErr_Clear();
    }
    Py_XDECREF(close);
    Py_XDECREF(result);
    Py_XDECREF(self->object);
    Py_XDECREF(self->process);
    free(self->spec);
    free(self);
}

static const struct sink_ops dict_ops = {.name = "processor", .message = give_dict, .free = processor_free};
static const struct sink_ops bytes_ops = {.name = "processor", .message = give_bytes, .free = processor_free};

/* mite._host.processor makes the object and picks its method: (object, method, takes bytes). */
static PyObject *make(PyObject *factory, const struct value *options)
{
    const struct value none = value_nil();
    PyObject *map = convert_to_python(options ? options : &none, CONVERT_LISTS); /* new */
    PyObject *maker = map ? module_import(IMPORT_PROCESSOR) : NULL;              /* borrowed */
    PyObject *made = maker ? PyObject_CallFunctionObjArgs(maker, factory, map, NULL) : NULL;
    Py_XDECREF(map);
    return made;
}

int processors_load(const char *spec, const struct value *options, struct sink **out, struct mite_error *error)
{
    PyObject *factory, *object, *method;
    int raw;
    int code = spec_load("message processor", spec, &factory, error);
    if (code != 0) {
        return code;
    }
    PyObject *made = make(factory, options); /* new */
    Py_DECREF(factory);
    if (!made || !PyArg_ParseTuple(made, "OOp", &object, &method, &raw)) { /* borrowed from made */
        Py_XDECREF(made);
        return spec_error(error, "cannot use message processor \"%s\"", spec);
    }
    struct processor *self = calloc(1, sizeof(*self));
    char *copy = strdup(spec);
    if (self && copy) {
        *self = (struct processor){{raw ? &bytes_ops : &dict_ops}, raw, Py_NewRef(object), Py_NewRef(method), copy};
        *out = &self->sink;
    } else {
        free(self);
        free(copy);
        code = error_set(error, MITE_ENOMEM, "no memory for message processor \"%s\"", spec);
    }
    Py_DECREF(made);
    return code;
}

/* ---- the collector's filter ---- */

bool processors_keeps(void *filter, struct str bytes)
{
    PyObject *object = PyBytes_FromStringAndSize(bytes.p, (Py_ssize_t)bytes.n);         /* new */
    PyObject *result = object ? PyObject_CallOneArg((PyObject *)filter, object) : NULL; /* new */
    int keep = result ? PyObject_IsTrue(result) : -1;
    Py_XDECREF(object);
    Py_XDECREF(result);
    return keep != 0;
}

static bool call_filter(void *arg, struct str bytes)
{
    bool keep = processors_keeps(arg, bytes);
    if (PyErr_Occurred()) {
        errors_log_once("collector filter", "the collector's filter failed, the message is kept");
    }
    return keep;
}

int processors_filter(const char *spec, bool (**filter)(void *arg, struct str bytes), void **arg,
                      struct mite_error *error)
{
    PyObject *function;
    int code = spec_load("collector filter", spec, &function, error);
    if (code != 0) {
        return code;
    }
    if (!PyCallable_Check(function)) {
        code =
            error_set(error, MITE_EINVAL, "cannot use collector filter \"%s\": an object of type %s cannot be called",
                      spec, Py_TYPE(function)->tp_name);
        Py_DECREF(function);
        return code;
    }
    *filter = call_filter;
    *arg = function; /* kept for the life of the process: there is one filter */
    return 0;
}
