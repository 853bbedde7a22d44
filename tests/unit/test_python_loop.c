/*
 * Our loop inside asyncio's own loop and inside uvloop's: the same tests for both. Embeds an interpreter and links
 * src/python/loop.c alone.
 */
#include "python/loop.h"

#include "base/clock.h"
#include "engine/signals.h"
#include "engine/timer.h"
#include "engine/watchdog.h"
#include "python/errors.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

/* What src/python/errors.c is in the plugin. */
int errors_to_c(struct mite_error *error, const char *format, ...)
{
    PyErr_Clear();
    return error_set(error, MITE_EUSER, "%s", format);
}

PyObject *errors_to_python(const struct mite_error *error)
{
    PyErr_SetString(PyExc_RuntimeError, error->text);
    return NULL;
}

/* One test's loops, and the names that its Python code runs among. */
struct nested {
    struct loop *loop;
    struct python_loop *host;
    PyObject *names;
};

static struct nested *nested; /* for the callbacks that Python calls */

/* A failed assertion of Python's is printed and fails the test. */
static void run_python(const char *source)
{
    PyObject *result = PyRun_String(source, Py_file_input, nested->names, nested->names);

    if (!result) {
        PyErr_Print();
    }
    assert_non_null(result);
    Py_DECREF(result);
}

static long number(const char *name)
{
    PyObject *found = PyDict_GetItemString(nested->names, name);

    assert_non_null(found);
    return PyLong_AsLong(found);
}

static void define(const char *name, PyMethodDef *method)
{
    PyObject *function = PyCFunction_New(method, NULL);

    assert_non_null(function);
    assert_int_equal(PyDict_SetItemString(nested->names, name, function), 0);
    Py_DECREF(function);
}

static PyObject *py_stop(PyObject *self, PyObject *unused)
{
    loop_stop(nested->loop);
    Py_RETURN_NONE;
}

static PyMethodDef stop_def = {"stop", py_stop, METH_NOARGS, NULL};

static void nested_open(PyObject *asyncio_loop)
{
    nested = calloc(1, sizeof *nested);
    assert_non_null(asyncio_loop);
    assert_int_equal(loop_new(&nested->loop, NULL), 0);
    assert_int_equal(python_loop_open(nested->loop, asyncio_loop, &nested->host), 0);
    assert_ptr_equal(python_loop_object(nested->host), asyncio_loop);
    nested->names = PyDict_New();
    PyDict_SetItemString(nested->names, "loop", asyncio_loop);
    Py_DECREF(asyncio_loop);
    define("stop", &stop_def);
    run_python("import asyncio, os, time\n"
               "tasks = []\n"
               "def start(coroutine): tasks.append(loop.create_task(coroutine))\n"
               "def give_up(): raise SystemExit('the test takes too long')\n"
               "loop.call_later(10, give_up)\n");
}

static int open_asyncio(void **unused)
{
    PyObject *asyncio = PyImport_ImportModule("asyncio");

    nested_open(PyObject_CallMethod(asyncio, "new_event_loop", NULL));
    Py_DECREF(asyncio);
    return 0;
}

static int open_best(void **unused)
{
    nested_open(python_loop_create());
    return 0;
}

static int close_nested(void **unused)
{
    struct mite_error error = {0};
    struct loop *loop = nested->loop;

    python_loop_close(nested->host);
    Py_DECREF(nested->names);
    assert_int_equal(loop_free(loop, &error), 0);
    free(nested);
    nested = NULL;
    return 0;
}

static void run(void)
{
    struct mite_error error = {0};
    int rc = loop_run(nested->loop, &error);

    assert_string_equal(error.text, "");
    assert_int_equal(rc, 0);
}

/* ---- progress ---- */

static int ticks, bytes_seen;
static int pipe_fds[2];
static uv_poll_t pipe_poll;

static void tick(struct timer *timer)
{
    ticks++;
}

