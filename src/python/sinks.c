#include "python/sinks.h"

#include "base/clock.h"
#include "base/log.h"
#include "python/convert.h"
#include "python/errors.h"
#include "python/processors.h"
#include "sinks/collector.h"
#include "sinks/console.h"
#include "sinks/recorder.h"
#include "value/msgpack.h"

#include <stdlib.h>

/* One of the core's sinks, with what it needs around it. */
struct py_sink {
    PyObject_HEAD
    struct sink *sink;           /* NULL once closed */
    struct collector *collector; /* when it is one: takes bytes as they are */
    struct totals *totals;       /* of the two-second lines; owned */
    struct console console;
    PyObject *filter; /* of a collector */
    bool shared;      /* the sink is a static one of the core's */
};

static struct py_sink *sink_alloc(void)
{
    return (struct py_sink *)state->sink_type->tp_alloc(state->sink_type, 0); /* new, zeroed */
}

/* ---- making them ---- */

static PyObject *make_collector(PyObject *module, PyObject *args)
{
    struct collector_options options = {0};
    struct mite_error error = {0};
    PyObject *filter;
    unsigned long long roll_after;
    int json;
    if (!PyArg_ParseTuple(args, "zKzOp", &options.dir, &roll_after, &options.id, &filter, &json)) { /* all borrowed */
        return NULL;
    }
    struct py_sink *self = sink_alloc();
    if (!self) {
        return NULL;
    }
    options.roll_after = roll_after;
    options.json = json;
    if (filter != Py_None) {
        self->filter = Py_NewRef(filter);
        options.filter = processors_keeps; /* what it raises, process_raw_message() raises */
        options.filter_arg = filter;
    }
    if (collector_new(&options, &self->collector, &error) != 0) {
        errors_to_python(&error);
        error_done(&error);
        Py_DECREF(self);
        return NULL;
    }
    self->sink = collector_sink(self->collector);
    return (PyObject *)self;
}

static PyObject *make_recorder(PyObject *module, PyObject *args)
{
    struct mite_error error = {0};
    struct recorder *recorder;
    const char *directory;
    if (!PyArg_ParseTuple(args, "z", &directory)) {
        return NULL;
    }
    struct py_sink *self = sink_alloc();
    if (self && recorder_new(directory, &recorder, &error) != 0) {
        errors_to_python(&error);
        error_done(&error);
        Py_CLEAR(self);
    }
    if (self) {
        self->sink = recorder_sink(recorder);
    }
    return (PyObject *)self;
}

static PyObject *make_log(struct sink *sink)
{
    struct py_sink *self = sink_alloc();
    if (self) {
        self->sink = sink;
        self->shared = true;
    }
    return (PyObject *)self;
}

static PyObject *make_message_log(PyObject *module, PyObject *unused)
{
    return make_log(message_log());
}

static PyObject *make_debug_log(PyObject *module, PyObject *unused)
{
    return make_log(debug_message_log());
}

