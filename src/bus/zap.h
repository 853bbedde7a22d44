/*
 * Who may connect: the directory of --curve-allow, and the library's questions about each client (ZAP, RFC 27). The
 * directory is read again when it has changed.
 *
 * Life cycle: zap_use before a socket is bound, zap_release once it is closed; the first and the last one open and
 * close the handler.
 */
#pragma once

#include "bus/internal.h"

#define ZAP_DOMAIN "mite"

/* Reads the directory and looks at every key in it. Needs no handler. */
int zap_check(const char *allow_dir, struct mite_error *error);

int zap_use(struct bus *bus, struct mite_error *error);
void zap_release(struct bus *bus);
