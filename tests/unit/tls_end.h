/*
 * The server's end of a TLS connection, without a socket: what came over the wire goes in, what has to go out comes
 * out. Its certificate is for 127.0.0.1, ::1, localhost and shop.test, signed by itself and made when the program
 * starts; tls_end_authority() is a file for clients to trust it.
 *
 * The HTTP tests run plain, or with MITE_TEST_TLS in the environment over this.
 */
#pragma once

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct tls_end {
    SSL *ssl; /* NULL: plain, everything passes through */
};

static inline bool over_tls(void)
{
    return getenv("MITE_TEST_TLS") != NULL;
}

static inline const char *tls_end_scheme(void)
{
    return over_tls() ? "https" : "http";
}

static char tls_end_file[] = "/tmp/mite-test-authority-XXXXXX";

static inline void tls_end_remove_file(void)
{
    unlink(tls_end_file);
}

static inline void tls_end_extend(X509 *certificate, int kind, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);

    assert_non_null(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static inline SSL_CTX *tls_end_context(void)
{
    static SSL_CTX *context;

    if (context) {
        return context;
    }
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 24 * 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC, (const unsigned char *)"Test",
                               -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_set_pubkey(certificate, key);
    tls_end_extend(certificate, NID_basic_constraints, "critical,CA:TRUE");
    tls_end_extend(certificate, NID_subject_alt_name, "IP:127.0.0.1,IP:::1,DNS:localhost,DNS:shop.test");
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);

    FILE *file = fdopen(mkstemp(tls_end_file), "w");
    assert_non_null(file);
    atexit(tls_end_remove_file);
    PEM_write_X509(file, certificate);
    fclose(file);

    context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}

/* The name of a file with the certificate. */
static inline const char *tls_end_authority(void)
{
    tls_end_context();
    return tls_end_file;
}

static inline void tls_end_open_tls(struct tls_end *end)
{
    end->ssl = SSL_new(tls_end_context());
    SSL_set_bio(end->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(end->ssl);
}

static inline void tls_end_open(struct tls_end *end)
{
    end->ssl = NULL;
    if (over_tls()) {
        tls_end_open_tls(end);
    }
}

static inline void tls_end_close(struct tls_end *end)
{
    SSL_free(end->ssl);
    end->ssl = NULL;
}

/* What the client meant by these bytes of the wire; an answer to them may be there to be taken. */
static inline void tls_end_receive(struct tls_end *end, struct str wire, struct buf *plain)
{
    char bytes[4096];
    size_t n;

    if (!end->ssl) {
        buf_str(plain, wire);
        return;
    }
    BIO_write(SSL_get_rbio(end->ssl), wire.p, (int)wire.n);
    while (SSL_read_ex(end->ssl, bytes, sizeof bytes, &n) == 1) {
        buf_append(plain, bytes, n);
    }
    ERR_clear_error();
}

/* Appends what has to go over the wire by now. */
static inline void tls_end_take(struct tls_end *end, struct buf *wire)
{
    char bytes[4096];
    int n;

    while (end->ssl && (n = BIO_read(SSL_get_wbio(end->ssl), bytes, sizeof bytes)) > 0) {
        buf_append(wire, bytes, (size_t)n);
    }
}

/* Nothing goes out behind the goodbye. */
static inline void tls_end_send(struct tls_end *end, struct str plain, struct buf *wire)
{
    if (!end->ssl) {
        buf_str(wire, plain);
    } else if (plain.n > 0 && !(SSL_get_shutdown(end->ssl) & SSL_SENT_SHUTDOWN)) {
        assert_int_equal(SSL_write(end->ssl, plain.p, (int)plain.n), (int)plain.n);
    }
    tls_end_take(end, wire);
}

/* Says goodbye, as TLS wants it before a connection is closed. */
static inline void tls_end_goodbye(struct tls_end *end, struct buf *wire)
{
    if (end->ssl && SSL_is_init_finished(end->ssl)) {
        SSL_shutdown(end->ssl);
        tls_end_take(end, wire);
    }
}
