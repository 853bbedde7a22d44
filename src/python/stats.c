#include "python/stats.h"

#include "python/convert.h"
#include "python/errors.h"
#include "python/spec.h"
#include "value/msgpack.h"

#include <stdlib.h>

struct stats {
    struct python_stats base;
    PyObject *object; /* mite._stats.Stats */
    PyObject *take;   /* bound method */
    Py_ssize_t count;
};

static PyObject *message_dict(struct str bytes)
{
    struct arena arena;
    struct value value;
    struct mite_error error = {0};
    size_t used;

    arena_init(&arena, 0);
    PyObject *dict = msgpack_read(&arena, bytes, &used, &value, &error) == 0 ? convert_to_python(&value, CONVERT_LISTS)
                                                                             : errors_to_python(&error); /* new */
    error_done(&error);
    arena_done(&arena);
    return dict;
}

static void take(struct python_stats *base, struct str bytes)
{
    struct stats *self = (struct stats *)base;
    PyObject *dict = message_dict(bytes);                                   /* new */
    PyObject *result = dict ? PyObject_CallOneArg(self->take, dict) : NULL; /* new */

    if (!result) {
        errors_log_once("stats", "a stats processor failed");
    }
    Py_XDECREF(dict);
    Py_XDECREF(result);
}

/* Appends the map of one. False with an exception: nothing was appended. */
static bool dump_one(struct stats *self, Py_ssize_t index, struct buf *out)
{
    size_t before = out->size;
    struct arena arena;
    struct value map;

    arena_init(&arena, 0);
    PyObject *dict = PyObject_CallMethod(self->object, "dump", "n", index); /* new */
    bool good = dict && convert_to_value(dict, "dump", &arena, &map) == 0;
    if (good && map.type != VALUE_MAP) { /* the exporter would refuse the others with it */
        PyErr_Format(PyExc_TypeError, "dump() is a dict, not of type %s", Py_TYPE(dict)->tp_name);
        good = false;
    }
    if (good) {
        msgpack_write(out, &map);
        good = !out->failed;
        if (!good) {
            out->size = before;
            out->failed = false;
            PyErr_SetString(PyExc_ValueError, "there is no room for it in a message: has it too many label sets?");
        }
    }
    Py_XDECREF(dict);
    arena_done(&arena);
    return good;
}

static uint32_t dump(struct python_stats *base, struct buf *out)
{
    struct stats *self = (struct stats *)base;
    uint32_t count = 0;

    for (Py_ssize_t i = 0; i < self->count; i++) {
        if (dump_one(self, i, out)) {
            count++;
        } else {
            errors_log_once("stats dump", "the dump of a stats processor failed");
        }
    }
    return count;
}

static void stats_free(struct python_stats *base)
{
    struct stats *self = (struct stats *)base;

    Py_XDECREF(self->object);
    Py_XDECREF(self->take);
    free(self);
}

int stats_load(const char *include, const char *exclude, struct python_stats **out, struct mite_error *error)
{
    PyObject *module = PyImport_ImportModule("mite._stats");                                         /* new */
    PyObject *object = module ? PyObject_CallMethod(module, "Stats", "zz", include, exclude) : NULL; /* new */
    PyObject *method = object ? PyObject_GetAttrString(object, "take") : NULL;                       /* new */
    Py_ssize_t count = method ? PyObject_Size(object) : -1;
    struct stats *self = NULL;
    int code = 0;

    Py_XDECREF(module);
    if (count < 0) {
        code = spec_error(error, "cannot load stats processors");
    } else if (count > 0 && !(self = calloc(1, sizeof *self))) {
        code = error_set(error, MITE_ENOMEM, "no memory for stats processors");
    }
    if (self) {
        *self = (struct stats){{take, dump, stats_free}, object, method, count};
        *out = &self->base;
        return 0;
    }
    Py_XDECREF(object);
    Py_XDECREF(method);
    return code;
}
