/*
 * Design notes
 *
 * One timer. What is due (a window, a report, tokens, the end of the run) follows from the clock whenever it fires, and
 * it is set to whatever comes first. Hooks are called from it alone, so that their owner may do anything in them but
 * free the controller.
 */
#include "controller/controller.h"

#include "base/clock.h"
#include "controller/internal.h"

#include <stdlib.h>

#define REPORT_NS NS_PER_S

/* ---- when to look again ---- */

static void wake_at(struct controller *controller, uint64_t at_ns)
{
    uint64_t now_ns = clock_now_ns();

    controller->wake_ns = at_ns;
    timer_start(&controller->timer, at_ns > now_ns ? at_ns - now_ns : 0, 0);
}

static bool all_over(const struct controller *controller)
{
    for (size_t i = 0; i < controller->runner_count; i++) {
        if (!controller->runners[i].idle) {
            return false;
        }
    }
    return controller->tracker.running == 0 && controller->tracker.pending == 0;
}

void controller_look_soon(struct controller *controller)
{
    bool running = controller->phase == PHASE_RUNNING;
    uint64_t wait_ns = running ? tracker_wait_ns(&controller->tracker) : UINT64_MAX;

    if ((running && tracker_over(&controller->tracker)) ||
        (controller->phase == PHASE_DRAINING && all_over(controller))) {
        wait_ns = 0;
    }
    if (wait_ns == UINT64_MAX || controller->dispatching) {
        return;
    }
    uint64_t at_ns = clock_now_ns() + wait_ns;
    if (at_ns < controller->wake_ns) {
        wake_at(controller, at_ns);
    }
}

static uint64_t at_second(const struct controller *controller, double second)
{
    return ns_add(controller->start_ns, ns_from_s(second));
}

/* The first of what comes by the clock. */
static void set_timer(struct controller *controller)
{
    uint64_t at_ns = controller->next_report_ns;

    if (controller->phase == PHASE_RUNNING) {
        uint64_t wait_ns = tracker_wait_ns(&controller->tracker);
        uint64_t others[] = {
            at_second(controller, (double)controller->windows.next_s),
            controller->options.duration_s > 0 ? at_second(controller, controller->options.duration_s) : UINT64_MAX,
            wait_ns == UINT64_MAX ? UINT64_MAX : controller->tracker.now_ns + wait_ns,
        };
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
            at_ns = others[i] < at_ns ? others[i] : at_ns;
        }
    }
    /* libuv fires a timer that is due at once before it polls: with a model or a pool that takes longer than a window
     * nothing else would ever get its turn. */
    uint64_t soonest_ns = clock_now_ns() + NS_PER_MS;
    wake_at(controller, at_ns > soonest_ns ? at_ns : soonest_ns);
}

/* ---- what the clock says ---- */

void controller_entry_failed(struct controller *controller, size_t entry, const struct mite_error *error)
{
    tracker_end(&controller->tracker, entry);
    if (controller->hooks.entry_failed) {
        controller->hooks.entry_failed(controller->hooks.arg, entry_at(controller, entry), error,
                                       controller->tracker.started == 0);
    }
}

static bool entry_ended(void *arg, size_t entry)
{
    return ((struct controller *)arg)->tracker.entries[entry].ended;
}

static void entry_wants(void *arg, size_t entry, int64_t wanted)
{
    tracker_want(&((struct controller *)arg)->tracker, entry, wanted);
}

static void entry_ends(void *arg, size_t entry)
{
    tracker_end(&((struct controller *)arg)->tracker, entry);
}

static void model_failed(void *arg, size_t entry, const struct mite_error *error)
{
    controller_entry_failed(arg, entry, error);
}

static const struct windows_hooks window_hooks = {
    .ended = entry_ended, .want = entry_wants, .end = entry_ends, .failed = model_failed};

