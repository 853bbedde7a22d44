#include "python/journeys.h"

#include "python/args.h"
#include "python/debugger.h"
#include "python/errors.h"
#include "python/spec.h"
#include "python/task.h"
#include "python/transaction.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define ARGS_ON_STACK 16

struct journey {
    PyObject *function; /* called with the context and the arguments; gives an awaitable */
    PyObject *code;     /* that it stands in, a code object, or NULL */
    PyObject *name;     /* the spec, a str: the task's name */
    int needed;         /* arguments that it cannot do without */
};

/* ---- load ---- */

static void journey_free(struct journey *journey)
{
    if (journey) {
        Py_XDECREF(journey->function);
        Py_XDECREF(journey->code);
        Py_XDECREF(journey->name);
        free(journey);
    }
}

/* What mite._host makes of the user's object. False with an exception. */
static bool take_function(struct journey *journey, PyObject *object)
{
    PyObject *check = module_import(IMPORT_JOURNEY);
    PyObject *facts = check ? PyObject_CallOneArg(check, object) : NULL, *function, *code; /* new, borrowed, borrowed */
    bool taken = facts && PyArg_ParseTuple(facts, "OOi", &function, &code, &journey->needed);
    if (taken) {
        journey->function = Py_NewRef(function);
        journey->code = PyCode_Check(code) ? Py_NewRef(code) : NULL;
    }
    Py_XDECREF(facts);
    return taken;
}

static int load(struct journey_host *host, const char *spec, struct journey **out, struct mite_error *error)
{
    PyObject *object;
    int code = spec_load("journey", spec, &object, error);
    if (code != 0) {
        return code;
    }
    struct journey *journey = calloc(1, sizeof(*journey));
    if (!journey) {
        Py_DECREF(object);
        return error_set(error, MITE_ENOMEM, "no memory for journey \"%s\"", spec);
    }
    if (!take_function(journey, object) || !(journey->name = PyUnicode_DecodeFSDefault(spec))) {
        Py_DECREF(object);
        journey_free(journey);
        return spec_error(error, "cannot use journey \"%s\"", spec);
    }
    Py_DECREF(object);
    *out = journey;
    return 0;
}

static void unload(struct journey_host *host, struct journey *journey)
{
    journey_free(journey);
}

static int arguments_needed(struct journey_host *host, const struct journey *journey)
{
    return journey->needed;
}

/* ---- end ---- */

static void end(struct py_context *self, enum journey_outcome outcome)
{
    void (*ended)(void *, struct context *, enum journey_outcome) = self->ended;
    struct context *context = self->context;

    debugger_journey_ended();
    self->ended = NULL;
    context->host = NULL;
    Py_CLEAR(self->task);
    ended(self->ended_arg, context, outcome);
    Py_DECREF(self); /* what start() kept in context->host */
}

/* ---- a journey that forks ---- */

static bool is_child;

static void in_child(void)
{
    is_child = true;
}

static void flush(const char *stream)
{
    PyObject *file = PySys_GetObject(stream); /* borrowed */
    PyObject *result = file ? PyObject_CallMethod(file, "flush", NULL) : NULL;
    Py_XDECREF(result);
    PyErr_Clear();
}

/* What sys.exit() was called with: None, a number, or what is to be said. */
static int exit_code(PyObject *exception)
{
    PyObject *code = PyObject_GetAttrString(exception, "code"); /* new */
    int status = !code || code == Py_None ? 0 : PyLong_Check(code) ? (int)PyLong_AsLong(code) : 1;
    if (code && code != Py_None && !PyLong_Check(code)) {
        PySys_FormatStderr("%S\n", code);
    }
    PyErr_Clear();
    Py_XDECREF(code);
    return status;
}

/* Its child comes to the journey's end as well. It would go on with a run, files and connections that are its parent's,
 * so that is where it ends. */
static void leave_child(PyObject *exception)
{
    int status = 0;
    if (exception && PyErr_GivenExceptionMatches(exception, PyExc_SystemExit)) {
        status = exit_code(exception);
    } else if (exception) {
        PyErr_Display((PyObject *)Py_TYPE(exception), exception, PyException_GetTraceback(exception));
        status = 1;
    }
    flush("stdout");
    flush("stderr");
    _exit(status);
}

/* The last step of the journey's task. */
static void journey_done(void *arg, PyObject *result, PyObject *exception)
{
    struct py_context *self = arg;
    if (is_child) {
        leave_child(exception);
    }
    if (!exception) {
        end(self, JOURNEY_OK);
    } else if (errors_is_cancelled(exception)) {
        end(self, JOURNEY_CANCELLED);
    } else {
        context_report(self, self->context->root, exception);
        debugger_journey_failed(exception);
        end(self, JOURNEY_FAILED);
    }
}

/* A journey that could not begin ends like one that failed, and not from inside start(). */
static void end_unstarted(void *arg)
{
    end(arg, JOURNEY_FAILED);
}

/* ---- out of memory ---- */

static struct {
    const struct python_options *options; /* borrowed */
    bool out;                             /* nothing more starts */
} memory;

static bool full(struct journey_host *host)
{
    return memory.out;
}

static void tell_out_of_memory(void *arg)
{
    memory.options->out_of_memory(memory.options->arg);
}

static void note_out_of_memory(void)
{
    if (!memory.out) {
        memory.out = loop_defer(state->engine_loop, tell_out_of_memory, NULL) == 0;
    }
}

