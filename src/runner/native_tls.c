/*
 * Design notes. OpenSSL reads and writes the socket itself, which does not block: what it cannot do now it asks to wait
 * for. Its settings (certificates among them, which take milliseconds to read) are shared by all connections that want
 * the same ones.
 */
#include "runner/native_socket.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

struct native_tls {
    struct native_tls *next;
    SSL_CTX *context;
    char *ca_file, *cert_file, *key_file; /* owned; NULL: none */
};

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static const char *reason(void)
{
    unsigned long code = ERR_get_error();
    const char *text = code ? ERR_reason_error_string(code) : NULL;

    ERR_clear_error();
    return text ? text : "unknown reason";
}

static void tls_free(struct native_tls *tls)
{
    SSL_CTX_free(tls->context);
    free(tls->ca_file);
    free(tls->cert_file);
    free(tls->key_file);
    free(tls);
}

/* False without memory. */
static bool copy(const char *text, char **out)
{
    *out = text ? str_copy(str_of(text)) : NULL;
    return *out || !text;
}

static int64_t load_files(struct mite_socket *socket, struct native_tls *tls)
{
    SSL_CTX *context = tls->context;

    if (tls->ca_file ? SSL_CTX_load_verify_file(context, tls->ca_file) != 1
                     : SSL_CTX_set_default_verify_paths(context) != 1) {
        return native_socket_failed(socket, "cannot read the certificates in %s: %s",
                                    tls->ca_file ? tls->ca_file : "the system's place", reason());
    }
    if (tls->cert_file &&
        (SSL_CTX_use_certificate_chain_file(context, tls->cert_file) != 1 ||
         SSL_CTX_use_PrivateKey_file(context, tls->key_file ? tls->key_file : tls->cert_file, SSL_FILETYPE_PEM) != 1)) {
        return native_socket_failed(socket, "cannot use the client certificate %s: %s", tls->cert_file, reason());
    }
    return 0;
}

/* NULL, with the failure set, when they cannot be made. */
static struct native_tls *settings(struct mite_socket *socket, const struct mite_socket_options *options)
{
    struct native *native = socket->ctx->native;
    const char *ca_file = options->ca_file ? options->ca_file : native->options.http->ca_file;
    struct native_tls *tls;

    for (tls = native->tls; tls; tls = tls->next) {
        if (same(tls->ca_file, ca_file) && same(tls->cert_file, options->cert_file) &&
            same(tls->key_file, options->key_file)) {
            return tls;
        }
    }
    tls = calloc(1, sizeof *tls);
    if (!tls || !(tls->context = SSL_CTX_new(TLS_client_method()))) {
        free(tls);
        native_socket_failed(socket, "no memory for TLS");
        return NULL;
    }
    SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
    SSL_CTX_set_mode(tls->context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(tls->context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (!copy(ca_file, &tls->ca_file) || !copy(options->cert_file, &tls->cert_file) ||
        !copy(options->key_file, &tls->key_file)) {
        native_socket_failed(socket, "no memory for TLS");
        tls_free(tls);
        return NULL;
    }
    if (load_files(socket, tls) < 0) {
        tls_free(tls);
        return NULL;
    }
    tls->next = native->tls;
    native->tls = tls;
    return tls;
}

static bool is_address(const char *host)
{
    ASN1_OCTET_STRING *bytes = a2i_IPADDRESS(host);

    ASN1_OCTET_STRING_free(bytes);
    return bytes != NULL;
}

int64_t native_tls_open(struct mite_socket *socket, const char *host, const struct mite_socket_options *options)
{
    const char *name = options->server_name ? options->server_name : host;
    bool verify = options->verify ? options->verify > 0 : !socket->ctx->native->options.http->insecure;
    bool address = is_address(name);
    struct native_tls *tls = settings(socket, options);

    if (!tls) {
        return SOCKET_FAILED;
    }
    socket->tls = SSL_new(tls->context);
    if (!socket->tls || SSL_set_fd(socket->tls, socket->fd) != 1 ||
        (address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(socket->tls), name) != 1
                 : SSL_set1_host(socket->tls, name) != 1 || SSL_set_tlsext_host_name(socket->tls, name) != 1)) {
        return native_socket_failed(socket, "cannot begin TLS with \"%s\": %s", name, reason());
    }
    SSL_set_verify(socket->tls, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    return 0;
}

/* Those of other connections, before a call that may set its own. */
static void forget_errors(void)
{
    ERR_clear_error();
    errno = 0;
}

/* What a call that returned `rc` came to. */
static int64_t result(struct mite_socket *socket, int rc, const char *what)
{
    int error = errno;

    switch (SSL_get_error(socket->tls, rc)) {
    case SSL_ERROR_WANT_READ:
        return SOCKET_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return SOCKET_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        return native_socket_failed(socket, "%s: %s", what, error ? strerror(error) : "the peer has closed");
    default:
        return native_socket_failed(socket, "%s: %s", what, reason());
    }
}

int64_t native_tls_handshake(struct mite_socket *socket)
{
    forget_errors();
    int rc = SSL_connect(socket->tls);
    long verified = SSL_get_verify_result(socket->tls);

    if (rc == 1) {
        return 1;
    }
    int64_t came = SSL_get_error(socket->tls, rc) == SSL_ERROR_SSL && verified != X509_V_OK
                       ? native_socket_failed(socket,
                                              "the certificate is not trusted: %s (--ca-file names what is trusted, "
                                              ".verify = -1 or --insecure trusts all)",
                                              X509_verify_cert_error_string(verified))
                       : result(socket, rc, "TLS handshake");
    ERR_clear_error();
    return came == 0 ? native_socket_failed(socket, "TLS handshake: the peer has closed") : came;
}

int64_t native_tls_read(struct mite_socket *socket, void *buffer, size_t size)
{
    forget_errors();
    int rc = SSL_read(socket->tls, buffer, size < INT32_MAX ? (int)size : INT32_MAX);

    return rc > 0 ? rc : result(socket, rc, "read");
}

int64_t native_tls_write(struct mite_socket *socket, const void *bytes, size_t size)
{
    forget_errors();
    int rc = SSL_write(socket->tls, bytes, size < INT32_MAX ? (int)size : INT32_MAX);

    if (rc > 0) {
        return rc;
    }
    int64_t came = result(socket, rc, "write");
    return came == 0 ? native_socket_failed(socket, "write: the peer has closed") : came;
}

/* Tells the peer, as far as that goes without waiting. */
void native_tls_close(struct mite_socket *socket)
{
    if (socket->tls) {
        if (SSL_is_init_finished(socket->tls)) {
            SSL_shutdown(socket->tls);
        }
        SSL_free(socket->tls);
        ERR_clear_error();
        socket->tls = NULL;
    }
}

void native_tls_done(struct native *native)
{
    struct native_tls *tls;

    while ((tls = native->tls)) {
        native->tls = tls->next;
        tls_free(tls);
    }
}
