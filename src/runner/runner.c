/*
 * Design notes
 *
 * A visit is one start of a journey, from work item to `ended`. It holds the context and the arguments; what identifies
 * the item (scenario, data id) is in the context's origin. Visits are recycled.
 *
 * A spec is looked up once; a failure is kept too, for a broken module does not heal by being imported again and again.
 * A visit of such a spec has no host and ends by a deferred call, so that `completed` never comes from inside `start`.
 */
#include "runner/runner.h"

#include "base/clock.h"
#include "base/map.h"

#include <assert.h>
#include <stdlib.h>

#define MAX_HOSTS         4
#define MAX_SPARES        1024
#define FAILED_AT_ONCE_NS NS_PER_MS

/* A spec that was looked up. */
struct loaded {
    struct journey_host *host; /* borrowed; NULL: nobody could load it */
    struct journey *journey;   /* the host's */
    struct mite_error error;   /* why not */
    char spec[];
};

struct visit {
    struct runner *runner;       /* borrowed; NULL once it has gone */
    const struct loaded *loaded; /* borrowed */
    struct context *context;     /* counted */
    struct args *args;           /* counted, or NULL */
    uint64_t start_ns;
    LIST_ENTRY(visit) link; /* among the running or the spare ones */
};

LIST_HEAD(visit_list, visit);

struct runner {
    struct loop *loop;
    struct sink *sink;
    const struct work_controller_ops *controller_ops;
    void *controller;
    struct runner_options options;
    int64_t id;
    struct journey_host *hosts[MAX_HOSTS];
    size_t host_count;
    struct map loaded;   /* spec → struct loaded */
    struct loaded *last; /* borrowed: the one started last, mostly the next one too; NULL: none */
    struct visit_list visits, spares;
    unsigned spare_count;
    struct context_list contexts; /* all that live, also those whose journeys have ended */
    int64_t last_context_id;
    struct runner_counts counts;
    bool stopping;
};

int runner_new(struct loop *loop, const struct runner_options *options, struct sink *sink,
               const struct work_controller_ops *controller_ops, void *controller, struct runner **out,
               struct mite_error *error)
{
    struct runner *runner = calloc(1, sizeof *runner);

    if (!runner) {
        return error_set(error, MITE_ENOMEM, "no memory for the runner");
    }
    runner->loop = loop;
    runner->sink = sink;
    runner->controller_ops = controller_ops;
    runner->controller = controller;
    runner->options = *options;
    map_init(&runner->loaded);
    *out = runner;
    return 0;
}

void runner_add_host(struct runner *runner, struct journey_host *host)
{
    assert(runner->host_count < MAX_HOSTS);
    runner->hosts[runner->host_count++] = host;
}

void runner_set_id(struct runner *runner, int64_t runner_id)
{
    runner->id = runner_id;
}

/* ---- specs ---- */

static struct journey_host *find_host(const struct runner *runner, const char *spec)
{
    for (size_t i = 0; i < runner->host_count; i++) {
        struct journey_host *host = runner->hosts[i];
        if (!host->owns || host->owns(spec)) {
            return host;
        }
    }
    return NULL;
}

static void look_up(struct runner *runner, const char *spec, struct loaded *out)
{
    struct journey_host *host = find_host(runner, spec);
    int rc = host ? host->load(host, spec, &out->journey, &out->error)
                  : error_set(&out->error, MITE_ENOTFOUND,
                              "cannot load journey \"%s\": nothing here runs such journeys", spec);

    out->error.code = rc;
    out->host = rc == 0 ? host : NULL;
}

static struct loaded *load(struct runner *runner, const char *spec)
{
    struct str key = str_of(spec);
    struct loaded *loaded = calloc(1, sizeof *loaded + key.n + 1);

    if (!loaded || map_set(&runner->loaded, key, loaded, NULL) < 0) {
        free(loaded);
        return NULL;
    }
    memcpy(loaded->spec, spec, key.n);
    look_up(runner, spec, loaded);
    return loaded;
}

/* Kept by the runner; NULL without memory. */
static struct loaded *find_loaded(struct runner *runner, const char *spec)
{
    if (!runner->last || strcmp(runner->last->spec, spec) != 0) {
        runner->last = map_get(&runner->loaded, str_of(spec));
    }
    if (!runner->last) {
        runner->last = load(runner, spec);
    }
    return runner->last;
}