static void report(struct controller *controller)
{
    const struct tracker *tracker = &controller->tracker;
    size_t required = 0;

    if (!controller->reports) {
        return;
    }
    for (size_t i = 0; i < tracker->entry_count; i++) {
        int64_t id = entry_at(controller, i)->id;
        controller->actual[i] = (struct message_count){id, tracker->entries[i].running};
        if (!tracker->entries[i].ended) {
            controller->required[required++] = (struct message_count){id, tracker->entries[i].wanted};
        }
    }
    struct message message = {
        .kind = MESSAGE_CONTROLLER_REPORT,
        .type = message_type_of(MESSAGE_CONTROLLER_REPORT),
        .time = clock_wall_s(),
        .test = str_of(controller->scenario->name),
        .report = {.required = controller->required,
                   .actual = controller->actual,
                   .required_count = required,
                   .actual_count = tracker->entry_count,
                   .num_runners = (int64_t)controller->runner_count},
    };
    sink_message(controller->reports, &message);
}

static void report_when_due(struct controller *controller, uint64_t now_ns)
{
    if (now_ns < controller->next_report_ns) {
        return;
    }
    while (controller->next_report_ns <= now_ns) {
        controller->next_report_ns += REPORT_NS;
    }
    report(controller);
}

static void begin(struct controller *controller, uint64_t now_ns)
{
    controller->phase = PHASE_RUNNING;
    controller->clock_started = true;
    controller->start_ns = now_ns;
    controller->next_report_ns = now_ns + REPORT_NS;
    tracker_start(&controller->tracker, now_ns);
}

static void run(struct controller *controller, uint64_t now_ns)
{
    double duration_s = controller->options.duration_s;

    tracker_advance(&controller->tracker, now_ns);
    if (duration_s > 0 && now_ns >= at_second(controller, duration_s)) {
        tracker_end_all(&controller->tracker);
    }
    windows_open(&controller->windows, ns_to_s(now_ns - controller->start_ns), &window_hooks, controller);
    starts_dispatch(controller);
}

/* Nothing starts any more. */
static void drain(struct controller *controller)
{
    controller->phase = PHASE_DRAINING;
    for (size_t i = 0; i < controller->runner_count; i++) {
        controller->runners[i].ops->stop(controller->runners[i].runner);
    }
    if (!all_over(controller) && controller->hooks.draining) {
        controller->hooks.draining(controller->hooks.arg);
    }
}

static void finish(struct controller *controller, uint64_t now_ns)
{
    controller->phase = PHASE_FINISHED;
    controller->end_ns = now_ns;
    if (controller->clock_started) {
        report(controller);
    }
    if (controller->hooks.finished) {
        controller->hooks.finished(controller->hooks.arg);
    }
}

static void on_timer(struct timer *timer)
{
    struct controller *controller = (struct controller *)timer; /* its first member */
    uint64_t now_ns = clock_now_ns();

    controller->wake_ns = UINT64_MAX;
    if (controller->phase == PHASE_NEW && !tracker_over(&controller->tracker)) {
        begin(controller, now_ns);
    }
    if (controller->phase == PHASE_RUNNING) {
        run(controller, now_ns);
    }
    if (controller->clock_started) {
        report_when_due(controller, now_ns);
    }
    if (controller->phase < PHASE_DRAINING && tracker_over(&controller->tracker)) {
        drain(controller);
    }
    if (controller->phase == PHASE_DRAINING && all_over(controller)) {
        finish(controller, now_ns);
        return;
    }
    if (controller->clock_started) {
        set_timer(controller);
    }
}

/* ---- life ---- */

static void release(struct controller *controller)
{
    starts_release(controller);
    tracker_done(&controller->tracker);
    free(controller->runners);
    free(controller->required);
    free(controller->actual);
}

