/*
 * Design notes
 *
 * One timer, set to the first of what comes by the clock: a window, a report, the end of the run, a look for runners
 * that are silent. Hooks are called from it alone, never from inside a message or a pool's answer (entry_failed apart),
 * so that their owner may do anything in them but free the fleet.
 */
#include "controller/fleet_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <math.h>
#include <stdlib.h>
#include <sys/random.h>

#define REPORT_NS         NS_PER_S
#define LOOK_NS           (NS_PER_S / 4) /* for silent runners */
#define DEFAULT_TIMEOUT_S 10
#define DEFAULT_REPORT_S  0.25
#define DEFAULT_RUNNERS   10000
#define ARENA_MAX         ((size_t)256 << 20) /* of a message and its answer */

/* ---- runners are told ---- */

static void nudge(struct fleet *fleet, struct fleet_runner *runner)
{
    struct buf wish;

    if (runner->plain || runner->slot < 0 || runner->nudged) {
        return;
    }
    buf_init(&wish, 0);
    work_write_nudge(&wish);
    if (!wish.failed && fleet->send(fleet, str_of(runner->peer), buf_view(&wish)) == 0) {
        runner->nudged = true;
    }
    buf_done(&wish);
}

void fleet_spread(struct fleet *fleet)
{
    shares_spread(&fleet->shares);
    for (size_t i = 0; i < fleet->runner_count; i++) {
        struct fleet_runner *runner = fleet->runners[i];
        if (runner->slot >= 0 && fleet->shares.runners[runner->slot].stale) {
            nudge(fleet, runner);
        }
    }
}

static void nudge_all(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->runner_count; i++) {
        nudge(fleet, fleet->runners[i]);
    }
}

/* Whether journeys of its wait for items of this pool. */
static bool starves(const struct fleet *fleet, const struct fleet_runner *runner, const struct lease_pool *pool)
{
    for (size_t i = 0; !runner->plain && runner->slot >= 0 && i < fleet->scenario->count; i++) {
        int64_t has = runner->holder.by_entry[i];
        if (fleet->leases.of_entry[i] == pool && fleet->shares.runners[runner->slot].shares[i].target > has &&
            fleet_most_items(fleet, runner, i) > has) {
            return true;
        }
    }
    return false;
}

/* Items for those who starve, and no more of them are told than will find one; each time others are the first. */
static void nudge_starving(struct fleet *fleet)
{
    for (size_t i = 0; fleet->phase == FLEET_RUNNING && i < fleet->leases.pool_count; i++) {
        struct lease_pool *pool = &fleet->leases.pools[i];
        int64_t starving = 0;
        for (size_t n = 0; n < fleet->runner_count; n++) {
            starving += starves(fleet, fleet->runners[n], pool);
        }
        leases_stock(pool, starving);
        int64_t items = pool->in_stock;
        for (size_t n = fleet->runner_count; n > 0 && items > 0; n--) {
            struct fleet_runner *runner = fleet->runners[fleet->turn++ % fleet->runner_count];
            if (starves(fleet, runner, pool)) {
                nudge(fleet, runner);
                items--;
            }
        }
    }
    fleet->stocked = false;
}

/* ---- entries ---- */

static void apply_want(struct fleet *fleet, size_t entry)
{
    double wanted = round((double)fleet->model_wants[entry] * fleet->factors[entry]);

    shares_want(&fleet->shares, entry, wanted < FLEET_COUNT_MAX ? (int64_t)wanted : FLEET_COUNT_MAX);
}

void fleet_set_factor(struct fleet *fleet, size_t entry, double factor)
{
    fleet->factors[entry] = factor;
    if (!fleet->shares.entries[entry].ended) {
        apply_want(fleet, entry);
    }
    fleet_spread(fleet);
}

void fleet_entry_failed(struct fleet *fleet, size_t entry, const struct mite_error *error)
{
    if (fleet->shares.entries[entry].ended) {
        return;
    }
    shares_end(&fleet->shares, entry);
    if (fleet->hooks.entry_failed) {
        fleet->hooks.entry_failed(fleet->hooks.arg, &fleet->scenario->entries[entry], error,
                                  fleet->shares.started == 0);
    }
}

