/*
 * The table of api.h, filled with the parts of this folder. The program finds it in the plugin; the extension gives it
 * to the program when Python is what runs.
 */
#include "python/api.h"

#include "engine/signals.h"
#include "python/config.h"
#include "python/context.h"
#include "python/datapools.h"
#include "python/debugger.h"
#include "python/embed.h"
#include "python/entry_points.h"
#include "python/errors.h"
#include "python/journeys.h"
#include "python/loop.h"
#include "python/processors.h"
#include "python/scenario.h"
#include "python/spec.h"
#include "python/stats.h"

#include <unistd.h>

static struct {
    struct python_options options;
    struct python_loop *loop; /* NULL while detached */
    struct http_counts http;  /* of clients that are gone */
    PyObject *memory;         /* mite._memory's trace, or NULL */
} plugin;

/* ---- start and stop ---- */

static int start_logging(void)
{
    PyObject *module = PyImport_ImportModule("mite._logging");                     /* new */
    PyObject *result = module ? PyObject_CallMethod(module, "start", NULL) : NULL; /* new */
    Py_XDECREF(module);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static int start_tracing(void)
{
    PyObject *module = plugin.options.memory_tracing ? PyImport_ImportModule("mite._memory") : NULL; /* new */
    plugin.memory = module ? PyObject_CallMethod(module, "Trace", NULL) : NULL;                      /* new */
    Py_XDECREF(module);
    return PyErr_Occurred() ? -1 : 0;
}

/* The current exception, and a file of the user's that has the name of a module which the start needs: the usual
 * reason. */
static int start_error(const char *sentence, bool exclude_working_directory, struct mite_error *error)
{
    static const char *const files[] = {"mite.py", "asyncio.py", "logging.py", "inspect.py", "traceback.py"};
    int code = errors_to_c(error, "%s", sentence);

    for (size_t i = 0; i < sizeof files / sizeof *files && !exclude_working_directory; i++) {
        if (access(files[i], F_OK) == 0) {
            return error_prefix(error, "%s in this directory hides a module that mite needs, rename it", files[i]);
        }
    }
    return code;
}

static int start(const struct python_options *options, struct mite_error *error)
{
    int code = embed_start(options->exclude_working_directory, error);
    if (code != 0) {
        return code;
    }
    if (python_loop_prepare() != 0) {
        return start_error("cannot start Python", options->exclude_working_directory, error);
    }
    plugin.options = *options;
    plugin.http = (struct http_counts){0};
    state->http_options = options->http;
    config_set_source((struct config *)options->config); /* changed only by a scenario's ConfigManager */
    if (debugger_start(&plugin.options) != 0 || start_logging() != 0 || start_tracing() != 0) {
        return start_error("cannot start Python", options->exclude_working_directory, error);
    }
    return 0;
}

/* Calls a method of the trace, when there is one. 0, or -1 with an exception. */
static int trace(const char *method, PyObject *loop)
{
    PyObject *result = NULL;
    if (plugin.memory) {
        result = loop ? PyObject_CallMethod(plugin.memory, method, "O", loop)
                      : PyObject_CallMethod(plugin.memory, method, NULL);
    }
    Py_XDECREF(result);
    return plugin.memory && !result ? -1 : 0;
}

static void stop(void)
{
    if (trace("stop", NULL) != 0) {
        PyErr_WriteUnraisable(plugin.memory);
    }
    Py_CLEAR(plugin.memory);
    debugger_stop();
    config_set_source(NULL);
    scenario_set_sender(NULL);
    if (state) {
        state->http_options = NULL;
    }
    embed_stop();
}

/* ---- specs ---- */

/* A ConfigManager around the run's configuration, for datapools that stand alone. */
static int load_datapool(const char *spec, struct datapool **out, struct mite_error *error)
{
    PyObject *object;
    int code = spec_load("datapool", spec, &object, error);
    if (code != 0) {
        return code;
    }
    PyObject *manager = config_manager(); /* new */
    char label[256];
    snprintf(label, sizeof(label), "datapool %s", spec);
    code = manager ? datapools_adapt(object, label, manager, out, error) : spec_error(error, "cannot use %s", label);
    Py_XDECREF(manager);
    Py_DECREF(object);
    return code;
}

static int load_config(const char *spec, struct config *config, struct mite_error *error)
{
    PyObject *function;
    int code = spec_load("configuration", spec, &function, error);
    if (code != 0) {
        return code;
    }
    PyObject *dict = PyObject_CallNoArgs(function); /* new */
    Py_DECREF(function);
    if (dict && !PyDict_Check(dict)) {
        code = error_set(error, MITE_EINVAL, "configuration \"%s\" gave an object of type %s: it must return a dict",
                         spec, Py_TYPE(dict)->tp_name);
    } else if (!dict || config_take_dict(config, dict) != 0) {
        code = errors_to_c(error, "configuration \"%s\" failed", spec);
    }
    Py_XDECREF(dict);
    return code;
}

static int eval_config(void *arg, struct config *config, struct str key, const char *expression,
                       struct mite_error *error)
{
    PyObject *names = PyDict_New();                                                            /* new */
    PyObject *value = names ? PyRun_String(expression, Py_eval_input, names, names) : NULL;    /* new */
    PyObject *name = value ? PyUnicode_DecodeUTF8(key.p, (Py_ssize_t)key.n, "replace") : NULL; /* new */
    PyObject *dict = name ? PyDict_New() : NULL;                                               /* new */
    int code = 0;
    if (!dict || PyDict_SetItem(dict, name, value) != 0 || config_take_dict(config, dict) != 0) {
        code = errors_to_c(error, "cannot evaluate MITE_EVAL_CONF_" STR_FMT "=%s", STR_ARG(key), expression);
    }
    Py_XDECREF(names);
    Py_XDECREF(value);
    Py_XDECREF(name);
    Py_XDECREF(dict);
    return code;
}

static int convert_har(const char *in, const char *out, double sleep_time_s, struct mite_error *error)
{
    PyObject *module = PyImport_ImportModule("mite.har_to_mite");                                            /* new */
    PyObject *result = module ? PyObject_CallMethod(module, "convert", "ssd", in, out, sleep_time_s) : NULL; /* new */
    int code = result ? 0 : spec_error(error, "cannot convert HAR file \"%s\"", in);
    Py_XDECREF(module);
    Py_XDECREF(result);
    return code;
}

static bool stats_registered(const char *const *own, size_t count)
{
    return entry_points_any("mite_stats", own, count);
}

/* ---- loop ---- */

static void on_blocked(void *arg, PyObject *task, const char *location, uint64_t blocked_ns)
{
    if (plugin.options.blocked) {
        plugin.options.blocked(plugin.options.arg, journeys_running(), location, blocked_ns);
    }
}

static int loop_attach(struct loop *loop, struct mite_error *error)
{
    PyObject *asyncio_loop = python_loop_create(); /* new */
    if (!asyncio_loop || python_loop_open(loop, asyncio_loop, &plugin.loop) != 0) {
        Py_XDECREF(asyncio_loop);
        return start_error("cannot start Python's event loop", plugin.options.exclude_working_directory, error);
    }
    state->loop = asyncio_loop; /* takes the reference */
    state->engine_loop = loop;
    if (python_watch_start(loop, on_blocked, NULL) != 0 || trace("begin", asyncio_loop) != 0) {
        return errors_to_c(error, "cannot watch Python's event loop");
    }
    return 0;
}

static void count_http(struct http_counts *out)
{
    const struct context_http *http = context_http();
    if (http) {
        http->counts(out);
    }
}

static void loop_detach(struct loop *loop)
{
    if (!plugin.loop) {
        return;
    }
    const struct context_http *http = context_http();
    python_watch_stop();
    python_loop_close(plugin.loop); /* tasks that are left end here, and with them their requests: they count */
    plugin.loop = NULL;
    count_http(&plugin.http);
    if (http) {
        http->detach();
    }
    scenario_set_sender(NULL);
    state->engine_loop = NULL;
    Py_CLEAR(state->loop);
}

static struct journey_host *journey_host(void)
{
    return journeys_host(&plugin.options);
}

static void http_counts(struct http_counts *out)
{
    *out = plugin.http;
    if (plugin.loop) {
        count_http(out);
    }
}

static const struct python_api api = {
    .version = MITE_PYTHON_API_VERSION,
    .start = start,
    .load_scenario = scenario_load,
    .load_datapool = load_datapool,
    .load_config = load_config,
    .eval_config = eval_config,
    .load_processor = processors_load,
    .processor_bytes = processors_bytes,
    .load_filter = processors_filter,
    .stats_registered = stats_registered,
    .load_stats = stats_load,
    .convert_har = convert_har,
    .loop_attach = loop_attach,
    .loop_detach = loop_detach,
    .journey_host = journey_host,
    .packages = embed_packages,
    .http_counts = http_counts,
    .stop = stop,
};

const struct python_api *python_api(void)
{
    return &api;
}
