/*
 * Design notes. The wrapper is a coroutine by shape (await, send, throw, close), which is all that asyncio.Task asks
 * for. It owns the asyncio.Task and the task owns it: the loop of references is cut at the end, or by the collector.
 * Once `inner` is NULL the coroutine is over and `done` has been called or will never be.
 *
 * An asyncio.Task costs as much as a short journey. So a journey that is started while another one's `done` runs goes
 * on in its place: in the same asyncio.Task and at once, while all that it needs is still in the cache. What is each
 * journey's own, its context variables, the wrapper enters around each step. It stays out where somebody could tell the
 * difference: behind an exception, in a task that was cancelled or whose end somebody waits for. And one that came to
 * its end without ever having waited makes no place, or others would never have their turn.
 */
#include "python/task.h"

#include "python/errors.h"

struct task {
    PyObject_HEAD
    PyObject *inner;     /* the user's coroutine or iterator */
    PyObject *task;      /* asyncio.Task */
    PyObject *name;      /* its name */
    PyObject *variables; /* what the steps run among; NULL: those of the asyncio.Task */
    task_done *done;
    void *arg;
    struct context *journey; /* borrowed; NULL: it is none */
};

/* Borrowed: whose journey is just ending, and leaves its place to another; NULL: none. */
static struct task *vacant;

/* What can be sent to: a coroutine itself, or the iterator behind __await__. New reference. */
static PyObject *iterator_of(PyObject *awaitable)
{
    if (PyCoro_CheckExact(awaitable)) {
        return Py_NewRef(awaitable);
    }
    PyAsyncMethods *async = Py_TYPE(awaitable)->tp_as_async;
    if (!async || !async->am_await) {
        return PyErr_Format(PyExc_TypeError, "%.200s is no awaitable", Py_TYPE(awaitable)->tp_name);
    }
    return async->am_await(awaitable);
}

/* An asyncio.Task of the wrapper. It copies the context that is entered: an empty one, and never that of whoever
 * happens to be running. New reference. */
static PyObject *make_task(PyObject *asyncio_task, struct task *self)
{
    PyObject *args[] = {(PyObject *)self, state->loop, self->name};
    PyObject *context = PyContext_New(); /* new */
    PyObject *task = NULL;

    if (context && PyContext_Enter(context) == 0) {
        task = PyObject_Vectorcall(asyncio_task, args, 1, state->task_kwnames); /* new */
        if (PyContext_Exit(context) != 0) {
            Py_CLEAR(task);
        }
    }
    Py_XDECREF(context);
    return task;
}

/* asyncio lets a new task wait for its turn before it makes a note of it: one of which it could not make a note,
 * without memory, gets its turn all the same, and must find nothing to do. */
static void give_up(struct task *self)
{
    Py_CLEAR(self->inner);
    self->done = NULL;
}

