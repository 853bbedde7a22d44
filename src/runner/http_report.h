/*
 * What journeys of any language report of their HTTP requests, so that they report the same: the figures of an
 * http_metrics message, and the sentence of a failure.
 */
#pragma once

#include "base/buf.h"
#include "bus/message.h"
#include "http/client.h"

/* Fills `http`, with views into the response, and `time`. `wait_ns` is what http_report_wait_ns() has just said; 0 for
 * a response that did not wait. */
void http_report_fill(struct message *out, const struct http_response *response, uint64_t wait_ns)
    PRIVATE_API(http_report_fill);

/* How long a response that has ended has waited for its journey until now. */
uint64_t http_report_wait_ns(const struct http_response *response) PRIVATE_API(http_report_wait_ns);

/* Appends "curl failed with code N TEXT: sentence"; of too many redirects the sentence alone. */
void http_report_failure(struct buf *out, const struct http_outcome *outcome) PRIVATE_API(http_report_failure);

/* The same for a request that http_request() refused, with the number that libcurl has for what is the caller's. False:
 * it is not the caller's (no memory), and nothing is appended. */
bool http_report_refusal(struct buf *out, const struct mite_error *error) PRIVATE_API(http_report_refusal);
