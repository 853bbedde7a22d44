/*
 * `mite target`: an HTTP server to aim at, for demos and tests.
 *
 *   /                  a small text
 *   /delay/MS          the same text, MS milliseconds later
 *   /status/N          an empty answer with that status (200 to 599; no Location, also for 3xx)
 *   /bytes/N           N bytes
 *   /echo              JSON: method, path, arguments, headers, body (a body that is no UTF-8 as {"__bytes__": BASE64})
 *   /headers           JSON: {"headers": {name: value}}; repeats joined by ", "
 *   /cookies           JSON: {"cookies": {name: value}}
 *   /cookies/set?k=v   sets each cookie, answers {"cookies": {k: v}}
 *   /redirect/N        302 to /redirect/N-1, at last to /
 *   /gzip              a gzip-compressed JSON text
 *   /users/create      POST {"username": ..., "password": ...}: 201, 409 when there is one of that name, 507 when full
 *   /login             POST the same: 200, or 401
 *   /drop              the connection is closed without an answer
 *   /stall             never answers
 *
 * Errors are JSON, {"error": SENTENCE}, with 400, 404 or 405. Life cycle as the server's (server.h).
 */
#pragma once

#include "engine/loop.h"

struct target;

#define TARGET_MAX_USERS       100000
#define TARGET_MAX_CONNECTIONS 20000
#define TARGET_MAX_BODY        (64u << 20)
#define TARGET_MAX_BYTES       (INT64_C(1) << 30) /* of /bytes/N */

/* `address` is borrowed for the call. */
int target_start(struct loop *loop, const char *address, struct target **out, struct mite_error *error);
void target_stop(struct target *target); /* NULL is a no-op */
const char *target_url(const struct target *target);
