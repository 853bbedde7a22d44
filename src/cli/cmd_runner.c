/*
 * `mite runner`: journeys for a controller elsewhere. The worker (src/worker) talks to the controller; here is what a
 * process needs around it: hosts of journeys, the sender of events, signals, and the end.
 *
 * Python is started by the first journey that needs it, which comes over the wire: the loop is left for that, and
 * entered again inside Python's own.
 *
 * The end: the worker is over when the test is, or when it has been asked to end and has told the controller. Then the
 * events that still wait get the rest of --graceful-stop to go. Whatever does not end by itself is ended by one timer.
 */
#include "base/clock.h"
#include "base/log.h"
#include "bus/sender.h"
#include "cli/allow.h"
#include "cli/complain.h"
#include "cli/culprit.h"
#include "cli/events.h"
#include "cli/exit.h"
#include "cli/hosts.h"
#include "cli/options.h"
#include "cli/setup.h"
#include "cli/workers.h"
#include "engine/crash.h"
#include "engine/signals.h"
#include "engine/timer.h"
#include "engine/watchdog.h"
#include "sinks/console.h"
#include "worker/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define BLOCKED_LIMIT_NS NS_PER_S
#define LAST_WORDS_NS    (NS_PER_S / 2) /* behind --graceful-stop: for cancelled journeys, then for the last report */

struct agent {
    const struct options *options;
    struct config config;
    struct http_resolve resolve[OPTION_LIST_MAX];
    struct http_client_options http;
    struct hosts hosts;
    struct loop *loop;
    struct bus *bus;
    struct sender *sender;
    struct events events;
    struct fanout fanout;
    struct totals totals; /* since the last report */
    struct runner *runner;
    struct worker *worker;
    char host[256], name[64];
    struct timer deadline;
    struct patience patience;
    bool totals_made, deadline_made, signals_made, watchdog_made;
    bool wants_python;  /* the loop was left for it */
    bool python_failed; /* and there is none */
    bool stopping;      /* by a signal */
    bool cancelled;     /* and the journeys were told to end at once */
    bool flushing;      /* the worker is over, and events wait */
    bool ended;         /* the loop may be left for good */
    bool hurried;       /* by a second signal */
    bool debugged;      /* a post-mortem debugger was left */
    bool broken;        /* it cannot go on */
};

static void say(const char *text)
{
    fprintf(stderr, "runner: %s\n", text);
}

/* ---- the end ---- */

static void end(struct agent *agent)
{
    agent->ended = true;
    loop_stop(agent->loop);
}

static void on_flushed(void *arg)
{
    end(arg);
}

/* A test that has ended leaves its events behind it. Where nobody has ever taken any they are hardly waited for. */
static void on_over(void *arg)
{
    struct agent *agent = arg;
    struct sender_counts counts;

    agent->flushing = true;
    sender_count(agent->sender, &counts);
    if (counts.sent == 0 && !agent->cancelled) {
        timer_start(&agent->deadline, LAST_WORDS_NS, 0);
    } else if (!agent->stopping) {
        timer_start(&agent->deadline, ns_from_s(agent->options->component_stop_s), 0);
    }
    sender_when_flushed(agent->sender, on_flushed, agent);
}

static void on_deadline(struct timer *timer)
{
    struct agent *agent = (struct agent *)((char *)timer - offsetof(struct agent, deadline));

    if (agent->flushing || agent->cancelled) {
        bus_abandon(agent->bus); /* what nobody has taken by now is not waited for a second time */
        end(agent);
        return;
    }
    log_line(LOG_INFO, "%g s of --graceful-stop are over: the journeys that still run are cancelled",
             agent->options->component_stop_s);
    agent->cancelled = true;
    worker_cancel(agent->worker);
    timer_start(&agent->deadline, LAST_WORDS_NS, 0);
}

static void on_signal(void *arg, int number, int count)
{
    struct agent *agent = arg;

    if (count > 1) {
        agent->hurried = true;
        bus_abandon(agent->bus);
        end(agent);
        return;
    }
    agent->stopping = true;
    agent->patience.stopping = true;
    agent->patience.deadline_ns = clock_now_ns() + agent->patience.stop_ns;
    log_line(LOG_INFO, "stopping: journeys have %g s to finish; a second signal ends them at once",
             agent->options->component_stop_s);
    timer_start(&agent->deadline, ns_from_s(agent->options->component_stop_s), 0);
    worker_drain(agent->worker);
}

