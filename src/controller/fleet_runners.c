#include "controller/fleet_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* What a process has sent may be read a little after its death is known. */
#define LAST_WORDS_NS (NS_PER_S / 10)

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
    if (runner->own) {
        totals_done(runner->own);
        free(runner->own);
    }
    free(runner->started_before);
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
    if (lease_holder_init(&runner->holder, fleet->scenario->count) < 0) {
        runner_free(runner);
        return NULL;
    }
    return runner;
}

/* Those that live, or may yet. */
static size_t present(const struct fleet *fleet)
{
    size_t count = 0;

    for (size_t i = 0; i < fleet->runner_count; i++) {
        count += fleet->runners[i]->state <= RUNNER_LIVE;
    }
    return count;
}

static void forget(struct fleet *fleet, size_t index)
{
    struct fleet_runner *runner = fleet->runners[index];

    map_remove(&fleet->by_id, id_key(&runner->id));
    if (!runner->plain) {
        map_remove(&fleet->by_peer, str_of(runner->peer));
    }
    fleet->runners[index] = fleet->runners[--fleet->runner_count];
    runner_free(runner);
}

static int add(struct fleet *fleet, struct fleet_runner *runner)
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

struct fleet_runner *fleet_greet(struct fleet *fleet, struct str peer, bool plain, int64_t id)
{
    if (present(fleet) >= fleet->options.max_runners) {
        log_once(LOG_WARNING, "fleet full", "%zu runners are here, as many as may be: a further one is turned away",
                 fleet->options.max_runners);
        return NULL;
    }
    struct fleet_runner *runner = runner_new(fleet, peer, plain, id ? id : fleet->next_id);
    if (!runner || add(fleet, runner) < 0) {
        if (runner) {
            runner_free(runner);
        }
        log_once(LOG_ERROR, "fleet memory", "no memory for a further runner");
        return NULL;
    }
    fleet->next_id = runner->id >= fleet->next_id ? runner->id + 1 : fleet->next_id;
    return runner;
}

int fleet_join(struct fleet *fleet, struct fleet_runner *runner, int64_t max_journeys)
{
    int slot = shares_join(&fleet->shares, max_journeys);
    char name[160];

    if (slot < 0) {
        return slot;
    }
    fleet->runners_seen += !runner->had_work;
    fleet->runners_plain += !runner->had_work && runner->plain;
    log_line(runner->state == RUNNER_LOST ? LOG_WARNING
             : fleet->options.quiet       ? LOG_DEBUG
                                          : LOG_INFO,
             "runner %s %s", fleet_runner_name(runner, name, sizeof name),
             runner->state == RUNNER_LOST ? "is back"
             : runner->plain              ? "has joined; it is given its work request by request"
                                          : "has joined");
    runner->slot = slot;
    fleet_state_joined(fleet, runner);
    runner->state = RUNNER_LIVE;
    runner->had_work = true;
    runner->idle_ns = 0;
    if (runner->plain) {
        fleet_clock(fleet);
    }
    return 0;
}

void fleet_leave(struct fleet *fleet, struct fleet_runner *runner, enum runner_state state)
{
    fleet_state_gone(fleet, runner);
    if (runner->slot >= 0) {
        shares_leave(&fleet->shares, (size_t)runner->slot);
        runner->slot = -1;
    }
    leases_lose(&fleet->leases, &runner->holder);
    runner->void_up_to = fleet->leases.last;
    runner->state = state;
    runner->idle_ns = 0;
    buf_done(&runner->answer);
    fleet_spread(fleet);
}

static void lose(struct fleet *fleet, struct fleet_runner *runner, uint64_t silent_ns)
{
    uint64_t lost = fleet->leases.lost;
    char name[160], items[64] = "";

    fleet->runners_lost++;
    fleet_leave(fleet, runner, RUNNER_LOST);
    if (fleet->leases.lost > lost) {
        snprintf(items, sizeof items, "; %" PRIu64 " datapool items are lost with it", fleet->leases.lost - lost);
    }
    if (runner->dies_ns) {
        log_line(LOG_WARNING, "runner %s has died: its work is given to others%s",
                 fleet_runner_name(runner, name, sizeof name), items);
    } else {
        log_line(LOG_WARNING, "runner %s has been silent for %.1f s: its work is given to others%s",
                 fleet_runner_name(runner, name, sizeof name), ns_to_s(silent_ns), items);
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

void fleet_lose_silent(struct fleet *fleet, uint64_t now_ns)
{
    for (size_t i = fleet->runner_count; i-- > 0;) {
        struct fleet_runner *runner = fleet->runners[i];
        uint64_t silent_ns = now_ns > runner->heard_ns ? now_ns - runner->heard_ns : 0;
        bool dead = runner->dies_ns && now_ns >= runner->dies_ns;
        if (runner->state > RUNNER_LIVE || (!dead && silent_ns < fleet->timeout_ns + FLEET_PATIENCE_NS)) {
            continue;
        }
        if (runner->state == RUNNER_GREETED) {
            forget(fleet, i);
        } else if (runner->idle_ns) {
            fleet_leave(fleet, runner, RUNNER_GONE);
        } else {
            lose(fleet, runner, silent_ns);
        }
    }
}
