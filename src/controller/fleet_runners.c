#include "controller/fleet_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* What a process has sent may be read a little after its death is known. */
#define LAST_WORDS_NS (NS_PER_S / 10)
#define AWAY_NS       NS_PER_S /* longer than the timer ever waits */
#define LOST_MAX      10000    /* lost runners that are remembered */

static struct str id_key(const int64_t *id)
{
    return (struct str){(const char *)id, sizeof *id};
}

struct fleet_runner *fleet_find(const struct fleet *fleet, int64_t id)
{
    return map_get(&fleet->by_id, id_key(&id));
}

struct fleet_runner *fleet_find_peer(const struct fleet *fleet, struct str peer)
{
    return map_get(&fleet->by_peer, peer);
}

const char *fleet_runner_name(const struct fleet_runner *runner, char *out, size_t size)
{
    if (runner->host) {
        snprintf(out, size, "%" PRId64 " on %.100s (pid %" PRId64 ")", runner->id, runner->host, runner->pid);
    } else {
        snprintf(out, size, "%" PRId64, runner->id);
    }
    return out;
}

static void runner_free(struct fleet_runner *runner)
{
    lease_holder_done(&runner->holder);
    buf_done(&runner->answer);
    map_done(&runner->dropped, free);
    fleet_figures_free(runner->own);
    free(runner->past);
    free(runner->host);
    free(runner->version);
    free(runner);
}

void fleet_runners_free(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->runner_count; i++) {
        runner_free(fleet->runners[i]);
    }
    free(fleet->runners);
    map_done(&fleet->by_id, NULL);
    map_done(&fleet->by_peer, NULL);
}

static struct fleet_runner *runner_new(const struct fleet *fleet, struct str peer, bool plain, int64_t id)
{
    struct fleet_runner *runner = calloc(1, sizeof *runner);

    if (!runner) {
        return NULL;
    }
    runner->id = id;
    runner->plain = plain;
    runner->slot = -1;
    runner->heard_ns = clock_now_ns();
    snprintf(runner->peer, sizeof runner->peer, STR_FMT, STR_ARG(peer));
    buf_init(&runner->answer, 0);
    map_init(&runner->dropped);
    runner->past = calloc(fleet->scenario->count, sizeof *runner->past);
    if (!runner->past || lease_holder_init(&runner->holder, fleet->scenario->count) < 0) {
        runner_free(runner);
        return NULL;
    }
    return runner;
}

/* ---- coming ---- */

/* Those that live, or may yet. */
static size_t present(const struct fleet *fleet)
{
    return fleet->runner_count - fleet->runners_lost;
}

static int insert(struct fleet *fleet, struct fleet_runner *runner)
{
    struct fleet_runner **runners = realloc(fleet->runners, (fleet->runner_count + 1) * sizeof *runners);

    if (!runners) {
        return MITE_ENOMEM;
    }
    fleet->runners = runners;
    if (map_set(&fleet->by_id, id_key(&runner->id), runner, NULL) < 0) {
        return MITE_ENOMEM;
    }
    if (!runner->plain && map_set(&fleet->by_peer, str_of(runner->peer), runner, NULL) < 0) {
        map_remove(&fleet->by_id, id_key(&runner->id));
        return MITE_ENOMEM;
    }
    runners[fleet->runner_count++] = runner;
    return 0;
}

struct fleet_runner *fleet_add(struct fleet *fleet, struct str peer, bool plain, int64_t id)
{
    struct fleet_runner *runner = runner_new(fleet, peer, plain, id ? id : fleet->next_id);

    if (runner && insert(fleet, runner) < 0) {
        runner_free(runner);
        runner = NULL;
    }
    if (runner && runner->id >= fleet->next_id) {
        fleet->next_id = runner->id + 1;
    }
    return runner;
}

struct fleet_runner *fleet_greet(struct fleet *fleet, struct str peer, bool plain, int64_t id)
{
    if (present(fleet) >= fleet->options.max_runners || fleet->runners_lost >= LOST_MAX) {
        log_once(LOG_WARNING, "fleet full", "%zu runners are here and %zu are lost: a further one is turned away",
                 present(fleet), fleet->runners_lost);
        return NULL;
    }
    struct fleet_runner *runner = fleet_add(fleet, peer, plain, id);
    if (!runner) {
        log_once(LOG_ERROR, "fleet memory", "no memory for a further runner");
    }
    return runner;
}

void fleet_set_live(struct fleet *fleet, struct fleet_runner *runner)
{
    if (!runner->had_work) {
        runner->had_work = true;
        fleet->runners_seen++;
        fleet->runners_plain += runner->plain;
    }
    if (runner->state == RUNNER_LOST) {
        fleet->runners_lost--;
        fleet->runners_back += !runner->came_back;
        runner->came_back = true;
    }
    runner->state = RUNNER_LIVE;
}

static void say_joined(const struct fleet *fleet, const struct fleet_runner *runner)
{
    bool back = runner->state == RUNNER_LOST;
    enum log_level level = back ? LOG_WARNING : fleet->options.quiet ? LOG_DEBUG : LOG_INFO;
    char name[160];

    log_line(level, "runner %s %s", fleet_runner_name(runner, name, sizeof name),
             back            ? "is back"
             : runner->plain ? "has joined; it is given its work request by request"
                             : "has joined");
}

