/*
 * What the program sees of the Python plugin: one table of functions, found by `mite__python_api` in libmite-python.so
 * (dlopen, when the first Python spec comes up) or registered by the extension `_mite` when Python started us. No
 * Python.h here.
 *
 * Life cycle: start, load..., loop_attach, the run, detach, stop. All from the main thread.
 */
#pragma once

#include "bus/sink.h"
#include "engine/loop.h"
#include "http/client.h"
#include "runner/journey.h"
#include "scenario/scenario.h"

#define MITE_PYTHON_API_VERSION 4

struct python_options {
    bool exclude_working_directory; /* the current directory is importable otherwise, as sys.path[0] */
    bool debugging;                 /* a journey's exception opens the post-mortem debugger, then the run ends with 1 */
    bool memory_tracing;
    const struct config *config;            /* borrowed: becomes each context's config */
    const struct http_client_options *http; /* borrowed: of the one client behind ctx.http and acurl */
    /* A debugger (breakpoint(), post mortem) takes the terminal and gives it back: displays and watchdog step aside. */
    void (*debugger)(void *arg, bool begins);
    /* The post-mortem debugger has been left: end the run, exit code 1. */
    void (*debugger_done)(void *arg);
    /* A journey blocked the loop: its spec (NULL: it was other code), FILE:LINE, for how long so far. */
    void (*blocked)(void *arg, const char *journey, const char *location, uint64_t blocked_ns);
    /* Python finds no memory for a further journey: end the run. From the loop, once. Without memory Python's own sets
     * stay as full as they are, and one that is quite full is searched for ever. */
    void (*out_of_memory)(void *arg);
    void *arg;
};

/* Stats of third parties: `take` a message as it came; `dump` appends a map for each that has one and tells how many.
 */
struct python_stats {
    void (*take)(struct python_stats *stats, struct str bytes);
    uint32_t (*dump)(struct python_stats *stats, struct buf *out);
    void (*free)(struct python_stats *stats);
};

struct python_api {
    int version;
    /* Starts the interpreter (or takes the one that runs us). MITE_EINVAL with one sentence: a virtual environment of
     * another Python version, broken home. */
    int (*start)(const struct python_options *options, struct mite_error *error);

    /* Specs. MITE_ENOTFOUND, MITE_EINVAL: one sentence with the remedy; MITE_EUSER: their code raised, detail is its
     * traceback from their first frame on. */
    int (*load_scenario)(const char *spec, struct config *config, struct sink *sender, struct scenario *out,
                         struct mite_error *error);
    int (*load_datapool)(const char *spec, struct datapool **out, struct mite_error *error);
    int (*load_config)(const char *spec, struct config *config, struct mite_error *error); /* --config=SPEC */
    int (*eval_config)(void *arg, struct config *config, struct str key, const char *expression,
                       struct mite_error *error); /* MITE_EVAL_CONF_key */
    /* One of --message-processors: made with the map of options, or without arguments; always without when `options` is
     * NULL, as `mite receiver` makes them. The built-in ones of mite.logoutput come here from the receiver alone. */
    int (*load_processor)(const char *spec, const struct value *options, struct sink **out, struct mite_error *error);
    /* Gives one of them a message as it came: bytes of a msgpack map. */
    void (*processor_bytes)(struct sink *processor, struct str bytes);
    /* --collector-filter: a function of the raw bytes; true keeps. */
    int (*load_filter)(const char *spec, bool (**filter)(void *arg, struct str bytes), void **arg,
                       struct mite_error *error);

    /* Whether installed packages register stats other than `own`. Before start too. */
    bool (*stats_registered)(const char *const *own, size_t count);
    /* Those of them that the two options choose; *out is not touched when there are none. MITE_EINVAL: no such
     * processor. */
    int (*load_stats)(const char *include, const char *exclude, struct python_stats **out, struct mite_error *error);

    /* `mite har`: writes OUT, a journey's source, from the HAR file IN. */
    int (*convert_har)(const char *in, const char *out, double sleep_time_s, struct mite_error *error);

    /* Puts our loop inside a new asyncio loop; loop_run() then runs that one. */
    int (*loop_attach)(struct loop *loop, struct mite_error *error);
    void (*loop_detach)(struct loop *loop);

    /* Runs journeys written in Python. Valid after loop_attach. */
    struct journey_host *(*journey_host)(void);

    /* Where the packages mite, mite_http and acurl lie; owned by the caller, NULL: unknown. Before start too. */
    char *(*packages)(void);

    /* What the client behind ctx.http counted so far; all zero before its first use. */
    void (*http_counts)(struct http_counts *out);

    /* After the run: drops everything of ours and ends the interpreter (not when Python started us). */
    void (*stop)(void);
};

/* The symbol that the plugin exports, to be found by dlsym(). */
const struct python_api *python_api(void) PRIVATE_API(python_api);
#define PYTHON_API_SYMBOL "mite__python_api"
