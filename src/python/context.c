#include "python/context.h"

#include "base/clock.h"
#include "python/config.h"
#include "python/convert.h"
#include "python/errors.h"
#include "python/ready.h"
#include "python/transaction.h"

#include <structmember.h>

#define FIELDS_ON_STACK 16

static const struct context_http *http;

void context_set_http(const struct context_http *added)
{
    http = added;
}

const struct context_http *context_http(void)
{
    return http;
}

/* ---- making one ---- */

static struct py_context *context_alloc(PyTypeObject *type)
{
    return (struct py_context *)type->tp_alloc(type, 0); /* new, zeroed */
}

struct py_context *context_wrap(struct context *context)
{
    struct py_context *self = context_alloc(state->context_type);
    if (!self) {
        return NULL;
    }
    self->context = context_ref(context);
    self->config = config_shared(); /* new */
    if (!self->config) {
        Py_CLEAR(self);
    }
    return self;
}

static PyObject *context_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    struct py_context *self = context_alloc(type);
    if (!self) {
        return NULL;
    }
    const struct message_origin nobody = {.scenario_data_id = value_nil()};
    self->context = context_new(NULL, &nobody);
    if (!self->context) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

/* A message as the dict that send_fn gets: its own fields, then what id_data says of the sender. New reference. */
static PyObject *message_dict(struct py_context *self, const struct message *message)
{
    struct arena arena;
    struct value value;
    struct message bare = *message;
    PyObject *dict = NULL, *id = NULL, *path = NULL;

    bare.origin = NULL;
    arena_init(&arena, 0);
    if (message_to_value(&arena, &bare, &value) == 0) {
        dict = convert_to_python(&value, CONVERT_LISTS); /* new */
    } else {
        PyErr_NoMemory();
    }
    arena_done(&arena);
    if (dict && self->id_data && self->id_data != Py_None && PyDict_Update(dict, self->id_data) != 0) {
        Py_CLEAR(dict);
    }
    if (dict) {
        bool inside = message->transaction.p != NULL;
        path = inside ? PyUnicode_DecodeUTF8(message->transaction.p, (Py_ssize_t)message->transaction.n, "replace")
                      : Py_NewRef(Py_None);                                              /* new */
        id = inside ? PyLong_FromLongLong(message->transaction_id) : Py_NewRef(Py_None); /* new */
    }
    if (dict && (!path || !id || PyDict_SetItemString(dict, "transaction", path) != 0 ||
                 PyDict_SetItemString(dict, "transaction_id", id) != 0)) {
        Py_CLEAR(dict);
    }
    Py_XDECREF(path);
    Py_XDECREF(id);
    return dict;
}

/* An exception of send_fn stays set: whoever sent the message raises it. */
static void call_send_fn(struct sink *sink, const struct message *message)
{
    struct py_context *self = (struct py_context *)((char *)sink - offsetof(struct py_context, sink));
    PyObject *dict = PyErr_Occurred() ? NULL : message_dict(self, message);    /* new */
    PyObject *result = dict ? PyObject_CallOneArg(self->send_fn, dict) : NULL; /* new */
    Py_XDECREF(dict);
    Py_XDECREF(result);
}

static const struct sink_ops send_fn_ops = {.name = "send_fn", .message = call_send_fn};

static int context_init(struct py_context *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"send_fn", "config", "id_data", "should_stop_func", "debug", NULL};
    PyObject *send_fn, *config, *id_data = Py_None, *should_stop = Py_None;
    int debug = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|OOp:Context", names, &send_fn, &config, &id_data, &should_stop,
                                     &debug)) { /* all borrowed */
        return -1;
    }
    if (!PyCallable_Check(send_fn)) {
        PyErr_SetString(PyExc_TypeError, "send_fn must be a function that takes a message as a dict");
        return -1;
    }
    if (id_data != Py_None && !PyDict_Check(id_data)) {
        PyErr_SetString(PyExc_TypeError, "id_data must be a dict or None");
        return -1;
    }
    Py_XSETREF(self->send_fn, Py_NewRef(send_fn));
    Py_XSETREF(self->config, Py_NewRef(config));
    Py_XSETREF(self->id_data, Py_NewRef(id_data));
    Py_XSETREF(self->should_stop_fn, Py_NewRef(should_stop));
    self->debug = debug;
    self->sink.ops = &send_fn_ops;
    self->context->sink = &self->sink;
    return 0;
}

