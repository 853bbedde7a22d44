/*
 * Design notes
 *
 * - OpenSSL reads and writes the socket itself, but never with a signal when the peer is gone (SIGPIPE): a connection
 *   may be closed when nobody ignores that any more. It reads ahead, a record with one call, and gives its buffers back
 *   between requests: ten thousand idle connections hold none.
 * - A session is resumed from the origin, not from OpenSSL's own cache, which knows nothing of origins.
 * - Nothing may be left in OpenSSL's error queue: it is per thread, and the next call, of another connection or of
 *   libcurl, would take it for its own.
 */
#include "http/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

struct context {
    struct context *next;
    SSL_CTX *ctx; /* owned */
    bool verify;
    char *cert_file, *key_file; /* owned; NULL without */
};

struct tls_store {
    struct context *contexts;
    BIO_METHOD *sockets; /* owned */
    char *ca_file;       /* owned; NULL: the system's */
    bool offer_h2;
};

/* ---- sentences ---- */

__attribute__((format(printf, 3, 4))) static void say(struct tls_failure *failure, CURLcode code, const char *format,
                                                      ...)
{
    va_list args;

    failure->code = code;
    va_start(args, format);
    vsnprintf(failure->text, sizeof failure->text, format, args);
    va_end(args);
}

/* Takes the queue's oldest error: it says what went wrong, the later ones who was told. */
static const char *take_reason(void)
{
    unsigned long code = ERR_peek_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    ERR_clear_error();
    return reason ? reason : "the connection broke off";
}

int tls_check_authorities(const char *ca_file, struct mite_error *error)
{
    X509_STORE *store = X509_STORE_new();
    int rc = 0;

    if (!store) {
        rc = error_set(error, MITE_ENOMEM, "no memory for TLS");
    } else if (X509_STORE_load_file(store, ca_file) != 1) {
        rc = error_set(error, MITE_EINVAL, "holds no certificate (%s): a PEM file with one or more is expected",
                       take_reason());
    }
    X509_STORE_free(store);
    return rc;
}

/* ---- contexts ---- */

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION **place = SSL_get_app_data(ssl);

    SSL_SESSION_free(*place);
    *place = session;
    return 1; /* taken */
}

static bool set_trust(const struct tls_store *store, SSL_CTX *ctx, struct tls_failure *failure)
{
    if (store->ca_file ? SSL_CTX_load_verify_file(ctx, store->ca_file) : SSL_CTX_set_default_verify_paths(ctx)) {
        X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
        return true;
    }
    say(failure, CURLE_SSL_CACERT_BADFILE, "no certificates to trust can be read from %s (%s)",
        store->ca_file ? store->ca_file : "the system's folder", take_reason());
    return false;
}

static bool set_client_certificate(SSL_CTX *ctx, const char *cert_file, const char *key_file,
                                   struct tls_failure *failure)
{
    const char *key = key_file ? key_file : cert_file;

    if (!cert_file) {
        return true;
    }
    if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1) {
        say(failure, CURLE_SSL_CERTPROBLEM, "cannot use the client certificate %s: %s", cert_file, take_reason());
        return false;
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
        say(failure, CURLE_SSL_CERTPROBLEM, "cannot use the client key %s: %s", key, take_reason());
        return false;
    }
    return true;
}

static SSL_CTX *ctx_new(const struct tls_store *store, bool verify, const char *cert_file, const char *key_file,
                        struct tls_failure *failure)
{
    static const unsigned char both[] = "\x02h2\x08http/1.1";
    const unsigned char *protocols = store->offer_h2 ? both : both + 3;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    if (!ctx) {
        say(failure, CURLE_OUT_OF_MEMORY, "no memory for TLS");
        return NULL;
    }
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ctx,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_new_session);
    SSL_CTX_set_alpn_protos(ctx, protocols, (unsigned)(sizeof both - 1 - (size_t)(protocols - both)));
    if ((verify && !set_trust(store, ctx, failure)) || !set_client_certificate(ctx, cert_file, key_file, failure)) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

static void context_free(struct context *context)
{
    SSL_CTX_free(context->ctx);
    free(context->cert_file);
    free(context->key_file);
    free(context);
}

static SSL_CTX *context_get(struct tls_store *store, bool verify, const char *cert_file, const char *key_file,
                            struct tls_failure *failure)
{
    struct context *context = store->contexts;

    while (context &&
           (context->verify != verify || !same(context->cert_file, cert_file) || !same(context->key_file, key_file))) {
        context = context->next;
    }
    if (context) {
        return context->ctx;
    }
    SSL_CTX *ctx = ctx_new(store, verify, cert_file, key_file, failure);
    if (!ctx) {
        return NULL;
    }
    context = calloc(1, sizeof *context);
    if (context) {
        context->ctx = ctx;
        context->verify = verify;
        context->cert_file = cert_file ? strdup(cert_file) : NULL;
        context->key_file = key_file ? strdup(key_file) : NULL;
    }
    if (!context || (cert_file && !context->cert_file) || (key_file && !context->key_file)) {
        say(failure, CURLE_OUT_OF_MEMORY, "no memory for TLS");
        if (context) {
            context_free(context);
        } else {
            SSL_CTX_free(ctx);
        }
        return NULL;
    }
    context->next = store->contexts;
    store->contexts = context;
    return ctx;
}

/* As OpenSSL's own, without a signal. */
static int write_socket(BIO *bio, const char *p, int n)
{
    ssize_t sent = send((int)BIO_get_fd(bio, NULL), p, (size_t)n, MSG_NOSIGNAL);

    BIO_clear_retry_flags(bio);
    if (sent < 0 && BIO_sock_should_retry((int)sent)) {
        BIO_set_retry_write(bio);
    }
    return (int)sent;
}

