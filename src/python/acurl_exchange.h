/*
 * The awaitable of a request: a coroutine by shape (send, throw, close, __await__), so that await, gather, wait_for and
 * create_task take it. Its first step starts the request and yields an asyncio.Future; the step after the future was
 * set gives the response. Thrown into or closed, it cancels the request.
 */
#pragma once

#include "python/acurl_arguments.h"
#include "python/acurl_session.h"

PyTypeObject *acurl_exchange_type(PyObject *module); /* new reference, NULL with an exception */

/* New reference; `method` is static text, `arguments` is taken on success. NULL with an exception. */
PyObject *exchange_new(struct session *session, const char *method, struct arguments *arguments);
