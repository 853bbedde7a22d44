/*
 * Design notes
 *
 * - One report is under way at a time. What it told of leases is remembered by the pools until its orders come, or the
 *   word that the controller knows nothing of us: then the next one tells it again.
 * - Statistics go from `fresh` into a report and into `whole` in one step. They are not lost with a report: the link
 *   sends it until it is answered, and who does not know us gets `whole`.
 * - Orders that find no memory have not come: the link asks again, and gets the same ones. Items that are here already
 *   are passed over.
 * - Silence is counted from the moment at which the last answered report was made: the controller counts from when it
 *   came, which is later, so we stop first. Orders that answer a report from before that are as old, whatever held them
 *   up: what they lend may be others' by now. It is kept, and the next report, due at once, tells whose it is.
 */
#include "base/clock.h"
#include "stats/totals_delta.h"
#include "value/msgpack.h"
#include "worker/internal.h"

#include <unistd.h>

#define ANSWER_PATIENCE_NS NS_PER_S
/* Between a report and one that is sent early: because something has changed, or somebody waits for it. */
#define EARLY_GAP_NS  (10 * NS_PER_MS)
#define URGENT_GAP_NS (2 * NS_PER_MS)

/* ---- reports ---- */

static int write_stats(struct worker *worker, const struct totals *totals, struct work_report *report)
{
    struct buf bytes;
    size_t used;

    buf_init(&bytes, BUS_MESSAGE_MAX);
    totals_write(&bytes, totals);
    int rc = bytes.failed ? MITE_ENOMEM : msgpack_read(&worker->report, buf_view(&bytes), &used, &report->stats, NULL);
    buf_done(&bytes);
    return rc;
}

/* What is reported is not fresh any more. */
static void settle_stats(struct worker *worker)
{
    totals_add(&worker->dialect.whole, worker->options.fresh);
    totals_clear(worker->options.fresh);
}

static int add_stats(struct worker *worker, struct work_report *report)
{
    report->stats_from_start = worker->dialect.introduces;
    if (report->stats_from_start) {
        settle_stats(worker);
        return write_stats(worker, &worker->dialect.whole, report);
    }
    return totals_empty(worker->options.fresh) ? 0 : write_stats(worker, worker->options.fresh, report);
}

/* Of one core, since the last time. */
static double cpu_share(struct dialect *dialect, uint64_t now_ns)
{
    uint64_t cpu_ns = clock_cpu_ns(), spent_ns = cpu_ns - dialect->cpu_ns, passed_ns = now_ns - dialect->sent_ns;

    dialect->cpu_ns = cpu_ns;
    return spent_ns >= passed_ns ? 1 : (double)spent_ns / (double)passed_ns;
}

static int send_report(struct worker *worker, uint64_t now_ns)
{
    struct dialect *dialect = &worker->dialect;
    struct work_introduction introduction = {.host = str_of(worker->options.host),
                                             .version = str_of(worker->options.version),
                                             .pid = getpid(),
                                             .max_journeys = worker->options.max_journeys};
    struct work_request request = {.kind = WORK_REPORT,
                                   .report = {
                                       .seq = dialect->seq + 1,
                                       .runner_id = worker->runner_id,
                                       .epoch = dialect->epoch,
                                       .introduction = dialect->introduces ? &introduction : NULL,
                                       .leaving = worker->draining,
                                       .idle = dialect->idle,
                                       .trouble = worker->troubled ? str_of(worker->trouble) : STR_NONE,
                                   }};

    arena_reset(&worker->report);
    int rc = dialect->local ? local_tell(dialect->local, &worker->report, &request.report) : 0;
    if (rc == 0) {
        rc = add_stats(worker, &request.report);
    }
    if (rc < 0) {
        return rc;
    }
    worker->hooks.describe(worker->hooks.arg, &worker->report, &request.report);
    request.report.cpu = cpu_share(dialect, now_ns);
    buf_clear(&worker->out);
    work_write_request(&worker->out, &request);
    return worker_send(worker, ANSWER_PATIENCE_NS);
}

