/*
 * Datapools and scenarios in C: calls what a file defines with MITE_DATAPOOL or MITE_SCENARIO and takes what that made.
 */
#pragma once

#include "runner/loader.h"
#include "scenario/scenario.h"

/* All borrowed. */
struct native_setup {
    struct loader *loader;
    const struct config *config;
    /* For a datapool named by its spec, perhaps another host's. */
    int (*load_datapool)(void *arg, const char *spec, struct datapool **out, struct mite_error *error);
    void *arg;
};

/* What the loader says; MITE_EINVAL, MITE_ENOTFOUND and others with the sentence of the first thing that went wrong. */
int native_datapool(const struct native_setup *how, const char *spec, struct datapool **out, struct mite_error *error);
int native_scenario(const struct native_setup *how, const char *spec, struct scenario *out, struct mite_error *error);
