#include "python/datapools.h"

#include "base/log.h"
#include "base/map.h"
#include "python/args.h"
#include "python/convert.h"
#include "python/errors.h"
#include "python/pool_types.h"
#include "python/ready.h"
#include "python/spec.h"
#include "python/task.h"
#include "value/msgpack.h"

#include <stdlib.h>

struct adapter {
    struct datapool base;
    PyObject *pool;
    PyObject *checkout; /* called without arguments; NULL for mite's own types */
    PyObject *label;    /* a str */
    struct map ids_out; /* msgpack of the id → struct id_out: ids that are no plain number */
    int64_t given;      /* items so far: to say which one is wrong */
};

/* An id that the core only borrows: kept as long as an item with it is out, of which a pool may give several. */
struct id_out {
    PyObject *object;
    struct arena arena;
    struct value value;
    unsigned items;
};

/* A checkout or a checkin whose coroutine runs. */
struct pending {
    struct adapter *adapter; /* counted reference */
    union {
        datapool_checkout_done *checkout_done;
        datapool_checkin_done *checkin_done;
    };
    void *arg;
};

static const char *label_of(const struct adapter *self)
{
    return PyUnicode_AsUTF8(self->label); /* borrowed; made from UTF-8 */
}

/* ---- ids ---- */

static void id_out_free(void *id)
{
    struct id_out *out = id;
    if (out) {
        Py_XDECREF(out->object);
        arena_done(&out->arena);
        free(out);
    }
}

/* What is kept under a key; NULL with an exception. */
static struct id_out *id_out_new(PyObject *object)
{
    struct id_out *out = calloc(1, sizeof(*out));
    if (!out) {
        PyErr_NoMemory();
        return NULL;
    }
    arena_init(&out->arena, 0);
    out->object = Py_NewRef(object);
    if (convert_to_value(object, "id", &out->arena, &out->value) != 0) {
        id_out_free(out);
        return NULL;
    }
    return out;
}

/* Keeps `object`, or one that is equal, until take_id(). 0, or -1 with an exception. */
static int keep_id(struct adapter *self, PyObject *object, struct value *id)
{
    struct id_out *out = id_out_new(object), *same;
    struct buf key;
    if (!out) {
        return -1;
    }
    buf_init(&key, 0);
    msgpack_write(&key, &out->value);
    if ((same = map_get(&self->ids_out, buf_view(&key)))) {
        id_out_free(out);
        out = same;
    } else if (key.failed || map_set(&self->ids_out, buf_view(&key), out, NULL) != 0) {
        id_out_free(out);
        out = NULL;
        PyErr_NoMemory();
    }
    buf_done(&key);
    if (!out) {
        return -1;
    }
    out->items++;
    *id = out->value;
    return 0;
}

/* The object of an id that comes back: new reference, NULL with an exception. */
static PyObject *take_id(struct adapter *self, const struct value *id)
{
    if (id->type != VALUE_TEXT && id->type != VALUE_BYTES && id->type != VALUE_LIST && id->type != VALUE_MAP) {
        return convert_to_python(id, CONVERT_TUPLES);
    }
    struct buf key;
    buf_init(&key, 0);
    msgpack_write(&key, id);
    struct id_out *out = map_get(&self->ids_out, buf_view(&key));
    PyObject *object = out ? Py_NewRef(out->object) : convert_to_python(id, CONVERT_TUPLES); /* new */
    if (out && --out->items == 0) {
        map_remove(&self->ids_out, buf_view(&key));
        id_out_free(out);
    }
    buf_done(&key);
    return object;
}

static int id_to_value(struct adapter *self, PyObject *object, struct value *id)
{
    struct arena none;
    arena_init(&none, 0);
    bool plain = object == Py_None || PyLong_Check(object) || PyFloat_Check(object);
    return plain ? convert_to_value(object, "id", &none, id) : keep_id(self, object, id);
}

/* ---- coroutines of the user's pool ---- */

static bool is_awaitable(PyObject *object)
{
    PyAsyncMethods *async = Py_TYPE(object)->tp_as_async;
    return async && async->am_await;
}

static void pending_free(struct pending *pending)
{
    datapool_unref(&pending->adapter->base);
    free(pending);
}