static void loaded_free(void *value)
{
    struct loaded *loaded = value;

    if (loaded->host) {
        loaded->host->unload(loaded->host, loaded->journey);
    }
    error_done(&loaded->error);
    free(loaded);
}

static int check_arguments(const struct loaded *loaded, const char *spec, struct mite_error *error)
{
    struct journey_host *host = loaded->host;
    int needed = host->arguments_needed ? host->arguments_needed(host, loaded->journey) : 0;

    return needed > 0 ? error_set(error, MITE_EINVAL,
                                  "journey \"%s\" takes %d argument%s besides its context: give it a datapool", spec,
                                  needed, needed == 1 ? "" : "s")
                      : 0;
}

int runner_preload(struct runner *runner, const char *spec, bool has_datapool, struct mite_error *error)
{
    const struct loaded *loaded = find_loaded(runner, spec);

    if (!loaded) {
        return error_set(error, MITE_ENOMEM, "no memory to load journey \"%s\"", spec);
    }
    if (loaded->host) {
        return has_datapool ? 0 : check_arguments(loaded, spec, error);
    }
    error_set(error, loaded->error.code, "%s", loaded->error.text);
    if (loaded->error.detail) {
        error_detail(error, loaded->error.detail, strlen(loaded->error.detail));
    }
    return loaded->error.code;
}

/* ---- visits ---- */

static struct visit *visit_alloc(struct runner *runner)
{
    struct visit *visit = LIST_FIRST(&runner->spares);

    if (!visit) {
        return malloc(sizeof *visit);
    }
    LIST_REMOVE(visit, link);
    runner->spare_count--;
    return visit;
}

static void visit_free(struct runner *runner, struct visit *visit)
{
    if (!runner || runner->spare_count == MAX_SPARES) {
        free(visit);
        return;
    }
    LIST_INSERT_HEAD(&runner->spares, visit, link);
    runner->spare_count++;
}

/* A context with its root transaction open. */
static struct context *make_context(struct runner *runner, const struct work_item *item)
{
    struct message_origin origin = {
        .test = str_of(runner->options.test),
        .runner_id = runner->id,
        .journey = str_of(item->journey_spec),
        .context_id = runner->last_context_id + 1,
        .scenario_id = item->scenario_id,
        .scenario_data_id = item->data_id,
    };
    struct context *context = context_new(runner->sink, &origin);

    if (!context) {
        return NULL;
    }
    context->root = transaction_begin(context, NULL, STR("__root__"));
    if (!context->root) {
        context_unref(context);
        return NULL;
    }
    runner->last_context_id++;
    LIST_INSERT_HEAD(&runner->contexts, context, link);
    return context;
}

/* `visit` is in no list. */
static void visit_done(struct visit *visit)
{
    args_unref(visit->args);
    context_unref(visit->context);
    visit_free(visit->runner, visit);
}

/* The item goes back, and what its id points to goes with it; whoever kept the context must not see it. */
static void forget_data_id(struct context *context)
{
    enum value_type type = context->origin.scenario_data_id.type;

    if (type == VALUE_LIST || type == VALUE_MAP) {
        context->origin.scenario_data_id = value_nil();
    }
}

/* From the loop; with the runner gone, only memory is left to give back. */
static void ended(void *arg, struct context *context, enum journey_outcome outcome)
{
    struct visit *visit = arg;
    struct runner *runner = visit->runner;
    bool failed = outcome == JOURNEY_FAILED;
    struct value data_id = context->origin.scenario_data_id;
    bool at_once = failed && clock_now_ns() - visit->start_ns < FAILED_AT_ONCE_NS;

    transaction_end(context->root, failed);
    if (!runner) {
        visit_done(visit);
        return;
    }
    LIST_REMOVE(visit, link);
    runner->counts.running--;
    runner->counts.completed++;
    runner->counts.failed += failed;
    runner->counts.cancelled += outcome == JOURNEY_CANCELLED;

    /* The visit is kept until then: its context holds a data id that is text. The next journey may be started inside
     * this call, and code of the user's may run. */
    forget_data_id(context);
    runner->controller_ops->completed(runner->controller, runner->id, context->origin.scenario_id, &data_id, at_once);
    visit_done(visit);
    if (runner->stopping && runner->counts.running == 0) {
        runner->controller_ops->idle(runner->controller, runner->id);
    }
}

