/*
 * acurl._Response: a response as Python sees it. It keeps the client's response and makes each attribute when it is
 * read.
 */
#pragma once

#include "python/acurl_arguments.h"
#include "python/acurl_session.h"

PyTypeObject *acurl_response_type(PyObject *module); /* new reference, NULL with an exception */

/* New reference; takes references of its own to all three (extras may be NULL). NULL with an exception. */
PyObject *response_wrap(struct http_response *response, struct session *session, struct extras *extras);
