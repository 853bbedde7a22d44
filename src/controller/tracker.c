/*
 * Design notes
 *
 * There is no level that is set and then reached: what may start follows from what runs now, so that nothing can drift.
 * An entry's need is wanted - running - pending. Need beyond the credits is growth and costs spawn tokens; need that a
 * held credit stands for is not growth and costs a backoff token.
 *
 * Tokens pile up to what 10 ms bring in while nobody needs them, so that a rate holds over any stretch of time; while
 * somebody waits, to what 100 ms bring in, so that a loop that was late loses nothing.
 */
#include "controller/tracker.h"

#include "base/clock.h"
#include "base/error.h"

#include <stdlib.h>

#define DEFAULT_SPAWN_RATE 1000.0
#define BACKOFF_RATE       1000.0
#define GRAIN_S            0.01 /* growth is granted this often */
#define LATE_S             0.1  /* how late the loop may be without a loss */

int tracker_init(struct tracker *tracker, size_t entry_count, double spawn_rate, int64_t iterations, bool backoff)
{
    *tracker = (struct tracker){
        .entries = calloc(entry_count + 1, sizeof *tracker->entries),
        .entry_count = entry_count,
        .iterations = iterations > 0 ? iterations : INT64_MAX,
        .spawn = {.rate = spawn_rate > 0 ? spawn_rate : DEFAULT_SPAWN_RATE},
        .backoff = {.rate = backoff ? BACKOFF_RATE : 0},
    };
    if (!tracker->entries) {
        return MITE_ENOMEM;
    }
    for (size_t i = 0; i < entry_count; i++) {
        tracker->entries[i].max_starts = -1;
        tracker->entries[i].allowed = INT64_MAX;
    }
    return 0;
}

void tracker_done(struct tracker *tracker)
{
    for (size_t i = 0; i < tracker->runner_count; i++) {
        free(tracker->runners[i].by_entry);
    }
    free(tracker->runners);
    free(tracker->entries);
    *tracker = (struct tracker){0};
}

int tracker_add_runner(struct tracker *tracker, int64_t max_running)
{
    size_t index = tracker->runner_count;
    struct tracker_runner *runners = realloc(tracker->runners, (index + 1) * sizeof *runners);

    if (!runners) {
        return MITE_ENOMEM;
    }
    tracker->runners = runners;
    runners[index] = (struct tracker_runner){
        .max_running = max_running > 0 ? max_running : INT64_MAX,
        .by_entry = calloc(tracker->entry_count + 1, sizeof *runners[index].by_entry),
    };
    if (!runners[index].by_entry) {
        return MITE_ENOMEM;
    }
    tracker->runner_count++;
    return (int)index;
}

/* ---- tokens ---- */

static double at_least_one(double tokens)
{
    return tokens < 1 ? 1 : tokens;
}

static void bucket_fill(struct token_bucket *bucket, double elapsed_s, bool awaited)
{
    double most = at_least_one(bucket->rate * (awaited ? LATE_S : GRAIN_S));

    if (bucket->rate == 0) {
        return;
    }
    bucket->tokens += bucket->rate * elapsed_s;
    bucket->tokens = bucket->tokens > most ? most : bucket->tokens;
}

static uint64_t bucket_wait_ns(const struct token_bucket *bucket)
{
    double wait_s = (1 - bucket->tokens) / bucket->rate;

    return ns_from_s(wait_s > GRAIN_S ? wait_s : GRAIN_S);
}

void tracker_start(struct tracker *tracker, uint64_t now_ns)
{
    tracker->now_ns = now_ns;
    bucket_fill(&tracker->spawn, GRAIN_S, false);
    tracker->spawn.tokens = tracker->spawn.rate > 0 ? at_least_one(tracker->spawn.tokens) : 0;
    bucket_fill(&tracker->backoff, GRAIN_S, false);
}