/* ---- messages ---- */

struct transaction *context_current(struct py_context *self)
{
    struct transaction *current = transaction_current(self);
    return current ? current : self->context->root;
}

/* Keyword arguments to fields, of which there is room for all; one of them may be the type, when there is none yet. */
static int fields_from_keywords(PyObject *const *values, PyObject *kwnames, struct arena *arena, PyObject **type,
                                struct field *fields, size_t *count)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(kwnames); i++) {
        struct str key = convert_str(PyTuple_GET_ITEM(kwnames, i), "a field's name"); /* borrowed */
        if (!key.p) {
            return -1;
        }
        if (!*type && str_is(key, "type")) {
            *type = values[i];
            continue;
        }
        fields[*count].key = key;
        if (convert_to_value(values[i], key.p, arena, &fields[*count].value) != 0) {
            return -1;
        }
        (*count)++;
    }
    return 0;
}

static int send_fields(struct py_context *self, PyObject *type, struct field *fields, size_t count)
{
    struct message message = {0};
    struct str name = convert_str(type, "a message's type");
    if (!name.p) {
        return -1;
    }
    message_from_fields(&message, name, fields, count);
    context_send(self->context, context_current(self), &message);
    return PyErr_Occurred() ? -1 : 0;
}

PyDoc_STRVAR(send_doc,
             "send($self, type, **fields)\n--\n\n"
             "Send a message of this type. It is copied before send() returns; awaiting the result is allowed and\n"
             "takes no time. A value that msgpack cannot carry is a TypeError.");

static PyObject *context_py_send(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    struct py_context *self = (struct py_context *)object;
    struct field on_stack[FIELDS_ON_STACK], *fields = on_stack;
    size_t room = kwnames ? (size_t)PyTuple_GET_SIZE(kwnames) : 0, field_count = 0;
    PyObject *type = count == 1 ? args[0] : NULL; /* borrowed */
    struct arena arena;
    int failed = -1;

    arena_init(&arena, 0);
    if (room > FIELDS_ON_STACK) {
        fields = arena_alloc(&arena, room * sizeof(*fields));
    }
    if (!fields) {
        PyErr_NoMemory();
    } else if (!kwnames || fields_from_keywords(args + count, kwnames, &arena, &type, fields, &field_count) == 0) {
        if (type && count <= 1) {
            failed = send_fields(self, type, fields, field_count);
        } else {
            PyErr_SetString(PyExc_TypeError, "send() takes the message's type, and then fields by name");
        }
    }
    arena_done(&arena);
    return failed ? NULL : ready_none();
}

/* ---- exceptions ---- */

/* A group that holds only what was reported is no news. */
static bool group_was_reported(struct py_context *self, PyObject *exception);

/* Reported in this context before; the mark is the context itself, for one exception may go through several. */
static bool was_reported(struct py_context *self, PyObject *exception)
{
    PyObject *mark = PyObject_GetAttr(exception, state->str__mite_reported); /* new */
    PyErr_Clear();
    Py_XDECREF(mark); /* only compared */
    return mark == (PyObject *)self || group_was_reported(self, exception);
}