static uint64_t interval_ns(const struct dialect *dialect)
{
    return ns_from_s(dialect->offer.interval_s);
}

/* Nothing has been told: all of it is for the next report. */
static void not_reported(struct worker *worker)
{
    worker_say(worker, LOG_ERROR, "no memory for a report to the controller");
    if (worker->dialect.local) {
        local_told(worker->dialect.local, false);
    }
    timer_start(&worker->dialect.due.timer, interval_ns(&worker->dialect), 0);
}

static void schedule_next(struct worker *worker)
{
    struct dialect *dialect = &worker->dialect;
    uint64_t at_ns = ns_add(dialect->sent_ns, dialect->gap_ns), now_ns = clock_now_ns();

    timer_start(&dialect->due.timer, at_ns > now_ns ? at_ns - now_ns : 0, 0);
}

/* From anywhere: sends nothing yet. */
static void hurry(struct worker *worker, uint64_t gap_ns)
{
    if (gap_ns < worker->dialect.gap_ns) {
        worker->dialect.gap_ns = gap_ns;
        if (!link_waits(worker->link)) {
            schedule_next(worker);
        }
    }
}

static void report_now(struct worker *worker)
{
    struct dialect *dialect = &worker->dialect;
    uint64_t now_ns = clock_now_ns();

    if (worker->phase != WORKER_DIALECT || worker->held.size > 0) {
        return;
    }
    if (link_waits(worker->link)) {
        hurry(worker, URGENT_GAP_NS);
        return;
    }
    timer_stop(&dialect->due.timer);
    if (send_report(worker, now_ns) < 0) {
        not_reported(worker);
        return;
    }
    settle_stats(worker);
    dialect->seq++;
    dialect->sent_ns = now_ns;
    dialect->gap_ns = interval_ns(dialect);
    dialect->idle_told = dialect->idle;
    worker->troubled = false;
}

static void on_urgent(void *arg, bool starves)
{
    hurry(arg, starves ? URGENT_GAP_NS : EARLY_GAP_NS);
}

static void on_due(struct timer *timer)
{
    struct worker *worker = worker_of(timer);

    if (worker->held.size > 0) {
        worker_prepared(worker);
    } else {
        report_now(worker);
    }
}

/* ---- silence ---- */

static bool holds_item(void *arg, const struct message_origin *origin)
{
    return local_holds(arg, origin->scenario_id);
}

static bool holds_void_item(void *arg, const struct message_origin *origin)
{
    return local_is_void(arg, origin->scenario_id, &origin->scenario_data_id);
}

/* Counted from `from_ns`. */
static void listen_from(struct worker *worker, uint64_t from_ns)
{
    uint64_t end_ns = ns_add(from_ns, ns_from_s(worker->dialect.offer.timeout_s)), now_ns = clock_now_ns();

    timer_start(&worker->dialect.silence.timer, end_ns > now_ns ? end_ns - now_ns : 0, 0);
}

/* What the controller has lent may be others' soon. */
static void let_go(struct worker *worker)
{
    struct local *local = worker->dialect.local;

    worker->lost = true;
    if (local) {
        local_pause(local);
        runner_cancel_some(worker->runner, holds_item, local);
    }
}

static void on_silence(struct timer *timer)
{
    struct worker *worker = worker_of(timer);
    struct dialect *dialect = &worker->dialect;

    if (worker->phase >= WORKER_PLAIN) {
        return;
    }
    if (dialect->idle) { /* nobody takes the last report */
        worker_say(worker, LOG_WARNING, "the controller at %s does not take the last report: it is given up",
                   worker->options.address);
        worker_say_bye(worker);
        return;
    }
    worker_say(worker, LOG_WARNING,
               "no answer from the controller at %s for %g s: nothing starts until it is back, and journeys that hold "
               "items are cancelled",
               worker->options.address, dialect->offer.timeout_s);
    let_go(worker);
}