void tracker_advance(struct tracker *tracker, uint64_t now_ns)
{
    if (now_ns <= tracker->now_ns) {
        return;
    }
    double elapsed_s = ns_to_s(now_ns - tracker->now_ns);
    tracker->now_ns = now_ns;
    bucket_fill(&tracker->spawn, elapsed_s, tracker->starved);
    bucket_fill(&tracker->backoff, elapsed_s, tracker->held > 0);
    while (tracker->held > 0 && tracker->backoff.tokens >= 1) {
        tracker->backoff.tokens--;
        tracker->held--;
        tracker->credits++;
    }
}

uint64_t tracker_wait_ns(const struct tracker *tracker)
{
    uint64_t spawn_ns = tracker->starved ? bucket_wait_ns(&tracker->spawn) : UINT64_MAX;
    uint64_t backoff_ns = tracker->held > 0 ? bucket_wait_ns(&tracker->backoff) : UINT64_MAX;

    return spawn_ns < backoff_ns ? spawn_ns : backoff_ns;
}

/* ---- entries ---- */

void tracker_want(struct tracker *tracker, size_t entry, int64_t wanted)
{
    tracker->entries[entry].wanted = wanted;
    tracker->entries[entry].blocked = false;
}

void tracker_allow(struct tracker *tracker, size_t entry, int64_t allowed)
{
    tracker->entries[entry].allowed = allowed;
}

void tracker_set_spawn_rate(struct tracker *tracker, double spawn_rate)
{
    tracker->spawn.rate = spawn_rate;
    tracker->spawn.tokens = spawn_rate > 0 ? tracker->spawn.tokens : 0;
}

void tracker_block(struct tracker *tracker, size_t entry)
{
    tracker->entries[entry].blocked = true;
}

void tracker_unblock(struct tracker *tracker, size_t entry)
{
    tracker->entries[entry].blocked = false;
}

void tracker_end_all(struct tracker *tracker)
{
    for (size_t i = 0; i < tracker->entry_count; i++) {
        tracker->entries[i].ended = true;
        tracker->entries[i].wanted = 0;
    }
}

/* An entry that ends all does so when the last of its journeys has ended. */
static void check_last(struct tracker *tracker, const struct tracker_entry *entry)
{
    if (entry->ends_all && entry->ended && entry->running == 0 && entry->pending == 0) {
        tracker_end_all(tracker);
    }
}

void tracker_end(struct tracker *tracker, size_t entry)
{
    tracker->entries[entry].ended = true;
    tracker->entries[entry].wanted = 0;
    check_last(tracker, &tracker->entries[entry]);
}

bool tracker_over(const struct tracker *tracker)
{
    for (size_t i = 0; i < tracker->entry_count; i++) {
        if (!tracker->entries[i].ended) {
            return false;
        }
    }
    return true;
}

int64_t tracker_wanted(const struct tracker *tracker)
{
    int64_t wanted = 0;

    for (size_t i = 0; i < tracker->entry_count; i++) {
        wanted += tracker->entries[i].wanted;
    }
    return wanted;
}

/* ---- starting ---- */

static int64_t need_of(const struct tracker_entry *entry)
{
    int64_t need = entry->wanted - entry->running - entry->pending;

    if (entry->ended || entry->blocked || need <= 0) {
        return 0;
    }
    int64_t most = entry->max_starts >= 0 && entry->max_starts < entry->allowed ? entry->max_starts : entry->allowed;
    int64_t left = most - entry->started - entry->pending;
    need = need < left ? need : left;
    return need > 0 ? need : 0;
}

/* How much of what it wants an entry has. */
static double share_of(const struct tracker_entry *entry)
{
    return (double)(entry->running + entry->pending) / (double)entry->wanted;
}

/* The entry furthest from what it wants (-1: none needs anything), and what all need together. */
static int neediest(const struct tracker *tracker, int64_t *total_need)
{
    int best = -1;

    *total_need = 0;
    for (size_t i = 0; i < tracker->entry_count; i++) {
        int64_t need = need_of(&tracker->entries[i]);
        *total_need += need;
        if (need > 0 && (best < 0 || share_of(&tracker->entries[i]) < share_of(&tracker->entries[best]))) {
            best = (int)i;
        }
    }
    return best;
}

