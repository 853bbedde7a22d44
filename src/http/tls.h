/*
 * TLS for our own transport, with OpenSSL: contexts that load what they trust once, sessions that are resumed, and
 * failures put as libcurl puts them.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

#include <curl/curl.h>
#include <openssl/ssl.h>

/* MITE_EINVAL: nobody could be trusted by that file. The sentence does not name it. */
int tls_check_authorities(const char *ca_file, struct mite_error *error);

struct tls_store; /* the contexts of a client, one for each way to verify and client certificate */

/* `ca_file` is copied; NULL: the system's authorities. `offer_h2`: servers may choose HTTP/2. NULL without memory. */
struct tls_store *tls_store_new(const char *ca_file, bool offer_h2);
void tls_store_free(struct tls_store *store); /* when no connection is left; NULL is a no-op */

/* What went wrong, for the user. */
struct tls_failure {
    CURLcode code;
    char text[160];
};

/* A connection to `host` over `fd`, not begun. `cert_file` and `key_file` may be NULL. `*session` is the one to resume,
 * NULL for none; it is replaced when the server gives a new one, and belongs to its owner, who outlives the connection.
 * NULL: see `failure`. */
SSL *tls_open(struct tls_store *store, int fd, const char *host, bool verify, const char *cert_file,
              const char *key_file, SSL_SESSION **session, struct tls_failure *failure);
void tls_close(SSL *ssl, bool clean); /* `clean`: says goodbye; NULL is a no-op */

enum tls_step { TLS_DONE, TLS_WANTS_READ, TLS_WANTS_WRITE, TLS_FAILED };
enum tls_step tls_handshake(SSL *ssl, const char *host, struct tls_failure *failure);
bool tls_chose_h2(const SSL *ssl);

/* As recv() and send(), with -errno: -EAGAIN when the socket is not ready, 0 when the peer closed as TLS wants it,
 * -EPROTO when TLS broke: see `failure`. */
ssize_t tls_read(SSL *ssl, char *p, size_t n, struct tls_failure *failure);
ssize_t tls_write(SSL *ssl, const char *p, size_t n, struct tls_failure *failure);
