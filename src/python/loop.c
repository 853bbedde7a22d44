/*
 * Design notes
 *
 * - Both callables share one capsule, which owns `struct python_loop`: asyncio may hold on to a handle longer than we
 *   are open, and finds `loop` NULL then.
 * - A turn that was asked for runs in a context of its own. In a copy of the asking journey's context, what a turn
 *   starts (the next journey) would inherit that journey's variables.
 * - The watchdog's signal handler (C) trips a signal of Python's; the interpreter then runs the handler below at the
 *   next byte code of the main thread, in the very frame that blocks. When our loop has turned in between, whoever
 *   blocked it has gone on, and the frame at hand has nothing to do with it.
 */
#include "python/loop.h"

#include "base/log.h"
#include "engine/signals.h"
#include "engine/watchdog.h"
#include "python/errors.h"

#include <frameobject.h> /* until Python 3.11, Python.h has no PyFrame_Check */
#include <signal.h>
#include <stdatomic.h>

/* How long tasks that were cancelled at the end may take. Journeys have been given their time before. */
#define CANCEL_TIMEOUT_S 1

struct python_loop {
    struct loop_host ops;
    struct loop *loop;       /* borrowed; NULL once closed */
    PyObject *asyncio_loop;  /* owned, as all that follow */
    PyObject *call_soon;     /* bound method */
    PyObject *turn;          /* our callable for call_soon */
    PyObject *context_kwarg; /* ("context",) */
    PyObject *context;       /* an empty one */
    PyObject *capsule;       /* owns this struct */
    bool must_stop;          /* asyncio's loop, which had no memory to be told */
};

/* ---- the two callables ---- */

static struct python_loop *host_of(PyObject *capsule)
{
    return PyCapsule_GetPointer(capsule, NULL);
}

static void stop(void *arg);

static PyObject *on_readable(PyObject *capsule, PyObject *unused)
{
    struct python_loop *host = host_of(capsule);

    if (host->loop) {
        loop_turn(host->loop);
    }
    if (host->must_stop) {
        stop(host);
    }
    Py_RETURN_NONE;
}

static PyObject *on_asked(PyObject *capsule, PyObject *unused)
{
    struct python_loop *host = host_of(capsule);

    if (host->loop) {
        loop_turn_asked(host->loop);
    }
    Py_RETURN_NONE;
}

static PyMethodDef readable_def = {"mite_ready", on_readable, METH_NOARGS, NULL};
static PyMethodDef asked_def = {"mite_turn", on_asked, METH_NOARGS, NULL};

/* Takes the result of a call that nobody can be told of: an exception is written out. */
static void say_failed(struct python_loop *host, PyObject *result)
{
    if (!result) {
        PyErr_WriteUnraisable(host->asyncio_loop);
    }
    Py_XDECREF(result);
}

/* A closed loop watches nothing any more. */
static bool is_closed(struct python_loop *host)
{
    PyObject *closed = PyObject_CallMethod(host->asyncio_loop, "is_closed", NULL); /* new */
    bool result = closed == Py_True;

    say_failed(host, closed);
    return result;
}

/* ---- the host ---- */

static void schedule_turn(void *arg)
{
    struct python_loop *host = arg;
    PyObject *args[] = {host->turn, host->context};
    PyObject *handle = PyObject_Vectorcall(host->call_soon, args, 1, host->context_kwarg); /* new */

    if (handle) {
        Py_DECREF(handle);
        return;
    }
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback); /* new */
    bool closed = is_closed(host);
    PyErr_Restore(type, value, traceback);
    if (closed) {
        PyErr_Clear(); /* whoever closed it wants no turn any more */
    } else {
        say_failed(host, NULL);
        loop_turn_later(host->loop);
    }
}

static int run_forever(void *arg, struct mite_error *error)
{
    struct python_loop *host = arg;
    PyObject *result = PyObject_CallMethod(host->asyncio_loop, "run_forever", NULL); /* new */

    if (!result) {
        return errors_to_c(error, "the event loop broke off");
    }
    Py_DECREF(result);
    return 0;
}

static void stop(void *arg)
{
    struct python_loop *host = arg;
    PyObject *result = PyObject_CallMethod(host->asyncio_loop, "stop", NULL); /* new */

    host->must_stop = !result;
    say_failed(host, result);
}

/* ---- life ---- */

/* New reference to what asyncio has under that name. */
static PyObject *asyncio_get(const char *name)
{
    PyObject *asyncio = PyImport_ImportModule("asyncio"); /* new */
    PyObject *found = asyncio ? PyObject_GetAttrString(asyncio, name) : NULL;

    Py_XDECREF(asyncio);
    return found;
}