void fleet_check_pools(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->scenario->count; i++) {
        const struct lease_pool *pool = fleet->leases.of_entry[i];
        if (pool && pool->over && pool->in_stock == 0 && pool->asked == 0 && !fleet->shares.entries[i].ended &&
            fleet_unused(fleet, pool) == 0) {
            shares_end(&fleet->shares, i);
        }
    }
}

static void pool_stocked(void *arg, struct lease_pool *pool)
{
    struct fleet *fleet = arg;

    if (!fleet->stocked) {
        fleet->stocked = true;
        fleet_look_soon(fleet);
    }
}

static void pool_over(void *arg, struct lease_pool *pool, int code, const struct mite_error *error)
{
    struct fleet *fleet = arg;

    for (size_t i = 0; error && i < fleet->scenario->count; i++) {
        if (fleet->leases.of_entry[i] == pool) {
            fleet_entry_failed(fleet, i, error);
        }
    }
    fleet_look_soon(fleet);
}

/* ---- windows ---- */

static bool entry_ended(void *arg, size_t entry)
{
    return ((struct fleet *)arg)->shares.entries[entry].ended;
}

static void entry_wants(void *arg, size_t entry, int64_t wanted)
{
    ((struct fleet *)arg)->model_wants[entry] = wanted;
    apply_want(arg, entry);
}

static void entry_ends(void *arg, size_t entry)
{
    shares_end(&((struct fleet *)arg)->shares, entry);
}

static void model_failed(void *arg, size_t entry, const struct mite_error *error)
{
    fleet_entry_failed(arg, entry, error);
}

static const struct windows_hooks window_hooks = {
    .ended = entry_ended, .want = entry_wants, .end = entry_ends, .failed = model_failed};

/* ---- what the clock says ---- */

/* When the scenario's clock shows so many seconds; now when it has. */
static uint64_t at_second(const struct fleet *fleet, uint64_t now_ns, double second)
{
    uint64_t elapsed_ns = now_ns - fleet->start_ns, then_ns = ns_from_s(second);

    return then_ns > elapsed_ns ? ns_add(now_ns, then_ns - elapsed_ns) : now_ns;
}

static int64_t live_runners(const struct fleet *fleet)
{
    int64_t count = 0;

    for (size_t i = 0; i < fleet->runner_count; i++) {
        count += fleet->runners[i]->state == RUNNER_LIVE;
    }
    return count;
}

static size_t unheard_runners(const struct fleet *fleet)
{
    size_t count = 0;

    for (size_t i = 0; i < fleet->runner_count; i++) {
        const struct fleet_runner *runner = fleet->runners[i];
        count += runner->state == RUNNER_LOST && runner->awaited && !runner->plain && !runner->own;
    }
    return count;
}

static void report(struct fleet *fleet)
{
    size_t required = 0, count = fleet->scenario->count;

    for (size_t i = 0; i < count; i++) {
        int64_t id = fleet->scenario->entries[i].id;
        fleet->actual[i] = (struct message_count){id, shares_running(&fleet->shares, i)};
        if (!fleet->shares.entries[i].ended) {
            fleet->required[required++] = (struct message_count){id, fleet->shares.entries[i].wanted};
        }
    }
    struct message message = {
        .kind = MESSAGE_CONTROLLER_REPORT,
        .type = message_type_of(MESSAGE_CONTROLLER_REPORT),
        .time = clock_wall_s(),
        .test = str_of(fleet->scenario->name),
        .report = {.required = fleet->required,
                   .actual = fleet->actual,
                   .required_count = required,
                   .actual_count = count,
                   .num_runners = live_runners(fleet)},
    };
    sink_message(fleet->reports, &message);
}

static void report_when_due(struct fleet *fleet, uint64_t now_ns)
{
    if (now_ns < fleet->next_report_ns) {
        return;
    }
    while (fleet->next_report_ns <= now_ns) {
        fleet->next_report_ns += REPORT_NS;
    }
    report(fleet);
}

void fleet_clock(struct fleet *fleet)
{
    if (fleet->begin_ns == 0) {
        fleet->begin_ns = ns_add(clock_now_ns(), ns_from_s(fleet->options.scheduling.delay_start_s));
    }
}

