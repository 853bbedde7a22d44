/*
 * Addresses as users write them, and the sockets that listen on them: `127.0.0.1:8000`, `[::1]:9301`, `localhost:8000`,
 * `:8000` (every interface, IPv4 and IPv6). Port 0 lets the system choose.
 */
#pragma once

#include "base/error.h"

#define LISTEN_URL_MAX 128

/* *fd is the caller's: listening, non-blocking, closed on exec. MITE_EINVAL: the address makes no sense; MITE_EIO: it
 * cannot be listened on. The sentence names it. */
int listen_open(const char *address, int *fd, struct mite_error *error);

/* Where the socket listens, with the port that it got: "http://127.0.0.1:8000". */
int listen_url(int fd, char url[LISTEN_URL_MAX], struct mite_error *error);
