#include "python/convert.h"

#define MAX_DEPTH VALUE_USER_DEPTH

/* Where in the whole a part stands: for the sentence, should it be needed. */
struct place {
    const struct place *around;
    const char *what; /* of the outermost */
    PyObject *key;    /* borrowed; of a dict's value */
    Py_ssize_t index; /* of a list's item */
    unsigned depth;
};

static PyObject *place_text(const struct place *place)
{
    if (!place->around) {
        return PyUnicode_FromString(place->what);
    }
    PyObject *around = place_text(place->around); /* new */
    if (!around) {
        return NULL;
    }
    PyObject *text = place->key ? PyUnicode_FromFormat("%U[%R]", around, place->key)
                                : PyUnicode_FromFormat("%U[%zd]", around, place->index);
    Py_DECREF(around);
    return text;
}

static int refuse(const struct place *place, const char *why, const char *type_name)
{
    PyObject *text = place_text(place); /* new */
    if (text) {
        PyErr_Format(PyExc_TypeError, "%U is %s%s, which a message cannot carry", text, why, type_name);
        Py_DECREF(text);
    }
    return -1;
}

static int convert(PyObject *object, const struct place *place, struct arena *arena, struct value *out);

static int convert_text(PyObject *object, const struct place *place, struct value *out)
{
    Py_ssize_t size;
    const char *utf8 = PyUnicode_AsUTF8AndSize(object, &size); /* borrowed from the object */
    if (!utf8) {
        PyErr_Clear();
        return refuse(place, "text with a lone surrogate", "");
    }
    if (size > UINT32_MAX) {
        return refuse(place, "text of 4 GiB or more", "");
    }
    *out = value_text((struct str){utf8, (size_t)size});
    return 0;
}

static int convert_integer(PyObject *object, const struct place *place, struct value *out)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (!overflow) {
        *out = value_int(number);
        return 0;
    }
    unsigned long long large = overflow > 0 ? PyLong_AsUnsignedLongLong(object) : 0;
    if (overflow < 0 || PyErr_Occurred()) {
        PyErr_Clear();
        return refuse(place, "an integer beyond 64 bits", "");
    }
    *out = (struct value){.type = VALUE_UINT, .large = large};
    return 0;
}

static int convert_bytes(PyObject *object, const struct place *place, struct arena *arena, struct value *out)
{
    if (PyBytes_Check(object)) {
        if (PyBytes_GET_SIZE(object) > UINT32_MAX) {
            return refuse(place, "bytes of 4 GiB or more", "");
        }
        *out = value_bytes((struct str){PyBytes_AS_STRING(object), (size_t)PyBytes_GET_SIZE(object)});
        return 0;
    }
    struct str copy =
        arena_str(arena, (struct str){PyByteArray_AS_STRING(object), (size_t)PyByteArray_GET_SIZE(object)});
    if (!copy.p) {
        PyErr_NoMemory();
        return -1;
    }
    *out = value_bytes(copy);
    return 0;
}

static int convert_list(PyObject *object, const struct place *place, struct arena *arena, struct value *out)
{
    Py_ssize_t count = PySequence_Fast_GET_SIZE(object);
    struct value *items = arena_alloc(arena, (size_t)(count ? count : 1) * sizeof(*items));
    if (!items) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        struct place part = {.around = place, .index = i, .depth = place->depth + 1};
        if (convert(PySequence_Fast_GET_ITEM(object, i), &part, arena, &items[i]) != 0) { /* borrowed */
            return -1;
        }
    }
    *out = value_list(items, (uint32_t)count);
    return 0;
}

static int convert_dict(PyObject *object, const struct place *place, struct arena *arena, struct value *out)
{
    Py_ssize_t count = PyDict_GET_SIZE(object), at = 0, filled = 0;
    struct pair *pairs = arena_alloc(arena, (size_t)(count ? count : 1) * sizeof(*pairs));
    PyObject *key, *value; /* borrowed */
    if (!pairs) {
        PyErr_NoMemory();
        return -1;
    }
    while (filled < count && PyDict_Next(object, &at, &key, &value)) {
        struct place part = {.around = place, .key = key, .depth = place->depth + 1};
        if (convert(key, &part, arena, &pairs[filled].key) != 0 ||
            convert(value, &part, arena, &pairs[filled].value) != 0) {
            return -1;
        }
        filled++;
    }
    *out = value_map(pairs, (uint32_t)filled);
    return 0;
}

