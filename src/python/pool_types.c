/*
 * Design notes. A recyclable pool reads all its items when it is made and gives them in a ring of indices, first in,
 * first out. `out` has one byte for each item, so that an item that comes back twice is noticed. An iterable pool reads
 * as it goes: its iterable may be endless.
 */
#include "python/pool_types.h"

#include "python/ready.h"

#include <structmember.h>

/* ---- DataPoolItem ---- */

struct item {
    PyObject_HEAD
    PyObject *id, *data;
};

static PyObject *item_make(PyTypeObject *type, PyObject *id, PyObject *data)
{
    struct item *self = (struct item *)type->tp_alloc(type, 0); /* new */
    if (self) {
        self->id = Py_NewRef(id);
        self->data = Py_NewRef(data);
    }
    return (PyObject *)self;
}

static PyObject *item_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"id", "data", NULL};
    PyObject *id, *data;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO:DataPoolItem", names, &id, &data)) {
        return NULL;
    }
    return item_make(type, id, data);
}

static PyObject *item_repr(struct item *self)
{
    return PyUnicode_FromFormat("DataPoolItem(id=%R, data=%R)", self->id, self->data);
}

static PyObject *item_compare(PyObject *a, PyObject *b, int operation)
{
    if ((operation != Py_EQ && operation != Py_NE) || !PyObject_TypeCheck(b, state->item_type)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    int same = PyObject_RichCompareBool(((struct item *)a)->id, ((struct item *)b)->id, Py_EQ);
    if (same == 1) {
        same = PyObject_RichCompareBool(((struct item *)a)->data, ((struct item *)b)->data, Py_EQ);
    }
    return same < 0 ? NULL : PyBool_FromLong(same == (operation == Py_EQ));
}

/* An item unpacks as the pair it is. */
static PyObject *item_iterate(struct item *self)
{
    PyObject *pair = PyTuple_Pack(2, self->id, self->data); /* new */
    PyObject *iterator = pair ? PyObject_GetIter(pair) : NULL;
    Py_XDECREF(pair);
    return iterator;
}

static int item_traverse(struct item *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->id);
    Py_VISIT(self->data);
    return 0;
}

static int item_clear(struct item *self)
{
    Py_CLEAR(self->id);
    Py_CLEAR(self->data);
    return 0;
}

static void item_dealloc(struct item *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    item_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef item_members[] = {
    {"id", T_OBJECT, offsetof(struct item, id), 0, "What checkin() is called with."},
    {"data", T_OBJECT, offsetof(struct item, data), 0, "A tuple or list: the journey's arguments."},
    {NULL},
};

static PyType_Slot item_slots[] = {
    {Py_tp_doc, "DataPoolItem(id, data)\n--\n\nWhat a datapool's checkout gives."},
    {Py_tp_new, item_new},
    {Py_tp_dealloc, item_dealloc},
    {Py_tp_traverse, item_traverse},
    {Py_tp_clear, item_clear},
    {Py_tp_repr, item_repr},
    {Py_tp_richcompare, item_compare},
    {Py_tp_hash, PyObject_HashNotImplemented},
    {Py_tp_iter, item_iterate},
    {Py_tp_members, item_members},
    {0},
};

static PyType_Spec item_spec = {
    .name = "mite.datapools.DataPoolItem",
    .basicsize = sizeof(struct item),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = item_slots,
};

/* ---- pools ---- */

struct pool {
    PyObject_HEAD
    PyObject *items; /* recyclable: a list of all; iterable: the iterator, NULL once used up */
    int64_t next_id; /* iterable: of the last item given */
    /* recyclable only: a ring of the indices that are free, and which are out */
    uint32_t *free_ids;
    uint8_t *out;
    Py_ssize_t count, first_free, free_count;
};

static PyObject *pool_argument(PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"iterable", NULL};
    PyObject *iterable;
    return PyArg_ParseTupleAndKeywords(args, kwargs, "O", names, &iterable) ? iterable : NULL; /* borrowed */
}