/* Runs it; `finished` gets a copy of `pending`, to be freed. False with an exception. */
static bool run_coroutine(PyObject *awaitable, task_done *finished, struct pending pending)
{
    struct pending *kept = malloc(sizeof(*kept));
    if (!kept) {
        PyErr_NoMemory();
        return false;
    }
    *kept = pending;
    datapool_ref(&kept->adapter->base);
    PyObject *task = task_start(awaitable, kept->adapter->label, finished, kept); /* new; asyncio keeps it */
    if (!task) {
        pending_free(kept);
        return false;
    }
    Py_DECREF(task);
    return true;
}

/* ---- checkout ---- */

static void answer(datapool_checkout_done *done, void *arg, int code, const struct mite_error *error)
{
    done(arg, code, NULL, error);
}

/* What an exception of a checkout means. */
static void fail(struct adapter *self, datapool_checkout_done *done, void *arg)
{
    struct mite_error error = {0};
    PyObject *exhausted = module_import(IMPORT_DATAPOOL_EXHAUSTED), *emptied = module_import(IMPORT_DATAPOOL_EMPTIED),
             *cancelled = module_import(IMPORT_CANCELLED_ERROR); /* borrowed */
    int code = MITE_EUSER;
    if (exhausted && PyErr_ExceptionMatches(exhausted)) {
        code = MITE_EEND;
    } else if ((emptied && PyErr_ExceptionMatches(emptied)) || (cancelled && PyErr_ExceptionMatches(cancelled))) {
        code = MITE_EAGAIN;
    } else {
        errors_to_c(&error, "checkout of %s failed", label_of(self));
    }
    PyErr_Clear();
    answer(done, arg, code, code == MITE_EUSER ? &error : NULL);
    error_done(&error);
}

/* Hands an item on; both objects are borrowed. */
static void give(struct adapter *self, const struct value *id, PyObject *data, datapool_checkout_done *done, void *arg)
{
    struct mite_error error = {0};
    self->given++;
    if (!PyTuple_Check(data) && !PyList_Check(data)) {
        error_set(&error, MITE_EINVAL,
                  "%s: item %lld has data of type %s: it must be a tuple or a list, the journey's arguments",
                  label_of(self), (long long)self->given, Py_TYPE(data)->tp_name);
        answer(done, arg, MITE_EINVAL, &error);
        error_done(&error);
        return;
    }
    struct datapool_item item = {.id = *id, .args = args_from_python(data)};
    if (!item.args) {
        error_set(&error, MITE_ENOMEM, "no memory for an item of %s", label_of(self));
        answer(done, arg, MITE_ENOMEM, &error);
        return;
    }
    done(arg, 0, &item, NULL);
}

static void checkout_ours(struct adapter *self, datapool_checkout_done *done, void *arg)
{
    int64_t number;
    PyObject *data;
    switch (pool_take(self->pool, &number, &data)) {
    case POOL_NONE:
        answer(done, arg, MITE_EAGAIN, NULL);
        return;
    case POOL_END:
        answer(done, arg, MITE_EEND, NULL);
        return;
    case POOL_ERROR:
        fail(self, done, arg);
        return;
    case POOL_ITEM: {
        struct value id = value_int(number);
        give(self, &id, data, done, arg);
        Py_DECREF(data);
        return;
    }
    }
}

/* An item's two halves: `.id` and `.data`, or a plain pair. New references; false with an exception. */
static bool halves(struct adapter *self, PyObject *item, PyObject **id, PyObject **data)
{
    if ((PyTuple_CheckExact(item) || PyList_CheckExact(item)) && PySequence_Fast_GET_SIZE(item) == 2) {
        *id = Py_NewRef(PySequence_Fast_GET_ITEM(item, 0));
        *data = Py_NewRef(PySequence_Fast_GET_ITEM(item, 1));
        return true;
    }
    *id = PyObject_GetAttr(item, state->str_id);
    *data = *id ? PyObject_GetAttr(item, state->str_data) : NULL;
    if (!*data) {
        Py_CLEAR(*id);
        PyErr_Format(PyExc_TypeError, "it gave %R, not an item with .id and .data, a pair or None", item);
    }
    return *data != NULL;
}

/* What checkout gave in the end (borrowed). */
static void deliver(struct adapter *self, PyObject *item, datapool_checkout_done *done, void *arg)
{
    PyObject *id, *data;
    struct value value;
    if (item == Py_None) {
        answer(done, arg, MITE_EAGAIN, NULL);
        return;
    }
    if (!halves(self, item, &id, &data)) {
        fail(self, done, arg);
        return;
    }
    if (id_to_value(self, id, &value) == 0) {
        give(self, &value, data, done, arg);
    } else {
        fail(self, done, arg);
    }
    Py_DECREF(id);
    Py_DECREF(data);
}