/* Whether runners and --iterations leave room for one more. */
static bool has_room(const struct tracker *tracker)
{
    int64_t room = 0;

    for (size_t i = 0; i < tracker->runner_count; i++) {
        const struct tracker_runner *runner = &tracker->runners[i];
        if (runner->max_running == INT64_MAX) {
            room = INT64_MAX;
            break;
        }
        room += runner->max_running - runner->running;
    }
    return tracker->pending < room && tracker->pending < tracker->iterations - tracker->started;
}

/* Takes what a start costs; false when there is nothing to pay with. */
static bool pay(struct tracker *tracker, int64_t total_need)
{
    tracker->held = tracker->held < total_need ? tracker->held : total_need;
    if (tracker->credits > 0) {
        tracker->credits--;
        return true;
    }
    if (total_need == tracker->held) {
        return false;
    }
    tracker->starved = tracker->spawn.tokens < 1;
    if (tracker->starved) {
        return false;
    }
    tracker->spawn.tokens--;
    return true;
}

int tracker_next(struct tracker *tracker)
{
    int64_t total_need;
    int entry = neediest(tracker, &total_need);

    tracker->starved = false;
    if (entry < 0 || !has_room(tracker) || !pay(tracker, total_need)) {
        tracker->credits = 0;
        tracker->held = entry < 0 ? 0 : tracker->held;
        return -1;
    }
    tracker->entries[entry].pending++;
    tracker->pending++;
    return entry;
}

int tracker_pick_runner(const struct tracker *tracker, size_t entry)
{
    const struct tracker_runner *runners = tracker->runners;
    int best = -1;

    for (size_t i = 0; i < tracker->runner_count; i++) {
        if (runners[i].running >= runners[i].max_running) {
            continue;
        }
        if (best < 0 || runners[i].running < runners[best].running ||
            (runners[i].running == runners[best].running &&
             runners[i].by_entry[entry] < runners[best].by_entry[entry])) {
            best = (int)i;
        }
    }
    return best;
}

static void settle_pending(struct tracker *tracker, struct tracker_entry *entry)
{
    entry->pending--;
    tracker->pending--;
}

void tracker_started(struct tracker *tracker, size_t index, size_t runner)
{
    struct tracker_entry *entry = &tracker->entries[index];

    settle_pending(tracker, entry);
    entry->running++;
    entry->started++;
    tracker->running++;
    tracker->started++;
    tracker->runners[runner].running++;
    tracker->runners[runner].by_entry[index]++;
    if (entry->started == entry->max_starts) {
        tracker_end(tracker, index);
    }
    if (tracker->started == tracker->iterations) {
        tracker_end_all(tracker);
    }
}

void tracker_not_started(struct tracker *tracker, size_t index)
{
    struct tracker_entry *entry = &tracker->entries[index];

    settle_pending(tracker, entry);
    tracker->credits++;
    check_last(tracker, entry);
}

/* ---- ending ---- */

/* Whether the credit of a journey that failed at once has to wait. */
static bool holds_back(struct tracker *tracker)
{
    if (tracker->backoff.rate == 0) {
        return false;
    }
    if (tracker->held == 0 && tracker->backoff.tokens >= 1) {
        tracker->backoff.tokens--;
        return false;
    }
    tracker->held++;
    tracker->backed_off++;
    return true;
}

void tracker_completed(struct tracker *tracker, size_t index, size_t runner, bool failed_at_once)
{
    struct tracker_entry *entry = &tracker->entries[index];

    entry->running--;
    tracker->running--;
    tracker->completed++;
    tracker->runners[runner].running--;
    tracker->runners[runner].by_entry[index]--;
    if (!failed_at_once || !holds_back(tracker)) {
        tracker->credits++;
    }
    check_last(tracker, entry);
}
