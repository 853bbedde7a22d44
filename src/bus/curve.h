/*
 * CURVE: who may talk to whom, by keys. Who binds is the server: it has a secret key (--curve-key) and a directory of
 * the public keys that it lets in (--curve-allow; every *.pub there, read again when the directory changes). Who
 * connects has a secret key of its own and the server's public one (--curve-server-key).
 *
 * A key file has one line, 40 characters of Z85; secret ones are made with mode 0600 and refused when others may read
 * them.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>

struct curve_options {
    const char *key_file;        /* our secret key */
    const char *server_key_file; /* the public key of whom we connect to */
    const char *allow_dir;       /* public keys of who may connect to us */
};

struct curve_key {
    char text[41]; /* Z85 */
};

/* Reads a secret or a public key. The sentence names the file and says how to make one. */
int curve_read(const char *file, bool secret, struct curve_key *out, struct mite_error *error);
/* The public key that belongs to a secret one. */
int curve_public(const struct curve_key *secret, struct curve_key *out, struct mite_error *error);
/* Writes server.key, server.pub, client.key and client.pub into `dir`, made when missing. Existing keys are never
 * overwritten: MITE_EINVAL. */
int curve_generate(const char *dir, struct mite_error *error);
