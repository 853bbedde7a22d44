#include "python/args.h"

#include "python/convert.h"
#include "python/errors.h"

#include <stdlib.h>

struct py_args {
    struct args base;
    PyObject *items; /* owned */
};

static int to_value(const struct args *args, struct arena *arena, struct value *out, struct mite_error *error)
{
    PyObject *items = ((const struct py_args *)args)->items;
    struct value value, copy;
    if (convert_to_value(items, "data", arena, &value) != 0) {
        errors_to_c(error, "the journey's arguments cannot be sent");
        return error ? error->code = MITE_EINVAL : MITE_EINVAL;
    }
    /* Texts are views into Python's objects, which may go before the arena does. */
    int code = value_copy(arena, &value, &copy);
    if (code != 0) {
        return error_set(error, code, "no memory for the journey's arguments");
    }
    *out = copy;
    return 0;
}

static void args_free(struct args *args)
{
    Py_DECREF(((struct py_args *)args)->items);
    free(args);
}

static const struct args_ops ops = {.host = &ops, .to_value = to_value, .free = args_free};

struct args *args_from_python(PyObject *items)
{
    struct py_args *args = malloc(sizeof(*args));
    if (!args) {
        return NULL;
    }
    args->base = (struct args){.ops = &ops, .refs = 1};
    args->items = Py_NewRef(items);
    return &args->base;
}

PyObject *args_to_python(const struct args *args)
{
    if (args->ops == &ops) {
        return Py_NewRef(((const struct py_args *)args)->items);
    }
    struct mite_error error = {0};
    struct arena arena;
    struct value list;
    arena_init(&arena, 0);
    PyObject *items = args->ops->to_value(args, &arena, &list, &error) == 0 ? convert_to_python(&list, CONVERT_LISTS)
                                                                            : errors_to_python(&error); /* new */
    arena_done(&arena);
    error_done(&error);
    return items;
}