static PyObject *make_http_stats(PyObject *module, PyObject *args)
{
    int journey_logging, hide;
    if (!PyArg_ParseTuple(args, "pp", &journey_logging, &hide)) {
        return NULL;
    }
    struct py_sink *self = sink_alloc();
    if (!self) {
        return NULL;
    }
    self->totals = calloc(1, sizeof(*self->totals));
    if (!self->totals || totals_init(self->totals) != 0) {
        free(self->totals);
        self->totals = NULL;
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    totals_start(self->totals);
    console_init(&self->console, self->totals, journey_logging, hide);
    self->sink = &self->totals->sink;
    return (PyObject *)self;
}

/* ---- messages ---- */

/* The two-second lines have no timer of their own here: they are written with the first message that is late enough. */
static void print_when_due(struct py_sink *self)
{
    if (self->totals && totals_window_ns(self->totals) >= CONSOLE_INTERVAL_NS) {
        struct progress progress = {.elapsed_ns = totals_elapsed_ns(self->totals), .duration_s = -1, .cpu_share = -1};
        console_print(&self->console, &progress);
    }
}

static int give(struct py_sink *self, struct arena *arena, const struct value *map)
{
    struct mite_error error = {0};
    struct message_origin origin;
    struct message message;
    struct field *fields = arena_alloc(arena, ((size_t)map->count + 1) * sizeof(*fields));
    if (!fields) {
        PyErr_NoMemory();
        return -1;
    }
    if (message_from_value(arena, &message, &origin, fields, map, &error) != 0) {
        errors_to_python(&error);
        error_done(&error);
        return -1;
    }
    if (message.time == 0) {
        message.time = clock_wall_s();
    }
    sink_message(self->sink, &message);
    print_when_due(self);
    return PyErr_Occurred() ? -1 : 0;
}

static bool is_open(struct py_sink *self)
{
    if (!self->sink) {
        PyErr_SetString(PyExc_ValueError, "it has been closed");
    }
    return self->sink != NULL;
}

static PyObject *process_message(PyObject *object, PyObject *dict)
{
    struct py_sink *self = (struct py_sink *)object;
    struct arena arena;
    struct value map;
    if (!is_open(self)) {
        return NULL;
    }
    if (!PyDict_Check(dict)) {
        return PyErr_Format(PyExc_TypeError, "a message is a dict, not %.200s", Py_TYPE(dict)->tp_name);
    }
    arena_init(&arena, 0);
    int failed = convert_to_value(dict, "message", &arena, &map) != 0 || give(self, &arena, &map) != 0;
    arena_done(&arena);
    return failed ? NULL : Py_NewRef(Py_None);
}

/* One value from bytes that hold exactly one. 0, or -1 with an exception. */
static int decode(struct arena *arena, const Py_buffer *bytes, struct value *out)
{
    struct mite_error error = {0};
    struct str view = {bytes->buf, (size_t)bytes->len};
    size_t used;
    int code = msgpack_read(arena, view, &used, out, &error);
    if (code == 0 && used != view.n) {
        code = error_set(&error, MITE_EPROTO, "%zu bytes follow the message", view.n - used);
    } else if (code == MITE_EAGAIN) {
        code = error_set(&error, MITE_EPROTO, "the bytes end before the message does");
    }
    if (code != 0) {
        errors_to_python(&error);
        error_done(&error);
    }
    return code == 0 ? 0 : -1;
}

static PyObject *process_raw_message(PyObject *object, PyObject *raw)
{
    struct py_sink *self = (struct py_sink *)object;
    struct arena arena;
    struct value map;
    Py_buffer bytes;
    int failed = 0;
    if (!is_open(self) || PyObject_GetBuffer(raw, &bytes, PyBUF_SIMPLE) != 0) {
        return NULL;
    }
    if (self->collector) {
        collector_raw(self->collector, (struct str){bytes.buf, (size_t)bytes.len});
    } else {
        arena_init(&arena, 0);
        failed = decode(&arena, &bytes, &map) != 0 || give(self, &arena, &map) != 0;
        arena_done(&arena);
    }
    PyBuffer_Release(&bytes);
    return failed || PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

/* ---- end ---- */

static void sink_end(struct py_sink *self)
{
    if (self->totals) {
        totals_done(self->totals);
        free(self->totals);
        self->totals = NULL;
    } else if (!self->shared) {
        sink_free(self->sink);
    }
    self->sink = NULL;
    self->collector = NULL;
}

static PyObject *sink_close(PyObject *object, PyObject *unused)
{
    struct py_sink *self = (struct py_sink *)object;
    if (self->sink) {
        sink_end(self);
    }
    Py_RETURN_NONE;
}

static int sink_traverse(struct py_sink *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->filter);
    return 0;
}

static int sink_clear(struct py_sink *self)
{
    if (self->sink) {
        sink_end(self); /* before the filter that it calls */
    }
    Py_CLEAR(self->filter);
    return 0;
}

static void sink_dealloc(struct py_sink *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    sink_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef sink_methods[] = {
    {"process_message", process_message, METH_O, "process_message($self, message, /)\n--\n\nTake a message: a dict."},
    {"process_raw_message", process_raw_message, METH_O,
     "process_raw_message($self, message, /)\n--\n\nTake a message: its msgpack bytes."},
    {"close", sink_close, METH_NOARGS, "close($self, /)\n--\n\nWrite what is left and end."},
    {NULL},
};

static PyType_Slot sink_slots[] = {
    {Py_tp_doc, "What eats messages, in C."},
    {Py_tp_dealloc, sink_dealloc},
    {Py_tp_traverse, sink_traverse},
    {Py_tp_clear, sink_clear},
    {Py_tp_methods, sink_methods},
    {0},
};

static PyType_Spec sink_spec = {
    .name = "_mite.Sink",
    .basicsize = sizeof(struct py_sink),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = sink_slots,
};

int sinks_exec(PyObject *module)
{
    state->sink_type = module_add_type(module, &sink_spec);
    return state->sink_type ? PyModule_AddFunctions(module, sinks_functions) : -1;
}

/* ---- msgpack ---- */

static PyObject *pack(PyObject *module, PyObject *object)
{
    struct arena arena;
    struct value value;
    struct buf out;
    PyObject *bytes = NULL;
    arena_init(&arena, 0);
    buf_init(&out, 0);
    if (convert_to_value(object, "message", &arena, &value) == 0) {
        msgpack_write(&out, &value);
        bytes = out.failed ? PyErr_NoMemory() : PyBytes_FromStringAndSize(out.data, (Py_ssize_t)out.size); /* new */
    }
    buf_done(&out);
    arena_done(&arena);
    return bytes;
}

static PyObject *unpack(PyObject *module, PyObject *raw)
{
    struct arena arena;
    struct value value;
    Py_buffer bytes;
    if (PyObject_GetBuffer(raw, &bytes, PyBUF_SIMPLE) != 0) {
        return NULL;
    }
    arena_init(&arena, 0);
    PyObject *object = decode(&arena, &bytes, &value) == 0 ? convert_to_python(&value, CONVERT_TUPLES) : NULL; /* new */
    arena_done(&arena);
    PyBuffer_Release(&bytes);
    return object;
}

PyMethodDef sinks_functions[] = {
    {"collector", make_collector, METH_VARARGS, NULL},
    {"recorder", make_recorder, METH_VARARGS, NULL},
    {"message_log", make_message_log, METH_NOARGS, NULL},
    {"debug_log", make_debug_log, METH_NOARGS, NULL},
    {"http_stats", make_http_stats, METH_VARARGS, NULL},
    {"pack", pack, METH_O, "pack($module, object, /)\n--\n\nThe msgpack form of an object."},
    {"unpack", unpack, METH_O, "unpack($module, bytes, /)\n--\n\nThe object of msgpack bytes; lists come as tuples."},
    {NULL},
};
