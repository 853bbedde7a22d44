/*
 * The runner's end of the line to its controller: one request at a time, kept until it is answered. What a broken
 * connection or a controller's death may have swallowed is sent again, the same bytes, as soon as there is a
 * connection; after a silence the socket is closed and opened anew, each time after a longer one.
 *
 * It knows nothing of what is said: its owner tells it which message was the answer.
 *
 * Life cycle: link_open, link_send, link_answered..., link_close.
 */
#pragma once

#include "bus/socket.h"

struct link;

struct link_options {
    struct bus *bus;     /* borrowed */
    const char *address; /* borrowed */
    const char *name;    /* routing id; borrowed */
    /* A message has come, borrowed. The link may be used, but not closed, in both. */
    void (*received)(void *arg, struct str body);
    void (*connection)(void *arg, bool up);
    void *arg;
};

/* MITE_EINVAL: the address. An absent controller is no error: it is tried for ever. */
int link_open(struct loop *loop, const struct link_options *options, struct link **out, struct mite_error *error);
/* Copied; what was under way before is forgotten. An answer is waited for so long at first, counted from when the bytes
 * went to a connection. MITE_ENOMEM. */
int link_send(struct link *link, struct str bytes, uint64_t patience_ns);
bool link_waits(const struct link *link); /* a request has not been answered */
void link_answered(struct link *link);    /* nor will it be: it is settled */
/* The answer was of no use: the same request goes out again, after its patience. */
void link_ask_again(struct link *link);
void link_close(struct link *link); /* NULL is a no-op */
