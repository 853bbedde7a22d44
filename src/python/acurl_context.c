#include "python/acurl_context.h"

#include "python/acurl_client.h"
#include "python/acurl_loop.h"
#include "python/acurl_session.h"
#include "python/context.h"

static PyObject *context_session(struct py_context *context)
{
    return (PyObject *)session_for_context(context->context);
}

static const struct context_http hooks = {
    .session = context_session,
    .counts = acurl_client_counts,
    .detach = acurl_client_stop,
};

/* A session for any object that is used as a context: a stranger's sends no messages. New reference. */
static PyObject *session_for(PyObject *context)
{
    if (PyObject_TypeCheck(context, state->context_type)) {
        return context_session((struct py_context *)context);
    }
    PyObject *running = acurl_import(ACURL_GET_RUNNING_LOOP);        /* borrowed */
    PyObject *loop = running ? PyObject_CallNoArgs(running) : NULL;  /* new */
    PyObject *session = loop ? (PyObject *)session_new(loop) : NULL; /* new */
    Py_XDECREF(loop);
    return session;
}

/* ctx.http as it is, without making one: new reference, None when there is none. */
static PyObject *present_session(PyObject *context)
{
    if (PyObject_TypeCheck(context, state->context_type)) {
        PyObject *present = ((struct py_context *)context)->http; /* borrowed */
        return Py_NewRef(present ? present : Py_None);
    }
    PyObject *present = PyObject_GetAttr(context, acurl.str_http); /* new */
    if (!present && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        return Py_NewRef(Py_None);
    }
    return present;
}

/* Of a Context its own slot, past what a subclass makes of the attribute. NULL takes it away. */
static int put_session(PyObject *context, PyObject *session)
{
    if (PyObject_TypeCheck(context, state->context_type)) {
        Py_XSETREF(((struct py_context *)context)->http, Py_XNewRef(session));
        return 0;
    }
    return PyObject_SetAttr(context, acurl.str_http, session);
}

PyDoc_STRVAR(push_doc, "push_session(context, /)\n--\n\n"
                       "Put a fresh session on context.http; returns what was there, or None.");

static PyObject *push_session(PyObject *module, PyObject *context)
{
    PyObject *before = present_session(context);              /* new */
    PyObject *session = before ? session_for(context) : NULL; /* new */
    if (!session || put_session(context, session) < 0) {
        Py_CLEAR(before);
    }
    Py_XDECREF(session);
    return before;
}

PyDoc_STRVAR(pop_doc, "pop_session(context, before, /)\n--\n\nPut back what push_session() returned.");

static PyObject *pop_session(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        return PyErr_Format(PyExc_TypeError, "pop_session() takes a context and what was there, got %zd arguments",
                            count);
    }
    PyObject *before = args[1] == Py_None ? NULL : args[1];
    if (put_session(args[0], before) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"push_session", push_session, METH_O, push_doc},
    {"pop_session", (PyCFunction)(void (*)(void))pop_session, METH_FASTCALL, pop_doc},
    {NULL},
};

int acurl_context_exec(PyObject *module)
{
    context_set_http(&hooks);
    return PyModule_AddFunctions(module, functions);
}
