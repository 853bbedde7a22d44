/*
 * Design notes. FRESH: not awaited yet. WAITING: the request is under way (`http` set, the client's list holds a
 * reference, for nothing else might: the collector must not take a task that waits) or is over and its task was woken
 * (`http` NULL). OVER: the response or an exception was given, or it was cancelled.
 *
 * The client's callbacks only keep what came and set the future, which calls nobody: the task goes on by
 * loop.call_soon. Messages and callbacks run in the task's next step, in its context and transaction. Whatever way a
 * WAITING one ends, what the server answered is reported exactly once.
 */
#include "python/acurl_exchange.h"

#include "python/acurl_metrics.h"
#include "python/acurl_response.h"
#include "python/errors.h"
#include "python/transaction.h"
#include "runner/http_report.h"

enum exchange_state { EXCHANGE_FRESH, EXCHANGE_WAITING, EXCHANGE_OVER };

struct exchange {
    PyObject_HEAD
    enum exchange_state state;
    const char *method; /* static */
    struct session *session;
    struct arguments arguments;
    struct http_exchange *http; /* borrowed; NULL unless under way */
    PyObject *future;
    struct http_response *response;  /* counted: the latest */
    struct transaction *transaction; /* counted: the current one at the start */
    PyObject *error;                 /* what the request failed with */
    struct dependent dependent;      /* in the client's list while under way */
};

/* ---- from the client, inside the loop's turn ---- */

static void on_response(void *arg, struct http_response *response)
{
    struct exchange *self = arg;
    struct http_response *before = self->response;
    self->response = http_response_ref(response);
    if (before) {
        http_response_unref(before);
    }
}

static PyObject *outcome_error(const struct http_outcome *outcome)
{
    struct buf text;
    buf_init(&text, 0);
    http_report_failure(&text, outcome);
    struct str sentence = buf_view(&text);
    PyObject *type = outcome->failure == HTTP_REDIRECTS ? acurl.request_error : acurl.acurl_error; /* borrowed */
    PyObject *error = PyObject_CallFunction(type, "s#", sentence.p, (Py_ssize_t)sentence.n);       /* new */
    buf_done(&text);
    return error;
}

/* A future that is done already was cancelled together with its task, which will throw into us. */
static void wake(struct exchange *self)
{
    PyObject *result = PyObject_CallMethodOneArg(self->future, acurl.str_set_result, Py_None); /* new */
    if (!result) {
        PyObject *error = errors_take();                                          /* new */
        PyObject *done = PyObject_CallMethodNoArgs(self->future, acurl.str_done); /* new */
        if (done != Py_True) {
            PyErr_SetObject((PyObject *)Py_TYPE(error), error);
            PyErr_WriteUnraisable(self->future);
        }
        Py_XDECREF(done);
        Py_DECREF(error);
    }
    Py_XDECREF(result);
}

/* The request is no longer under way: drops the list's reference. */
static void leave(struct exchange *self)
{
    self->http = NULL;
    acurl_client_remove(&self->dependent);
    Py_DECREF(self);
}

static void on_done(void *arg, const struct http_outcome *outcome)
{
    struct exchange *self = (struct exchange *)Py_NewRef((PyObject *)arg);
    if (outcome->failure != HTTP_OK) {
        self->error = outcome_error(outcome);
        if (!self->error) {
            self->error = errors_take();
        }
    }
    leave(self);
    wake(self);
    Py_DECREF(self);
}

static const struct http_handlers handlers = {.response = on_response, .done = on_done};

/* The client goes: no callback comes any more, and nobody is woken. */
static void drop(struct dependent *dependent)
{
    struct exchange *self = (struct exchange *)((char *)dependent - offsetof(struct exchange, dependent));
    http_cancel(self->http);
    leave(self);
}

/* ---- steps of the awaiting task ---- */

/* The innermost open transaction of the running task, if it belongs to the session's context. */
static struct transaction *current_transaction(struct context *context)
{
    struct py_context *innermost = transaction_current_context(); /* borrowed */
    return innermost && innermost->context == context ? context_current(innermost) : context->root;
}

/* What the client did not even start. */
static void raise_refusal(const struct mite_error *error)
{
    struct buf text;
    buf_init(&text, 0);
    if (http_report_refusal(&text, error)) {
        PyErr_SetString(acurl.acurl_error, text.data);
    } else {
        errors_to_python(error);
    }
    buf_done(&text);
}

static int start_request(struct exchange *self, struct http_session *session)
{
    struct http_request request = {.method = str_of(self->method)};
    struct mite_error error;
    struct extras *extras = self->arguments.extras;

    error_init(&error);
    if (arguments_fill(&self->arguments, &request) < 0) {
        return -1;
    }
    for (Py_ssize_t i = 0; extras && extras->jar_cookies && i < PyList_GET_SIZE(extras->jar_cookies); i++) {
        if (session_add_cookie(self->session, PyList_GET_ITEM(extras->jar_cookies, i)) < 0) {
            return -1;
        }
    }
    if (http_request(session, &request, &handlers, self, &self->http, &error) < 0) {
        raise_refusal(&error);
        error_done(&error);
        return -1;
    }
    acurl_client_add(&self->dependent, drop);
    Py_INCREF(self); /* the list's reference */
    return 0;
}