int fleet_join(struct fleet *fleet, struct fleet_runner *runner)
{
    int slot = shares_join(&fleet->shares, runner->max_journeys);

    if (slot < 0) {
        return slot;
    }
    for (size_t i = 0; i < fleet->scenario->count; i++) {
        const struct share_past *past = &runner->past[i];
        int64_t running = runner->plain ? past->started - past->completed : 0; /* the others say it now */
        shares_resume(&fleet->shares, (size_t)slot, i, past, running);
    }
    say_joined(fleet, runner);
    runner->slot = slot;
    runner->idle_ns = 0;
    runner->counted_ns = runner->heard_ns;
    fleet_set_live(fleet, runner);
    fleet_state_joined(fleet, runner);
    if (runner->plain) {
        fleet_clock(fleet);
    }
    return 0;
}

/* ---- going ---- */

void fleet_forget(struct fleet *fleet, struct fleet_runner *runner)
{
    size_t index = 0;

    while (fleet->runners[index] != runner) {
        index++;
    }
    fleet->runner_count--;
    memmove(&fleet->runners[index], &fleet->runners[index + 1], (fleet->runner_count - index) * sizeof *fleet->runners);
    map_remove(&fleet->by_id, id_key(&runner->id));
    if (!runner->plain) {
        map_remove(&fleet->by_peer, str_of(runner->peer));
    }
    fleet_keep_figures(fleet, runner);
    runner_free(runner);
}

/* What it had is for others from now on. Returns how many items are lost with it. */
static uint64_t let_go(struct fleet *fleet, struct fleet_runner *runner)
{
    uint64_t items_lost = leases_lose(&fleet->leases, &runner->holder);

    for (size_t i = 0; i < fleet->scenario->count; i++) {
        if (runner->slot >= 0) {
            runner->past[i] = shares_past(&fleet->shares, (size_t)runner->slot, i);
            runner->past[i].starts_max = runner->past[i].started;
        } else {
            shares_give_up(&fleet->shares, i, &runner->past[i]);
        }
    }
    if (runner->slot >= 0) {
        shares_leave(&fleet->shares, (size_t)runner->slot);
        runner->slot = -1;
    }
    runner->void_up_to = fleet->leases.last;
    runner->void_told = false;
    runner->idle_ns = 0;
    buf_done(&runner->answer);
    return items_lost;
}

void fleet_leave(struct fleet *fleet, struct fleet_runner *runner)
{
    uint64_t items_lost = let_go(fleet, runner);

    fleet_state_gone(fleet, runner, true, items_lost);
    fleet_forget(fleet, runner);
    fleet_spread(fleet);
}

void fleet_set_lost(struct fleet *fleet, struct fleet_runner *runner)
{
    runner->state = RUNNER_LOST;
    fleet->runners_lost++;
}

static void lose(struct fleet *fleet, struct fleet_runner *runner, uint64_t silent_ns)
{
    uint64_t items_lost = let_go(fleet, runner);
    char name[160], items[64] = "";

    fleet_set_lost(fleet, runner);
    fleet_state_gone(fleet, runner, false, items_lost);
    fleet_spread(fleet);
    if (items_lost > 0) {
        snprintf(items, sizeof items, "; %" PRIu64 " datapool items are lost with it", items_lost);
    }
    fleet_runner_name(runner, name, sizeof name);
    if (runner->dies_ns) {
        log_line(LOG_WARNING, "runner %s has died: its work is given to others%s", name, items);
    } else {
        log_line(LOG_WARNING, "runner %s has been silent for %.1f s: its work is given to others%s", name,
                 ns_to_s(silent_ns), items);
    }
}

void fleet_died(struct fleet *fleet, int64_t pid)
{
    for (size_t i = 0; i < fleet->runner_count; i++) {
        struct fleet_runner *runner = fleet->runners[i];
        if (runner->pid == pid && runner->state == RUNNER_LIVE) {
            runner->dies_ns = clock_now_ns() + LAST_WORDS_NS;
            timer_start(&fleet->timer, LAST_WORDS_NS, 0);
        }
    }
}

/* While we were held up ourselves, by a model or by the machine, nobody was silent: what they said waits to be read. */
static void forgive(struct fleet *fleet, uint64_t now_ns)
{
    uint64_t away_ns = fleet->looked_ns ? now_ns - fleet->looked_ns : 0;

    fleet->looked_ns = now_ns;
    for (size_t i = 0; away_ns > AWAY_NS && i < fleet->runner_count; i++) {
        struct fleet_runner *runner = fleet->runners[i];
        runner->heard_ns = runner->heard_ns + away_ns < now_ns ? runner->heard_ns + away_ns : now_ns;
    }
}

void fleet_lose_silent(struct fleet *fleet, uint64_t now_ns)
{
    forgive(fleet, now_ns);
    for (size_t i = fleet->runner_count; i-- > 0;) {
        struct fleet_runner *runner = fleet->runners[i];
        uint64_t silent_ns = now_ns > runner->heard_ns ? now_ns - runner->heard_ns : 0;
        bool dead = runner->dies_ns && now_ns >= runner->dies_ns;
        if (runner->state == RUNNER_LOST || (!dead && silent_ns < fleet->timeout_ns + FLEET_PATIENCE_NS)) {
            continue;
        }
        if (runner->state == RUNNER_GREETED) {
            fleet_forget(fleet, runner);
        } else if (runner->idle_ns) {
            fleet_leave(fleet, runner);
        } else {
            lose(fleet, runner, silent_ns);
        }
    }
}
