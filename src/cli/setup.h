/*
 * From options to what a run needs, before any load: each function finds what is wrong with its part and says so in a
 * sentence.
 */
#pragma once

#include "bus/sink.h"
#include "cli/options.h"
#include "http/client.h"
#include "scenario/scenario.h"

struct hosts;
struct python_api;

/* The HTTP options; views into `options`. `resolve` has room for OPTION_LIST_MAX. MITE_EINVAL: a --resolve that is
 * none, a --ca-file without certificates; MITE_ENOTFOUND, MITE_EIO: one that cannot be read. */
int setup_http(const struct options *options, struct http_resolve *resolve, struct http_client_options *out,
               struct mite_error *error);

/* --config or the environment, then --add-to-config. Fills an initialised config. `python` is started already, or NULL.
 */
int setup_config(const struct options *options, const struct python_api *python, struct config *config,
                 struct mite_error *error);

/* The scenario of a command: what the spec's function returns, or one journey with --volume. Both fill an empty one. */
int setup_scenario(const struct options *options, struct hosts *hosts, struct config *config, struct sink *sender,
                   struct scenario *out, struct mite_error *error);
int setup_journey(const struct options *options, struct hosts *hosts, int64_t volume, struct scenario *out,
                  struct mite_error *error);
