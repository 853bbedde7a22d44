/*
 * Who runs journeys in a run, and makes datapools and scenarios: code in C and, from the first spec on that needs it,
 * Python. With specs in C alone no interpreter starts.
 *
 * Life cycle: hosts_open, specs are loaded, hosts_attach once there is a loop, the run, hosts_detach while runner and
 * contexts are still there, hosts_close after the loop. Copes with being half open.
 */
#pragma once

#include "python/api.h"
#include "runner/native.h"

struct options;

struct hosts {
    struct python_options python_options;
    const struct python_api *python; /* NULL until started */
    struct loader *loader;
    struct native *native;
    bool python_attached;
};

/* `python` is what it will be started with, config and http among it: borrowed. */
int hosts_open(struct hosts *hosts, const struct options *options, const struct python_options *python,
               struct mite_error *error);

/* Starts Python, unless it runs. MITE_ENOTFOUND: this mite was built without it. */
int hosts_start_python(struct hosts *hosts, struct mite_error *error);
/* Starts Python if the options ask for something that only it has. */
int hosts_start_for(struct hosts *hosts, const struct options *options, struct mite_error *error);

/* A datapool or a scenario by its spec, from whichever host it is of. */
int hosts_datapool(struct hosts *hosts, const char *spec, struct datapool **out, struct mite_error *error);
int hosts_scenario(struct hosts *hosts, const char *spec, struct config *config, struct sink *sender,
                   struct scenario *out, struct mite_error *error);
/* Starts Python if a journey of the scenario is in Python. */
int hosts_start_for_journeys(struct hosts *hosts, const struct scenario *scenario, struct mite_error *error);

int hosts_attach(struct hosts *hosts, struct loop *loop, struct mite_error *error);
/* The same for Python that was started after hosts_attach; the loop does not run now. */
int hosts_attach_python(struct hosts *hosts, struct loop *loop, struct mite_error *error);
/* Ends what still runs. */
void hosts_detach(struct hosts *hosts, struct loop *loop);
/* Of all HTTP clients, also of those that are gone. */
void hosts_http_counts(const struct hosts *hosts, struct http_counts *out);
void hosts_close(struct hosts *hosts);