static bool group_was_reported(struct py_context *self, PyObject *exception)
{
#if PY_VERSION_HEX >= 0x030b0000
    if (!PyObject_TypeCheck(exception, (PyTypeObject *)PyExc_BaseExceptionGroup)) {
        return false;
    }
    PyObject *members = PyObject_GetAttr(exception, state->str_exceptions); /* new: a tuple */
    bool all = members && PyTuple_Check(members);
    for (Py_ssize_t i = 0; all && i < PyTuple_GET_SIZE(members); i++) {
        all = was_reported(self, PyTuple_GET_ITEM(members, i)); /* borrowed */
    }
    PyErr_Clear();
    Py_XDECREF(members);
    return all;
#else
    return false;
#endif
}

/* The fields of a MiteError. One that no message can carry goes as its repr, so that the error is not lost. */
static struct field *error_fields(PyObject *exception, struct arena *arena, PyObject **keep, size_t *count)
{
    PyObject *dict = PyObject_GetAttr(exception, state->str_fields), *key, *value; /* new, borrowed, borrowed */
    Py_ssize_t at = 0;
    *count = 0;
    *keep = NULL;
    struct field *fields = dict && PyDict_Check(dict) && (*keep = PyList_New(0)) /* new */
                               ? arena_alloc(arena, (size_t)(PyDict_GET_SIZE(dict) + 1) * sizeof(*fields))
                               : NULL;
    while (fields && PyList_Append(*keep, dict) == 0 && PyDict_Next(dict, &at, &key, &value)) {
        struct field *field = &fields[*count];
        field->key = convert_str(key, "a field's name");
        if (field->key.p && convert_to_value(value, field->key.p, arena, &field->value) != 0) {
            PyErr_Clear();
            PyObject *text = PyObject_Repr(value); /* new; kept by the list */
            if (text && PyList_Append(*keep, text) == 0) {
                field->value = value_text(convert_str(text, "a field"));
            }
            Py_XDECREF(text);
        }
        *count += !PyErr_Occurred();
        PyErr_Clear();
    }
    PyErr_Clear();
    Py_XDECREF(dict);
    return fields;
}

static void send_failure(struct py_context *self, struct transaction *in, PyObject *exception)
{
    struct message message = {0};
    struct message_failure failure;
    struct arena arena;
    struct buf text;
    PyObject *mite_error = module_import(IMPORT_MITE_ERROR), *keep = NULL;
    bool is_error = mite_error && PyErr_GivenExceptionMatches(exception, mite_error);

    PyErr_Clear();
    arena_init(&arena, 0);
    buf_init(&text, 0);
    errors_describe(exception, self->code, &text, &failure);
    message.kind = is_error ? MESSAGE_ERROR : MESSAGE_EXCEPTION;
    message.type = message_type_of(message.kind);
    message.failure = failure;
    if (is_error) {
        message.failure.stacktrace = STR_NONE;
        message.fields = error_fields(exception, &arena, &keep, &message.field_count);
    }
    context_send(self->context, in, &message);
    buf_done(&text);
    arena_done(&arena);
    Py_XDECREF(keep);
}

void context_report(struct py_context *self, struct transaction *in, PyObject *exception)
{
    if (was_reported(self, exception)) {
        return;
    }
    if (PyObject_SetAttr(exception, state->str__mite_reported, (PyObject *)self) != 0) {
        PyErr_Clear();
    }
    if (self->debug) {
        PyErr_Display((PyObject *)Py_TYPE(exception), exception, NULL);
    }
    send_failure(self, in, exception);
}

/* ---- what users read and set ---- */

PyDoc_STRVAR(transaction_doc, "transaction($self, name)\n--\n\n"
                              "A named, timed block: async with ctx.transaction(\"checkout\"): ... Transactions nest.");

static PyObject *context_transaction(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    Py_ssize_t named = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    if (count + named != 1 || (named == 1 && PyTuple_GET_ITEM(kwnames, 0) != state->str_name)) { /* both interned */
        PyErr_SetString(PyExc_TypeError, "transaction() takes the transaction's name");
        return NULL;
    }
    return transaction_new((struct py_context *)self, args[0]);
}

