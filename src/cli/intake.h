/*
 * What a component takes in: the messages of a PULL socket, each of them a msgpack map. What is none is left out,
 * counted, and said once.
 *
 * Life cycle: intake_open, messages, intake_stop, intake_close.
 */
#pragma once

#include "cli/component.h"

struct intake;

struct intake_options {
    const char *option;  /* where the address comes from: "--collector-socket" */
    const char *address; /* borrowed for the call */
    bool binds;          /* otherwise it connects */
    bool unchecked; /* `message` finds out itself what is no map: it is made for more than a look at each would allow */
    void (*message)(void *arg, struct str bytes);
    void *arg;
};

int intake_open(struct component *component, const struct intake_options *options, struct intake **out,
                struct mite_error *error);
const char *intake_address(const struct intake *intake);
uint64_t intake_received(const struct intake *intake); /* with those that were left out */
uint64_t intake_left_out(const struct intake *intake);

/* Reads what is on its way, a second at most, closes the socket and calls done(arg). */
void intake_stop(struct intake *intake, void (*done)(void *arg), void *arg);
/* For a component that has nothing else to do: the `stop` of component_run, with the intake as its `arg`. */
void intake_end(void *intake);
void intake_close(struct intake *intake); /* NULL is a no-op */