/* Runs no code of the user's, so that what is borrowed stays as it is. */
static int convert(PyObject *object, const struct place *place, struct arena *arena, struct value *out)
{
    if (place->depth > MAX_DEPTH) {
        return refuse(place, "nested deeper than 64 levels", "");
    }
    if (PyUnicode_Check(object)) {
        return convert_text(object, place, out);
    }
    if (object == Py_None) {
        *out = value_nil();
        return 0;
    }
    if (PyBool_Check(object)) {
        *out = value_bool(object == Py_True);
        return 0;
    }
    if (PyLong_Check(object)) {
        return convert_integer(object, place, out);
    }
    if (PyFloat_Check(object)) {
        *out = value_float(PyFloat_AS_DOUBLE(object));
        return 0;
    }
    if (PyDict_Check(object)) {
        return convert_dict(object, place, arena, out);
    }
    if (PyList_Check(object) || PyTuple_Check(object)) {
        return convert_list(object, place, arena, out);
    }
    if (PyBytes_Check(object) || PyByteArray_Check(object)) {
        return convert_bytes(object, place, arena, out);
    }
    return refuse(place, "of type ", Py_TYPE(object)->tp_name);
}

int convert_to_value(PyObject *object, const char *what, struct arena *arena, struct value *out)
{
    struct place place = {.what = what};
    return convert(object, &place, arena, out);
}

static PyObject *list_to_python(const struct value *value, enum convert_lists lists)
{
    PyObject *list = lists == CONVERT_TUPLES ? PyTuple_New(value->count) : PyList_New(value->count); /* new */
    for (uint32_t i = 0; list && i < value->count; i++) {
        PyObject *item = convert_to_python(&value->items[i], lists); /* new */
        if (!item) {
            Py_CLEAR(list);
        } else if (lists == CONVERT_TUPLES) {
            PyTuple_SET_ITEM(list, i, item); /* steals */
        } else {
            PyList_SET_ITEM(list, i, item); /* steals */
        }
    }
    return list;
}

static PyObject *map_to_python(const struct value *value, enum convert_lists lists)
{
    PyObject *dict = PyDict_New(); /* new */
    for (uint32_t i = 0; dict && i < value->count; i++) {
        PyObject *key = convert_to_python(&value->pairs[i].key, CONVERT_TUPLES);        /* new */
        PyObject *item = key ? convert_to_python(&value->pairs[i].value, lists) : NULL; /* new */
        if (!item || PyDict_SetItem(dict, key, item) != 0) {
            Py_CLEAR(dict);
        }
        Py_XDECREF(key);
        Py_XDECREF(item);
    }
    return dict;
}

PyObject *convert_to_python(const struct value *value, enum convert_lists lists)
{
    switch (value->type) {
    case VALUE_NIL:
        Py_RETURN_NONE;
    case VALUE_BOOL:
        return PyBool_FromLong(value->boolean);
    case VALUE_INT:
        return PyLong_FromLongLong(value->integer);
    case VALUE_UINT:
        return PyLong_FromUnsignedLongLong(value->large);
    case VALUE_FLOAT:
        return PyFloat_FromDouble(value->number);
    case VALUE_TEXT:
        return PyUnicode_DecodeUTF8(value->text, value->count, "replace");
    case VALUE_BYTES:
        return PyBytes_FromStringAndSize(value->text, value->count);
    case VALUE_LIST:
        return list_to_python(value, lists);
    case VALUE_MAP:
        return map_to_python(value, lists);
    }
    Py_UNREACHABLE();
}

struct str convert_str(PyObject *object, const char *what)
{
    if (!PyUnicode_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s must be a str, not %.200s", what, Py_TYPE(object)->tp_name);
        return STR_NONE;
    }
    Py_ssize_t size;
    const char *utf8 = PyUnicode_AsUTF8AndSize(object, &size); /* borrowed from the object */
    return (struct str){utf8, utf8 ? (size_t)size : 0};
}