static void begin(struct fleet *fleet, uint64_t now_ns)
{
    fleet->phase = FLEET_RUNNING;
    fleet->clock_started = true;
    fleet->start_ns = now_ns;
    fleet->next_report_ns = now_ns + REPORT_NS;
    totals_start(fleet->totals);
    fleet_state_began(fleet);
}

static void run(struct fleet *fleet, uint64_t now_ns)
{
    double duration_s = fleet->options.scheduling.duration_s;

    if (duration_s > 0 && now_ns >= at_second(fleet, now_ns, duration_s)) {
        shares_end_all(&fleet->shares);
    }
    if (now_ns >= at_second(fleet, now_ns, (double)fleet->windows.next_s)) {
        leases_unblock(&fleet->leases);
    }
    windows_open(&fleet->windows, ns_to_s(now_ns - fleet->start_ns), &window_hooks, fleet);
    fleet_check_pools(fleet);
    fleet_spread(fleet);
}

/* Runners that have been told to stop are done when they say bye, or soon after they said that nothing runs. */
static bool all_done(const struct fleet *fleet, uint64_t now_ns)
{
    uint64_t wait_ns = 2 * fleet->interval_ns > NS_PER_S / 2 ? 2 * fleet->interval_ns : NS_PER_S / 2;

    for (size_t i = 0; i < fleet->runner_count; i++) {
        const struct fleet_runner *runner = fleet->runners[i];
        if (runner->state == RUNNER_LIVE && (runner->idle_ns == 0 || now_ns - runner->idle_ns < wait_ns)) {
            return false;
        }
    }
    return !leases_busy(&fleet->leases);
}

static void drain(struct fleet *fleet, uint64_t now_ns)
{
    fleet->phase = FLEET_DRAINING;
    leases_clear_stock(&fleet->leases);
    nudge_all(fleet);
    if (!all_done(fleet, now_ns) && fleet->hooks.draining) {
        fleet->hooks.draining(fleet->hooks.arg);
    }
}

static void finish(struct fleet *fleet, uint64_t now_ns)
{
    fleet->phase = FLEET_FINISHED;
    fleet->end_ns = now_ns;
    if (fleet->clock_started) {
        report(fleet);
    }
    if (fleet->hooks.finished) {
        fleet->hooks.finished(fleet->hooks.arg);
    }
}

static void set_timer(struct fleet *fleet, uint64_t now_ns)
{
    uint64_t at_ns = now_ns + LOOK_NS;
    uint64_t others[] = {
        fleet->clock_started ? fleet->next_report_ns : UINT64_MAX,
        fleet->phase == FLEET_WAITING && fleet->begin_ns ? fleet->begin_ns : UINT64_MAX,
        fleet->phase == FLEET_RUNNING ? at_second(fleet, now_ns, (double)fleet->windows.next_s) : UINT64_MAX,
        fleet->phase == FLEET_RUNNING && fleet->options.scheduling.duration_s > 0
            ? at_second(fleet, now_ns, fleet->options.scheduling.duration_s)
            : UINT64_MAX,
    };

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        at_ns = others[i] < at_ns ? others[i] : at_ns;
    }
    /* Not at once: with a model that takes longer than its window nothing else would ever get its turn. */
    uint64_t soonest_ns = now_ns + NS_PER_MS;
    timer_start(&fleet->timer, (at_ns > soonest_ns ? at_ns : soonest_ns) - now_ns, 0);
}

static void on_timer(struct timer *timer)
{
    struct fleet *fleet = (struct fleet *)timer; /* its first member */
    uint64_t now_ns = clock_now_ns();

    if (fleet->phase == FLEET_FINISHED) {
        return;
    }
    fleet_lose_silent(fleet, now_ns);
    fleet_state_look(fleet, now_ns);
    /* Whoever has the totals has started them after we knew better. */
    if (fleet->resumed && fleet->totals->start_ns != fleet->start_ns) {
        totals_take_over(fleet->totals, fleet->start_ns);
    }
    if (fleet->phase == FLEET_WAITING && fleet->begin_ns && now_ns >= fleet->begin_ns) {
        begin(fleet, now_ns);
    }
    if (fleet->phase == FLEET_RUNNING) {
        run(fleet, now_ns);
    }
    if (fleet->clock_started) {
        report_when_due(fleet, now_ns);
    }
    if (fleet->stocked) {
        nudge_starving(fleet);
    }
    if (fleet->phase < FLEET_DRAINING && shares_over(&fleet->shares)) {
        drain(fleet, now_ns);
    }
    if (fleet->phase == FLEET_DRAINING && all_done(fleet, now_ns)) {
        finish(fleet, now_ns);
        return;
    }
    set_timer(fleet, now_ns);
}