static void on_pipe(uv_poll_t *poll, int status, int events)
{
    char byte;

    bytes_seen += read(pipe_fds[0], &byte, 1) == 1;
}

static PyObject *py_watch_pipe(PyObject *self, PyObject *unused)
{
    assert_int_equal(uv_poll_init(loop_uv(nested->loop), &pipe_poll, pipe_fds[0]), 0);
    assert_int_equal(uv_poll_start(&pipe_poll, UV_READABLE, on_pipe), 0);
    loop_touch(nested->loop);
    Py_RETURN_NONE;
}

static PyObject *py_bytes_seen(PyObject *self, PyObject *unused)
{
    return PyLong_FromLong(bytes_seen);
}

static PyObject *py_ticks(PyObject *self, PyObject *unused)
{
    return PyLong_FromLong(ticks);
}

static PyMethodDef watch_pipe_def = {"watch_pipe", py_watch_pipe, METH_NOARGS, NULL};
static PyMethodDef bytes_seen_def = {"bytes_seen", py_bytes_seen, METH_NOARGS, NULL};
static PyMethodDef ticks_def = {"ticks", py_ticks, METH_NOARGS, NULL};

static void pipe_open(void)
{
    ticks = bytes_seen = 0;
    assert_int_equal(pipe(pipe_fds), 0);
    PyObject *fd = PyLong_FromLong(pipe_fds[1]);
    PyDict_SetItemString(nested->names, "fd", fd);
    Py_DECREF(fd);
    define("watch_pipe", &watch_pipe_def);
    define("bytes_seen", &bytes_seen_def);
    define("ticks", &ticks_def);
}