/* Also what a pool is like whose subclass never called __init__: used up. */
static int pool_clear(struct pool *self)
{
    Py_CLEAR(self->items);
    PyMem_Free(self->free_ids);
    PyMem_Free(self->out);
    self->free_ids = NULL;
    self->out = NULL;
    self->count = self->first_free = self->free_count = 0;
    self->next_id = 0;
    return 0;
}

static int recyclable_init(struct pool *self, PyObject *args, PyObject *kwargs)
{
    PyObject *iterable = pool_argument(args, kwargs);              /* borrowed */
    PyObject *items = iterable ? PySequence_List(iterable) : NULL; /* new */
    if (!items) {
        return -1;
    }
    pool_clear(self);
    self->items = items;
    self->count = PyList_GET_SIZE(items);
    self->free_ids = self->count < UINT32_MAX ? PyMem_New(uint32_t, (size_t)self->count + 1) : NULL;
    self->out = PyMem_Calloc((size_t)self->count + 1, 1);
    if (!self->free_ids || !self->out) {
        pool_clear(self);
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < self->count; i++) {
        self->free_ids[i] = (uint32_t)i;
    }
    self->free_count = self->count;
    return 0;
}

static int iterable_init(struct pool *self, PyObject *args, PyObject *kwargs)
{
    PyObject *iterable = pool_argument(args, kwargs);                  /* borrowed */
    PyObject *iterator = iterable ? PyObject_GetIter(iterable) : NULL; /* new */
    if (!iterator) {
        return -1;
    }
    pool_clear(self);
    self->items = iterator;
    return 0;
}

static enum pool_answer recyclable_take(struct pool *self, int64_t *id, PyObject **data)
{
    if (self->free_count == 0) {
        return POOL_NONE;
    }
    uint32_t index = self->free_ids[self->first_free];
    self->first_free = (self->first_free + 1) % self->count;
    self->free_count--;
    self->out[index] = 1;
    *id = index;
    *data = Py_NewRef(PyList_GET_ITEM(self->items, index));
    return POOL_ITEM;
}

static enum pool_answer iterable_take(struct pool *self, int64_t *id, PyObject **data)
{
    PyObject *next = self->items ? PyIter_Next(self->items) : NULL; /* new */
    if (!next) {
        if (PyErr_Occurred()) {
            return POOL_ERROR;
        }
        Py_CLEAR(self->items);
        return POOL_END;
    }
    *id = ++self->next_id;
    *data = next;
    return POOL_ITEM;
}

bool pool_is_ours(PyObject *pool)
{
    return Py_IS_TYPE(pool, state->recyclable_type) || Py_IS_TYPE(pool, state->iterable_type);
}

enum datapool_kind pool_kind(PyObject *pool, int64_t *count)
{
    if (!pool_is_ours(pool)) {
        return DATAPOOL_OWN;
    }
    *count = ((struct pool *)pool)->count;
    return ((struct pool *)pool)->free_ids ? DATAPOOL_RECYCLES : DATAPOOL_ONCE;
}

enum pool_answer pool_take(PyObject *pool, int64_t *id, PyObject **data)
{
    struct pool *self = (struct pool *)pool;
    return self->free_ids ? recyclable_take(self, id, data) : iterable_take(self, id, data);
}

int pool_return(PyObject *pool, int64_t id)
{
    struct pool *self = (struct pool *)pool;
    if (!self->free_ids) {
        return 0; /* each item once */
    }
    if (id < 0 || id >= self->count || !self->out[id]) {
        PyErr_Format(PyExc_ValueError, "no item with id %lld is checked out", (long long)id);
        return -1;
    }
    self->out[id] = 0;
    self->free_ids[(self->first_free + self->free_count) % self->count] = (uint32_t)id;
    self->free_count++;
    return 0;
}

