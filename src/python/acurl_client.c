#include "python/acurl_client.h"

#include "python/acurl_loop.h"
#include "python/acurl_session.h"
#include "python/errors.h"

static struct {
    struct http_client *client; /* owned */
    PyObject *create_future;    /* bound method of the loop */
    struct dependent *dependents;
    struct http_counts before; /* of the clients that are gone */
} process;

void acurl_client_add(struct dependent *dependent, void (*drop)(struct dependent *self))
{
    dependent->drop = drop;
    dependent->next = process.dependents;
    dependent->link = &process.dependents;
    if (dependent->next) {
        dependent->next->link = &dependent->next;
    }
    process.dependents = dependent;
}

void acurl_client_remove(struct dependent *dependent)
{
    *dependent->link = dependent->next;
    if (dependent->next) {
        dependent->next->link = dependent->link;
    }
}

static int start(void)
{
    struct mite_error error = {0};
    struct http_client_options defaults = {0};
    const struct http_client_options *options = state->http_options ? state->http_options : &defaults;

    process.create_future = PyObject_GetAttr(acurl_loop_host(), acurl.str_create_future); /* new */
    if (!process.create_future) {
        return -1;
    }
    if (http_client_new(acurl_loop_engine(), options, &process.client, &error) < 0) {
        Py_CLEAR(process.create_future);
        errors_to_python(&error);
        error_done(&error);
        return -1;
    }
    return 0;
}

struct http_client *acurl_client(PyObject *loop)
{
    if (process.client && state->loop && (!loop || loop == state->loop)) { /* inside mite */
        return process.client;
    }
    if (acurl_loop_enter(loop) < 0 || (!process.client && start() < 0)) {
        return NULL;
    }
    return process.client;
}

PyObject *acurl_client_future(void)
{
    return PyObject_CallNoArgs(process.create_future);
}

void acurl_client_stop(void)
{
    while (process.dependents) {
        process.dependents->drop(process.dependents);
    }
    acurl_client_counts(&process.before);
    http_client_free(process.client);
    process.client = NULL;
    Py_CLEAR(process.create_future);
}

void acurl_client_counts(struct http_counts *out)
{
    struct http_counts now = {0};
    if (process.client) {
        http_client_counts(process.client, &now);
    }
    *out = (struct http_counts){
        .started = process.before.started + now.started,
        .responses = process.before.responses + now.responses,
        .native = process.before.native + now.native,
        .failed = process.before.failed + now.failed,
        .aborted = process.before.aborted + now.aborted,
        .connections = process.before.connections + now.connections,
        .received_bytes = process.before.received_bytes + now.received_bytes,
    };
}

/* ---- CurlWrapper ---- */

struct wrapper {
    PyObject_HEAD
    PyObject *loop;
};

static PyObject *wrapper_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"loop", NULL};
    PyObject *loop; /* borrowed */
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:CurlWrapper", names, &loop)) {
        return NULL;
    }
    if (!PyObject_HasAttr(loop, acurl.str_create_future)) {
        return PyErr_Format(PyExc_ValueError, "loop must be an asyncio event loop, not %.200s", Py_TYPE(loop)->tp_name);
    }
    struct wrapper *self = (struct wrapper *)type->tp_alloc(type, 0); /* new */
    if (self) {
        self->loop = Py_NewRef(loop);
    }
    return (PyObject *)self;
}

PyDoc_STRVAR(session_doc,
             "session($self, /)\n--\n\nA new session: a cookie jar of its own, connections shared by all.");

static PyObject *wrapper_session(struct wrapper *self, PyObject *unused)
{
    return (PyObject *)session_new(self->loop);
}

static int wrapper_traverse(struct wrapper *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->loop);
    return 0;
}

static int wrapper_clear(struct wrapper *self)
{
    Py_CLEAR(self->loop);
    return 0;
}

static void wrapper_dealloc(struct wrapper *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    wrapper_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef wrapper_methods[] = {
    {"session", (PyCFunction)wrapper_session, METH_NOARGS, session_doc},
    {NULL},
};

PyDoc_STRVAR(wrapper_doc, "CurlWrapper(loop)\n--\n\nThe HTTP client of this process on an asyncio loop.");

static PyType_Slot wrapper_slots[] = {
    {Py_tp_doc, (void *)wrapper_doc},
    {Py_tp_new, wrapper_new},
    {Py_tp_dealloc, wrapper_dealloc},
    {Py_tp_traverse, wrapper_traverse},
    {Py_tp_clear, wrapper_clear},
    {Py_tp_methods, wrapper_methods},
    {0},
};

static PyType_Spec wrapper_spec = {
    .name = "acurl.CurlWrapper",
    .basicsize = sizeof(struct wrapper),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = wrapper_slots,
};

PyTypeObject *acurl_client_type(PyObject *module)
{
    return module_add_type(module, &wrapper_spec);
}