/* Whether the machinery found no memory, not code of the user's that wanted a lot: that has a frame. */
static bool is_out_of_memory(PyObject *exception, bool called)
{
    PyObject *traceback = PyException_GetTraceback(exception); /* new */
    Py_XDECREF(traceback);
    return (called || !traceback) && PyErr_GivenExceptionMatches(exception, PyExc_MemoryError);
}

/* ---- start ---- */

static void fail_to_start(struct py_context *self, bool called)
{
    PyObject *exception = errors_take(); /* new */
    if (is_out_of_memory(exception, called)) {
        note_out_of_memory();
    }
    context_report(self, self->context->root, exception);
    debugger_journey_failed(exception);
    Py_DECREF(exception);
    if (loop_defer(state->engine_loop, end_unstarted, self) != 0) {
        end_unstarted(self); /* no memory to wait with */
    }
}

/* Calls the function with the context and the items of `args` (a tuple or list, or NULL). New reference. */
static PyObject *call(PyObject *function, PyObject *context, PyObject *args)
{
    PyObject *on_stack[ARGS_ON_STACK], **argv = on_stack;
    Py_ssize_t count = args ? PySequence_Fast_GET_SIZE(args) : 0;
    if (count + 1 > ARGS_ON_STACK && !(argv = PyMem_Malloc((size_t)(count + 1) * sizeof(*argv)))) {
        return PyErr_NoMemory();
    }
    argv[0] = context;
    for (Py_ssize_t i = 0; i < count; i++) {
        argv[i + 1] = PySequence_Fast_GET_ITEM(args, i); /* borrowed */
    }
    PyObject *result = PyObject_Vectorcall(function, argv, (size_t)count + 1, NULL);
    if (argv != on_stack) {
        PyMem_Free(argv);
    }
    return result;
}

/* The coroutine of a new journey, called for among variables of its own. New reference. */
static PyObject *call_in(PyObject *variables, PyObject *function, struct py_context *self, PyObject *args)
{
    if (PyContext_Enter(variables) != 0) {
        return NULL;
    }
    PyObject *token = PyContextVar_Set(state->journey, (PyObject *)self);        /* new */
    PyObject *coroutine = token ? call(function, (PyObject *)self, args) : NULL; /* new */
    Py_XDECREF(token);
    if (PyContext_Exit(variables) != 0) {
        Py_CLEAR(coroutine);
    }
    return coroutine;
}

/* One that never begins: Python would say so of each, and finds no memory for that. Keeps the exception. */
static void close_coroutine(PyObject *coroutine)
{
    PyObject *exception = errors_take();                              /* new */
    PyObject *result = PyObject_CallMethod(coroutine, "close", NULL); /* new */
    Py_XDECREF(result);
    PyErr_Clear();
    errors_put(exception);
}

/* The journey's coroutine as a task. False with an exception; *called when the function was called and has returned. */
static bool begin(struct journey *journey, struct py_context *self, struct args *args, bool *called)
{
    *called = false;
    PyObject *items = args ? args_to_python(args) : NULL; /* new */
    if (args && !items) {
        return false;
    }
    PyObject *variables = PyContext_New();                                                       /* new */
    PyObject *coroutine = variables ? call_in(variables, journey->function, self, items) : NULL; /* new */
    Py_XDECREF(items);
    self->task = coroutine ? task_start_journey(coroutine, journey->name, variables, self->context, journey_done, self)
                           : NULL; /* new */
    *called = coroutine != NULL;
    if (coroutine && !self->task) {
        close_coroutine(coroutine);
    }
    Py_XDECREF(coroutine);
    Py_XDECREF(variables);
    return self->task != NULL;
}

static void start(struct journey_host *host, struct journey *journey, struct context *context, struct args *args,
                  void (*ended)(void *arg, struct context *context, enum journey_outcome outcome), void *arg)
{
    struct py_context *self = context_wrap(context); /* new: kept in context->host */
    bool called;
    if (!self) {
        note_out_of_memory();
        errors_log_once("context", "cannot start journey %s", context->journey_name);
        ended(arg, context, JOURNEY_FAILED); /* no memory to wait with */
        return;
    }
    self->code = Py_XNewRef(journey->code);
    self->ended = ended;
    self->ended_arg = arg;
    context->host = self;
    if (!begin(journey, self, args, &called)) {
        fail_to_start(self, called);
    }
}

static void cancel(struct journey_host *host, struct context *context)
{
    struct py_context *self = context->host;
    if (self && self->task) {
        task_cancel(self->task);
    }
}

const char *journeys_running(void)
{
    PyObject *found = NULL;
    if (PyContextVar_Get(state->journey, NULL, &found) != 0) { /* new */
        PyErr_Clear();
    }
    const char *name = found ? ((struct py_context *)found)->context->journey_name : NULL;
    Py_XDECREF(found); /* the variable keeps it */
    return name;
}

struct journey_host *journeys_host(const struct python_options *options)
{
    static bool watched;
    if (!watched) {
        watched = pthread_atfork(NULL, NULL, in_child) == 0;
    }
    is_child = false; /* whoever asks runs journeys of its own */
    memory.options = options;
    memory.out = false;
    static struct journey_host host = {.name = "Python",
                                       .load = load,
                                       .unload = unload,
                                       .arguments_needed = arguments_needed,
                                       .full = full,
                                       .start = start,
                                       .cancel = cancel};
    return &host;
}
