/*
 * Design notes
 *
 * - The runner outlives controllers: its messages name the test by worker->test, which changes in place, and what it
 *   says of ended journeys goes to whichever dialect is spoken now.
 * - An answer that cannot be handled yet (a journey's interpreter has to be started, journeys of another test have to
 *   end) is held, as bytes, and handled again later. The link has no request under way then, so nothing comes between.
 */
#include "base/clock.h"
#include "worker/internal.h"

#include <stdio.h>
#include <stdlib.h>

#define HELLO_PATIENCE_NS NS_PER_S
#define BYE_LIMIT_NS      NS_PER_S
#define ARENA_MAX         ((size_t)512 << 20) /* of a message that was read */

/* ---- what people and controllers read ---- */

void worker_say(struct worker *worker, enum log_level level, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    worker->hooks.say(worker->hooks.arg, level, text);
}

void worker_bad_message(struct worker *worker, struct mite_error *error)
{
    worker->bad_messages++;
    log_once(LOG_WARNING, error->text, "a message from the controller makes no sense: %s", error->text);
    error_done(error);
}

void worker_unexpected(struct worker *worker, struct str body, struct mite_error *error)
{
    struct work_welcome welcome;
    struct work_orders orders;
    int rc = work_read_orders(&worker->arena, body, &orders, NULL);

    if (rc == 0 || rc == MITE_EAGAIN || work_read_welcome(&worker->arena, body, &welcome, NULL) == 0) {
        error_done(error);
    } else {
        worker_bad_message(worker, error);
    }
}

void worker_trouble(struct worker *worker, const char *text)
{
    if (strncmp(worker->trouble, text, sizeof worker->trouble - 1) != 0) {
        snprintf(worker->trouble, sizeof worker->trouble, "%s", text);
        worker->troubled = true;
    }
}

void worker_heard(struct worker *worker)
{
    if (worker->lost) {
        worker->lost = false;
        worker_say(worker, LOG_INFO, "the controller at %s is back", worker->options.address);
    }
}

const char *worker_test(const struct worker *worker)
{
    return worker->test;
}

uint64_t worker_bad_messages(const struct worker *worker)
{
    return worker->bad_messages;
}

/* ---- requests ---- */

int worker_send(struct worker *worker, uint64_t patience_ns)
{
    return worker->out.failed ? MITE_ENOMEM : link_send(worker->link, buf_view(&worker->out), patience_ns);
}

static void send_plain(struct worker *worker, enum work_request_kind kind, uint64_t patience_ns)
{
    struct work_request request = {.kind = kind, .runner_id = worker->runner_id};

    buf_clear(&worker->out);
    work_write_request(&worker->out, &request);
    if (worker_send(worker, patience_ns) < 0) {
        worker_say(worker, LOG_ERROR, "no memory for a message to the controller");
    }
}

void worker_say_hello(struct worker *worker)
{
    worker->phase = WORKER_HELLO;
    send_plain(worker, WORK_HELLO, HELLO_PATIENCE_NS);
}

void worker_end(struct worker *worker)
{
    if (worker->phase != WORKER_OVER) {
        worker->phase = WORKER_OVER;
        timer_stop(&worker->bye.timer);
        link_answered(worker->link);
        worker->hooks.over(worker->hooks.arg);
    }
}

void worker_end_alone(struct worker *worker)
{
    if (worker->phase == WORKER_HELLO && (worker->draining || worker->plain.stopping) && !worker->dialect.local &&
        worker_running(worker) == 0) {
        worker_end(worker);
    }
}

/* Nobody has to answer it. */
static void on_bye_unanswered(struct timer *timer)
{
    worker_end(worker_of(timer));
}

void worker_say_bye(struct worker *worker)
{
    worker->phase = WORKER_BYE;
    send_plain(worker, WORK_BYE, BYE_LIMIT_NS);
    timer_start(&worker->bye.timer, BYE_LIMIT_NS, 0);
}

/* ---- answers ---- */

