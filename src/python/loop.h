/*
 * Our loop inside an asyncio loop: the asyncio loop watches loop_fd() and runs one C callable for all that is ready on
 * our side; what Python code changes on our loop asks for a turn by call_soon (engine/loop.h says how). And the Python
 * half of the watchdog, which finds out which task blocks both.
 *
 * Life cycle: python_loop_prepare before any loop of ours is made, python_loop_create, python_loop_open, loop_run()
 * until loop_stop(), python_loop_close; as a guest in a loop that somebody else runs, python_loop_open and
 * python_loop_leave. The watch may be started and stopped at any time while a loop is open. Main thread, GIL held. One
 * of each a process.
 */
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "engine/loop.h"

struct python_loop;

/* Makes uvloop's first loop, where uvloop is installed: that gives the libuv which it shares with us another allocator,
 * and no loop of ours may live through it. 0, or -1 with an exception. */
int python_loop_prepare(void);

/* A new asyncio loop, uvloop's where that can be imported, else asyncio's own, as in asyncio's debug mode; it becomes
 * the current event loop. New reference; NULL with an exception. */
PyObject *python_loop_create(void);

/* Nests `loop` (borrowed until close or leave) in `asyncio_loop` (borrowed; a reference is kept). 0, or -1 with an
 * exception. */
int python_loop_open(struct loop *loop, PyObject *asyncio_loop, struct python_loop **out);

/* The asyncio loop. Borrowed. */
PyObject *python_loop_object(struct python_loop *host);

/*
 * The end, once loop_run() has returned: cancels the tasks that are left and gives them a second, shuts down
 * asynchronous generators and the default executor, takes our loop out and closes the other. What goes wrong is
 * written where Python writes what it cannot raise. NULL is a no-op.
 */
void python_loop_close(struct python_loop *host);

/* Takes our loop out of an asyncio loop that is somebody else's: it goes on, or has been closed. NULL is a no-op. */
void python_loop_leave(struct python_loop *host);

/*
 * Called when the loop has been blocked for the watchdog's limit, and again every limit, in the frame that blocks it:
 * `task` is the asyncio task that runs (borrowed; NULL: none does), `location` FILE:LINE of the frame. When two signals
 * have come (engine/signals.h) the frame gets a CancelledError after the call, so that an endless loop ends too, be it
 * a journey's, a datapool's or a volume model's.
 */
typedef void python_blocked(void *arg, PyObject *task, const char *location, uint64_t blocked_ns);

/* 0, or -1 with an exception. The watchdog itself is started by whoever wants it. */
int python_watch_start(struct loop *loop, python_blocked *blocked, void *arg);
void python_watch_stop(void);
