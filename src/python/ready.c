#include "python/ready.h"

struct ready {
    PyObject_HEAD
    PyObject *value;
};

PyObject *ready_new(PyObject *value)
{
    struct ready *self = PyObject_GC_New(struct ready, state->ready_type);
    if (!self) {
        return NULL;
    }
    self->value = Py_NewRef(value);
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

PyObject *ready_value(PyObject *object)
{
    return Py_IS_TYPE(object, state->ready_type) ? ((struct ready *)object)->value : NULL;
}

static int ready_traverse(struct ready *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->value);
    return 0;
}

static int ready_clear(struct ready *self)
{
    Py_CLEAR(self->value);
    return 0;
}

static void ready_dealloc(struct ready *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    ready_clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyObject *ready_self(PyObject *self)
{
    return Py_NewRef(self);
}

static PySendResult am_send(PyObject *self, PyObject *sent, PyObject **result)
{
    *result = Py_NewRef(((struct ready *)self)->value);
    return PYGEN_RETURN;
}

/* The value of a StopIteration is its first argument: wrapped in a call, a tuple stays one value. */
static PyObject *ready_stop(PyObject *self, PyObject *sent)
{
    PyObject *value = ((struct ready *)self)->value;
    PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, value); /* new */
    if (stop) {
        PyErr_SetObject(PyExc_StopIteration, stop);
        Py_DECREF(stop);
    }
    return NULL;
}

static PyObject *ready_next(PyObject *self)
{
    return ready_stop(self, NULL);
}

static PyObject *ready_throw(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count < 1 || count > 3) {
        return PyErr_Format(PyExc_TypeError, "throw() takes 1 to 3 arguments, not %zd", count);
    }
    if (PyExceptionInstance_Check(args[0])) {
        PyErr_SetObject((PyObject *)Py_TYPE(args[0]), args[0]);
    } else {
        PyErr_SetObject(args[0], count > 1 ? args[1] : NULL);
    }
    return NULL;
}

static PyObject *ready_close(PyObject *self, PyObject *unused)
{
    Py_RETURN_NONE;
}

static PyMethodDef ready_methods[] = {
    {"send", ready_stop, METH_O, NULL},
    {"throw", (PyCFunction)(void (*)(void))ready_throw, METH_FASTCALL, NULL},
    {"close", ready_close, METH_NOARGS, NULL},
    {NULL},
};

static PyType_Slot ready_slots[] = {
    {Py_tp_doc, "An awaitable that is over: await gives its value at once."},
    {Py_tp_dealloc, ready_dealloc},
    {Py_tp_traverse, ready_traverse},
    {Py_tp_clear, ready_clear},
    {Py_am_await, ready_self},
    {Py_am_send, am_send},
    {Py_tp_iter, ready_self},
    {Py_tp_iternext, ready_next},
    {Py_tp_methods, ready_methods},
    {0},
};

static PyType_Spec ready_spec = {
    .name = "_mite.Ready",
    .basicsize = sizeof(struct ready),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = ready_slots,
};

int ready_exec(PyObject *module)
{
    state->ready_type = module_add_type(module, &ready_spec);
    if (!state->ready_type) {
        return -1;
    }
    state->done = ready_new(Py_None);
    return state->done ? 0 : -1;
}