static BIO_METHOD *sockets_new(void)
{
    const BIO_METHOD *plain = BIO_s_socket();
    BIO_METHOD *sockets = BIO_meth_new(BIO_TYPE_SOCKET, "socket without a signal");

    if (sockets) {
        BIO_meth_set_write(sockets, write_socket);
        BIO_meth_set_read(sockets, BIO_meth_get_read(plain));
        BIO_meth_set_ctrl(sockets, BIO_meth_get_ctrl(plain));
        BIO_meth_set_create(sockets, BIO_meth_get_create(plain));
        BIO_meth_set_destroy(sockets, BIO_meth_get_destroy(plain));
    }
    return sockets;
}

struct tls_store *tls_store_new(const char *ca_file, bool offer_h2)
{
    struct tls_store *store = calloc(1, sizeof *store);

    if (!store) {
        return NULL;
    }
    store->offer_h2 = offer_h2;
    store->sockets = sockets_new();
    store->ca_file = ca_file ? strdup(ca_file) : NULL;
    if (!store->sockets || (ca_file && !store->ca_file)) {
        tls_store_free(store);
        return NULL;
    }
    return store;
}

void tls_store_free(struct tls_store *store)
{
    while (store && store->contexts) {
        struct context *context = store->contexts;
        store->contexts = context->next;
        context_free(context);
    }
    if (store) {
        BIO_meth_free(store->sockets);
        free(store->ca_file);
        free(store);
    }
}

/* ---- connections ---- */

static bool set_socket(const struct tls_store *store, SSL *ssl, int fd)
{
    BIO *bio = BIO_new(store->sockets);

    if (bio) {
        BIO_set_fd(bio, fd, BIO_NOCLOSE);
        SSL_set_bio(ssl, bio, bio);
    }
    return bio != NULL;
}

/* A name goes into the handshake; either is what the certificate must be for. The dot that may end a name is for the
 * resolver only. */
static bool set_host(SSL *ssl, const char *host)
{
    unsigned char bytes[16];
    size_t n = strlen(host);
    char name[256];

    if (n > 1 && n < sizeof name && host[n - 1] == '.') {
        memcpy(name, host, n - 1);
        name[n - 1] = '\0';
        host = name;
    }
    if (inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    }
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
}

SSL *tls_open(struct tls_store *store, int fd, const char *host, bool verify, const char *cert_file,
              const char *key_file, SSL_SESSION **session, struct tls_failure *failure)
{
    SSL_CTX *ctx = context_get(store, verify, cert_file, key_file, failure);
    SSL *ssl = ctx ? SSL_new(ctx) : NULL;

    if (!ctx) {
        return NULL;
    }
    if (!ssl || !set_socket(store, ssl, fd) || !set_host(ssl, host)) {
        say(failure, CURLE_OUT_OF_MEMORY, "no memory for TLS");
        SSL_free(ssl);
        ERR_clear_error();
        return NULL;
    }
    SSL_set_app_data(ssl, session);
    if (*session) {
        SSL_set_session(ssl, *session);
    }
    SSL_set_connect_state(ssl);
    return ssl;
}

void tls_close(SSL *ssl, bool clean)
{
    if (!ssl) {
        return;
    }
    if (clean && SSL_is_init_finished(ssl)) {
        SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    ERR_clear_error();
}

static void explain_handshake(SSL *ssl, const char *host, int number, struct tls_failure *failure)
{
    long verified = SSL_get_verify_result(ssl);

    if (verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        say(failure, CURLE_PEER_FAILED_VERIFICATION, "no name in it is that of the host, %s", host);
    } else if (verified != X509_V_OK && (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER)) {
        say(failure, CURLE_PEER_FAILED_VERIFICATION, "%s", X509_verify_cert_error_string(verified));
    } else if (ERR_peek_error() || number == 0) {
        say(failure, CURLE_SSL_CONNECT_ERROR, "%s", take_reason());
    } else {
        say(failure, CURLE_SSL_CONNECT_ERROR, "%s", strerror(number));
    }
    ERR_clear_error();
}

enum tls_step tls_handshake(SSL *ssl, const char *host, struct tls_failure *failure)
{
    ERR_clear_error();
    errno = 0;
    int rc = SSL_do_handshake(ssl), number = errno;

    if (rc == 1) {
        return TLS_DONE;
    }
    switch (SSL_get_error(ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        return TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANTS_WRITE;
    default:
        explain_handshake(ssl, host, number, failure);
        return TLS_FAILED;
    }
}

bool tls_chose_h2(const SSL *ssl)
{
    const unsigned char *protocol;
    unsigned size;

    SSL_get0_alpn_selected(ssl, &protocol, &size);
    return size == 2 && memcmp(protocol, "h2", 2) == 0;
}

static ssize_t explain(SSL *ssl, int rc, int number, struct tls_failure *failure)
{
    switch (SSL_get_error(ssl, rc)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        ERR_clear_error();
        return number ? -number : -ECONNRESET;
    default:
        break;
    }
    if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) { /* closed without goodbye */
        ERR_clear_error();
        return -EPIPE;
    }
    say(failure, CURLE_RECV_ERROR, "%s", take_reason());
    return -EPROTO;
}

ssize_t tls_read(SSL *ssl, char *p, size_t n, struct tls_failure *failure)
{
    size_t got;

    errno = 0;
    int rc = SSL_read_ex(ssl, p, n, &got);
    return rc == 1 ? (ssize_t)got : explain(ssl, rc, errno, failure);
}

ssize_t tls_write(SSL *ssl, const char *p, size_t n, struct tls_failure *failure)
{
    size_t sent;

    errno = 0;
    int rc = SSL_write_ex(ssl, p, n, &sent);
    return rc == 1 ? (ssize_t)sent : explain(ssl, rc, errno, failure);
}