void worker_set_config(struct worker *worker, const struct pair *config, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (config_set(worker->options.config, value_str(&config[i].key), &config[i].value) < 0) {
            worker_say(worker, LOG_ERROR, "no memory for configuration key \"" STR_FMT "\"",
                       STR_ARG(value_str(&config[i].key)));
        }
    }
}

bool worker_may_run(struct worker *worker, struct str spec, bool has_datapool)
{
    if (map_get(&worker->prepared, spec)) {
        return true;
    }
    if (worker->hooks.prepare(worker->hooks.arg, spec.p, has_datapool) == MITE_EAGAIN) {
        return false;
    }
    map_set(&worker->prepared, spec, worker, NULL); /* without memory it is prepared again */
    return true;
}

bool worker_hold(struct worker *worker, struct str answer)
{
    buf_clear(&worker->held);
    if (buf_str(&worker->held, answer) < 0) {
        worker_say(worker, LOG_ERROR, "no memory to keep a message of the controller's");
        return false;
    }
    return true;
}

/* Nil. The link goes on asking. */
static bool is_refusal(struct worker *worker, struct str body)
{
    if (!str_is(body, "\xc0")) {
        return false;
    }
    if (!worker->refused) {
        worker->refused = true;
        worker_say(worker, LOG_WARNING, "the controller at %s has as many runners as it takes: it is asked again",
                   worker->options.address);
    }
    return true;
}

static void welcomed(struct worker *worker, struct str body)
{
    struct mite_error error = {0};
    struct work_welcome welcome;

    if (is_refusal(worker, body)) {
        return;
    }
    if (work_read_welcome(&worker->arena, body, &welcome, &error) < 0) {
        worker_unexpected(worker, body, &error);
        return;
    }
    link_answered(worker->link);
    worker_heard(worker);
    worker->runner_id = welcome.runner_id;
    runner_set_id(worker->runner, welcome.runner_id);
    snprintf(worker->test, sizeof worker->test, STR_FMT, STR_ARG(welcome.test.p ? welcome.test : STR("")));
    worker_set_config(worker, welcome.config, welcome.config_count);
    worker_say(worker, worker->welcomed ? LOG_DEBUG : LOG_INFO,
               "connected to the controller at %s: runner %lld of \"%s\"", worker->options.address,
               (long long)welcome.runner_id, worker->test);
    worker->welcomed = true;
    worker->refused = false;
    if (welcome.offer) {
        dialect_begin(worker, welcome.offer);
    } else {
        plain_begin(worker);
    }
}

static void received(void *arg, struct str body)
{
    struct worker *worker = arg;

    arena_reset(&worker->arena);
    switch (worker->phase) {
    case WORKER_HELLO:
        welcomed(worker, body);
        break;
    case WORKER_DIALECT:
        dialect_received(worker, body);
        break;
    case WORKER_PLAIN:
        plain_received(worker, body);
        break;
    case WORKER_BYE:
        worker_end(worker);
        break;
    case WORKER_OVER:
        break;
    }
}

void worker_prepared(struct worker *worker)
{
    if (worker->held.size == 0) {
        return;
    }
    struct buf answer = worker->held;

    buf_init(&worker->held, 0);
    received(worker, buf_view(&answer));
    buf_done(&answer);
}

static void connection(void *arg, bool up)
{
    struct worker *worker = arg;

    if (up || worker->phase >= WORKER_BYE) {
        return;
    }
    if (worker->welcomed && !worker->lost) {
        worker->lost = true;
        worker_say(worker, LOG_WARNING, "lost the controller at %s: trying to reach it again", worker->options.address);
    }
    if (worker->phase == WORKER_PLAIN) {
        plain_disconnected(worker);
    }
}

/* ---- the runner ---- */