static PySendResult first_step(struct exchange *self, PyObject **result)
{
    *result = NULL;
    self->state = EXCHANGE_OVER;
    struct http_session *session = session_http(self->session); /* first: it makes the client */
    self->future = session ? acurl_client_future() : NULL;      /* new */
    if (!self->future || PyObject_SetAttr(self->future, acurl.str__asyncio_future_blocking, Py_True) < 0 ||
        start_request(self, session) < 0) {
        return PYGEN_ERROR;
    }
    if (self->session->context) {
        struct transaction *transaction = current_transaction(self->session->context);
        self->transaction = transaction ? transaction_ref(transaction) : NULL;
    }
    self->state = EXCHANGE_WAITING;
    *result = Py_NewRef(self->future);
    return PYGEN_NEXT;
}

/* Reports what was answered; *object as in metrics_report(). The last response waited if the request ended by itself.
 */
static int report(struct exchange *self, bool waited, PyObject **object)
{
    struct report report = {
        .session = self->session,
        .transaction = self->transaction,
        .extras = self->arguments.extras,
        .last = self->response,
    };
    *object = NULL;
    if (!self->session->context && !self->session->callback) {
        return 0;
    }
    report.wait_ns = waited ? http_report_wait_ns(self->response) : 0;
    return metrics_report(&report, object);
}

static PySendResult last_step(struct exchange *self, PyObject **result)
{
    PyObject *object = NULL;
    *result = NULL;
    self->state = EXCHANGE_OVER;
    if (self->response && report(self, !self->error, &object) < 0) {
        return PYGEN_ERROR;
    }
    if (self->error) {
        Py_XDECREF(object);
        PyErr_SetObject((PyObject *)Py_TYPE(self->error), self->error);
        Py_CLEAR(self->error);
        return PYGEN_ERROR;
    }
    *result = object ? object : response_wrap(self->response, self->session, self->arguments.extras); /* new */
    return *result ? PYGEN_RETURN : PYGEN_ERROR;
}

static PySendResult exchange_am_send(PyObject *object, PyObject *value, PyObject **result)
{
    struct exchange *self = (struct exchange *)object;
    if (self->state == EXCHANGE_FRESH) {
        return first_step(self, result);
    }
    if (self->state == EXCHANGE_WAITING && !self->http) {
        return last_step(self, result);
    }
    PyErr_SetString(PyExc_RuntimeError, self->state == EXCHANGE_OVER
                                            ? "cannot reuse already awaited request"
                                            : "the request is under way: resumed before its future was done");
    *result = NULL;
    return PYGEN_ERROR;
}

static PyObject *exchange_iternext(PyObject *self)
{
    PyObject *result;
    PySendResult how = exchange_am_send(self, Py_None, &result);
    if (how == PYGEN_RETURN) {
        PyErr_SetObject(PyExc_StopIteration, result);
        Py_CLEAR(result);
    }
    return result;
}

/* Ends it before its response was given. Keeps the current exception; one that comes up here goes to the unraisable
 * hook, for the one that ends us matters more. */
static void cancel(struct exchange *self)
{
    bool waiting = self->state == EXCHANGE_WAITING, under_way = self->http != NULL;
    PyObject *type, *error, *traceback, *object;

    self->state = EXCHANGE_OVER;
    if (under_way) {
        http_cancel(self->http);
        leave(self);
    }
    if (waiting && self->response) {
        PyErr_Fetch(&type, &error, &traceback); /* new */
        if (report(self, !under_way && !self->error, &object) < 0) {
            PyErr_WriteUnraisable((PyObject *)self);
        }
        Py_XDECREF(object);
        PyErr_Restore(type, error, traceback);
    }
}

/* ---- the methods of a coroutine ---- */

PyDoc_STRVAR(send_doc, "send($self, value, /)\n--\n\nRun to the next suspension, as asyncio does.");

static PyObject *exchange_send(PyObject *self, PyObject *value)
{
    return exchange_iternext(self);
}

PyDoc_STRVAR(throw_doc, "throw($self, type, value=None, traceback=None, /)\n--\n\nCancel the request and raise.");