/* Orders are about to be obeyed. Returns whether they are still worth it. */
static bool heard_in_time(struct worker *worker)
{
    struct dialect *dialect = &worker->dialect;

    if (clock_now_ns() < ns_add(dialect->sent_ns, ns_from_s(dialect->offer.timeout_s))) {
        worker_heard(worker);
        listen_from(worker, dialect->sent_ns);
        return true;
    }
    if (!worker->lost && !dialect->idle) {
        worker_say(worker, LOG_WARNING,
                   "the orders of the controller at %s are more than %g s old: they are asked for again, and journeys "
                   "that hold items are cancelled",
                   worker->options.address, dialect->offer.timeout_s);
        timer_stop(&dialect->silence.timer);
        let_go(worker);
    }
    return false;
}

/* ---- orders ---- */

static void on_finished(void *arg)
{
    struct worker *worker = arg;

    worker->dialect.idle = true;
    if (worker->lost && worker->draining) {
        worker_end(worker); /* there is nobody to tell */
    } else {
        if (worker->lost) {
            listen_from(worker, clock_now_ns()); /* and then it is given up */
        }
        report_now(worker);
    }
}

/* Whether the orders can be obeyed now. If not, they are held until journeys have been prepared or have ended. */
static bool is_ready(struct worker *worker, const struct work_orders *orders)
{
    struct local *local = worker->dialect.local;

    if (orders->entry_count > 0 && (!local || !local_matches(local, orders)) && worker_running(worker) > 0) {
        if (local) {
            local_pause(local);
        }
        runner_cancel_all(worker->runner);
        return false;
    }
    for (size_t i = 0; i < orders->entry_count; i++) {
        const struct work_entry_orders *entry = &orders->entries[i];
        if (entry->journey_spec.p && !worker_may_run(worker, entry->journey_spec, entry->has_pool)) {
            return false;
        }
    }
    return true;
}

/* The local controller for these entries: the one that is there, or a new one. */
static int find_local(struct worker *worker, const struct work_orders *orders, struct mite_error *error)
{
    struct dialect *dialect = &worker->dialect;
    struct local_options options = {
        .runner_ops = &runner_work_ops,
        .runner = worker->runner,
        .max_journeys = worker->options.max_journeys,
        .finished = on_finished,
        .urgent = on_urgent,
        .arg = worker,
    };

    if (dialect->local && local_matches(dialect->local, orders)) {
        return 0;
    }
    dialect_forget(worker);
    return local_new(worker->loop, orders, &options, &dialect->local, error);
}

static void stop_local(struct worker *worker)
{
    if (worker->dialect.local) {
        local_stop(worker->dialect.local);
    } else {
        on_finished(worker);
    }
}

/* MITE_ENOMEM: they have to come again. */
static int obey(struct worker *worker, const struct work_orders *orders, bool in_time)
{
    struct dialect *dialect = &worker->dialect;
    struct mite_error error = {0};

    worker_set_config(worker, orders->config, orders->config_count);
    int rc = orders->entry_count > 0 ? find_local(worker, orders, &error) : 0;
    if (rc == 0 && dialect->local && orders->entry_count > 0) {
        rc = in_time ? local_obey(dialect->local, orders, &error) : local_take(dialect->local, orders, &error);
    }
    if (rc < 0) {
        worker_trouble(worker, error.text);
    }
    if (rc == MITE_ENOMEM) {
        worker_say(worker, LOG_ERROR, "%s: the controller is asked for its orders again", error.text);
        error_done(&error);
        return rc;
    }
    if (rc < 0) {
        worker_bad_message(worker, &error);
    }
    if (dialect->local && orders->void_up_to > 0) {
        runner_cancel_some(worker->runner, holds_void_item, dialect->local);
    }
    if ((orders->stop || worker->draining) && !dialect->idle) {
        runner_ask_stop(worker->runner);
        stop_local(worker);
    }
    if (orders->cancel && !dialect->cancelled) { /* once: what journeys do at their end is not to be cut off */
        dialect->cancelled = true;
        runner_cancel_all(worker->runner);
    }
    return 0;
}

