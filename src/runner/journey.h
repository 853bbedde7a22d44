/*
 * All that the runner knows of a journey: a table of functions. The Python plugin fills one, journeys in C (native.h)
 * another; the first one whose kind of spec it is loads it.
 */
#pragma once

#include "runner/context.h"
#include "scenario/args.h"

struct journey; /* the host's own: one loaded journey */

/* How a journey ended. */
enum journey_outcome { JOURNEY_OK, JOURNEY_FAILED, JOURNEY_CANCELLED };

struct journey_host {
    const char *name; /* "Python" */
    /* Whether a spec is of this host's kind, by its form; NULL: any is. */
    bool (*owns)(const char *spec);
    /* Loaded once a spec and kept. MITE_ENOTFOUND: no such module or name (the sentence suggests), MITE_EINVAL: not a
     * journey, MITE_EUSER: its module failed (detail: their traceback). */
    int (*load)(struct journey_host *host, const char *spec, struct journey **out, struct mite_error *error);
    void (*unload)(struct journey_host *host, struct journey *journey);
    /* How many arguments it cannot do without, as far as that is known before it runs; NULL: it never is. */
    int (*arguments_needed)(struct journey_host *host, const struct journey *journey);
    /* Whether it can start no more for now; NULL: it never is. */
    bool (*full)(struct journey_host *host);
    /*
     * Begins the journey. Context and args (NULL: none) are borrowed until `ended`, which comes exactly once, from the
     * loop, never from inside this call; inside `ended` another journey may be started. The host reports what the
     * journey raises (error, exception) through the context before it calls ended; the runner has opened the root
     * transaction and closes it afterwards.
     */
    void (*start)(struct journey_host *host, struct journey *journey, struct context *context, struct args *args,
                  void (*ended)(void *arg, struct context *context, enum journey_outcome outcome), void *arg);
    /* Ask it to end now; `ended` follows, from the loop, with JOURNEY_CANCELLED unless it was over anyway. */
    void (*cancel)(struct journey_host *host, struct context *context);
};
