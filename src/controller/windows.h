/*
 * Windows: stretches of whole seconds, one behind the other, for each of which every volume model is asked once how
 * many journeys it wants. Whoever runs a scenario, in this process or over a fleet, opens those that have begun.
 */
#pragma once

#include "scenario/scenario.h"

struct windows {
    const struct scenario *scenario; /* borrowed */
    int64_t length_s;
    int64_t next_s; /* where the next one starts */
};

struct windows_hooks {
    bool (*ended)(void *arg, size_t entry); /* its model is not asked any more */
    void (*want)(void *arg, size_t entry, int64_t wanted);
    void (*end)(void *arg, size_t entry);                                    /* the model has stopped */
    void (*failed)(void *arg, size_t entry, const struct mite_error *error); /* or made no sense */
};

void windows_init(struct windows *windows, const struct scenario *scenario, double length_s);
/* When the last model stops, in seconds; -1: not known. */
int64_t windows_end_s(const struct scenario *scenario, double length_s);
/* Asks for every window that has begun since the last call: models see all of them. */
void windows_open(struct windows *windows, double elapsed_s, const struct windows_hooks *hooks, void *arg);
/* Asks for the newest of those again: what the models want has changed in its midst. */
void windows_ask_again(struct windows *windows, const struct windows_hooks *hooks, void *arg);
