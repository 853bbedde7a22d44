/*
 * What is told of responses: the session's callback, then one http_metrics message each.
 */
#pragma once

#include "python/acurl_arguments.h"
#include "python/acurl_session.h"

#include "runner/context.h"

struct report {
    struct session *session;         /* borrowed */
    struct transaction *transaction; /* borrowed: the current one when the request started; may be NULL */
    struct extras *extras;           /* borrowed, may be NULL */
    struct http_response *last;      /* borrowed: the last response; those before it hang on it */
    uint64_t wait_ns;                /* how long the last one waited for its journey to go on; hops waited 0 */
};

/*
 * Reports every response, the oldest first. 0, or -1 with the exception of the first callback that raised, or of the
 * first value in additional_metrics that no message can carry; the messages go all the same. `out` gets the object that
 * the callback saw as the last response: a new reference; NULL without a callback.
 */
int metrics_report(const struct report *report, PyObject **out);