/* ---- journeys ---- */

/* The operator of the controller hears of it as well as ours. */
static void tell_trouble(struct agent *agent, struct mite_error *error)
{
    worker_trouble(agent->worker, error->text);
    complain("runner", error);
    error_done(error);
}

static bool needs_python(const struct agent *agent, const char *spec)
{
    return !loader_owns(spec) && !agent->hosts.python && !agent->python_failed;
}

/* A journey that cannot be loaded costs an exception for each start; the operator is told once. */
static int on_prepare(void *arg, const char *spec, bool has_datapool)
{
    struct agent *agent = arg;
    struct mite_error error = {0};

    if (needs_python(agent, spec)) {
        agent->wants_python = true;
        loop_stop(agent->loop);
        return MITE_EAGAIN;
    }
    if (runner_preload(agent->runner, spec, has_datapool, &error) < 0) {
        tell_trouble(agent, &error);
    }
    return 0;
}

static void start_python(struct agent *agent)
{
    struct mite_error error = {0};
    int rc = hosts_start_python(&agent->hosts, &error);

    if (rc == 0) {
        rc = hosts_attach_python(&agent->hosts, agent->loop, &error);
    }
    if (rc == 0) {
        runner_add_host(agent->runner, agent->hosts.python->journey_host());
    } else {
        agent->python_failed = true;
        tell_trouble(agent, &error);
    }
}

static void on_debugger(void *arg, bool begins)
{
    if (begins) {
        watchdog_pause();
    } else {
        watchdog_resume();
    }
}

static void on_debugger_done(void *arg)
{
    struct agent *agent = arg;

    agent->debugged = true;
    end(agent);
}

static void on_out_of_memory(void *arg)
{
    struct agent *agent = arg;
    struct runner_counts counts;
    char text[160];

    runner_count(agent->runner, &counts);
    snprintf(text, sizeof text, "there is no memory for more than %lld journeys in Python (--runner-max-journeys)",
             (long long)counts.running - 1);
    worker_trouble(agent->worker, text);
    say(text);
    agent->broken = true;
    end(agent);
}

/* ---- what the worker asks and tells ---- */

static void on_say(void *arg, enum log_level level, const char *text)
{
    bool child = getenv("MITE_WORKER") != NULL; /* of a test, whose display has the screen */

    if (log_enabled(child && level == LOG_INFO ? LOG_DEBUG : level)) {
        say(text);
    }
}

struct dropped_list {
    struct arena *arena;
    struct work_dropped *items;
    size_t count;
};

static void add_dropped(void *arg, struct str type, uint64_t count)
{
    struct dropped_list *list = arg;

    if (list->items && list->count < SENDER_TYPES_MAX + 1) {
        list->items[list->count++] = (struct work_dropped){.type = arena_str(list->arena, type), .count = count};
    }
}

static void on_describe(void *arg, struct arena *arena, struct work_report *report)
{
    struct agent *agent = arg;
    struct dropped_list dropped = {.arena = arena,
                                   .items = arena_alloc(arena, (SENDER_TYPES_MAX + 1) * sizeof *dropped.items)};
    struct http_counts http;
    struct sender_counts sent;

    sender_each_dropped(agent->sender, add_dropped, &dropped);
    sender_count(agent->sender, &sent);
    hosts_http_counts(&agent->hosts, &http);
    report->dropped = dropped.items;
    report->dropped_count = dropped.count;
    report->aborted = http.aborted;
    report->queued = sent.queued;
}

/* ---- opening ---- */

static int open_hosts(struct agent *agent, struct mite_error *error)
{
    struct python_options python = {
        .exclude_working_directory = agent->options->exclude_working_directory,
        .debugging = agent->options->debugging,
        .memory_tracing = agent->options->memory_tracing,
        .config = &agent->config,
        .http = &agent->http,
        .debugger = on_debugger,
        .debugger_done = on_debugger_done,
        .blocked = culprit_blocks,
        .out_of_memory = on_out_of_memory,
        .arg = agent,
    };

    return hosts_open(&agent->hosts, agent->options, &python, error);
}

