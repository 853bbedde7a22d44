/*
 * --logging-webhook (or MITE_LOGGING_URL): tells a server of the run's start, which answers with an id, and of its end.
 */
#pragma once

#include "base/error.h"
#include "http/client.h"

struct webhook {
    const char *url; /* borrowed; NULL: no webhook */
    const struct http_client_options *http;
    char *id; /* owned: `newid` of the answer as JSON text; NULL before the start */
};

/* POST {"testname": spec} to URL/start. Anything but 200 with a newid is an error, and no load begins. */
int webhook_start(struct webhook *webhook, const char *spec, struct mite_error *error);

/* POST {"id": newid} to URL/end; 204 is expected. Only after a start that succeeded; frees what start kept. */
int webhook_end(struct webhook *webhook, struct mite_error *error);