static PyObject *raise_imported(enum module_import type, const char *text)
{
    PyObject *exception = module_import(type); /* borrowed */
    if (exception) {
        PyErr_SetString(exception, text);
    }
    return NULL;
}

static PyObject *pool_checkout(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"config", NULL};
    PyObject *config = NULL, *data, *number, *item, *ready;
    int64_t id;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:checkout", names, &config)) {
        return NULL;
    }
    switch (pool_take(self, &id, &data)) {
    case POOL_NONE:
        return raise_imported(IMPORT_DATAPOOL_EMPTIED, "Recyclable iterable datapool was emptied!");
    case POOL_END:
        return raise_imported(IMPORT_DATAPOOL_EXHAUSTED, "every item of the datapool has been used");
    case POOL_ERROR:
        return NULL;
    case POOL_ITEM:
        break;
    }
    number = PyLong_FromLongLong(id);                                 /* new */
    item = number ? item_make(state->item_type, number, data) : NULL; /* new */
    ready = item ? ready_new(item) : NULL;                            /* new */
    Py_DECREF(data);
    Py_XDECREF(number);
    Py_XDECREF(item);
    return ready;
}

static PyObject *pool_checkin(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"id", NULL};
    long long id;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "L:checkin", names, &id) || pool_return(self, id) != 0) {
        return NULL;
    }
    return ready_none();
}

static int pool_traverse(struct pool *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->items);
    return 0;
}

static void pool_dealloc(struct pool *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    pool_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(checkout_doc, "checkout($self, config=None)\n--\n\nAwaitable of the next free item, a DataPoolItem.");
PyDoc_STRVAR(checkin_doc, "checkin($self, id)\n--\n\nGive an item back. Awaitable.");

static PyMethodDef pool_methods[] = {
    {"checkout", (PyCFunction)(void (*)(void))pool_checkout, METH_VARARGS | METH_KEYWORDS, checkout_doc},
    {"checkin", (PyCFunction)(void (*)(void))pool_checkin, METH_VARARGS | METH_KEYWORDS, checkin_doc},
    {NULL},
};

PyDoc_STRVAR(recyclable_doc,
             "RecyclableIterableDataPool(iterable)\n--\n\n"
             "Gives each item to one journey at a time, first in, first out, with ids from 0. All items are read at\n"
             "once. An item is free again when its journey is over.");
PyDoc_STRVAR(iterable_doc,
             "IterableDataPool(iterable)\n--\n\n"
             "Gives each item once, with ids from 1; after the last one its journey ends. Items are read as they\n"
             "are needed.");

static PyType_Slot recyclable_slots[] = {
    {Py_tp_doc, (void *)recyclable_doc},
    {Py_tp_init, recyclable_init},
    {Py_tp_dealloc, pool_dealloc},
    {Py_tp_traverse, pool_traverse},
    {Py_tp_clear, pool_clear},
    {Py_tp_methods, pool_methods},
    {0},
};

static PyType_Slot iterable_slots[] = {
    {Py_tp_doc, (void *)iterable_doc},
    {Py_tp_init, iterable_init},
    {Py_tp_dealloc, pool_dealloc},
    {Py_tp_traverse, pool_traverse},
    {Py_tp_clear, pool_clear},
    {Py_tp_methods, pool_methods},
    {0},
};

static PyType_Spec recyclable_spec = {
    .name = "mite.datapools.RecyclableIterableDataPool",
    .basicsize = sizeof(struct pool),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = recyclable_slots,
};

static PyType_Spec iterable_spec = {
    .name = "mite.datapools.IterableDataPool",
    .basicsize = sizeof(struct pool),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = iterable_slots,
};

int pool_types_exec(PyObject *module)
{
    state->item_type = module_add_type(module, &item_spec);
    state->recyclable_type = module_add_type(module, &recyclable_spec);
    state->iterable_type = module_add_type(module, &iterable_spec);
    return state->item_type && state->recyclable_type && state->iterable_type ? 0 : -1;
}
