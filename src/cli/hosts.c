#include "cli/hosts.h"

#include "cli/options.h"
#include "cli/processors.h"
#include "cli/python.h"
#include "runner/native_setup.h"

#include <stdlib.h>

extern char **environ;

int hosts_open(struct hosts *hosts, const struct options *options, const struct python_options *python,
               struct mite_error *error)
{
    struct loader_options loading = {.cflags = options->cflags, .ldflags = options->ldflags};
    int rc = loader_new(&loading, &hosts->loader, error);

    hosts->python_options = *python;
    if (rc == 0) {
        struct native_options native = {
            .loader = hosts->loader,
            .config = python->config,
            .http = python->http,
            .stack_bytes = (size_t)options->fiber_stack,
        };
        rc = native_new(&native, &hosts->native, error);
    }
    return rc;
}

/* ---- Python ---- */

int hosts_start_python(struct hosts *hosts, struct mite_error *error)
{
    const struct python_api *python;

    if (hosts->python) {
        return 0;
    }
    int rc = cli_python(&python, error);
    if (rc == 0) {
        rc = python->start(&hosts->python_options, error);
    }
    if (rc == 0) {
        hosts->python = python;
    }
    return rc;
}

static bool environment_has(const char *prefix)
{
    for (char **variable = environ; variable && *variable; variable++) {
        if (strncmp(*variable, prefix, strlen(prefix)) == 0) {
            return true;
        }
    }
    return false;
}

int hosts_start_for(struct hosts *hosts, const struct options *options, struct mite_error *error)
{
    bool wanted = options->config || environment_has("MITE_EVAL_CONF_") || processors_need_python(options) ||
                  (options->collector && options->collector_filter) || options->memory_tracing;

    for (size_t i = 0; i < options->positional_count; i++) {
        wanted = wanted || !loader_owns(options->positional[i]);
    }
    return wanted ? hosts_start_python(hosts, error) : 0;
}

int hosts_start_for_journeys(struct hosts *hosts, const struct scenario *scenario, struct mite_error *error)
{
    for (size_t i = 0; i < scenario->count; i++) {
        if (!loader_owns(scenario->entries[i].journey_spec)) {
            return hosts_start_python(hosts, error);
        }
    }
    return 0;
}

/* ---- specs ---- */

static int load_datapool(void *arg, const char *spec, struct datapool **out, struct mite_error *error)
{
    return hosts_datapool(arg, spec, out, error);
}

static struct native_setup in_c(struct hosts *hosts)
{
    return (struct native_setup){
        .loader = hosts->loader, .config = hosts->python_options.config, .load_datapool = load_datapool, .arg = hosts};
}

int hosts_datapool(struct hosts *hosts, const char *spec, struct datapool **out, struct mite_error *error)
{
    if (loader_owns(spec)) {
        struct native_setup setup = in_c(hosts);
        return native_datapool(&setup, spec, out, error);
    }
    int rc = hosts_start_python(hosts, error);
    return rc == 0 ? hosts->python->load_datapool(spec, out, error) : rc;
}

int hosts_scenario(struct hosts *hosts, const char *spec, struct config *config, struct sink *sender,
                   struct scenario *out, struct mite_error *error)
{
    if (loader_owns(spec)) {
        struct native_setup setup = in_c(hosts);
        return native_scenario(&setup, spec, out, error);
    }
    int rc = hosts_start_python(hosts, error);
    return rc == 0 ? hosts->python->load_scenario(spec, config, sender, out, error) : rc;
}

/* ---- the run ---- */

int hosts_attach_python(struct hosts *hosts, struct loop *loop, struct mite_error *error)
{
    int rc = hosts->python->loop_attach(loop, error);

    hosts->python_attached = rc == 0;
    return rc;
}

int hosts_attach(struct hosts *hosts, struct loop *loop, struct mite_error *error)
{
    int rc = native_open(hosts->native, loop, error);

    return rc == 0 && hosts->python ? hosts_attach_python(hosts, loop, error) : rc;
}

static void add_counts(struct http_counts *sum, const struct http_counts *more)
{
    sum->started += more->started;
    sum->responses += more->responses;
    sum->native += more->native;
    sum->failed += more->failed;
    sum->aborted += more->aborted;
    sum->connections += more->connections;
    sum->received_bytes += more->received_bytes;
}

void hosts_detach(struct hosts *hosts, struct loop *loop)
{
    native_close(hosts->native);
    if (hosts->python_attached) {
        hosts->python->loop_detach(loop);
    }
}

void hosts_http_counts(const struct hosts *hosts, struct http_counts *out)
{
    struct http_counts of_python = {0};

    *out = (struct http_counts){0};
    if (hosts->native) {
        native_http_counts(hosts->native, out);
    }
    if (hosts->python) {
        hosts->python->http_counts(&of_python);
    }
    add_counts(out, &of_python);
}

void hosts_close(struct hosts *hosts)
{
    native_free(hosts->native);
    loader_free(hosts->loader);
    if (hosts->python) {
        hosts->python->stop();
    }
}