static void completed(void *arg, int64_t runner_id, int64_t scenario_id, const struct value *data_id,
                      bool failed_at_once)
{
    struct worker *worker = arg;

    if (worker->dialect.local) {
        dialect_completed(worker, scenario_id, data_id, failed_at_once);
    } else {
        plain_completed(worker, scenario_id, data_id);
    }
    worker_end_alone(worker);
}

static void idle(void *arg, int64_t runner_id)
{
    dialect_idle(arg);
}

const struct work_controller_ops worker_controller_ops = {.completed = completed, .idle = idle};

int64_t worker_running(const struct worker *worker)
{
    struct runner_counts counts;

    runner_count(worker->runner, &counts);
    return counts.running;
}

/* ---- life ---- */

int worker_timer_init(struct worker *worker, struct worker_timer *timer, void (*fire)(struct timer *timer))
{
    int rc = timer_init(&timer->timer, worker->loop, fire);

    timer->worker = rc == 0 ? worker : NULL;
    worker->timers += rc == 0;
    return rc;
}

int worker_new(struct loop *loop, const struct worker_options *options, const struct worker_hooks *hooks,
               struct worker **out, struct mite_error *error)
{
    struct worker *worker = calloc(1, sizeof *worker);

    if (!worker) {
        return error_set(error, MITE_ENOMEM, "no memory for the runner");
    }
    worker->loop = loop;
    worker->options = *options;
    worker->hooks = *hooks;
    map_init(&worker->prepared);
    buf_init(&worker->out, BUS_MESSAGE_MAX);
    buf_init(&worker->held, 0);
    arena_init(&worker->arena, ARENA_MAX);
    arena_init(&worker->report, 0);
    struct link_options link = {.bus = options->bus,
                                .address = options->address,
                                .name = options->name,
                                .received = received,
                                .connection = connection,
                                .arg = worker};
    int rc = dialect_init(worker);
    if (rc == 0) {
        rc = plain_init(worker);
    }
    if (rc == 0) {
        rc = worker_timer_init(worker, &worker->bye, on_bye_unanswered);
    }
    if (rc < 0) {
        error_set(error, rc, "no memory for the runner");
    } else {
        rc = link_open(loop, &link, &worker->link, error);
    }
    if (rc < 0) {
        worker_free(worker);
        return rc;
    }
    *out = worker;
    return 0;
}

void worker_start(struct worker *worker, struct runner *runner)
{
    worker->runner = runner;
    worker_say(worker, LOG_INFO, "looking for the controller at %s", worker->options.address);
    worker_say_hello(worker);
}

void worker_drain(struct worker *worker)
{
    if (worker->draining) {
        return;
    }
    worker->draining = true;
    runner_ask_stop(worker->runner);
    if (worker->dialect.local) {
        dialect_drain(worker);
    } else if (worker->phase == WORKER_PLAIN) {
        plain_drain(worker);
    } else { /* orders that are under way are awaited: what they lend has to go back */
        worker_end_alone(worker);
    }
}

void worker_cancel(struct worker *worker)
{
    runner_cancel_all(worker->runner);
}

/* The last of the timers takes the memory along. */
static void on_timer_closed(struct timer *timer)
{
    struct worker *worker = worker_of(timer);

    if (--worker->timers == 0) {
        free(worker);
    }
}

static void close_timers(struct worker *worker)
{
    struct worker_timer *timers[] = {&worker->bye, &worker->dialect.due, &worker->dialect.silence, &worker->plain.due};
    bool none = worker->timers == 0;

    for (size_t i = 0; i < sizeof timers / sizeof *timers; i++) {
        if (timers[i]->worker) {
            timer_close(&timers[i]->timer, on_timer_closed);
        }
    }
    if (none) {
        free(worker);
    }
}

void worker_free(struct worker *worker)
{
    if (!worker) {
        return;
    }
    link_close(worker->link);
    dialect_done(worker);
    plain_done(worker);
    map_done(&worker->prepared, NULL);
    buf_done(&worker->out);
    buf_done(&worker->held);
    arena_done(&worker->arena);
    arena_done(&worker->report);
    close_timers(worker);
}
