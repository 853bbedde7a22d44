/*
 * Which loop the HTTP client runs on. Inside `mite` that is the loop of the run. Where a program of the user's brought
 * its own asyncio loop (asyncio.run in a script, a test), ours is a guest in that one: put in at the first use, taken
 * out when that loop was closed and another one comes.
 */
#pragma once

#include "python/acurl_module.h"

/* Sees to it that ours runs inside `asyncio_loop` (borrowed; NULL: inside the one it runs in already, else the running
 * one). 0, or -1 with an exception. Stops the client when it has to leave another loop first. */
int acurl_loop_enter(PyObject *asyncio_loop);

/* Both borrowed, NULL while ours is nowhere. */
struct loop *acurl_loop_engine(void);
PyObject *acurl_loop_host(void);

/* Ends the guest, if there is one. The client must be gone. */
void acurl_loop_leave(void);