/* The first ones also tell what to load: when that is done the controller is told, whose clock may wait for it. */
static void carry_out(struct worker *worker, const struct work_orders *orders)
{
    bool first = worker->dialect.introduces;

    worker->dialect.introduces = false;
    if (obey(worker, orders, heard_in_time(worker)) == MITE_ENOMEM) {
        worker->dialect.introduces = first;
        link_ask_again(worker->link);
        return;
    }
    if (first) {
        hurry(worker, URGENT_GAP_NS);
    }
    schedule_next(worker);
}

/* It knows us no more: what it has heard of leases it may have forgotten. */
static void start_over(struct worker *worker)
{
    if (worker->dialect.local) {
        local_told(worker->dialect.local, false);
    }
    worker_say_hello(worker);
}

void dialect_received(struct worker *worker, struct str body)
{
    struct dialect *dialect = &worker->dialect;
    struct mite_error error = {0};
    struct work_orders orders;
    int rc = work_read_orders(&worker->arena, body, &orders, &error);

    if (rc == MITE_EAGAIN) {
        report_now(worker);
        return;
    }
    if (rc < 0) {
        worker_unexpected(worker, body, &error);
        return;
    }
    if (orders.seq != dialect->seq || worker->held.size > 0) {
        return; /* an answer that was given up, or came twice */
    }
    link_answered(worker->link);
    if (!orders.known) {
        start_over(worker);
        return;
    }
    if (dialect->local) {
        local_told(dialect->local, true);
    }
    if (dialect->idle_told) {
        worker_say_bye(worker);
    } else if (is_ready(worker, &orders)) {
        carry_out(worker, &orders);
    } else if (!worker_hold(worker, body)) {
        link_ask_again(worker->link);
    }
}

void dialect_begin(struct worker *worker, const struct work_offer *offer)
{
    struct dialect *dialect = &worker->dialect;

    if (dialect->local && offer->epoch != dialect->epoch) { /* another one: what it lends is not what we have */
        local_void(dialect->local, UINT64_MAX);
        runner_cancel_some(worker->runner, holds_void_item, dialect->local);
    }
    dialect->offer = *offer;
    dialect->epoch = offer->epoch;
    dialect->introduces = true;
    worker->phase = WORKER_DIALECT;
    listen_from(worker, clock_now_ns());
    report_now(worker);
}

/* ---- the runner ---- */

void dialect_completed(struct worker *worker, int64_t scenario_id, const struct value *data_id, bool failed_at_once)
{
    local_completed(worker->dialect.local, scenario_id, data_id, failed_at_once);
    if (worker->held.size > 0 && worker_running(worker) == 0) {
        timer_start(&worker->dialect.due.timer, 0, 0); /* what was held for this goes on */
    }
}

void dialect_idle(struct worker *worker)
{
    if (worker->dialect.local) {
        local_idle(worker->dialect.local);
    }
}

void dialect_drain(struct worker *worker)
{
    stop_local(worker);
    hurry(worker, EARLY_GAP_NS);
}

/* ---- life ---- */

int dialect_init(struct worker *worker)
{
    struct dialect *dialect = &worker->dialect;
    int rc = totals_init(&dialect->whole);

    dialect->sent_ns = clock_now_ns();
    dialect->cpu_ns = clock_cpu_ns();
    if (rc == 0) {
        rc = worker_timer_init(worker, &dialect->due, on_due);
    }
    return rc == 0 ? worker_timer_init(worker, &dialect->silence, on_silence) : rc;
}

void dialect_forget(struct worker *worker)
{
    local_free(worker->dialect.local);
    worker->dialect.local = NULL;
    worker->dialect.cancelled = false;
}

void dialect_done(struct worker *worker)
{
    dialect_forget(worker);
    totals_done(&worker->dialect.whole);
}