static void checkout_finished(void *arg, PyObject *result, PyObject *exception)
{
    struct pending *pending = arg;
    if (result) {
        deliver(pending->adapter, result, pending->checkout_done, pending->arg);
    } else {
        errors_put(Py_NewRef(exception));
        fail(pending->adapter, pending->checkout_done, pending->arg);
    }
    pending_free(pending);
}

static void checkout(struct datapool *pool, datapool_checkout_done *done, void *arg)
{
    struct adapter *self = (struct adapter *)pool;
    if (!self->checkout) {
        checkout_ours(self, done, arg);
        return;
    }
    struct pending pending = {.adapter = self, .checkout_done = done, .arg = arg};
    PyObject *result = PyObject_CallNoArgs(self->checkout); /* new */
    PyObject *value = result ? ready_value(result) : NULL;  /* borrowed */
    if (value) {
        deliver(self, value, done, arg);
    } else if (result && !is_awaitable(result)) {
        deliver(self, result, done, arg);
    } else if (!result || !run_coroutine(result, checkout_finished, pending)) {
        fail(self, done, arg);
    }
    Py_XDECREF(result);
}

/* ---- checkin ---- */

static void lose(struct adapter *self)
{
    self->base.lost++;
    errors_log_once("checkin", "checkin of %s failed", label_of(self));
}

static void checkin_finished(void *arg, PyObject *result, PyObject *exception)
{
    struct pending *pending = arg;
    if (exception && !errors_is_cancelled(exception)) {
        errors_put(Py_NewRef(exception));
        lose(pending->adapter);
    }
    pending->checkin_done(pending->arg);
    pending_free(pending);
}

static void checkin_theirs(struct adapter *self, const struct value *id, datapool_checkin_done *done, void *arg)
{
    struct pending pending = {.adapter = self, .checkin_done = done, .arg = arg};
    PyObject *object = take_id(self, id);                                                                 /* new */
    PyObject *result = object ? PyObject_CallMethodOneArg(self->pool, state->str_checkin, object) : NULL; /* new */
    bool awaits =
        result && is_awaitable(result) && !ready_value(result) && run_coroutine(result, checkin_finished, pending);
    if (PyErr_Occurred()) {
        lose(self);
    }
    Py_XDECREF(object);
    Py_XDECREF(result);
    if (!awaits) {
        done(arg);
    }
}

static void checkin(struct datapool *pool, const struct value *id, datapool_checkin_done *done, void *arg)
{
    struct adapter *self = (struct adapter *)pool;
    if (self->checkout) {
        checkin_theirs(self, id, done, arg);
        return;
    }
    if (pool_return(self->pool, id->integer) != 0) {
        lose(self);
    }
    done(arg);
}

/* ---- life ---- */

static void adapter_free(struct datapool *pool)
{
    struct adapter *self = (struct adapter *)pool;
    map_done(&self->ids_out, id_out_free);
    Py_XDECREF(self->pool);
    Py_XDECREF(self->checkout);
    Py_XDECREF(self->label);
    free(self);
}

static const struct datapool_ops ops = {.checkout = checkout, .checkin = checkin, .free = adapter_free};

int datapools_adapt(PyObject *object, const char *label, PyObject *config, struct datapool **out,
                    struct mite_error *error)
{
    struct adapter *self = calloc(1, sizeof(*self));
    if (!self) {
        return error_set(error, MITE_ENOMEM, "no memory for %s", label);
    }
    self->base = (struct datapool){.ops = &ops, .refs = 1};
    map_init(&self->ids_out);
    self->pool = Py_NewRef(object);
    self->label = PyUnicode_DecodeUTF8(label, (Py_ssize_t)strlen(label), "replace"); /* new */
    self->base.kind = pool_kind(object, &self->base.count);
    if (self->label && !pool_is_ours(object)) {
        PyObject *shape = module_import(IMPORT_CHECKOUT);
        self->checkout = shape ? PyObject_CallFunctionObjArgs(shape, object, config, NULL) : NULL; /* new */
    }
    if (PyErr_Occurred()) {
        datapool_unref(&self->base);
        return spec_error(error, "cannot use %s", label);
    }
    *out = &self->base;
    return 0;
}
