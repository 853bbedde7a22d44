/*
 * One of nng's sockets, and who is connected to it: nng tells that in threads of its own, as long as its socket is
 * open. For nng_socket.c alone.
 *
 * A PUSH socket is spoilt by a peer that goes (why: nng_watch.c). It takes nothing more then and lets nobody in, until
 * it is closed and opened again.
 *
 * Life cycle: nng_watch_new, nng_watch_look whenever `fd` is readable, nng_watch_close, nng_watch_open if another
 * socket of nng's is to take its place, nng_watch_free. All on the loop's thread.
 */
#pragma once

#include "bus/internal.h"

#include <nng/nng.h>
#include <pthread.h>

struct nng_connection;

struct nng_watch {
    struct nng_watch *next; /* in its owner's list */
    struct socket_options options;
    nng_socket nng;
    bool open;
    int fd;                             /* readable when somebody has come or gone */
    int send_fd;                        /* readable when there is room to send; -1: of a PULL */
    pthread_mutex_t lock;               /* of what follows */
    struct nng_connection *connections; /* owned */
    unsigned up, down;                  /* peers that came, and of those the ones that went, ever */
    bool spoilt;
};

int nng_watch_new(const struct socket_options *options, struct nng_watch **out, struct mite_error *error);
/* How many have come and gone so far; `fd` is silent until that changes. True: an open socket that is spoilt. */
bool nng_watch_look(struct nng_watch *watch, unsigned *up, unsigned *down);
/* nng_sendmsg, without waiting: 0, or nng's code. The message is taken on success only. */
int nng_watch_send(struct nng_watch *watch, nng_msg *message);
/* What nng holds for the socket is thrown away. A no-op when it was closed. */
void nng_watch_close(struct nng_watch *watch);
/* After nng_watch_close: a new socket, with the options of the old one and without addresses. 0, or nng's code. */
int nng_watch_open(struct nng_watch *watch);
void nng_watch_free(struct nng_watch *watch); /* closes it too */
