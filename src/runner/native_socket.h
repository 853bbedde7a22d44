/*
 * A connection of a journey in C: TCP, TCP with TLS, or UDP. Its descriptor does not block; where a call would have to
 * wait the journey does, by native_socket_wait().
 */
#pragma once

#include "runner/native_visit.h"

#include <openssl/ssl.h>

/* Watches a descriptor; outlives its socket by the loop's next turn. */
struct native_watch {
    uv_poll_t poll;
    struct mite_socket *socket; /* NULL: closing */
};

struct mite_socket {
    struct native_watch *watch; /* owned; NULL: none yet */
    struct mite_context *ctx;
    int fd;   /* -1: none yet */
    SSL *tls; /* NULL: plain */
    bool datagrams, may_fail;
    uint64_t timeout_ns;
    uint64_t deadline_ns;           /* of the call under way; 0: it has not had to wait yet */
    const char *failure;            /* of the last call; NULL: none */
    const struct arena *failure_in; /* where that text lies */
    struct buf unread;              /* received behind the line that was asked for */
    struct native_lookup *lookup;   /* under way; NULL: none */
    LIST_ENTRY(mite_socket) link;
    char address[]; /* as the journey gave it */
};

/* What an attempt to read, write or connect came to, besides a number of bytes. */
enum { SOCKET_WANTS_READ = -1, SOCKET_WANTS_WRITE = -2, SOCKET_FAILED = -3 };

/* What is left of the time that the journey's call has, from its first wait on. */
uint64_t native_socket_left_ns(struct mite_socket *socket);
/* Waits until the descriptor can be read or written. False, with the failure set: the call took too long. */
bool native_socket_wait(struct mite_socket *socket, int64_t wants);
/* Takes a descriptor, closed on failure (no memory). On the loop's stack. */
bool native_socket_watch(struct mite_socket *socket, int fd);
/* Closes the descriptor. On the loop's stack. */
void native_socket_hang_up(struct mite_socket *socket);
/* Keeps the sentence, with the address in front; always SOCKET_FAILED. */
int64_t native_socket_failed(struct mite_socket *socket, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- TLS (native_tls.c); all on the loop's stack ---- */

/* Makes socket->tls. 0 or SOCKET_FAILED. */
int64_t native_tls_open(struct mite_socket *socket, const char *host, const struct mite_socket_options *options);
int64_t native_tls_handshake(struct mite_socket *socket);
int64_t native_tls_read(struct mite_socket *socket, void *buffer, size_t size);
int64_t native_tls_write(struct mite_socket *socket, const void *bytes, size_t size);
void native_tls_close(struct mite_socket *socket);
/* The settings that connections share. */
void native_tls_done(struct native *native);