static int open_bus(struct agent *agent, struct mite_error *error)
{
    const struct options *options = agent->options;
    struct bus_options bus = {.curve = {options->curve_key, options->curve_server_key, options->curve_allow}};
    int rc = bus_backend_parse(options->message_backend, &bus.backend, error);

    if (rc == 0) {
        rc = bus_open(agent->loop, &bus, &agent->bus, error);
    }
    if (rc == 0) {
        rc = sender_new(agent->bus, options->message_socket, false, (uint64_t)options->send_buffer, &agent->sender,
                        error);
        if (rc < 0) {
            error_prefix(error, "--message-socket");
        }
    }
    return rc;
}

static int connect_sinks(struct agent *agent, struct mite_error *error)
{
    enum events_wanted wanted;
    int rc = events_parse(agent->options->events, &wanted, error);

    if (rc == 0) {
        rc = totals_init(&agent->totals);
        agent->totals_made = rc == 0;
    }
    if (rc < 0) {
        return rc;
    }
    events_init(&agent->events, wanted, sender_sink(agent->sender));
    fanout_init(&agent->fanout);
    fanout_add(&agent->fanout, &agent->totals.sink);
    fanout_add(&agent->fanout, &agent->events.sink);
    fanout_add(&agent->fanout, debug_message_log());
    return 0;
}

