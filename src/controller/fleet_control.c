#include "controller/fleet_internal.h"

#include "base/clock.h"
#include "value/msgpack.h"

#include <math.h>
#include <stdlib.h>

/* ---- answers ---- */

static void say(struct fleet *fleet, struct str peer, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void say(struct fleet *fleet, struct str peer, const char *key, const char *format, ...)
{
    struct buf text;
    va_list args;

    buf_init(&text, 0);
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    buf_clear(&fleet->out);
    msgpack_write_map(&fleet->out, 1);
    msgpack_write_text(&fleet->out, str_of(key));
    msgpack_write_text(&fleet->out, str_is_utf8(buf_view(&text)) ? buf_view(&text) : STR("it is no UTF-8"));
    buf_done(&text);
    fleet_answer(fleet, peer);
}

#define GOOD "done"
#define BAD  "error"

/* ---- status ---- */

static void put_text(struct buf *out, const char *key, const char *text)
{
    msgpack_write_text(out, str_of(key));
    if (text) {
        msgpack_write_text(out, str_of(text));
    } else {
        msgpack_write_nil(out);
    }
}

static void put_int(struct buf *out, const char *key, int64_t n)
{
    msgpack_write_text(out, str_of(key));
    msgpack_write_int(out, n);
}

static void put_float(struct buf *out, const char *key, double n)
{
    msgpack_write_text(out, str_of(key));
    msgpack_write_float(out, n);
}

static const char *state_of(const struct fleet *fleet)
{
    switch (fleet->phase) {
    case FLEET_WAITING:
        return fleet->begin_ns ? "about to begin" : "waiting for a runner";
    case FLEET_RUNNING:
        return fleet->shares.paused ? "paused" : "running";
    case FLEET_DRAINING:
        return "stopping";
    case FLEET_FINISHED:
        break;
    }
    return "finished";
}

static void put_entry(struct fleet *fleet, size_t index)
{
    const struct share_entry *entry = &fleet->shares.entries[index];
    const struct lease_pool *pool = fleet->leases.of_entry[index];
    struct buf *out = &fleet->out;

    msgpack_write_map(out, 8);
    put_int(out, "id", fleet->scenario->entries[index].id);
    put_text(out, "journey", fleet->scenario->entries[index].journey_spec);
    put_int(out, "wanted", fleet->shares.paused ? 0 : entry->wanted);
    put_int(out, "running", shares_running(&fleet->shares, index));
    put_int(out, "started", entry->started);
    put_int(out, "items_out", pool ? pool->out : 0);
    put_float(out, "factor", fleet->factors[index]);
    msgpack_write_text(out, STR("ended"));
    msgpack_write_bool(out, entry->ended);
}

static void put_running(struct fleet *fleet, const struct fleet_runner *runner)
{
    struct buf *out = &fleet->out;

    msgpack_write_text(out, STR("running"));
    if (runner->slot < 0) {
        msgpack_write_map(out, 0);
        return;
    }
    msgpack_write_map(out, (uint32_t)fleet->scenario->count);
    for (size_t i = 0; i < fleet->scenario->count; i++) {
        char id[24]; /* a text, as keys are in JSON */
        snprintf(id, sizeof id, "%lld", (long long)fleet->scenario->entries[i].id);
        put_int(out, id, fleet->shares.runners[runner->slot].shares[i].running);
    }
}

static void put_runner(struct fleet *fleet, const struct fleet_runner *runner, uint64_t now_ns)
{
    static const char *const states[] = {"has said hello", "runs", "is lost"};
    bool awaited = runner->awaited && !runner->plain && runner->state == RUNNER_LIVE;
    struct buf *out = &fleet->out;

    msgpack_write_map(out, 9);
    put_int(out, "id", runner->id);
    put_text(out, "state", awaited ? "is awaited" : states[runner->state]);
    put_text(out, "host", runner->host);
    put_text(out, "version", runner->version);
    put_int(out, "pid", runner->pid);
    put_float(out, "cpu", runner->cpu);
    put_int(out, "queued", (int64_t)(runner->queued & INT64_MAX));
    put_float(out, "silent", ns_to_s(now_ns > runner->heard_ns ? now_ns - runner->heard_ns : 0));
    put_running(fleet, runner);
}

static void status(struct fleet *fleet, struct str peer)
{
    struct fleet_counts counts;
    struct buf *out = &fleet->out;
    uint64_t now_ns = clock_now_ns();

    fleet_count(fleet, &counts);
    buf_clear(out);
    msgpack_write_map(out, 9);
    put_text(out, "test", fleet->scenario->name);
    put_text(out, "state", state_of(fleet));
    put_float(out, "elapsed", ns_to_s(counts.journeys.elapsed_ns));
    put_int(out, "requests", (int64_t)(fleet->totals->requests & INT64_MAX));
    put_int(out, "errors", (int64_t)(fleet->totals->errors & INT64_MAX));
    put_int(out, "bad_messages", (int64_t)counts.bad_messages);
    put_int(out, "items_lost", (int64_t)counts.items_lost);
    msgpack_write_text(out, STR("entries"));
    msgpack_write_list(out, (uint32_t)fleet->scenario->count);
    for (size_t i = 0; i < fleet->scenario->count; i++) {
        put_entry(fleet, i);
    }
    msgpack_write_text(out, STR("runners"));
    msgpack_write_list(out, (uint32_t)fleet->runner_count);
    for (size_t i = 0; i < fleet->runner_count; i++) {
        put_runner(fleet, fleet->runners[i], now_ns);
    }
    fleet_answer(fleet, peer);
}

/* ---- commands ---- */

/* There is nothing to steer any more. */
static bool is_ending(struct fleet *fleet, struct str peer)
{
    if (fleet->phase >= FLEET_DRAINING) {
        say(fleet, peer, BAD, "the test is coming to its end");
    }
    return fleet->phase >= FLEET_DRAINING;
}

static bool is_named(const struct fleet *fleet, size_t entry, struct str name)
{
    char id[24];

    snprintf(id, sizeof id, "%lld", (long long)fleet->scenario->entries[entry].id);
    return str_is(name, id) || str_is(name, fleet->scenario->entries[entry].journey_spec);
}

/* A journey may be that of several entries. */
static void volume(struct fleet *fleet, struct str peer, struct str name, struct str text)
{
    char *number = str_copy(text);
    double factor = 0;
    bool good = number && str_to_double(number, &factor) && factor >= 0 && factor <= 1e6;
    int64_t wanted = 0;
    size_t found = 0;

    free(number);
    if (!good) {
        say(fleet, peer, BAD, "volume: \"" STR_FMT "\" is no factor: a number from 0 to 1000000 is expected",
            STR_ARG(text));
        return;
    }
    for (size_t i = 0; i < fleet->scenario->count; i++) {
        if (is_named(fleet, i, name)) {
            fleet_set_factor(fleet, i, factor);
            fleet_state_volume(fleet, i);
            wanted += fleet->shares.entries[i].wanted;
            found++;
        }
    }
    if (found > 0) {
        say(fleet, peer, GOOD, STR_FMT " now runs %g times what its model says: %lld journeys at once", STR_ARG(name),
            factor, (long long)wanted);
    } else {
        say(fleet, peer, BAD,
            "the scenario has no journey \"" STR_FMT "\": its id or its spec is expected, as `status` shows them",
            STR_ARG(name));
    }
}

static void set_paused(struct fleet *fleet, struct str peer, bool paused)
{
    shares_pause(&fleet->shares, paused);
    fleet_state_flag(fleet, "paused", paused);
    fleet_spread(fleet);
    say(fleet, peer, GOOD, "%s",
        paused ? "no journey starts until `resume`; those that run end by themselves, and the scenario's clock goes on"
               : "journeys start again");
}

static void configure(struct fleet *fleet, struct str peer, struct str text)
{
    const char *equals = memchr(text.p, '=', text.n);

    if (!equals || equals == text.p) {
        say(fleet, peer, BAD, "config: \"" STR_FMT "\" is no KEY=VALUE", STR_ARG(text));
        return;
    }
    struct str key = {text.p, (size_t)(equals - text.p)}, rest = {equals + 1, text.n - key.n - 1};
    struct value value = value_text(rest);
    struct config *config = fleet->options.config;
    if (text.n > WORK_TEXT_MAX) {
        say(fleet, peer, BAD, "config: KEY=VALUE has %zu bytes: %d are allowed", text.n, WORK_TEXT_MAX);
        return;
    }
    if (!config_get(config, key) && config->entries.live_count >= WORK_ENTRIES_MAX) {
        say(fleet, peer, BAD, "config: there are %d entries, as many as runners take", WORK_ENTRIES_MAX);
        return;
    }
    if (config_set(config, key, &value) < 0) {
        say(fleet, peer, BAD, "config: no memory for it");
        return;
    }
    fleet_state_config(fleet, key);
    say(fleet, peer, GOOD, "runners get \"" STR_FMT "\" with their next orders", STR_ARG(key));
}

static void stop(struct fleet *fleet, struct str peer)
{
    fleet_stop(fleet);
    say(fleet, peer, GOOD, "the test is coming to its end: nothing new starts");
}

void fleet_control(struct fleet *fleet, struct str peer, const struct work_request *request)
{
    struct str texts[2] = {STR_NONE, STR_NONE}, command = request->command;
    size_t count = request->argument_count;

    for (size_t i = 0; i < count && i < 2; i++) {
        texts[i] = value_str(&request->arguments[i]);
    }
    if (str_is(command, "status") && count == 0) {
        status(fleet, peer);
    } else if (str_is(command, "stop") && count == 0) {
        stop(fleet, peer);
    } else if (is_ending(fleet, peer)) {
        return;
    } else if (str_is(command, "volume") && count == 2 && texts[0].p && texts[1].p) {
        volume(fleet, peer, texts[0], texts[1]);
    } else if (str_is(command, "pause") && count == 0) {
        set_paused(fleet, peer, true);
    } else if (str_is(command, "resume") && count == 0) {
        set_paused(fleet, peer, false);
    } else if (str_is(command, "config") && count == 1 && texts[0].p) {
        configure(fleet, peer, texts[0]);
    } else {
        say(fleet, peer, BAD,
            "the commands are: status, volume SCENARIO FACTOR, pause, resume, stop, config KEY=VALUE");
    }
}
