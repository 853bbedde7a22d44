#include "python/acurl_loop.h"

#include "python/acurl_client.h"
#include "python/errors.h"
#include "python/loop.h"

static struct {
    struct loop *engine;      /* owned; NULL: no guest */
    struct python_loop *host; /* owned */
} guest;

PyObject *acurl_loop_host(void)
{
    return state->loop ? state->loop : guest.host ? python_loop_object(guest.host) : NULL;
}

struct loop *acurl_loop_engine(void)
{
    return state->loop ? state->engine_loop : guest.engine;
}

void acurl_loop_leave(void)
{
    struct mite_error error = {0};
    if (!guest.engine) {
        return;
    }
    python_loop_leave(guest.host);
    guest.host = NULL;
    if (loop_free(guest.engine, &error) < 0) {
        errors_to_python(&error);
        PyErr_WriteUnraisable(NULL);
    }
    guest.engine = NULL;
    error_done(&error);
}

static int open_guest(PyObject *asyncio_loop)
{
    struct mite_error error = {0};
    struct loop *engine;
    if (loop_new(&engine, &error) < 0) {
        errors_to_python(&error);
        error_done(&error);
        return -1;
    }
    if (python_loop_open(engine, asyncio_loop, &guest.host) < 0) {
        loop_free(engine, NULL);
        return -1;
    }
    guest.engine = engine;
    return 0;
}

/* Whether the loop that ours is in still runs: then it is another thread's. */
static int host_runs(void)
{
    PyObject *running = PyObject_CallMethod(acurl_loop_host(), "is_running", NULL); /* new */
    int truth = running ? PyObject_IsTrue(running) : -1;
    Py_XDECREF(running);
    return truth;
}

static int move_to(PyObject *asyncio_loop)
{
    int runs = acurl_loop_host() ? host_runs() : 0;
    if (runs < 0) {
        return -1;
    }
    if (state->loop || runs) {
        PyErr_SetString(PyExc_RuntimeError, "the HTTP client is in use on another event loop: a process has one");
        return -1;
    }
    acurl_client_stop();
    acurl_loop_leave();
    return open_guest(asyncio_loop);
}

int acurl_loop_enter(PyObject *asyncio_loop)
{
    PyObject *wanted = Py_XNewRef(asyncio_loop ? asyncio_loop : state->loop);
    if (!wanted) {
        PyObject *running = acurl_import(ACURL_GET_RUNNING_LOOP); /* borrowed */
        wanted = running ? PyObject_CallNoArgs(running) : NULL;   /* new */
    }
    int result = !wanted ? -1 : wanted == acurl_loop_host() ? 0 : move_to(wanted);
    Py_XDECREF(wanted);
    return result;
}
