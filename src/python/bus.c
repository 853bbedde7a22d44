#include "python/bus.h"

#include "base/clock.h"
#include "bus/outbox.h"
#include "python/convert.h"
#include "python/errors.h"
#include "value/msgpack.h"

#define TURN_ROUNDS 16
#define HIGH_WATER  100000   /* of a sender: the library sends these by itself, between calls */
#define LINGER_NS   NS_PER_S /* what closing a sender may wait for its receiver */

/* A loop and a bus for one object. */
struct private_bus {
    struct loop *loop;
    struct bus *bus;
};

static int private_open(struct private_bus *private, const char *backend, struct mite_error *error)
{
    struct bus_options options = {.linger_ms = 1000};
    int rc = bus_backend_parse(backend, &options.backend, error);

    if (rc == 0) {
        rc = loop_new(&private->loop, error);
    }
    return rc == 0 ? bus_open(private->loop, &options, &private->bus, error) : rc;
}

static void private_close(struct private_bus *private)
{
    loop_free(private->loop, NULL);
    bus_close(private->bus);
    *private = (struct private_bus){NULL, NULL};
}

/* True: there is more to do at once. */
static bool private_turn(struct private_bus *private)
{
    int rounds = TURN_ROUNDS;

    do {
        uv_run(loop_uv(private->loop), UV_RUN_NOWAIT);
    } while (uv_backend_timeout(loop_uv(private->loop)) == 0 && --rounds > 0);
    return rounds == 0;
}

static PyObject *raise_error(struct mite_error *error)
{
    errors_to_python(error);
    error_done(error);
    return NULL;
}

static bool is_open(const struct private_bus *private)
{
    if (!private->bus) {
        PyErr_SetString(PyExc_ValueError, "it has been closed");
    }
    return private->bus;
}

/* ---- sender ---- */

struct py_sender {
    PyObject_HEAD
    struct private_bus private;
    struct outbox *outbox; /* owned */
};

static PyObject *sender_new_object(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    struct mite_error error = {0};
    const char *backend;

    if (!PyArg_ParseTuple(args, "s", &backend)) {
        return NULL;
    }
    struct py_sender *self = (struct py_sender *)type->tp_alloc(type, 0); /* new, zeroed */
    if (!self) {
        return NULL;
    }
    int rc = private_open(&self->private, backend, &error);
    if (rc == 0) {
        rc = outbox_open(self->private.bus, &(struct outbox_options){.high_water = HIGH_WATER}, &self->outbox, &error);
    }
    if (rc < 0) {
        Py_DECREF(self);
        return raise_error(&error);
    }
    return (PyObject *)self;
}

static PyObject *attach_sender(PyObject *object, PyObject *args,
                               int (*attach)(struct outbox *outbox, const char *address, struct mite_error *error))
{
    struct py_sender *self = (struct py_sender *)object;
    struct mite_error error = {0};
    const char *address;

    if (!PyArg_ParseTuple(args, "s", &address) || !is_open(&self->private)) {
        return NULL;
    }
    if (attach(self->outbox, address, &error) < 0) {
        return raise_error(&error);
    }
    return PyUnicode_FromString(outbox_address(self->outbox)); /* new */
}

static PyObject *bind_sender(PyObject *object, PyObject *args)
{
    return attach_sender(object, args, outbox_bind);
}

static PyObject *connect_sender(PyObject *object, PyObject *args)
{
    return attach_sender(object, args, outbox_connect);
}

static int write_dict(PyObject *dict, struct buf *out)
{
    struct arena arena;
    struct value value;

    arena_init(&arena, 0);
    int failed = convert_to_value(dict, "message", &arena, &value);
    if (failed == 0) {
        msgpack_write(out, &value);
    }
    arena_done(&arena);
    if (failed == 0 && out->failed) {
        PyErr_NoMemory();
        failed = -1;
    }
    return failed;
}

static PyObject *send_dict(PyObject *object, PyObject *dict)
{
    struct py_sender *self = (struct py_sender *)object;
    struct sender_counts counts;
    struct buf bytes;

    if (!is_open(&self->private)) {
        return NULL;
    }
    buf_init(&bytes, BUS_MESSAGE_MAX);
    int failed = write_dict(dict, &bytes);
    if (failed == 0) {
        outbox_put_bytes(self->outbox, buf_view(&bytes));
        outbox_count(self->outbox, &counts);
        if (counts.queued > 0) {
            private_turn(&self->private);
        }
    }
    buf_done(&bytes);
    return failed ? NULL : Py_NewRef(Py_None);
}

