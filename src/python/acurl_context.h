/*
 * What contexts have of acurl: ctx.http at its first use, and the two functions behind @mite_http.
 */
#pragma once

#include "python/acurl_module.h"

int acurl_context_exec(PyObject *module); /* 0, or -1 with an exception */
