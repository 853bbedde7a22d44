/*
 * Design notes. Which debugger is opened is Python's own business (PEP 553: sys.breakpointhook reads PYTHONBREAKPOINT)
 * and that of mite._debugger (PYTHONPOSTMORTEM). pdb's set_trace() returns at once and traces from then on, so that the
 * hook's return does not tell when it is over: the terminal is given back at the end of a journey once nothing is
 * traced.
 */
#include "python/debugger.h"

#include "python/errors.h"

static struct {
    const struct python_options *options; /* borrowed; NULL: no run */
    PyObject *hook;                       /* what sys.breakpointhook was */
    bool entered;                         /* a breakpoint() has taken the terminal */
    bool over;                            /* the post-mortem debugger was left */
} debugger;

static void tell(bool begins)
{
    if (debugger.options && debugger.options->debugger) {
        debugger.options->debugger(debugger.options->arg, begins);
    }
}

static PyObject *on_breakpoint(PyObject *unused, PyObject *args, PyObject *kwargs)
{
    const char *chosen = getenv("PYTHONBREAKPOINT");
    if (!debugger.hook) {
        Py_RETURN_NONE;
    }
    if (!debugger.entered && !(chosen && strcmp(chosen, "0") == 0)) {
        debugger.entered = true;
        tell(true);
    }
    return PyObject_Call(debugger.hook, args, kwargs);
}

static PyMethodDef hook_def = {"mite_breakpoint", (PyCFunction)(void (*)(void))on_breakpoint,
                               METH_VARARGS | METH_KEYWORDS, NULL};

int debugger_start(const struct python_options *options)
{
    PyObject *hook = PyCFunction_New(&hook_def, NULL); /* new */
    debugger.hook = Py_XNewRef(PySys_GetObject("breakpointhook"));
    debugger.options = options;
    debugger.entered = debugger.over = false;
    int failed = hook ? PySys_SetObject("breakpointhook", hook) : -1;
    Py_XDECREF(hook);
    return failed;
}

void debugger_stop(void)
{
    if (debugger.hook && PySys_SetObject("breakpointhook", debugger.hook) != 0) {
        PyErr_Clear();
    }
    Py_CLEAR(debugger.hook);
    debugger.options = NULL;
}

void debugger_journey_ended(void)
{
    if (!debugger.entered) {
        return;
    }
    PyObject *module = PyImport_ImportModule("sys");                                   /* new */
    PyObject *tracing = module ? PyObject_CallMethod(module, "gettrace", NULL) : NULL; /* new */
    if (tracing == Py_None) {
        debugger.entered = false;
        tell(false);
    }
    PyErr_Clear();
    Py_XDECREF(module);
    Py_XDECREF(tracing);
}

void debugger_journey_failed(PyObject *exception)
{
    if (!debugger.options || !debugger.options->debugging || debugger.over) {
        return;
    }
    debugger.over = true;
    tell(true);
    PyObject *module = PyImport_ImportModule("mite._debugger");                                    /* new */
    PyObject *result = module ? PyObject_CallMethod(module, "post_mortem", "O", exception) : NULL; /* new */
    if (!result) {
        PyErr_Print();
    }
    Py_XDECREF(module);
    Py_XDECREF(result);
    tell(false);
    if (debugger.options->debugger_done) {
        debugger.options->debugger_done(debugger.options->arg);
    }
}
