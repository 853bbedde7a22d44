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

/* Writes the maps of a list. -1 with an exception: nothing was written. */
static int write_maps(struct buf *out, PyObject *list, uint32_t *count)
{
    struct arena arena;
    struct value maps;

    arena_init(&arena, 0);
    int failed = convert_to_value(list, "dump", &arena, &maps);
    if (failed == 0 && maps.type == VALUE_LIST) {
        for (uint32_t i = 0; i < maps.count; i++) {
            msgpack_write(out, &maps.items[i]);
        }
        *count = maps.count;
    }
    arena_done(&arena);
    return failed;
}

static uint32_t dump(struct python_stats *base, struct buf *out)
{
    struct stats *self = (struct stats *)base;
    PyObject *list = PyObject_CallMethod(self->object, "dump", NULL); /* new */
    uint32_t count = 0;

    if (!list || write_maps(out, list, &count) != 0) {
        errors_log_once("stats dump", "the dump of a stats processor failed");
    }
    Py_XDECREF(list);
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
        *self = (struct stats){{take, dump, stats_free}, object, method};
        *out = &self->base;
        return 0;
    }
    Py_XDECREF(object);
    Py_XDECREF(method);
    return code;
}