static PyObject *sender_dropped(PyObject *object, void *closure)
{
    struct py_sender *self = (struct py_sender *)object;
    struct sender_counts counts;

    if (!is_open(&self->private)) {
        return NULL;
    }
    outbox_count(self->outbox, &counts);
    return PyLong_FromUnsignedLongLong(counts.dropped); /* new */
}

static void on_emptied(void *arg)
{
    *(bool *)arg = true;
}

static void on_tick(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

/* Hands over what is queued, as long as it takes but no longer than LINGER_NS. */
static void drain_sender(struct py_sender *self)
{
    uint64_t until_ns = clock_now_ns() + LINGER_NS;
    uv_loop_t *uv = loop_uv(self->private.loop);
    bool emptied = false;
    uv_timer_t tick;

    uv_timer_init(uv, &tick);
    uv_timer_start(&tick, on_tick, 10, 10);
    outbox_when_empty(self->outbox, on_emptied, &emptied);
    while (!emptied && clock_now_ns() < until_ns) {
        uv_run(uv, UV_RUN_ONCE);
    }
    outbox_when_empty(self->outbox, NULL, NULL);
    uv_close((uv_handle_t *)&tick, NULL);
    uv_run(uv, UV_RUN_NOWAIT);
}

static void sender_end(struct py_sender *self)
{
    struct sender_counts counts = {0};

    if (self->outbox) {
        outbox_count(self->outbox, &counts);
        if (counts.queued > 0) {
            drain_sender(self);
        }
        outbox_close(self->outbox);
        self->outbox = NULL;
    }
    private_close(&self->private);
}

static PyObject *close_sender(PyObject *object, PyObject *unused)
{
    sender_end((struct py_sender *)object);
    Py_RETURN_NONE;
}

static void sender_dealloc(struct py_sender *self)
{
    PyTypeObject *type = Py_TYPE(self);

    sender_end(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef sender_methods[] = {
    {"bind", bind_sender, METH_VARARGS, "bind($self, address, /)\n--\n\nListen there; returns the address."},
    {"connect", connect_sender, METH_VARARGS, "connect($self, address, /)\n--\n\nConnect to who listens there."},
    {"send", send_dict, METH_O, "send($self, message, /)\n--\n\nSend a dict. Never waits: what finds no room is kept."},
    {"close", close_sender, METH_NOARGS, "close($self, /)\n--\n\nHand over what is kept, within two seconds, and end."},
    {NULL},
};

static PyGetSetDef sender_attributes[] = {
    {"dropped", sender_dropped, NULL, "Messages that found no room in the queue.", NULL},
    {NULL},
};

static PyType_Slot sender_slots[] = {
    {Py_tp_doc, "Sends messages."},  {Py_tp_new, sender_new_object},    {Py_tp_dealloc, sender_dealloc},
    {Py_tp_methods, sender_methods}, {Py_tp_getset, sender_attributes}, {0},
};

static PyType_Spec sender_spec = {
    .name = "_mite.BusSender",
    .basicsize = sizeof(struct py_sender),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = sender_slots,
};

/* ---- receiver ---- */

struct py_receiver {
    PyObject_HEAD
    struct private_bus private;
    struct bus_socket *socket;
    PyObject *deliver; /* called with the bytes of each message */
    PyObject *failure; /* the first exception of a turn */
    bool turning;      /* its loop runs */
};

static void on_received(void *arg, struct str peer, struct str body)
{
    struct py_receiver *self = arg;
    PyObject *bytes = PyBytes_FromStringAndSize(body.p, (Py_ssize_t)body.n);     /* new */
    PyObject *result = bytes ? PyObject_CallOneArg(self->deliver, bytes) : NULL; /* new */

    Py_XDECREF(bytes);
    if (result) {
        Py_DECREF(result);
    } else if (!self->failure) {
        self->failure = errors_take(); /* the other messages of this turn are delivered all the same */
    } else {
        PyErr_WriteUnraisable(self->deliver);
    }
}

static PyObject *receiver_new_object(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    struct mite_error error = {0};
    const char *backend;
    PyObject *deliver;

    if (!PyArg_ParseTuple(args, "sO", &backend, &deliver)) { /* borrowed */
        return NULL;
    }
    struct py_receiver *self = (struct py_receiver *)type->tp_alloc(type, 0); /* new, zeroed */
    if (!self) {
        return NULL;
    }
    self->deliver = Py_NewRef(deliver);
    const struct socket_options options = {.kind = SOCKET_PULL, .received = on_received, .arg = self};
    int rc = private_open(&self->private, backend, &error);
    if (rc == 0) {
        rc = socket_open(self->private.bus, &options, &self->socket, &error);
    }
    if (rc < 0) {
        Py_DECREF(self);
        return raise_error(&error);
    }
    return (PyObject *)self;
}

static PyObject *attach_receiver(PyObject *object, PyObject *args,
                                 int (*attach)(struct bus_socket *socket, const char *address,
                                               struct mite_error *error))
{
    struct py_receiver *self = (struct py_receiver *)object;
    struct mite_error error = {0};
    const char *address;

    if (!PyArg_ParseTuple(args, "s", &address) || !is_open(&self->private)) {
        return NULL;
    }
    if (attach(self->socket, address, &error) < 0) {
        return raise_error(&error);
    }
    return PyUnicode_FromString(socket_address(self->socket)); /* new */
}

static PyObject *bind_receiver(PyObject *object, PyObject *args)
{
    return attach_receiver(object, args, socket_bind);
}

static PyObject *connect_receiver(PyObject *object, PyObject *args)
{
    return attach_receiver(object, args, socket_connect);
}

static PyObject *receiver_fileno(PyObject *object, PyObject *unused)
{
    struct py_receiver *self = (struct py_receiver *)object;

    return is_open(&self->private) ? PyLong_FromLong(loop_fd(self->private.loop)) : NULL;
}

/* Neither a turn nor the end may come from inside a listener. */
static bool is_at_rest(const struct py_receiver *self)
{
    if (self->turning) {
        PyErr_SetString(PyExc_RuntimeError, "a listener of this receiver is running: close it once run() has ended");
    }
    return !self->turning;
}

static PyObject *turn_receiver(PyObject *object, PyObject *unused)
{
    struct py_receiver *self = (struct py_receiver *)object;

    if (!is_open(&self->private) || !is_at_rest(self)) {
        return NULL;
    }
    self->turning = true;
    bool more = private_turn(&self->private);
    self->turning = false;
    if (self->failure) {
        PyObject *failure = self->failure;
        self->failure = NULL;
        errors_put(failure); /* steals */
        return NULL;
    }
    return PyBool_FromLong(more);
}

static void receiver_end(struct py_receiver *self)
{
    socket_close(self->socket);
    self->socket = NULL;
    private_close(&self->private);
}

static PyObject *close_receiver(PyObject *object, PyObject *unused)
{
    struct py_receiver *self = (struct py_receiver *)object;

    if (!is_at_rest(self)) {
        return NULL;
    }
    receiver_end(self);
    Py_RETURN_NONE;
}

static int receiver_traverse(struct py_receiver *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->deliver);
    Py_VISIT(self->failure);
    return 0;
}

static int receiver_clear(struct py_receiver *self)
{
    receiver_end(self);
    Py_CLEAR(self->deliver);
    Py_CLEAR(self->failure);
    return 0;
}

static void receiver_dealloc(struct py_receiver *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    receiver_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef receiver_methods[] = {
    {"bind", bind_receiver, METH_VARARGS, "bind($self, address, /)\n--\n\nListen there; returns the address."},
    {"connect", connect_receiver, METH_VARARGS, "connect($self, address, /)\n--\n\nConnect to who listens there."},
    {"fileno", receiver_fileno, METH_NOARGS, "fileno($self, /)\n--\n\nReadable when a turn is due."},
    {"turn", turn_receiver, METH_NOARGS,
     "turn($self, /)\n--\n\nDeliver what has come; True when there is more. Raises what a listener raised."},
    {"close", close_receiver, METH_NOARGS, "close($self, /)\n--\n\nEnd."},
    {NULL},
};

static PyType_Slot receiver_slots[] = {
    {Py_tp_doc, "Receives messages."},
    {Py_tp_new, receiver_new_object},
    {Py_tp_dealloc, receiver_dealloc},
    {Py_tp_traverse, receiver_traverse},
    {Py_tp_clear, receiver_clear},
    {Py_tp_methods, receiver_methods},
    {0},
};

static PyType_Spec receiver_spec = {
    .name = "_mite.BusReceiver",
    .basicsize = sizeof(struct py_receiver),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = receiver_slots,
};

int bus_exec(PyObject *module)
{
    PyTypeObject *sender = module_add_type(module, &sender_spec);                     /* new */
    PyTypeObject *receiver = sender ? module_add_type(module, &receiver_spec) : NULL; /* new */
    int failed = receiver ? 0 : -1;

    Py_XDECREF(sender);
    Py_XDECREF(receiver);
    return failed;
}
