/*
 * How a response is made: one block of memory for the struct, its header views and all its text. Only a large body
 * stays in the buffer that it was received in, so that megabytes are not copied.
 */
#pragma once

#include "base/buf.h"
#include "http/transport.h"

/* Bodies up to this size are copied into the block, and buffers for them may be kept. */
#define RESPONSE_SMALL_BODY 16384

/*
 * From what a transport received for `hop`: `header_block` is the status line and header lines, each with CRLF; a
 * `body` that is large is taken (the buffer is left empty), a small one copied. Fills everything but redirect_url,
 * timings, byte counts, address and previous. One reference. NULL without memory, with everything as it was.
 */
struct http_response *response_new(const struct http_hop *hop, int status, struct str header_block, struct buf *body);

/* Gives it its redirect_url, `url` and, if there is one, `#fragment`. 0 or MITE_ENOMEM. */
int response_set_redirect_url(struct http_response *response, struct str url, struct str fragment);