/* After a message or a pool's answer: what it made due must not wait for the clock. */
void fleet_look_soon(struct fleet *fleet)
{
    uint64_t now_ns = clock_now_ns();
    bool over = fleet->phase < FLEET_DRAINING && shares_over(&fleet->shares);
    bool begins = fleet->phase == FLEET_WAITING && fleet->begin_ns && now_ns >= fleet->begin_ns;

    if (over || begins || fleet->stocked || (fleet->phase == FLEET_DRAINING && all_done(fleet, now_ns))) {
        timer_start(&fleet->timer, 0, 0);
    }
}

/* ---- life ---- */

static int send_by_socket(struct fleet *fleet, struct str peer, struct str body)
{
    return socket_send(fleet->socket, peer, body);
}

static void release(struct fleet *fleet)
{
    fleet_state_close(fleet);
    fleet_runners_free(fleet);
    fleet_figures_free(fleet->left);
    leases_done(&fleet->leases);
    shares_done(&fleet->shares);
    map_done(&fleet->dropped, free);
    arena_done(&fleet->arena);
    buf_done(&fleet->out);
    free(fleet->handed);
    free(fleet->factors);
    free(fleet->model_wants);
    free(fleet->required);
    free(fleet->actual);
}

static void set_defaults(struct fleet *fleet)
{
    struct fleet_options *options = &fleet->options;
    uint64_t epoch = 0;

    options->max_runners = options->max_runners ? options->max_runners : DEFAULT_RUNNERS;
    fleet->timeout_ns = ns_from_s(options->runner_timeout_s > 0 ? options->runner_timeout_s : DEFAULT_TIMEOUT_S);
    fleet->interval_ns = ns_from_s(options->report_interval_s > 0 ? options->report_interval_s : DEFAULT_REPORT_S);
    fleet->next_id = 1;
    fleet->send = send_by_socket;
    if (getrandom(&epoch, sizeof epoch, 0) < 0) {
        epoch = clock_now_ns();
    }
    fleet->epoch = (epoch >> 2) + 1;
}

static int init(struct fleet *fleet, struct loop *loop)
{
    const struct scenario *scenario = fleet->scenario;
    const struct controller_options *scheduling = &fleet->options.scheduling;
    struct lease_hooks hooks = {.stocked = pool_stocked, .over = pool_over, .arg = fleet};
    size_t count = scenario->count;

    fleet->factors = calloc(count, sizeof *fleet->factors);
    fleet->model_wants = calloc(count, sizeof *fleet->model_wants);
    fleet->required = calloc(count, sizeof *fleet->required);
    fleet->actual = calloc(count, sizeof *fleet->actual);
    windows_init(&fleet->windows, scenario, scheduling->max_loop_delay_s);
    if (!fleet->factors || !fleet->model_wants || !fleet->required || !fleet->actual ||
        shares_init(&fleet->shares, count, scheduling->spawn_rate, scheduling->iterations,
                    ns_to_s(fleet->interval_ns)) < 0 ||
        leases_init(&fleet->leases, scenario, &hooks) < 0 || timer_init(&fleet->timer, loop, on_timer) < 0) {
        return MITE_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        int64_t max_starts = scenario->entries[i].model->max_starts;
        fleet->shares.entries[i].max_starts = max_starts >= 0 ? max_starts : INT64_MAX;
        fleet->shares.entries[i].ends_all = scenario->entries[i].model->stops_scenario;
        fleet->factors[i] = 1;
    }
    return 0;
}

