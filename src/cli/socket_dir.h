/*
 * A directory for the sockets between a process and its workers that nobody else can enter. The process holds a lock on
 * it as long as it lives: so it is known which ones were left behind by processes that were killed, and the next one
 * removes them.
 */
#pragma once

#include "base/error.h"

#define SOCKET_DIR_BYTES    80 /* of a socket's path the system takes 107 */
#define SOCKET_ADDRESS_SIZE (SOCKET_DIR_BYTES + 32)

struct socket_dir {
    char path[SOCKET_DIR_BYTES];                                       /* "": none */
    int fd;                                                            /* it holds the lock */
    char controller[SOCKET_ADDRESS_SIZE], events[SOCKET_ADDRESS_SIZE]; /* addresses of the sockets */
};

/* In TMPDIR, or /tmp. MITE_EIO. */
int socket_dir_make(struct socket_dir *dir, struct mite_error *error);
/* With the sockets; also in the child of a crash. */
void socket_dir_remove(const struct socket_dir *dir);
void socket_dir_done(struct socket_dir *dir); /* after that; fine for one that was not made */