static PyObject *exchange_throw(PyObject *object, PyObject *args)
{
    struct exchange *self = (struct exchange *)object;
    PyObject *type, *value = NULL, *traceback = NULL; /* borrowed */
    if (!PyArg_UnpackTuple(args, "throw", 1, 3, &type, &value, &traceback)) {
        return NULL;
    }
    Py_INCREF(object);
    cancel(self);
    Py_DECREF(object);
    if (PyExceptionInstance_Check(type)) {
        PyErr_SetObject((PyObject *)Py_TYPE(type), type);
    } else if (PyExceptionClass_Check(type)) {
        PyErr_SetObject(type, value == Py_None ? NULL : value);
    } else {
        PyErr_SetString(PyExc_TypeError, "throw() takes an exception");
    }
    return NULL;
}

PyDoc_STRVAR(close_doc, "close($self, /)\n--\n\nCancel the request.");

static PyObject *exchange_close(PyObject *object, PyObject *unused)
{
    Py_INCREF(object);
    cancel((struct exchange *)object);
    Py_DECREF(object);
    Py_RETURN_NONE;
}

static PyObject *exchange_am_await(PyObject *self)
{
    return Py_NewRef(self);
}

static PyObject *exchange_await(PyObject *self, PyObject *unused)
{
    return Py_NewRef(self);
}

static PyObject *get_name(PyObject *self, void *unused)
{
    return PyUnicode_FromString(((struct exchange *)self)->method);
}

static PyObject *get_running(PyObject *self, void *unused)
{
    Py_RETURN_FALSE;
}

static PyObject *exchange_repr(PyObject *object)
{
    static const char *const states[] = {"not awaited", "under way", "over"};
    struct exchange *self = (struct exchange *)object;
    return PyUnicode_FromFormat("<request %s %U, %s>", self->method, self->arguments.url, states[self->state]);
}

/* ---- life ---- */

PyObject *exchange_new(struct session *session, const char *method, struct arguments *arguments)
{
    struct exchange *self = PyObject_GC_New(struct exchange, acurl.exchange_type); /* new */
    if (!self) {
        return NULL;
    }
    memset((char *)self + sizeof(PyObject), 0, sizeof *self - sizeof(PyObject));
    self->method = method;
    self->session = (struct session *)Py_NewRef((PyObject *)session);
    self->arguments = *arguments;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

/* As of a coroutine: an await that was forgotten would else go unseen. Without the URL, for Python shows a warning of
 * one text and line once. */
static void warn_of_fresh(struct exchange *self)
{
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback); /* new */
    if (PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "%s request was never awaited", self->method) < 0) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    PyErr_Restore(type, error, traceback);
}

static void exchange_finalize(PyObject *object)
{
    struct exchange *self = (struct exchange *)object;
    if (self->state == EXCHANGE_WAITING) {
        cancel(self);
    } else if (self->state == EXCHANGE_FRESH) {
        warn_of_fresh(self);
    }
}

static int exchange_traverse(struct exchange *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->session);
    Py_VISIT(self->future);
    Py_VISIT(self->error);
    return 0;
}

/* The session stays: it is no part of a loop of references that this could cut. */
static int exchange_clear(struct exchange *self)
{
    Py_CLEAR(self->future);
    Py_CLEAR(self->error);
    return 0;
}

static void exchange_dealloc(struct exchange *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (self->state != EXCHANGE_OVER && PyObject_CallFinalizerFromDealloc((PyObject *)self) < 0) {
        return;
    }
    PyObject_GC_UnTrack(self);
    exchange_clear(self);
    arguments_done(&self->arguments);
    if (self->response) {
        http_response_unref(self->response);
    }
    if (self->transaction) {
        transaction_unref(self->transaction);
    }
    Py_XDECREF(self->session);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef exchange_methods[] = {
    {"__await__", exchange_await, METH_NOARGS, NULL},
    {"send", exchange_send, METH_O, send_doc},
    {"throw", exchange_throw, METH_VARARGS, throw_doc},
    {"close", exchange_close, METH_NOARGS, close_doc},
    {NULL},
};

static PyGetSetDef exchange_getset[] = {
    {"__name__", get_name, NULL, NULL, NULL},
    {"__qualname__", get_name, NULL, NULL, NULL},
    {"cr_running", get_running, NULL, NULL, NULL},
    {NULL},
};

static PyType_Slot exchange_slots[] = {
    {Py_tp_doc, "A request that is awaited for its response."},
    {Py_tp_dealloc, exchange_dealloc},
    {Py_tp_finalize, exchange_finalize},
    {Py_tp_traverse, exchange_traverse},
    {Py_tp_clear, exchange_clear},
    {Py_tp_repr, exchange_repr},
    {Py_am_await, exchange_am_await},
    {Py_am_send, exchange_am_send},
    {Py_tp_iternext, exchange_iternext},
    {Py_tp_methods, exchange_methods},
    {Py_tp_getset, exchange_getset},
    {0},
};

static PyType_Spec exchange_spec = {
    .name = "acurl._Exchange",
    .basicsize = sizeof(struct exchange),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = exchange_slots,
};

PyTypeObject *acurl_exchange_type(PyObject *module)
{
    return module_add_type(module, &exchange_spec);
}
