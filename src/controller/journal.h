/*
 * Journal: a file of msgpack values, each written before what it tells becomes known to others, and read again by the
 * next process. A value that was cut off at the end, by a crash or a full disk, never was.
 *
 * A file that lacks a value says what is not true any more. So one that could not be appended to is emptied at once,
 * which a full disk does not prevent, and takes nothing more until it has been written anew: whoever reads it meanwhile
 * finds nothing. One that has grown long is best written anew, too.
 *
 * The file is locked while it is open: a second process is refused.
 *
 * Life cycle: journal_open reads what is there, journal_rewrite replaces it by what is true, journal_append adds;
 * journal_close, or journal_remove when all is over.
 */
#pragma once

#include "base/buf.h"
#include "value/value.h"

struct journal {
    int fd; /* -1: closed */
    char *path;
    size_t size;    /* bytes in the file */
    size_t long_at; /* beyond that it has grown long */
    bool failed;    /* it has been emptied */
};

/* Calls read(arg, value, bytes) for each value; what it returns other than 0 ends the reading and is returned.
 * MITE_EIO: in use by another process, or the system's word; MITE_EPROTO: it is something else; MITE_ENOMEM. */
int journal_open(struct journal *journal, const char *path,
                 int (*read)(void *arg, const struct value *value, struct str bytes, struct mite_error *error),
                 void *arg, struct mite_error *error);
/* At once, or not at all: a crash leaves the old file or the new one. */
int journal_rewrite(struct journal *journal, struct str bytes, struct mite_error *error);
/* MITE_EIO, MITE_ENOTFOUND: it is not in the file, and nothing else is either. */
int journal_append(struct journal *journal, struct str bytes, struct mite_error *error);
void journal_close(struct journal *journal);
void journal_remove(struct journal *journal); /* and close */
