#include "python/acurl_metrics.h"

#include "python/acurl_response.h"
#include "python/convert.h"
#include "python/errors.h"
#include "runner/http_report.h"

/* Puts the current exception, if any, into *first, unless one is there already. */
static void keep_first(PyObject **first)
{
    PyObject *error = PyErr_Occurred() ? errors_take() : NULL; /* new */
    if (*first) {
        Py_XDECREF(error);
    } else {
        *first = error;
    }
}

/* The session's additional metrics as fields in the arena, views into the dict's objects. */
static int additional_fields(PyObject *metrics, struct arena *arena, struct message *message)
{
    Py_ssize_t at = 0;
    PyObject *key, *value; /* borrowed */
    struct field *fields = arena_alloc(arena, (size_t)PyDict_GET_SIZE(metrics) * sizeof *fields);
    if (!fields) {
        PyErr_NoMemory();
        return -1;
    }
    message->fields = fields;
    while (PyDict_Next(metrics, &at, &key, &value)) {
        struct field *field = &fields[message->field_count];
        field->key = convert_str(key, "a name in additional_metrics");
        if (!field->key.p || convert_to_value(value, field->key.p, arena, &field->value) < 0) {
            return -1;
        }
        message->field_count++;
    }
    return 0;
}

static void send_message(const struct report *report, const struct http_response *response, uint64_t wait_ns,
                         PyObject **first)
{
    struct message message;
    PyObject *metrics = report->session->additional_metrics; /* borrowed */
    struct arena arena;

    arena_init(&arena, 0);
    message_init(&message, MESSAGE_HTTP_METRICS);
    http_report_fill(&message, response, wait_ns);
    if (metrics && PyDict_GET_SIZE(metrics) > 0 && additional_fields(metrics, &arena, &message) < 0) {
        keep_first(first);
    }
    context_send(report->session->context, report->transaction, &message);
    keep_first(first);
    arena_done(&arena);
}

static int call_back(struct session *session, PyObject *response)
{
    PyObject *callback = Py_NewRef(session->callback); /* it may set another one */
    PyObject *args[] = {response, session_additional_metrics(session)};
    size_t count = session->callback_takes_metrics ? 2 : 1;
    PyObject *result = args[1] ? PyObject_Vectorcall(callback, args, count, NULL) : NULL; /* new */
    Py_DECREF(callback);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* One response. New reference to the object that the callback saw; NULL without a callback. */
static PyObject *report_one(const struct report *report, struct http_response *response, uint64_t wait_ns,
                            PyObject **first)
{
    PyObject *object = NULL;
    if (report->session->callback) {
        object = response_wrap(response, report->session, report->extras);
        if (!object || call_back(report->session, object) < 0) {
            keep_first(first);
        }
    }
    if (report->session->context) {
        send_message(report, response, wait_ns, first);
    }
    return object;
}

/* The hops before the last response, the oldest first. */
static void report_hops(const struct report *report, PyObject **first)
{
    size_t count = 0, at;
    for (struct http_response *hop = report->last->previous; hop; hop = hop->previous) {
        count++;
    }
    struct http_response **hops = PyMem_New(struct http_response *, count);
    if (!hops) {
        PyErr_NoMemory();
        keep_first(first);
        return;
    }
    at = count;
    for (struct http_response *hop = report->last->previous; hop; hop = hop->previous) {
        hops[--at] = hop;
    }
    for (; at < count; at++) {
        Py_XDECREF(report_one(report, hops[at], 0, first));
    }
    PyMem_Free(hops);
}

int metrics_report(const struct report *report, PyObject **out)
{
    PyObject *first = NULL;
    if (report->last->previous) {
        report_hops(report, &first);
    }
    PyObject *object = report_one(report, report->last, report->wait_ns, &first); /* new */
    if (first) {
        PyErr_SetObject((PyObject *)Py_TYPE(first), first);
        Py_DECREF(first);
        Py_XDECREF(object);
        return -1;
    }
    *out = object;
    return 0;
}
