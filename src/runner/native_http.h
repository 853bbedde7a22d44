/*
 * A request of a journey in C, from mite_start() to mite_release(): what is under way, then what came back. The same
 * object is a `struct mite_pending` to its journey first, and a `struct mite_response` once it was awaited.
 */
#pragma once

#include "runner/native_visit.h"

struct mite_response {
    struct mite_context *ctx;
    struct http_exchange *exchange;  /* borrowed; NULL unless under way */
    struct http_response *last;      /* counted: the latest hop's; NULL without any */
    struct http_response *reported;  /* the latest hop whose message was sent; NULL: none */
    struct http_response *shown;     /* the hop that the journey's callback is looking at; NULL: it is not called */
    struct transaction *transaction; /* counted: the innermost one at the start; NULL once reported */
    uint64_t number;                 /* of the journey's requests, from 1 */
    bool may_fail;
    const char *failure; /* whole message, in the arena; NULL: none so far */
    const char *ex_type; /* of the failure */
    struct arena arena;  /* what the response's functions hand out */
    struct value json;
    bool json_read;
    LIST_ENTRY(mite_response) link;
};

/* What `options` ask for, as views into them, the response's arena and the host's scratch buffer: to be used at once.
 * Fails the journey for what makes no sense. */
void native_request(struct mite_response *response, const char *method, const char *url,
                    const struct mite_http_options *options, struct http_request *out);
