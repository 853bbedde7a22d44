/*
 * Journeys in C: the host that runs what include/mite/mite.h describes, on fibers, over the loop of the run and an HTTP
 * client of its own. It knows a journey by the entry that its file carries; loader.h finds that.
 *
 * Life cycle: native_new before the run, native_open once there is a loop, the run, native_close when the load is over
 * (ends what still runs), native_free after the loop.
 */
#pragma once

#include "http/client.h"
#include "runner/journey.h"
#include "runner/loader.h"
#include "scenario/config.h"

struct native;

struct native_options {
    struct loader *loader;                  /* borrowed */
    const struct config *config;            /* borrowed */
    const struct http_client_options *http; /* borrowed */
    size_t stack_bytes;                     /* of a fiber; 0: the default */
};

int native_new(const struct native_options *options, struct native **out, struct mite_error *error);
int native_open(struct native *native, struct loop *loop, struct mite_error *error);
void native_close(struct native *native);
void native_free(struct native *native); /* NULL is a no-op */

struct journey_host *native_journey_host(struct native *native); /* borrowed; lives as long as `native` */
/* Of its HTTP client, also after native_close(). */
void native_http_counts(const struct native *native, struct http_counts *out);

/* FILE:LINE:JOURNEY of the last call into mite of the journey that has this context; "" when it has made none, or none
 * has that context. Reads only. */
void native_last_call(const struct native *native, const struct context *context, char *out, size_t size);

/* The context of the journey in C whose code runs, on the loop's stack too (fiber_call); NULL: none does. Signal-safe.
 */
struct context *native_running(void);