static PyObject *start(PyObject *awaitable, PyObject *name, PyObject *variables, struct context *journey,
                       task_done *done, void *arg)
{
    PyObject *asyncio_task = module_import(IMPORT_TASK);
    if (!asyncio_task) {
        return NULL;
    }
    if (!state->loop) {
        PyErr_SetString(PyExc_RuntimeError, "no event loop runs");
        return NULL;
    }
    struct task *self = PyObject_GC_New(struct task, state->task_type);
    if (!self) {
        return NULL;
    }
    self->task = NULL;
    self->name = Py_NewRef(name);
    self->variables = Py_XNewRef(variables);
    self->done = done;
    self->arg = arg;
    self->journey = journey;
    self->inner = iterator_of(awaitable);
    PyObject_GC_Track(self);
    if (self->inner) {
        self->task = make_task(asyncio_task, self);
    }
    if (!self->task) {
        give_up(self);
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

PyObject *task_start(PyObject *awaitable, PyObject *name, task_done *done, void *arg)
{
    return start(awaitable, name, NULL, NULL, done, arg);
}

static int rename_task(struct task *self, PyObject *name)
{
    if (self->name == name) {
        return 0;
    }
    PyObject *result = PyObject_CallMethodOneArg(self->task, state->str_set_name, name); /* new */
    if (result) {
        Py_SETREF(self->name, Py_NewRef(name));
    }
    Py_XDECREF(result);
    return result ? 0 : -1;
}

PyObject *task_start_journey(PyObject *awaitable, PyObject *name, PyObject *variables, struct context *journey,
                             task_done *done, void *arg)
{
    struct task *self = vacant;
    if (!self) {
        return start(awaitable, name, variables, journey, done, arg);
    }
    vacant = NULL;
    PyObject *inner = iterator_of(awaitable); /* new */
    if (!inner || rename_task(self, name) < 0) {
        Py_XDECREF(inner);
        return NULL;
    }
    self->inner = inner;
    self->variables = Py_NewRef(variables);
    self->done = done;
    self->arg = arg;
    self->journey = journey;
    return Py_NewRef((PyObject *)self);
}

void task_cancel(PyObject *task)
{
    PyObject *inside = ((struct task *)task)->task;
    if (!inside) {
        return;
    }
    PyObject *result = PyObject_CallMethodNoArgs(inside, state->str_cancel); /* new */
    if (!result) {
        errors_log_once("cancel", "cannot cancel a task");
    }
    Py_XDECREF(result);
}

/* Whether an object is there and false; takes the reference. */
static bool is_false(PyObject *object)
{
    bool is = object && PyObject_IsTrue(object) == 0;
    Py_XDECREF(object);
    PyErr_Clear();
    return is;
}

/* Nobody waits for the asyncio.Task's end, and nobody has cancelled it. */
static bool is_untouched(const struct task *self)
{
#if PY_VERSION_HEX >= 0x030b0000
    PyObject *cancelled = PyObject_CallMethodNoArgs(self->task, state->str_cancelling); /* new: how often */
#else
    PyObject *cancelled = PyObject_GetAttr(self->task, state->str__must_cancel); /* new */
#endif
    return is_false(cancelled) && is_false(PyObject_GetAttr(self->task, state->str__callbacks));
}

/* The coroutine is over: `result` is owned, or NULL with the exception set. What asyncio then sees is None, or the
 * cancellation, which it has to know of. PYGEN_NEXT: nothing, for another journey goes on in its place, which is left
 * to one if `leave_place`. */
static PySendResult finish(struct task *self, PyObject *owned, bool leave_place, PyObject **result)
{
    PyObject *exception = owned ? NULL : errors_take(); /* new */
    task_done *done = self->done;
    void *arg = self->arg;
    bool leaves_place = self->journey && owned && leave_place && is_untouched(self);

    Py_INCREF(self);
    Py_CLEAR(self->inner);
    Py_CLEAR(self->variables);
    self->journey = NULL;
    vacant = leaves_place ? self : NULL;
    done(arg, owned, exception);
    vacant = NULL;
    Py_XDECREF(owned);
    if (self->inner) {
        Py_DECREF(self); /* the asyncio.Task that runs it has one more */
        return PYGEN_NEXT;
    }
    Py_CLEAR(self->task);
    Py_DECREF(self);

    PySendResult how = PYGEN_RETURN;
    if (exception && errors_is_cancelled(exception)) {
        errors_put(Py_NewRef(exception));
        *result = NULL;
        how = PYGEN_ERROR;
    } else {
        *result = Py_NewRef(Py_None);
    }
    Py_XDECREF(exception);
    return how;
}

static int enter(struct task *self)
{
    if (self->variables && PyContext_Enter(self->variables) != 0) {
        return -1;
    }
    context_set_running(self->journey);
    return 0;
}

/* Keeps the current exception. */
static void leave(PyObject *variables)
{
    context_set_running(NULL);
    if (variables) {
        PyContext_Exit(variables); /* cannot fail: it is what was entered last */
    }
}

static PySendResult step(struct task *self, PyObject *value, PyObject **result)
{
    PyObject *variables = self->variables; /* borrowed: whoever has entered it keeps it */
    *result = NULL;
    if (enter(self) != 0) {
        return PYGEN_ERROR;
    }
    PySendResult how = PyIter_Send(self->inner, value, result);
    leave(variables);
    return how;
}

static PySendResult am_send(PyObject *object, PyObject *value, PyObject **result)
{
    struct task *self = (struct task *)object;
    if (!self->inner && !self->done) { /* given up */
        *result = Py_NewRef(Py_None);
        return PYGEN_RETURN;
    }
    if (!self->inner) {
        PyErr_SetString(PyExc_RuntimeError, "this coroutine is over");
        *result = NULL;
        return PYGEN_ERROR;
    }
    for (bool first = true;; first = false) {
        PySendResult how = step(self, value, result);
        if (how == PYGEN_NEXT) {
            return how;
        }
        how = finish(self, *result, first, result);
        if (how != PYGEN_NEXT) {
            return how;
        }
        value = Py_None;
    }
}

/* The end of a step for callers that want an iterator's protocol. */
static PyObject *as_iteration(PySendResult how, PyObject *result)
{
    if (how == PYGEN_RETURN) {
        Py_CLEAR(result);
        PyErr_SetNone(PyExc_StopIteration);
    }
    return result;
}

static PyObject *task_send(PyObject *self, PyObject *value)
{
    PyObject *result;
    PySendResult how = am_send(self, value, &result);
    return as_iteration(how, result);
}

static PyObject *task_next(PyObject *self)
{
    return task_send(self, Py_None);
}

/* How asyncio delivers a cancellation. */
static PyObject *task_throw(PyObject *object, PyObject *args)
{
    struct task *self = (struct task *)object;
    if (!self->inner) {
        return PyErr_Format(PyExc_RuntimeError, "this coroutine is over");
    }
    PyObject *throw = PyObject_GetAttr(self->inner, state->str_throw); /* new */
    PyObject *variables = self->variables, *yielded = NULL;            /* borrowed: whoever has entered it keeps it */
    if (throw &&enter(self) == 0) {
        yielded = PyObject_Call(throw, args, NULL); /* new */
        leave(variables);
    }
    Py_XDECREF(throw);
    if (yielded) {
        return yielded;
    }
    PyObject *returned = NULL, *result;
    if (PyErr_ExceptionMatches(PyExc_StopIteration)) {
        PyObject *stop = errors_take(); /* new */
        returned = Py_NewRef(((PyStopIterationObject *)stop)->value);
        Py_DECREF(stop);
    }
    PySendResult how = finish(self, returned, false, &result);
    return as_iteration(how, result);
}

static PyObject *task_close(PyObject *object, PyObject *unused)
{
    struct task *self = (struct task *)object;
    PyObject *inner = self->inner;
    if (!inner) {
        Py_RETURN_NONE;
    }
    self->inner = NULL;
    PyObject *result = PyObject_CallMethodNoArgs(inner, state->str_close); /* new */
    Py_DECREF(inner);
    return result;
}

/* What asyncio and debuggers read of a coroutine is the inner one's. */
static PyObject *get_inner(PyObject *object, void *name)
{
    struct task *self = (struct task *)object;
    PyObject *key = *(PyObject **)((char *)state + (size_t)name); /* borrowed */
    PyObject *value = self->inner ? PyObject_GetAttr(self->inner, key) : NULL;
    if (!value && (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_AttributeError))) {
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    return value;
}

static PyObject *task_self(PyObject *self)
{
    return Py_NewRef(self);
}

static PyObject *task_repr(PyObject *object)
{
    struct task *self = (struct task *)object;
    return self->inner ? PyObject_Repr(self->inner) : PyUnicode_FromString("<coroutine that is over>");
}

static int task_traverse(struct task *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->inner);
    Py_VISIT(self->task);
    Py_VISIT(self->variables);
    return 0;
}

static int task_clear(struct task *self)
{
    Py_CLEAR(self->inner);
    Py_CLEAR(self->task);
    Py_CLEAR(self->variables);
    return 0;
}

static void task_dealloc(struct task *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    task_clear(self);
    Py_CLEAR(self->name);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef task_methods[] = {
    {"send", task_send, METH_O, NULL},
    {"throw", task_throw, METH_VARARGS, NULL},
    {"close", task_close, METH_NOARGS, NULL},
    {NULL},
};

#define INNER(name)                                                                                                    \
    {                                                                                                                  \
#name, get_inner, NULL, NULL, (void *)offsetof(struct module_state, str_##name)                                \
    }
static PyGetSetDef task_getset[] = {INNER(cr_await), INNER(cr_code), INNER(cr_frame), INNER(cr_running), {NULL}};

static PyType_Slot task_slots[] = {
    {Py_tp_doc, "A coroutine of the user's on its way through asyncio."},
    {Py_tp_dealloc, task_dealloc},
    {Py_tp_traverse, task_traverse},
    {Py_tp_clear, task_clear},
    {Py_tp_repr, task_repr},
    {Py_am_await, task_self},
    {Py_am_send, am_send},
    {Py_tp_iter, task_self},
    {Py_tp_iternext, task_next},
    {Py_tp_methods, task_methods},
    {Py_tp_getset, task_getset},
    {0},
};

static PyType_Spec task_spec = {
    .name = "_mite.Task",
    .basicsize = sizeof(struct task),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = task_slots,
};

int task_exec(PyObject *module)
{
    state->task_type = module_add_type(module, &task_spec);
    state->task_kwnames = Py_BuildValue("(OO)", state->str_loop, state->str_name);
    return state->task_type && state->task_kwnames ? 0 : -1;
}
