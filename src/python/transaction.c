#include "python/transaction.h"

#include "python/convert.h"
#include "python/errors.h"
#include "python/ready.h"

struct py_transaction {
    PyObject_HEAD
    struct py_context *context; /* counted */
    PyObject *name;             /* str */
    struct transaction *inner;  /* counted; NULL before it begins */
    PyObject *previous;         /* the context variable's value before: a py_transaction or NULL */
};

PyObject *transaction_new(struct py_context *context, PyObject *name)
{
    if (!PyUnicode_Check(name)) {
        return PyErr_Format(PyExc_TypeError, "a transaction's name must be a str, not %.200s", Py_TYPE(name)->tp_name);
    }
    struct py_transaction *self = PyObject_GC_New(struct py_transaction, state->transaction_type);
    if (!self) {
        return NULL;
    }
    self->context = (struct py_context *)Py_NewRef((PyObject *)context);
    self->name = Py_NewRef(name);
    self->inner = NULL;
    self->previous = NULL;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

/* The context variable's value: new reference or NULL, never an exception. */
static struct py_transaction *innermost(void)
{
    PyObject *value = NULL;
    if (PyContextVar_Get(state->current, Py_None, &value) != 0) { /* new */
        PyErr_Clear();
        return NULL;
    }
    if (value == Py_None) {
        Py_CLEAR(value);
    }
    return (struct py_transaction *)value;
}

/* Transactions that ended out of turn are passed over. All of the chain is kept alive by its innermost, which the
 * context variable keeps: so what is found may be borrowed. */
static struct py_transaction *find_open(struct py_context *context)
{
    struct py_transaction *first = innermost(); /* new */
    struct py_transaction *at = first;
    while (at && (at->inner->ended || (context && at->context != context))) {
        at = (struct py_transaction *)at->previous;
    }
    Py_XDECREF((PyObject *)first);
    return at;
}

struct transaction *transaction_current(struct py_context *context)
{
    struct py_transaction *found = find_open(context);
    return found ? found->inner : NULL;
}

struct py_context *transaction_current_context(void)
{
    struct py_transaction *found = find_open(NULL);
    return found ? found->context : NULL;
}

static int set_current(PyObject *value)
{
    PyObject *token = PyContextVar_Set(state->current, value ? value : Py_None); /* new */
    Py_XDECREF(token);
    return token ? 0 : -1;
}

static PyObject *transaction_enter(PyObject *object, PyObject *unused)
{
    struct py_transaction *self = (struct py_transaction *)object;
    if (self->inner) {
        PyErr_Format(PyExc_RuntimeError, "transaction %R has begun already", self->name);
        return NULL;
    }
    struct str name = convert_str(self->name, "a transaction's name");
    if (!name.p) {
        return NULL;
    }
    self->inner = transaction_begin(self->context->context, context_current(self->context), name);
    if (!self->inner) {
        return PyErr_NoMemory();
    }
    self->previous = Py_XNewRef((PyObject *)find_open(NULL));
    if (set_current(object) != 0) {
        return NULL;
    }
    return ready_none();
}

/* Leaves the nesting as it was before. One that ends out of turn (tasks in a hand-made order) changes nothing: it is
 * passed over as ended. */
static int leave(struct py_transaction *self)
{
    struct py_transaction *current = innermost(); /* new */
    int code = current == self ? set_current(self->previous) : 0;
    Py_XDECREF((PyObject *)current);
    return code;
}

/* Cancelled, or closed as an async generator is: nothing went wrong. */
static bool is_called_off(PyObject *exception)
{
    return errors_is_cancelled(exception) || PyErr_GivenExceptionMatches(exception, PyExc_GeneratorExit);
}

static PyObject *transaction_exit(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    struct py_transaction *self = (struct py_transaction *)object;
    if (count != 3) {
        return PyErr_Format(PyExc_TypeError, "__aexit__() takes 3 arguments, not %zd", count);
    }
    if (!self->inner) {
        PyErr_Format(PyExc_RuntimeError, "transaction %R has not begun", self->name);
        return NULL;
    }
    PyObject *exception = args[1];
    bool had_error = exception != Py_None && !is_called_off(exception);
    if (had_error) {
        context_report(self->context, self->inner, exception);
    }
    transaction_end(self->inner, had_error);
    if (PyErr_Occurred() || leave(self) != 0) {
        return NULL;
    }
    return ready_none();
}

static PyObject *transaction_repr(struct py_transaction *self)
{
    return PyUnicode_FromFormat("<transaction %R>", self->name);
}

static int transaction_traverse(struct py_transaction *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->context);
    Py_VISIT(self->previous);
    return 0;
}

static int transaction_clear(struct py_transaction *self)
{
    Py_CLEAR(self->context);
    Py_CLEAR(self->previous);
    return 0;
}

static void transaction_dealloc(struct py_transaction *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->inner) {
        transaction_unref(self->inner);
    }
    transaction_clear(self);
    Py_CLEAR(self->name);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef transaction_methods[] = {
    {"__aenter__", transaction_enter, METH_NOARGS, NULL},
    {"__aexit__", (PyCFunction)(void (*)(void))transaction_exit, METH_FASTCALL, NULL},
    {NULL},
};

static PyType_Slot transaction_slots[] = {
    {Py_tp_doc, "A named, timed block of a journey: async with ctx.transaction(name)."},
    {Py_tp_dealloc, transaction_dealloc},
    {Py_tp_traverse, transaction_traverse},
    {Py_tp_clear, transaction_clear},
    {Py_tp_repr, transaction_repr},
    {Py_tp_methods, transaction_methods},
    {0},
};

static PyType_Spec transaction_spec = {
    .name = "mite.context.Transaction",
    .basicsize = sizeof(struct py_transaction),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = transaction_slots,
};

int transaction_exec(PyObject *module)
{
    state->transaction_type = module_add_type(module, &transaction_spec);
    state->current = PyContextVar_New("mite_transaction", NULL);
    return state->transaction_type && state->current ? 0 : -1;
}