/* A name that no other runner has: WORK_ROUTING_PREFIX and a random UUID. */
static void choose_name(struct agent *agent)
{
    unsigned char r[16] = {0};

    if (getrandom(r, sizeof r, 0) != (ssize_t)sizeof r) { /* it may not be interrupted for so few bytes */
        uint64_t now_ns = clock_now_ns();
        pid_t pid = getpid();
        memcpy(r, &now_ns, sizeof now_ns);
        memcpy(r + sizeof now_ns, &pid, sizeof pid);
    }
    r[6] = (r[6] & 0x0f) | 0x40;
    r[8] = (r[8] & 0x3f) | 0x80;
    snprintf(agent->name, sizeof agent->name,
             WORK_ROUTING_PREFIX "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1],
             r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
}

static void find_host_name(struct agent *agent)
{
    if (gethostname(agent->host, sizeof agent->host - 1) < 0) {
        agent->host[0] = '\0';
    }
}

static int make_worker(struct agent *agent, struct mite_error *error)
{
    const struct options *options = agent->options;
    struct worker_options worker = {
        .bus = agent->bus,
        .address = options->controller_socket,
        .name = agent->name,
        .host = agent->host,
        .version = MITE_VERSION,
        .max_journeys = options->runner_max_journeys,
        .max_loop_delay_s = options->max_loop_delay_s,
        .min_loop_delay_s = options->min_loop_delay_s,
        .fresh = &agent->totals,
        .config = &agent->config,
    };
    struct worker_hooks hooks = {
        .say = on_say, .prepare = on_prepare, .describe = on_describe, .over = on_over, .arg = agent};
    int rc = worker_new(agent->loop, &worker, &hooks, &agent->worker, error);

    if (rc < 0) {
        error_prefix(error, "--controller-socket");
        return rc;
    }
    struct runner_options runner = {.test = worker_test(agent->worker), .max_journeys = options->runner_max_journeys};
    rc = runner_new(agent->loop, &runner, &agent->fanout.sink, &worker_controller_ops, agent->worker, &agent->runner,
                    error);
    if (rc == 0) {
        runner_add_host(agent->runner, allow_host(&options->journeys_allow));
        runner_add_host(agent->runner, native_journey_host(agent->hosts.native));
    }
    return rc;
}

static int agent_open(struct agent *agent, struct mite_error *error)
{
    struct crash_options crash = {.exit_status = EXIT_BROKE, .own_program = true};
    int rc = crash_start(&crash, error);

    config_init(&agent->config);
    choose_name(agent);
    find_host_name(agent);
    if (rc == 0) {
        crash_set_who(culprit_of_crash, NULL);
        rc = setup_http(agent->options, agent->resolve, &agent->http, error);
    }
    if (rc == 0) {
        rc = open_hosts(agent, error);
    }
    if (rc == 0) {
        rc = loop_new(&agent->loop, error);
    }
    if (rc == 0) {
        rc = hosts_attach(&agent->hosts, agent->loop, error);
    }
    if (rc == 0) {
        rc = open_bus(agent, error);
    }
    if (rc == 0) {
        rc = connect_sinks(agent, error);
    }
    return rc == 0 ? make_worker(agent, error) : rc;
}

/* ---- running ---- */

static int agent_go(struct agent *agent, struct mite_error *error)
{
    struct watchdog_hooks blocked = culprit_hooks(&agent->patience);
    int rc = timer_init(&agent->deadline, agent->loop, on_deadline);

    /* A loop that is blocked is looked at once in each limit, and hears of the signal at the first look. */
    agent->patience.stop_ns = ns_from_s(agent->options->component_stop_s - ns_to_s(BLOCKED_LIMIT_NS));
    agent->deadline_made = rc == 0;
    if (rc == 0) {
        rc = signals_start(agent->loop, on_signal, agent, error);
        agent->signals_made = rc == 0;
    }
    if (rc == 0) {
        rc = watchdog_start(agent->loop, BLOCKED_LIMIT_NS, &blocked, error);
        agent->watchdog_made = rc == 0;
    }
    if (rc == 0) {
        totals_start(&agent->totals);
        worker_start(agent->worker, agent->runner);
    }
    while (rc == 0 && !agent->ended) {
        rc = loop_run(agent->loop, error);
        if (rc == 0 && agent->wants_python) {
            agent->wants_python = false;
            start_python(agent);
            worker_prepared(agent->worker);
        } else if (rc == 0 && !agent->ended) {
            rc = error_set(error, MITE_EIO, "code of a journey's has stopped the event loop");
        }
    }
    return rc;
}

/* ---- closing ---- */

/* What was left undone: events that a signal did not leave time for, or that nobody took; messages not understood. */
static void tell_losses(const struct agent *agent)
{
    struct sender_counts counts;

    if (agent->worker && worker_bad_messages(agent->worker) > 0) {
        fprintf(stderr, "runner: %llu messages from the controller made no sense\n",
                (unsigned long long)worker_bad_messages(agent->worker));
    }
    sender_count(agent->sender, &counts);
    if (counts.queued > 0 || counts.dropped > 0) {
        fprintf(stderr, "runner: %llu events never reached %s: is a duplicator there? (--events=none sends none)\n",
                (unsigned long long)counts.queued + counts.dropped, agent->options->message_socket);
    }
    if (counts.at_risk > 0) {
        fprintf(stderr, "runner: connections to %s broke with up to %llu events on their way\n",
                agent->options->message_socket, (unsigned long long)counts.at_risk);
    }
}

static void agent_close(struct agent *agent)
{
    if (agent->runner) {
        runner_cancel_all(agent->runner);
    }
    hosts_detach(&agent->hosts, agent->loop);
    if (agent->watchdog_made) {
        watchdog_stop();
    }
    if (agent->signals_made) {
        signals_stop();
    }
    if (agent->deadline_made) {
        timer_close(&agent->deadline, NULL);
    }
    if (agent->sender) {
        tell_losses(agent);
    }
    runner_free(agent->runner);
    worker_free(agent->worker);
    sender_free(agent->sender);
    if (agent->loop) {
        loop_free(agent->loop, NULL);
    }
    bus_close(agent->bus);
    hosts_close(&agent->hosts);
    config_done(&agent->config);
    if (agent->totals_made) {
        totals_done(&agent->totals);
    }
    log_flush_repeats();
}

static int status_of(const struct agent *agent, int rc)
{
    if (rc < 0) {
        return rc == MITE_EINVAL || rc == MITE_ENOTFOUND ? EXIT_USAGE : EXIT_BROKE;
    }
    if (agent->broken) {
        return EXIT_BROKE;
    }
    return agent->hurried ? EXIT_SIGNALLED : agent->debugged ? EXIT_FAILED : EXIT_GOOD;
}

static int run_one(const struct options *options)
{
    struct agent *agent = calloc(1, sizeof *agent);
    struct mite_error error = {0};

    if (!agent) {
        say("out of memory");
        return EXIT_BROKE;
    }
    agent->options = options;
    int rc = agent_open(agent, &error);
    if (rc == 0) {
        rc = agent_go(agent, &error);
    }
    if (rc < 0) {
        complain("runner", &error);
    }
    agent_close(agent);
    int status = status_of(agent, rc);
    error_done(&error);
    free(agent);
    return status;
}

int cmd_runner(const struct options *options)
{
    struct mite_error error = {0};
    size_t workers;

    if (workers_parse(options->workers, &workers, &error) < 0) {
        complain("runner", &error);
        return EXIT_USAGE;
    }
    return workers > 1 ? workers_run("runner", options, workers) : run_one(options);
}
