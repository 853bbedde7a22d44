/*
 * One of nng's sockets, and who is connected to it: nng tells that in threads of its own, as long as its socket is
 * open. For nng_socket.c alone.
 *
 * Life cycle: nng_watch_open, nng_watch_look whenever `fd` is readable, nng_watch_close, nng_watch_free.
 */
#pragma once

#include "bus/internal.h"

#include <nng/nng.h>
#include <pthread.h>

struct nng_connection;

struct nng_watch {
    struct nng_watch *next; /* in its owner's list */
    nng_socket nng;
    bool open;
    int fd;                             /* readable when somebody has come or gone */
    pthread_mutex_t lock;               /* of what follows */
    struct nng_connection *connections; /* owned */
    unsigned up, down;                  /* peers that came, and of those the ones that went, ever */
};

int nng_watch_open(const struct socket_options *options, struct nng_watch **out, struct mite_error *error);
/* How many have come and gone so far; `fd` is silent until that changes. */
void nng_watch_look(struct nng_watch *watch, unsigned *up, unsigned *down);
/* What nng holds for the socket is thrown away. A no-op when it was closed. */
void nng_watch_close(struct nng_watch *watch);
void nng_watch_free(struct nng_watch *watch); /* closes it too */