static PyObject *get_should_stop(struct py_context *self, void *unused)
{
    if (self->should_stop_fn && self->should_stop_fn != Py_None) {
        return PyObject_CallNoArgs(self->should_stop_fn);
    }
    return PyBool_FromLong(self->context->should_stop);
}

static PyObject *get_http(struct py_context *self, void *unused)
{
    if (!self->http) {
        if (!http) {
            PyErr_SetString(PyExc_AttributeError, "this build has no HTTP");
            return NULL;
        }
        PyObject *session = http->session(self); /* new */
        if (!session) {
            return NULL;
        }
        Py_XSETREF(self->http, session); /* takes it */
    }
    return Py_NewRef(self->http);
}

static int set_http(struct py_context *self, PyObject *value, void *unused)
{
    Py_XSETREF(self->http, Py_XNewRef(value));
    return 0;
}

static int context_traverse(struct py_context *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->attributes);
    Py_VISIT(self->config);
    Py_VISIT(self->http);
    Py_VISIT(self->send_fn);
    Py_VISIT(self->id_data);
    Py_VISIT(self->should_stop_fn);
    Py_VISIT(self->code);
    Py_VISIT(self->task);
    return 0;
}

static int context_clear(struct py_context *self)
{
    Py_CLEAR(self->attributes);
    Py_CLEAR(self->config);
    Py_CLEAR(self->http);
    Py_CLEAR(self->send_fn);
    Py_CLEAR(self->id_data);
    Py_CLEAR(self->should_stop_fn);
    Py_CLEAR(self->code);
    Py_CLEAR(self->task);
    if (self->context && self->context->sink == &self->sink) {
        self->context->sink = NULL; /* the function is gone */
    }
    return 0;
}

static void context_dealloc(struct py_context *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weak_references) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    context_clear(self);
    if (self->context) {
        context_unref(self->context);
    }
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef context_methods[] = {
    {"send", (PyCFunction)(void (*)(void))context_py_send, METH_FASTCALL | METH_KEYWORDS, send_doc},
    {"transaction", (PyCFunction)(void (*)(void))context_transaction, METH_FASTCALL | METH_KEYWORDS, transaction_doc},
    {NULL},
};

static PyMemberDef context_members[] = {
    {"config", T_OBJECT, offsetof(struct py_context, config), 0, "The configuration: a plain dict."},
    {"__dictoffset__", T_PYSSIZET, offsetof(struct py_context, attributes), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct py_context, weak_references), READONLY, NULL},
    {NULL},
};

static PyGetSetDef context_getset[] = {
    {"should_stop", (getter)get_should_stop, NULL, "True once the run wants its journeys to come to their end.", NULL},
    {"http", (getter)get_http, (setter)set_http, "The HTTP session of this context, made at its first use.", NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL},
};

PyDoc_STRVAR(context_doc, "Context(send_fn, config, id_data=None, should_stop_func=None, debug=False)\n--\n\n"
                          "What a running journey knows and says. Set whatever attributes you like on it.\n\n"
                          "The runner makes one for each journey. One made by hand, for a test, gives each message to\n"
                          "send_fn as a dict.");

static PyType_Slot context_slots[] = {
    {Py_tp_doc, (void *)context_doc},   {Py_tp_new, context_tp_new},
    {Py_tp_init, context_init},         {Py_tp_dealloc, context_dealloc},
    {Py_tp_traverse, context_traverse}, {Py_tp_clear, context_clear},
    {Py_tp_methods, context_methods},   {Py_tp_members, context_members},
    {Py_tp_getset, context_getset},     {0},
};

static PyType_Spec context_spec = {
    .name = "mite.context.Context",
    .basicsize = sizeof(struct py_context),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = context_slots,
};

int context_exec(PyObject *module)
{
    state->context_type = module_add_type(module, &context_spec);
    state->journey = PyContextVar_New("mite_journey", NULL);
    return state->context_type && state->journey ? 0 : -1;
}
