/*
 * Design notes
 *
 * A limit on starts must hold although what a runner was told last may not have reached it, or may be in force while
 * its next report is on the way. So `starts_max` is the largest number that it may reach by any orders that it has or
 * may have; only the report that follows shows that smaller ones are in force. The sum of starts_max over all runners
 * (`granted`) stays within the limit.
 */
#include "controller/shares.h"

#include "base/error.h"

#include <stdlib.h>

#define DEFAULT_SPAWN_RATE 1000.0

int shares_init(struct shares *shares, size_t entry_count, double spawn_rate, int64_t iterations, double interval_s)
{
    *shares = (struct shares){
        .entries = calloc(entry_count + 1, sizeof *shares->entries),
        .entry_count = entry_count,
        .spawn_rate = spawn_rate > 0 ? spawn_rate : DEFAULT_SPAWN_RATE,
        .least_rate = 1 / interval_s,
        .iterations = iterations > 0 ? iterations : INT64_MAX,
    };
    if (!shares->entries) {
        return MITE_ENOMEM;
    }
    for (size_t i = 0; i < entry_count; i++) {
        shares->entries[i].max_starts = INT64_MAX;
    }
    return 0;
}

void shares_done(struct shares *shares)
{
    for (size_t i = 0; i < shares->runner_count; i++) {
        free(shares->runners[i].shares);
    }
    free(shares->runners);
    free(shares->entries);
    *shares = (struct shares){0};
}

/* ---- who is there ---- */

static int free_slot(struct shares *shares)
{
    for (size_t i = 0; i < shares->runner_count; i++) {
        if (!shares->runners[i].active) {
            return (int)i;
        }
    }
    struct share_runner *runners = realloc(shares->runners, (shares->runner_count + 1) * sizeof *runners);
    if (!runners) {
        return MITE_ENOMEM;
    }
    shares->runners = runners;
    struct share_runner *runner = &runners[shares->runner_count];
    *runner = (struct share_runner){.shares = calloc(shares->entry_count + 1, sizeof *runner->shares)};
    return runner->shares ? (int)shares->runner_count++ : MITE_ENOMEM;
}

int shares_join(struct shares *shares, int64_t max_journeys)
{
    int slot = free_slot(shares);

    if (slot >= 0) {
        struct share_runner *runner = &shares->runners[slot];
        runner->active = runner->stale = shares->due = true;
        runner->max_journeys = max_journeys > 0 ? max_journeys : INT64_MAX;
        runner->rate = 0;
        for (size_t i = 0; i < shares->entry_count; i++) {
            runner->shares[i] = (struct share){0};
        }
    }
    return slot;
}

void shares_resume(struct shares *shares, size_t runner, size_t entry, const struct share_past *past, int64_t running)
{
    shares->runners[runner].shares[entry] = (struct share){
        .running = running,
        .started = past->started,
        .completed = past->completed,
        .was_completed = past->completed,
        .starts_max = past->starts_max,
        .starts_next = past->starts_max,
    };
}

struct share_past shares_past(const struct shares *shares, size_t runner, size_t entry)
{
    const struct share *share = &shares->runners[runner].shares[entry];

    return (struct share_past){share->started, share->completed, share->starts_max};
}

void shares_retire(struct shares *shares, size_t index)
{
    shares->due = shares->due || shares->runners[index].max_journeys > 0;
    shares->runners[index].max_journeys = 0;
}

static void set_granted(struct shares *shares, size_t entry, struct share *share, int64_t starts_max)
{
    shares->entries[entry].granted += starts_max - share->starts_max;
    shares->granted += starts_max - share->starts_max;
    share->starts_max = starts_max;
}

/* An entry that ends all does so when the last of its journeys has ended. */
static void check_last(struct shares *shares, size_t entry)
{
    if (shares->entries[entry].ends_all && shares->entries[entry].ended && shares_running(shares, entry) == 0) {
        shares_end_all(shares);
    }
}

void shares_leave(struct shares *shares, size_t index)
{
    struct share_runner *runner = &shares->runners[index];

    runner->active = runner->stale = false;
    runner->rate = 0;
    shares->due = true;
    for (size_t i = 0; i < shares->entry_count; i++) {
        struct share *share = &runner->shares[i];
        set_granted(shares, i, share, share->started);
        share->running = share->target = 0;
        check_last(shares, i);
    }
}

/* ---- what runners say ---- */

/* As much has been started as may be. */
static void check_limits(struct shares *shares, size_t index)
{
    if (shares->started >= shares->iterations) {
        shares_end_all(shares);
    } else if (shares->entries[index].started >= shares->entries[index].max_starts) {
        shares_end(shares, index);
    }
}

