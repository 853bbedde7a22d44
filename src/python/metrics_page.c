#include "python/metrics_page.h"

#include "python/convert.h"
#include "python/errors.h"
#include "stats/page.h"

struct metrics_page {
    PyObject_HEAD
    struct page page;
};

static PyObject *page_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    Py_ssize_t max_label_sets;

    if (!PyArg_ParseTuple(args, "n", &max_label_sets)) {
        return NULL;
    }
    if (max_label_sets < 1) {
        return PyErr_Format(PyExc_ValueError, "max_label_sets is %zd: at least 1 is expected", max_label_sets);
    }
    struct metrics_page *self = (struct metrics_page *)type->tp_alloc(type, 0); /* new, zeroed */
    if (self) {
        page_init(&self->page, (size_t)max_label_sets);
    }
    return (PyObject *)self;
}

static PyObject *process(PyObject *object, PyObject *dump)
{
    struct metrics_page *self = (struct metrics_page *)object;
    struct mite_error error = {0};
    struct arena arena;
    struct value value;
    int code = 0;

    arena_init(&arena, 0);
    int failed = convert_to_value(dump, "dump", &arena, &value);
    if (failed == 0 && (code = page_take(&self->page, &value, &error)) != 0) {
        PyErr_SetString(code == MITE_ENOMEM ? PyExc_MemoryError : PyExc_ValueError, error.text);
    }
    error_done(&error);
    arena_done(&arena);
    return failed == 0 && code == 0 ? Py_NewRef(Py_None) : NULL;
}

static PyObject *format(PyObject *object, PyObject *unused)
{
    struct metrics_page *self = (struct metrics_page *)object;
    struct buf text;

    buf_init(&text, 0);
    page_write(&text, &self->page);
    struct str view = buf_view(&text);
    PyObject *page = text.failed ? PyErr_NoMemory() : PyUnicode_FromStringAndSize(view.p, (Py_ssize_t)view.n); /* new */
    buf_done(&text);
    return page;
}

static void page_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    page_done(&((struct metrics_page *)object)->page);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"process", process, METH_O, "process($self, dump, /)\n--\n\nAdd a dump: a list of maps."},
    {"format", format, METH_NOARGS, "format($self, /)\n--\n\nThe page in Prometheus's text format."},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "The metrics page of the exporter."},
    {Py_tp_new, page_new},
    {Py_tp_dealloc, page_dealloc},
    {Py_tp_methods, methods},
    {0},
};

static PyType_Spec spec = {
    .name = "_mite.MetricsPage",
    .basicsize = sizeof(struct metrics_page),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

int metrics_page_exec(PyObject *module)
{
    PyTypeObject *type = module_add_type(module, &spec); /* new; the module keeps its own */

    Py_XDECREF(type);
    return type ? 0 : -1;
}