/* What kind of exception it is in the figures that a journey could not be loaded. */
static struct str load_error_type(int code)
{
    return code == MITE_EINVAL ? STR("TypeError") : code == MITE_ENOMEM ? STR("MemoryError") : STR("ImportError");
}

static void send_not_loaded(struct context *context, const struct mite_error *error)
{
    struct message message = {
        .kind = MESSAGE_EXCEPTION,
        .type = message_type_of(MESSAGE_EXCEPTION),
        .failure = {.message = str_of(error->text),
                    .ex_type = load_error_type(error->code),
                    .location = STR(""),
                    .stacktrace = str_of(error->detail ? error->detail : "")},
    };

    context_send(context, context->root, &message);
}

static void report_not_loaded(void *arg)
{
    struct visit *visit = arg;

    if (visit->runner) {
        send_not_loaded(visit->context, &visit->loaded->error);
    }
    ended(visit, visit->context, JOURNEY_FAILED);
}

static int start(void *arg, const struct work_item *item)
{
    struct runner *runner = arg;

    if (runner->options.max_journeys > 0 && runner->counts.running >= runner->options.max_journeys) {
        return MITE_EAGAIN;
    }
    struct loaded *loaded = find_loaded(runner, item->journey_spec);
    if (loaded && loaded->host && loaded->host->full && loaded->host->full(loaded->host)) {
        return MITE_EAGAIN;
    }
    struct visit *visit = loaded ? visit_alloc(runner) : NULL;
    if (!visit) {
        return MITE_ENOMEM;
    }
    struct context *context = make_context(runner, item);
    if (!context) {
        visit_free(runner, visit);
        return MITE_ENOMEM;
    }
    *visit = (struct visit){
        .runner = runner,
        .loaded = loaded,
        .context = context,
        .args = args_ref(item->args),
        .start_ns = context->root->start_ns,
    };
    if (!loaded->host) {
        int rc = loop_defer(runner->loop, report_not_loaded, visit);
        if (rc < 0) {
            transaction_unref(context->root); /* an open one: ends without a message */
            context->root = NULL;
            visit_done(visit);
            return rc;
        }
    }
    LIST_INSERT_HEAD(&runner->visits, visit, link);
    runner->counts.running++;
    runner->counts.started++;
    if (loaded->host) {
        loaded->host->start(loaded->host, loaded->journey, context, visit->args, ended, visit);
    }
    return 0;
}

/* ---- ending ---- */

static void stop(void *arg)
{
    struct runner *runner = arg;

    if (runner->stopping) {
        return;
    }
    runner->stopping = true;
    if (runner->counts.running == 0) {
        runner->controller_ops->idle(runner->controller, runner->id);
    }
}

const struct work_runner_ops runner_work_ops = {.start = start, .stop = stop};

void runner_ask_stop(struct runner *runner)
{
    struct visit *visit;

    LIST_FOREACH(visit, &runner->visits, link)
    {
        visit->context->should_stop = true;
    }
}

void runner_cancel_some(struct runner *runner, bool (*which)(void *arg, const struct message_origin *origin), void *arg)
{
    struct visit *next;

    for (struct visit *visit = LIST_FIRST(&runner->visits); visit; visit = next) {
        next = LIST_NEXT(visit, link);
        if (visit->loaded->host && which(arg, &visit->context->origin)) {
            visit->loaded->host->cancel(visit->loaded->host, visit->context);
        }
    }
}

static bool any(void *arg, const struct message_origin *origin)
{
    return true;
}

void runner_cancel_all(struct runner *runner)
{
    runner_cancel_some(runner, any, NULL);
}

void runner_count(const struct runner *runner, struct runner_counts *out)
{
    *out = runner->counts;
}

void runner_free(struct runner *runner)
{
    struct visit *visit;

    if (!runner) {
        return;
    }
    while ((visit = LIST_FIRST(&runner->visits))) {
        LIST_REMOVE(visit, link);
        visit->runner = NULL;
    }
    while ((visit = LIST_FIRST(&runner->spares))) {
        LIST_REMOVE(visit, link);
        free(visit);
    }
    while (!LIST_EMPTY(&runner->contexts)) {
        context_detach(LIST_FIRST(&runner->contexts));
    }
    map_done(&runner->loaded, loaded_free);
    free(runner);
}