int controller_new(struct loop *loop, const struct scenario *scenario, const struct controller_options *options,
                   struct sink *reports, const struct controller_hooks *hooks, struct controller **out,
                   struct mite_error *error)
{
    if (scenario->count == 0) {
        return error_set(error, MITE_EINVAL, "scenario \"%s\" has no journeys", scenario->name);
    }
    struct controller *controller = calloc(1, sizeof *controller);
    if (!controller) {
        return error_set(error, MITE_ENOMEM, "no memory for the controller");
    }
    controller->scenario = scenario;
    controller->options = *options;
    controller->hooks = *hooks;
    controller->reports = reports;
    controller->wake_ns = UINT64_MAX;
    windows_init(&controller->windows, scenario, options->max_loop_delay_s);
    controller->required = calloc(scenario->count, sizeof *controller->required);
    controller->actual = calloc(scenario->count, sizeof *controller->actual);
    int rc = tracker_init(&controller->tracker, scenario->count, options->spawn_rate, options->iterations,
                          options->failure_backoff);
    if (rc == 0 && (!controller->required || !controller->actual)) {
        rc = MITE_ENOMEM;
    }
    if (rc == 0) {
        rc = timer_init(&controller->timer, loop, on_timer);
    }
    if (rc < 0) {
        release(controller);
        free(controller);
        return error_set(error, rc, "no memory for the controller");
    }
    for (size_t i = 0; i < scenario->count; i++) {
        controller->tracker.entries[i].max_starts = scenario->entries[i].model->max_starts;
        controller->tracker.entries[i].ends_all = scenario->entries[i].model->stops_scenario;
    }
    *out = controller;
    return 0;
}

static void on_closed(struct timer *timer)
{
    free(timer);
}

void controller_free(struct controller *controller)
{
    if (controller) {
        release(controller);
        timer_close(&controller->timer, on_closed);
    }
}

int64_t controller_add_runner(struct controller *controller, const struct work_runner_ops *ops, void *runner,
                              int64_t max_journeys, struct mite_error *error)
{
    size_t index = controller->runner_count;

    if (controller->phase >= PHASE_DRAINING) {
        return error_set(error, MITE_ECANCELLED, "the run is coming to its end: it takes no further runner");
    }
    struct attached_runner *runners = realloc(controller->runners, (index + 1) * sizeof *runners);
    if (runners) {
        controller->runners = runners;
    }
    if (!runners || tracker_add_runner(&controller->tracker, max_journeys) < 0) {
        return error_set(error, MITE_ENOMEM, "no memory for a further runner");
    }
    runners[index] = (struct attached_runner){.ops = ops, .runner = runner};
    controller->runner_count++;
    if (index == 0) {
        wake_at(controller, ns_add(clock_now_ns(), ns_from_s(controller->options.delay_start_s)));
    }
    return (int64_t)index + 1;
}

void controller_stop(struct controller *controller)
{
    if (controller->phase < PHASE_DRAINING && !tracker_over(&controller->tracker)) {
        tracker_end_all(&controller->tracker);
        wake_at(controller, 0);
    }
}

/* ---- direction from elsewhere ---- */

void controller_refresh(struct controller *controller)
{
    if (controller->phase != PHASE_RUNNING) {
        return; /* what comes first asks the models anyway, or nothing starts any more */
    }
    tracker_advance(&controller->tracker, clock_now_ns());
    windows_ask_again(&controller->windows, &window_hooks, controller);
    starts_dispatch(controller);
    controller_look_soon(controller);
}

void controller_set_spawn_rate(struct controller *controller, double spawn_rate)
{
    if (controller->clock_started) {
        tracker_advance(&controller->tracker, clock_now_ns()); /* until now at the old rate */
    }
    tracker_set_spawn_rate(&controller->tracker, spawn_rate);
}

void controller_allow_starts(struct controller *controller, size_t index, int64_t allowed)
{
    tracker_allow(&controller->tracker, index, allowed);
}

void controller_count_entry(const struct controller *controller, size_t index, struct controller_entry_counts *out)
{
    const struct tracker_entry *entry = &controller->tracker.entries[index];

    *out = (struct controller_entry_counts){
        .wanted = entry->wanted,
        .running = entry->running,
        .started = entry->started,
        .completed = entry->started - entry->running,
    };
}

void controller_count(const struct controller *controller, struct controller_counts *out)
{
    const struct tracker *tracker = &controller->tracker;
    uint64_t now_ns = controller->end_ns ? controller->end_ns : clock_now_ns();

    *out = (struct controller_counts){
        .wanted = tracker_wanted(tracker),
        .running = tracker->running,
        .started = tracker->started,
        .completed = tracker->completed,
        .backed_off = tracker->backed_off,
        .elapsed_ns = controller->clock_started ? now_ns - controller->start_ns : 0,
        .clock_started = controller->clock_started,
    };
}
