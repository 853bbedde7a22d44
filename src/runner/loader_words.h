/*
 * A list of words: what a compiler is called with. A word that could not be added makes the list `failed`, so that many
 * can be added and one look be taken at the end.
 *
 * words_init, any of the others, words_done.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

struct words {
    char **items; /* owned, each and all; a NULL behind the last, as execve wants it. NULL while empty */
    size_t count, capacity;
    bool failed; /* no memory */
};

void words_init(struct words *words);
void words_done(struct words *words);

void words_add(struct words *words, const char *word); /* copied */
void words_add_str(struct words *words, struct str word);
void words_add_all(struct words *words, const struct words *more);

/* Adds the words of a text as a shell would take them apart: blanks between, quotes and backslashes as usual, nothing
 * else special. NULL adds none. MITE_EINVAL: a quote is open at the end. */
int words_split(struct words *words, struct str text, struct mite_error *error);

/* Adds the words of each line `// mite: WORDS` of a C source. */
int words_directives(struct words *words, struct str source, struct mite_error *error);