void shares_report(struct shares *shares, size_t runner, size_t index, int64_t running, int64_t started,
                   int64_t completed)
{
    struct share *share = &shares->runners[runner].shares[index];
    struct share_entry *entry = &shares->entries[index];

    share->busy = started > share->started;
    if (started > share->started) {
        entry->started += started - share->started;
        shares->started += started - share->started;
        share->started = started;
    }
    share->was_completed = share->completed;
    if (completed > share->completed) {
        entry->completed += completed - share->completed;
        share->completed = completed;
    }
    share->running = running;
    set_granted(shares, index, share, share->starts_next > share->started ? share->starts_next : share->started);
    check_limits(shares, index);
    check_last(shares, index);
}

void shares_add_past(struct shares *shares, size_t index, const struct share_past *past)
{
    struct share_entry *entry = &shares->entries[index];

    entry->started += past->started;
    entry->completed += past->completed;
    entry->granted += past->starts_max;
    shares->started += past->started;
    shares->granted += past->starts_max;
    check_limits(shares, index);
}

void shares_give_up(struct shares *shares, size_t entry, struct share_past *past)
{
    shares->entries[entry].granted -= past->starts_max - past->started;
    shares->granted -= past->starts_max - past->started;
    past->starts_max = past->started;
}

/* ---- entries ---- */

void shares_want(struct shares *shares, size_t entry, int64_t wanted)
{
    shares->due = shares->due || shares->entries[entry].wanted != wanted;
    shares->entries[entry].wanted = wanted;
}

void shares_pause(struct shares *shares, bool paused)
{
    shares->paused = paused;
    shares->due = true;
}

void shares_end(struct shares *shares, size_t entry)
{
    shares_want(shares, entry, 0);
    shares->entries[entry].ended = true;
    check_last(shares, entry);
}

void shares_end_all(struct shares *shares)
{
    for (size_t i = 0; i < shares->entry_count; i++) {
        shares_want(shares, i, 0);
        shares->entries[i].ended = true;
    }
}

bool shares_over(const struct shares *shares)
{
    for (size_t i = 0; i < shares->entry_count; i++) {
        if (!shares->entries[i].ended) {
            return false;
        }
    }
    return true;
}

int64_t shares_running(const struct shares *shares, size_t entry)
{
    int64_t running = 0;

    for (size_t i = 0; i < shares->runner_count; i++) {
        running += shares->runners[i].active ? shares->runners[i].shares[entry].running : 0;
    }
    return running;
}

/* ---- targets ---- */

static int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t wanted_of(const struct shares *shares, size_t entry)
{
    return shares->paused ? 0 : shares->entries[entry].wanted;
}

static bool has_room(const struct shares *shares, size_t runner, const int64_t *loads)
{
    return shares->runners[runner].active && loads[runner] < shares->runners[runner].max_journeys;
}

static void give(struct shares *shares, size_t runner, size_t entry, int64_t more, int64_t *loads)
{
    shares->runners[runner].shares[entry].target += more;
    loads[runner] += more;
}

/* Of those that have room; -1: none has. */
static int least_loaded(const struct shares *shares, const int64_t *loads)
{
    int best = -1;

    for (size_t i = 0; i < shares->runner_count; i++) {
        if (has_room(shares, i, loads) && (best < 0 || loads[i] < loads[best])) {
            best = (int)i;
        }
    }
    return best;
}

/* As much for everyone who has room, until what is left cannot be divided. Returns that. */
static int64_t spread_evenly(struct shares *shares, size_t entry, int64_t wanted, int64_t *loads)
{
    for (;;) {
        int64_t roomy = 0;
        for (size_t i = 0; i < shares->runner_count; i++) {
            roomy += has_room(shares, i, loads);
        }
        if (wanted < roomy || roomy == 0) {
            return wanted;
        }
        int64_t each = wanted / roomy;
        for (size_t i = 0; i < shares->runner_count; i++) {
            if (has_room(shares, i, loads)) {
                int64_t more = at_most(each, shares->runners[i].max_journeys - loads[i]);
                give(shares, i, entry, more, loads);
                wanted -= more;
            }
        }
    }
}

static void spread_entry(struct shares *shares, size_t entry, int64_t wanted, int64_t *loads)
{
    int64_t left = spread_evenly(shares, entry, wanted, loads);
    int best;

    for (; left > 0 && (best = least_loaded(shares, loads)) >= 0; left--) {
        give(shares, (size_t)best, entry, 1, loads);
    }
}

/* How many journeys fit on all runners. */
static int64_t room(const struct shares *shares)
{
    int64_t room = 0;

    for (size_t i = 0; i < shares->runner_count; i++) {
        if (shares->runners[i].active) {
            int64_t more = shares->runners[i].max_journeys;
            room = more > INT64_MAX - room ? INT64_MAX : room + more;
        }
    }
    return room;
}

/* What an entry may have where not all that is wanted has room: its part, by what it wants. `before` is what
 * the entries before it want, so that parts add up. */