static void pipe_close(void)
{
    uv_close((uv_handle_t *)&pipe_poll, NULL);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void timers_descriptors_and_tasks_go_on_together(void **unused)
{
    static struct timer timer;

    pipe_open();
    timer_init(&timer, nested->loop, tick);
    timer_start(&timer, 2 * NS_PER_MS, 2 * NS_PER_MS);
    run_python("async def write():\n"
               "    watch_pipe()\n"
               "    for i in range(5):\n"
               "        os.write(fd, b'x')\n"
               "        await asyncio.sleep(0.002)\n"
               "async def wait():\n"
               "    while ticks() < 5 or bytes_seen() < 5 or not tasks[0].done():\n"
               "        await asyncio.sleep(0.001)\n"
               "    stop()\n"
               "start(write())\n"
               "start(wait())\n");
    run();
    assert_true(ticks >= 5);
    assert_int_equal(bytes_seen, 5);
    timer_close(&timer, NULL);
    pipe_close();
}

static void a_poll_started_by_a_python_callback_works(void **unused)
{
    pipe_open();
    run_python("def begin():\n"
               "    os.write(fd, b'x')\n"
               "    watch_pipe()\n"
               "async def wait():\n"
               "    while not bytes_seen():\n"
               "        await asyncio.sleep(0)\n"
               "    stop()\n"
               "loop.call_soon(begin)\n"
               "start(wait())\n");
    run();
    assert_int_equal(bytes_seen, 1);
    pipe_close();
}

static void fire_stop(struct timer *timer)
{
    loop_stop(timer->loop);
}

static void an_idle_loop_does_not_spin(void **unused)
{
    static struct timer timer, later;

    timer_init(&timer, nested->loop, fire_stop);
    timer_init(&later, nested->loop, tick);
    timer_start(&timer, 50 * NS_PER_MS, 0);
    timer_start(&later, 60 * NS_PER_S, 0);
    run();
    assert_in_range(loop_turns(nested->loop), 1, 6);
    timer_close(&timer, NULL);
    timer_close(&later, NULL);
}

/* ---- contexts ---- */

static void read_variable(void *arg)
{
    run_python("seen.append(who.get())\nstop()\n");
}

static PyObject *py_defer(PyObject *self, PyObject *unused)
{
    assert_int_equal(loop_defer(nested->loop, read_variable, NULL), 0);
    Py_RETURN_NONE;
}

static PyMethodDef defer_def = {"defer", py_defer, METH_NOARGS, NULL};

static void a_turn_does_not_inherit_the_context_of_who_asked(void **unused)
{
    define("defer", &defer_def);
    run_python("import contextvars\n"
               "who = contextvars.ContextVar('who', default='nobody')\n"
               "seen = []\n"
               "async def ask():\n"
               "    who.set('me')\n"
               "    defer()\n"
               "start(ask())\n");
    run();
    run_python("assert seen == ['nobody'], seen\n");
}

/* ---- the end ---- */

static void count_call(void *arg)
{
    ++*(int *)arg;
}

static void what_leaves_run_forever_is_an_error(void **unused)
{
    struct mite_error error = {0};

    run_python("def leave(): raise SystemExit(4)\n"
               "loop.call_soon(leave)\n");
    assert_int_equal(loop_run(nested->loop, &error), MITE_EUSER);
    assert_string_equal(error.text, "the event loop broke off");
    error_done(&error);
    run_python("loop.call_soon(stop)\n");
    run(); /* and it can be run again, for what has to end */
}

static void closing_ends_what_is_left(void **unused)
{
    PyObject *names = Py_NewRef(nested->names);

    run_python("ended = []\n"
               "async def endless():\n"
               "    try:\n"
               "        await asyncio.sleep(1000)\n"
               "    finally:\n"
               "        await asyncio.sleep(0.001)\n" /* both loops still turn */
               "        ended.append('task')\n"
               "async def generate():\n"
               "    try:\n"
               "        while True: yield\n"
               "    finally:\n"
               "        ended.append('generator')\n"
               "generator = generate()\n"
               "async def begin():\n"
               "    await generator.__anext__()\n"
               "    await loop.run_in_executor(None, time.sleep, 0)\n"
               "    stop()\n"
               "async def stubborn():\n"
               "    while True:\n"
               "        try: await asyncio.sleep(1000)\n"
               "        except asyncio.CancelledError: pass\n"
               "start(endless())\n"
               "start(stubborn())\n"
               "start(begin())\n");
    run();
    close_nested(unused);
    nested = calloc(1, sizeof *nested);
    nested->names = names;
    run_python("assert ended == ['task', 'generator'], ended\n"
               "assert loop.is_closed()\n"
               "assert tasks[0].cancelled()\n"
               "assert not tasks[1].done()\n");
    Py_DECREF(names);
    free(nested);
    nested = NULL;
}

/* A guest in a loop that its owner closes first: what happens on our side afterwards finds nobody, and nothing is said.
 */
static void a_guest_outlives_its_host(void **unused)
{
    struct mite_error error = {0};
    int calls = 0;

    run_python("loop.call_soon(stop)\n");
    run();
    run_python("import sys\n"
               "unraisable = []\n"
               "sys.unraisablehook = unraisable.append\n"
               "loop.close()\n");
    assert_int_equal(loop_defer(nested->loop, count_call, &calls), 0);
    python_loop_leave(nested->host);
    python_loop_leave(NULL);
    assert_int_equal(loop_free(nested->loop, &error), 0);
    assert_int_equal(calls, 1);
    run_python("assert unraisable == [], unraisable\n"
               "sys.unraisablehook = sys.__unraisablehook__\n");
    Py_DECREF(nested->names);
    free(nested);
    nested = NULL;
}

/* ---- the watch ---- */

static struct {
    int calls;
    bool had_task;
    char location[64];
    uint64_t blocked_ns;
} blocked;

static void on_blocked(void *arg, PyObject *task, const char *location, uint64_t blocked_ns)
{
    blocked.calls++;
    blocked.had_task = task != NULL;
    snprintf(blocked.location, sizeof blocked.location, "%s", location);
    blocked.blocked_ns = blocked_ns;
    assert_string_equal((const char *)arg, "arg");
}

static PyObject *py_blocked(PyObject *self, PyObject *unused)
{
    return PyLong_FromLong(blocked.calls);
}

static PyMethodDef blocked_def = {"blocked", py_blocked, METH_NOARGS, NULL};

static void on_signal(void *arg, int signal_number, int count)
{
}

#define LIMIT_NS (20 * NS_PER_MS)

static void watch_open(void)
{
    blocked.calls = 0;
    define("blocked", &blocked_def);
    assert_int_equal(signals_start(nested->loop, on_signal, NULL, NULL), 0);
    assert_int_equal(python_watch_start(nested->loop, on_blocked, "arg"), 0);
    assert_int_equal(watchdog_start(nested->loop, LIMIT_NS, NULL, NULL), 0);
}

static void watch_close(void)
{
    watchdog_stop();
    python_watch_stop();
    python_watch_stop();
    signals_stop();
}

static void who_blocks_is_found(void **unused)
{
    watch_open();
    run_python("exec(compile('def spin():\\n'\n"
               "             ' while blocked() < 2:\\n'\n"
               "             '  pass\\n', 'shop.py', 'exec'))\n"
               "async def block():\n"
               "    await asyncio.sleep(0.001)\n"
               "    spin()\n"
               "    stop()\n"
               "start(block())\n");
    run();
    assert_true(blocked.calls >= 2);
    assert_true(blocked.had_task);
    assert_true(blocked.blocked_ns >= 2 * LIMIT_NS);
    assert_memory_equal(blocked.location, "shop.py:", 8);
    assert_in_range(atoi(blocked.location + 8), 2, 3);
    watch_close();
}

static void a_sleep_is_interrupted_to_say_so_and_goes_on(void **unused)
{
    watch_open();
    run_python("async def block():\n"
               "    before = time.monotonic()\n"
               "    while not blocked():\n"
               "        time.sleep(0.05)\n"
               "    global slept\n"
               "    slept = int(1000 * (time.monotonic() - before))\n"
               "    stop()\n"
               "start(block())\n");
    run();
    assert_true(blocked.had_task);
    assert_true(number("slept") >= 50);
    watch_close();
}

static void two_signals_end_an_endless_loop(void **unused)
{
    watch_open();
    run_python("async def block():\n"
               "    global ended\n"
               "    ended = 0\n"
               "    try:\n"
               "        while True:\n"
               "            try:\n"
               "                pass\n"
               "            except Exception:\n"
               "                pass\n"
               "    except asyncio.CancelledError:\n"
               "        ended = 1\n"
               "    stop()\n"
               "start(block())\n");
    raise(SIGINT);
    raise(SIGINT);
    run();
    assert_int_equal(number("ended"), 1);
    watch_close();
}

#define BOTH(test)                                                                                                     \
    {#test " in asyncio", test, open_asyncio, close_nested, NULL},                                                     \
    {                                                                                                                  \
#test " in uvloop", test, open_best, close_nested, NULL                                                        \
    }
#define BOTH_CLOSING(test)                                                                                             \
    {#test " in asyncio", test, open_asyncio, NULL, NULL},                                                             \
    {                                                                                                                  \
#test " in uvloop", test, open_best, NULL, NULL                                                                \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(timers_descriptors_and_tasks_go_on_together),
        BOTH(a_poll_started_by_a_python_callback_works),
        BOTH(an_idle_loop_does_not_spin),
        BOTH(a_turn_does_not_inherit_the_context_of_who_asked),
        BOTH(what_leaves_run_forever_is_an_error),
        BOTH_CLOSING(closing_ends_what_is_left),
        BOTH_CLOSING(a_guest_outlives_its_host),
        BOTH(who_blocks_is_found),
        BOTH(a_sleep_is_interrupted_to_say_so_and_goes_on),
        BOTH(two_signals_end_an_endless_loop),
    };

    Py_InitializeEx(0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return Py_FinalizeEx() < 0 ? 1 : failed;
}