static int set_event_loop(PyObject *asyncio_loop)
{
    PyObject *set = asyncio_get("set_event_loop");                          /* new */
    PyObject *result = set ? PyObject_CallOneArg(set, asyncio_loop) : NULL; /* new */

    Py_XDECREF(set);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* New reference; NULL without an exception when uvloop is not installed. */
static PyObject *import_uvloop(void)
{
    PyObject *module = PyImport_ImportModule("uvloop"); /* new */

    if (!module && PyErr_ExceptionMatches(PyExc_ImportError)) {
        PyErr_Clear();
    }
    return module;
}

/* New reference. */
static PyObject *new_event_loop(PyObject *module)
{
    return module ? PyObject_CallMethod(module, "new_event_loop", NULL) : NULL;
}

int python_loop_prepare(void)
{
    PyObject *module = import_uvloop();                                                        /* new */
    PyObject *asyncio_loop = new_event_loop(module);                                           /* new */
    PyObject *closed = asyncio_loop ? PyObject_CallMethod(asyncio_loop, "close", NULL) : NULL; /* new */

    Py_XDECREF(module);
    Py_XDECREF(asyncio_loop);
    Py_XDECREF(closed);
    return PyErr_Occurred() ? -1 : 0;
}

/* In debug mode uvloop asks for the Python frame of whoever calls it, and calls of ours have none. */
static bool wants_frames(PyObject *uvloop)
{
    PyObject *debug = PyObject_CallMethod(uvloop, "get_debug", NULL); /* new */
    bool result = debug == Py_True;

    Py_XDECREF(debug);
    if (result) {
        PyObject *closed = PyObject_CallMethod(uvloop, "close", NULL); /* new */
        Py_XDECREF(closed);
    }
    PyErr_Clear(); /* what cannot be asked or closed is used */
    return result;
}

PyObject *python_loop_create(void)
{
    PyObject *module = import_uvloop();              /* new */
    PyObject *asyncio_loop = new_event_loop(module); /* new */

    Py_XDECREF(module);
    if (asyncio_loop && wants_frames(asyncio_loop)) {
        Py_CLEAR(asyncio_loop);
    }
    if (!asyncio_loop && !PyErr_Occurred()) {
        module = PyImport_ImportModule("asyncio"); /* new */
        asyncio_loop = new_event_loop(module);
        Py_XDECREF(module);
    }
    if (asyncio_loop && set_event_loop(asyncio_loop) < 0) {
        Py_CLEAR(asyncio_loop);
    }
    return asyncio_loop;
}

static void host_free(PyObject *capsule)
{
    struct python_loop *host = host_of(capsule);

    Py_XDECREF(host->asyncio_loop);
    Py_XDECREF(host->call_soon);
    Py_XDECREF(host->context_kwarg);
    Py_XDECREF(host->context);
    PyMem_Free(host);
}

static struct python_loop *host_new(PyObject *asyncio_loop)
{
    struct python_loop *host = PyMem_Calloc(1, sizeof *host);

    if (!host) {
        PyErr_NoMemory();
        return NULL;
    }
    if (!(host->capsule = PyCapsule_New(host, NULL, host_free))) {
        PyMem_Free(host);
        return NULL;
    }
    host->ops = (struct loop_host){schedule_turn, run_forever, stop, host};
    host->asyncio_loop = Py_NewRef(asyncio_loop);
    host->call_soon = PyObject_GetAttrString(asyncio_loop, "call_soon");
    host->context_kwarg = Py_BuildValue("(s)", "context");
    host->context = PyContext_New();
    host->turn = PyCFunction_New(&asked_def, host->capsule); /* and with it the capsule: dropped in host_drop */
    return host;
}

/* Lets go of the cycle host -> turn -> capsule -> host. Handles that asyncio still holds keep the rest alive. */
static void host_drop(struct python_loop *host)
{
    PyObject *capsule = host->capsule;

    Py_CLEAR(host->turn);
    Py_DECREF(capsule);
}

static int add_reader(struct python_loop *host)
{
    PyObject *readable = PyCFunction_New(&readable_def, host->capsule); /* new */
    PyObject *result = NULL;

    if (readable) {
        result = PyObject_CallMethod(host->asyncio_loop, "add_reader", "iO", loop_fd(host->loop), readable); /* new */
    }
    Py_XDECREF(readable);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static void remove_reader(struct python_loop *host)
{
    say_failed(host, PyObject_CallMethod(host->asyncio_loop, "remove_reader", "i", loop_fd(host->loop)));
}

int python_loop_open(struct loop *loop, PyObject *asyncio_loop, struct python_loop **out)
{
    struct mite_error error = {0};
    struct python_loop *host = host_new(asyncio_loop);

    if (!host) {
        return -1;
    }
    if (!host->call_soon || !host->context_kwarg || !host->context || !host->turn) {
        goto failed;
    }
    host->loop = loop;
    if (add_reader(host) < 0) {
        goto failed;
    }
    if (loop_set_host(loop, &host->ops, &error) < 0) {
        remove_reader(host);
        errors_to_python(&error);
        error_done(&error);
        goto failed;
    }
    *out = host;
    return 0;

failed:
    host->loop = NULL;
    host_drop(host);
    return -1;
}

PyObject *python_loop_object(struct python_loop *host)
{
    return host->asyncio_loop;
}

/* ---- the end ---- */

/* Runs the asyncio loop until `awaitable` (a new reference, or NULL with an exception) is over. */
static void run_until(struct python_loop *host, PyObject *awaitable)
{
    PyObject *result = NULL;

    if (awaitable) {
        result = PyObject_CallMethod(host->asyncio_loop, "run_until_complete", "(O)", awaitable); /* new */
        Py_DECREF(awaitable);
    }
    say_failed(host, result);
}

/* Cancels each task of the set and returns an awaitable (new) that waits for them all. */
static PyObject *cancel_all(PyObject *tasks)
{
    PyObject *each = PyObject_GetIter(tasks), *task; /* new */

    while (each && (task = PyIter_Next(each))) {
        PyObject *result = PyObject_CallMethod(task, "cancel", NULL); /* new */
        Py_DECREF(task);
        if (!result) {
            break;
        }
        Py_DECREF(result);
    }
    Py_XDECREF(each);
    if (PyErr_Occurred()) {
        return NULL;
    }
    PyObject *wait = asyncio_get("wait");                                   /* new */
    PyObject *args = Py_BuildValue("(O)", tasks);                           /* new */
    PyObject *kwargs = Py_BuildValue("{s:i}", "timeout", CANCEL_TIMEOUT_S); /* new */
    PyObject *all = wait && args && kwargs ? PyObject_Call(wait, args, kwargs) : NULL;
    Py_XDECREF(wait);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    return all;
}

/* Tasks that swallow their cancellation: one line for all, where asyncio would write some for each when it drops them.
 */
static void disown_stubborn(PyObject *tasks)
{
    PyObject *each = PyObject_GetIter(tasks), *task; /* new */
    int stubborn = 0;

    while (each && (task = PyIter_Next(each))) {
        PyObject *done = PyObject_CallMethod(task, "done", NULL); /* new */
        if (done == Py_False) {
            stubborn++;
            PyObject_SetAttrString(task, "_log_destroy_pending", Py_False);
        }
        Py_XDECREF(done);
        Py_DECREF(task);
        PyErr_Clear(); /* a task of a kind of its own may lack either */
    }
    Py_XDECREF(each);
    PyErr_Clear();
    if (stubborn) {
        log_line(LOG_WARNING, "tasks that ignored their cancellation and were dropped: %d", stubborn);
    }
}

static void end_tasks(struct python_loop *host)
{
    PyObject *all_tasks = asyncio_get("all_tasks");                                          /* new */
    PyObject *tasks = all_tasks ? PyObject_CallOneArg(all_tasks, host->asyncio_loop) : NULL; /* new */

    Py_XDECREF(all_tasks);
    if (!tasks || PyObject_Size(tasks) > 0) {
        run_until(host, tasks ? cancel_all(tasks) : NULL);
    }
    if (tasks) {
        disown_stubborn(tasks);
    }
    Py_XDECREF(tasks);
}

static void take_out(struct python_loop *host)
{
    if (!is_closed(host)) {
        remove_reader(host);
    }
    loop_set_host(host->loop, NULL, NULL);
    host->loop = NULL;
}

void python_loop_close(struct python_loop *host)
{
    if (!host) {
        return;
    }
    end_tasks(host);
    run_until(host, PyObject_CallMethod(host->asyncio_loop, "shutdown_asyncgens", NULL));
    run_until(host, PyObject_CallMethod(host->asyncio_loop, "shutdown_default_executor", NULL));
    take_out(host);
    say_failed(host, PyObject_CallMethod(host->asyncio_loop, "close", NULL));
    if (set_event_loop(Py_None) < 0) {
        PyErr_WriteUnraisable(host->asyncio_loop);
    }
    host_drop(host);
}

void python_loop_leave(struct python_loop *host)
{
    if (!host) {
        return;
    }
    take_out(host);
    host_drop(host);
}

/* ---- the watch ---- */

static struct {
    struct loop *loop; /* borrowed */
    python_blocked *blocked;
    void *arg;
    int number;                         /* of the signal that Python runs our handler for */
    PyObject *old_handler;              /* owned, as all that follow */
    PyObject *current_task;             /* asyncio's */
    PyObject *cancelled;                /* CancelledError */
    _Atomic uint64_t blocked_ns, turns; /* when the signal came: for how long, in which turn */
} watch;

/* In signal context. */
static void trip(void *arg, uint64_t blocked_ns)
{
    atomic_store(&watch.blocked_ns, blocked_ns);
    atomic_store(&watch.turns, loop_turns(watch.loop));
    PyErr_SetInterruptEx(watch.number);
}

/* The task that runs. New reference; NULL, and no exception, when none does. */
static PyObject *running_task(void)
{
    PyObject *task = PyObject_CallNoArgs(watch.current_task); /* new */

    if (!task) {
        PyErr_Clear(); /* no loop runs */
    } else if (task == Py_None) {
        Py_CLEAR(task);
    }
    return task;
}

static void tell(PyObject *task, PyFrameObject *frame)
{
    PyCodeObject *code = PyFrame_GetCode(frame);            /* new */
    const char *file = PyUnicode_AsUTF8(code->co_filename); /* borrowed */
    char location[512];

    PyErr_Clear(); /* a name that is no UTF-8 */
    snprintf(location, sizeof location, "%s:%d", file ? file : "?", PyFrame_GetLineNumber(frame));
    Py_DECREF(code);
    watch.blocked(watch.arg, task, location, atomic_load(&watch.blocked_ns));
}

/* Python's signal handler: (number, frame). */
static PyObject *on_blocked(PyObject *unused, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyFrame_Check(args[1]) || !watch.blocked ||
        atomic_load(&watch.turns) != loop_turns(watch.loop)) {
        Py_RETURN_NONE;
    }
    PyObject *task = running_task(); /* new */
    tell(task, (PyFrameObject *)args[1]);
    Py_XDECREF(task);
    if (signals_count() >= 2) {
        PyErr_SetString(watch.cancelled, "the loop was blocked when the run was called off");
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef blocked_def = {"mite_blocked", (PyCFunction)(void (*)(void))on_blocked, METH_FASTCALL, NULL};

/* signal.signal(number, handler). New reference to the old handler. */
static PyObject *set_handler(int number, PyObject *handler)
{
    PyObject *module = PyImport_ImportModule("signal"); /* new */
    PyObject *old = module && handler ? PyObject_CallMethod(module, "signal", "iO", number, handler) : NULL;

    Py_XDECREF(module);
    return old;
}

int python_watch_start(struct loop *loop, python_blocked *blocked, void *arg)
{
    PyObject *handler = PyCFunction_New(&blocked_def, NULL); /* new */

    watch.number = SIGRTMIN + 9; /* next to the watchdog's own */
    watch.current_task = asyncio_get("current_task");
    watch.cancelled = asyncio_get("CancelledError");
    if (watch.current_task && watch.cancelled) {
        watch.old_handler = set_handler(watch.number, handler);
    }
    Py_XDECREF(handler);
    if (!watch.old_handler) {
        Py_CLEAR(watch.current_task);
        Py_CLEAR(watch.cancelled);
        return -1;
    }
    watch.loop = loop;
    watch.blocked = blocked;
    watch.arg = arg;
    watchdog_set_probe(trip, NULL);
    return 0;
}

void python_watch_stop(void)
{
    if (!watch.blocked) {
        return;
    }
    watchdog_set_probe(NULL, NULL);
    watch.blocked = NULL;
    if (watch.old_handler != Py_None) { /* else it was not Python's: ours stays, and does nothing */
        PyObject *ours = set_handler(watch.number, watch.old_handler); /* new */
        if (!ours) {
            PyErr_WriteUnraisable(watch.old_handler);
        }
        Py_XDECREF(ours);
    }
    Py_CLEAR(watch.old_handler);
    Py_CLEAR(watch.current_task);
    Py_CLEAR(watch.cancelled);
}