int fleet_new(struct loop *loop, struct bus *bus, const struct scenario *scenario, const struct fleet_options *options,
              struct totals *totals, struct sink *reports, const struct controller_hooks *hooks, struct fleet **out,
              struct mite_error *error)
{
    if (scenario->count == 0) {
        return error_set(error, MITE_EINVAL, "scenario \"%s\" has no journeys", scenario->name);
    }
    if (scenario->count > WORK_ENTRIES_MAX) {
        return error_set(error, MITE_ELIMIT, "scenario \"%s\" has %zu entries: runners take up to %d", scenario->name,
                         scenario->count, WORK_ENTRIES_MAX);
    }
    struct fleet *fleet = calloc(1, sizeof *fleet);
    if (!fleet) {
        return error_set(error, MITE_ENOMEM, "no memory for the controller");
    }
    fleet->scenario = scenario;
    fleet->options = *options;
    fleet->totals = totals;
    fleet->reports = reports;
    fleet->hooks = *hooks;
    fleet->bus = bus;
    map_init(&fleet->by_id);
    map_init(&fleet->by_peer);
    map_init(&fleet->dropped);
    arena_init(&fleet->arena, ARENA_MAX);
    buf_init(&fleet->out, 0);
    fleet->journal.fd = -1;
    fleet->first_config = options->config->version;
    set_defaults(fleet);
    if (init(fleet, loop) < 0) {
        release(fleet);
        free(fleet);
        return error_set(error, MITE_ENOMEM, "no memory for the controller");
    }
    int rc = fleet_state_open(fleet, error);
    if (rc < 0) {
        fleet_free(fleet);
        return rc;
    }
    timer_start(&fleet->timer, fleet->resumed ? 0 : LOOK_NS, 0);
    *out = fleet;
    return 0;
}

int fleet_bind(struct fleet *fleet, const char *address, struct mite_error *error)
{
    struct socket_options options = {.kind = SOCKET_SERVICE, .received = fleet_received, .arg = fleet};
    int rc = socket_open(fleet->bus, &options, &fleet->socket, error);

    return rc == 0 ? socket_bind(fleet->socket, address, error) : rc;
}

const char *fleet_address(const struct fleet *fleet)
{
    return socket_address(fleet->socket);
}

void fleet_stop(struct fleet *fleet)
{
    if (fleet->phase < FLEET_DRAINING && !shares_over(&fleet->shares)) {
        shares_end_all(&fleet->shares);
        fleet->stopped = true;
        fleet_state_flag(fleet, "stopped", true);
        timer_start(&fleet->timer, 0, 0);
    }
}

void fleet_cancel(struct fleet *fleet)
{
    fleet_stop(fleet);
    if (!fleet->cancelled) {
        fleet->cancelled = true;
        nudge_all(fleet);
    }
}

void fleet_count(const struct fleet *fleet, struct fleet_counts *out)
{
    uint64_t now_ns = fleet->end_ns ? fleet->end_ns : clock_now_ns();

    *out = (struct fleet_counts){
        .aborted = fleet->aborted,
        .bad_messages = fleet->bad_messages,
        .runners = (size_t)live_runners(fleet),
        .runners_seen = fleet->runners_seen,
        .runners_lost = fleet->runners_lost,
        .runners_unheard = unheard_runners(fleet),
        .runners_back = fleet->runners_back,
        .runners_plain = fleet->runners_plain,
        .items_lost = fleet->leases.lost,
        .journeys = {.elapsed_ns = fleet->clock_started ? now_ns - fleet->start_ns : 0,
                     .clock_started = fleet->clock_started},
    };
    for (size_t i = 0; i < fleet->scenario->count; i++) {
        const struct share_entry *entry = &fleet->shares.entries[i];
        out->journeys.wanted += fleet->shares.paused ? 0 : entry->wanted;
        out->journeys.running += shares_running(&fleet->shares, i);
        out->journeys.started += entry->started;
        out->journeys.completed += entry->completed;
    }
}

void fleet_each_dropped(const struct fleet *fleet, void (*each)(void *arg, struct str type, uint64_t count), void *arg)
{
    struct map_entry *entry;
    uint32_t index = 0;

    while ((entry = map_next(&fleet->dropped, &index))) {
        if (*(uint64_t *)entry->value > 0) {
            each(arg, entry->key, *(uint64_t *)entry->value);
        }
    }
}

static void on_closed(struct timer *timer)
{
    free(timer);
}

void fleet_free(struct fleet *fleet)
{
    if (fleet) {
        socket_close(fleet->socket);
        release(fleet);
        timer_close(&fleet->timer, on_closed);
    }
}