static int64_t part_of(int64_t room, int64_t wanted, int64_t before, int64_t total)
{
    if (total <= room || total == 0) {
        return wanted;
    }
    __extension__ typedef __int128 wide;
    return (int64_t)((wide)room * (before + wanted) / total - (wide)room * before / total);
}

void shares_spread(struct shares *shares)
{
    if (!shares->due) {
        return;
    }
    int64_t total = 0, before = 0, fits = room(shares);
    size_t slots = shares->runner_count, cells = slots * shares->entry_count;
    int64_t *loads = calloc(slots + 1, sizeof *loads), *old = calloc(cells + 1, sizeof *old);

    if (!loads || !old) { /* the targets stay what they were, for now */
        free(loads);
        free(old);
        return;
    }
    shares->due = false;
    for (size_t entry = 0; entry < shares->entry_count; entry++) {
        total += wanted_of(shares, entry);
        for (size_t i = 0; i < slots; i++) {
            old[entry * slots + i] = shares->runners[i].shares[entry].target;
            shares->runners[i].shares[entry].target = 0;
        }
    }
    for (size_t entry = 0; entry < shares->entry_count; entry++) {
        int64_t wanted = wanted_of(shares, entry);
        spread_entry(shares, entry, part_of(fits, wanted, before, total), loads);
        before += wanted;
        for (size_t i = 0; i < slots; i++) {
            if (shares->runners[i].active && shares->runners[i].shares[entry].target != old[entry * slots + i]) {
                shares->runners[i].stale = true;
            }
        }
    }
    free(loads);
    free(old);
}

int64_t shares_part(const struct shares *shares, size_t index, size_t entry, int64_t total)
{
    int64_t before = 0, targets = 0, mine = shares->runners[index].shares[entry].target;

    for (size_t i = 0; i < shares->runner_count; i++) {
        int64_t target = shares->runners[i].active ? shares->runners[i].shares[entry].target : 0;
        before += i < index ? target : 0;
        targets += target;
    }
    if (targets == 0 || !shares->runners[index].active) {
        return 0;
    }
    __extension__ typedef __int128 wide;
    return (int64_t)((wide)total * (before + mine) / targets - (wide)total * before / targets);
}

/* ---- rates ---- */

static int64_t lack_of(const struct shares *shares, const struct share_runner *runner)
{
    int64_t lack = 0;

    for (size_t i = 0; runner->active && i < shares->entry_count; i++) {
        int64_t more = runner->shares[i].target - runner->shares[i].running;
        lack += more > 0 ? more : 0;
    }
    return lack;
}

double shares_rate(struct shares *shares, size_t index)
{
    struct share_runner *runner = &shares->runners[index];
    int64_t all = 0, mine = lack_of(shares, runner);
    double others = 0, rate = 0;

    for (size_t i = 0; i < shares->runner_count; i++) {
        all += lack_of(shares, &shares->runners[i]);
        others += i != index ? shares->runners[i].rate : 0;
    }
    if (mine > 0) {
        rate = shares->spawn_rate * (double)mine / (double)all;
        rate = rate > shares->least_rate ? rate : shares->least_rate;
        rate = rate < shares->spawn_rate - others ? rate : shares->spawn_rate - others;
        rate = rate > 1e-9 * shares->spawn_rate ? rate : 0; /* what rounding leaves is nothing */
    }
    runner->rate = rate;
    runner->stale = false;
    return rate;
}

/* ---- starts ---- */

/* Who has to share what is left: this runner, and others that could start something and may start nothing. */
static int64_t takers(const struct shares *shares, size_t runner, size_t entry)
{
    int64_t count = 1;

    for (size_t i = 0; i < shares->runner_count; i++) {
        const struct share *share = &shares->runners[i].shares[entry];
        count += i != runner && shares->runners[i].active && share->target > 0 && share->starts_max <= share->started;
    }
    return count;
}

bool shares_limited(const struct shares *shares, size_t entry)
{
    return shares->entries[entry].max_starts != INT64_MAX || shares->iterations != INT64_MAX;
}

int64_t shares_starts(struct shares *shares, size_t runner, size_t index)
{
    struct share *share = &shares->runners[runner].shares[index];
    const struct share_entry *entry = &shares->entries[index];

    if (!shares_limited(shares, index)) {
        return -1;
    }
    int64_t others = at_most(entry->max_starts - entry->granted, shares->iterations - shares->granted);
    int64_t left = share->starts_max - share->started + (others > 0 ? others : 0),
            among = takers(shares, runner, index);
    int64_t portion = share->target > 0 ? (left + among - 1) / among : 0;
    if (left < 2 * among && share->running >= share->target && !share->busy) {
        portion = 0; /* the last ones are for who starts them now */
    }
    share->starts_next = share->started + portion;
    if (share->starts_next > share->starts_max) {
        set_granted(shares, index, share, share->starts_next);
    }
    return portion;
}
