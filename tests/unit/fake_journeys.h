/*
 * Journeys without a language: a host whose journeys last as long as the test says, a sink that counts, a loop that
 * gives up when what a test waits for does not come.
 */
#pragma once

#include "base/clock.h"
#include "engine/timer.h"
#include "runner/journey.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/queue.h>

#include <cmocka.h>

/* ---- sink ---- */

struct fake_sink {
    struct sink sink;
    int by_kind[MESSAGE_DEBUG_CONSOLE + 1];
    int failed_transactions;
    char last_failure[512], last_ex_type[64], last_path[256];
    struct message_origin last_origin; /* its texts are not kept */
    int64_t last_transaction_id;
    struct message_txn last_txn;
    int64_t last_required, last_actual, last_runners; /* sums of the last controller_report */
};

static inline void fake_copy(char *to, size_t size, struct str text)
{
    size_t n = text.n < size ? text.n : size - 1;

    memcpy(to, text.p ? text.p : "", text.p ? n : 0);
    to[text.p ? n : 0] = '\0';
}

static inline int64_t fake_sum(const struct message_count *counts, size_t count)
{
    int64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        sum += counts[i].count;
    }
    return sum;
}

static inline void fake_message(struct sink *sink, const struct message *message)
{
    struct fake_sink *fake = (struct fake_sink *)sink;

    fake->by_kind[message->kind]++;
    fake_copy(fake->last_path, sizeof fake->last_path, message->transaction);
    fake->last_transaction_id = message->transaction_id;
    if (message->origin) {
        fake->last_origin = *message->origin;
    }
    if (message->kind == MESSAGE_TXN) {
        fake->last_txn = message->txn;
        fake->failed_transactions += message->txn.had_error;
    } else if (message->kind == MESSAGE_EXCEPTION) {
        fake_copy(fake->last_failure, sizeof fake->last_failure, message->failure.message);
        fake_copy(fake->last_ex_type, sizeof fake->last_ex_type, message->failure.ex_type);
    } else if (message->kind == MESSAGE_CONTROLLER_REPORT) {
        fake->last_required = fake_sum(message->report.required, message->report.required_count);
        fake->last_actual = fake_sum(message->report.actual, message->report.actual_count);
        fake->last_runners = message->report.num_runners;
    }
}

static inline void fake_sink_init(struct fake_sink *fake)
{
    static const struct sink_ops ops = {.name = "fake", .message = fake_message};

    *fake = (struct fake_sink){.sink.ops = &ops};
}

/* ---- journeys ---- */

struct journey {
    char spec[64];
};

struct fake_journey {
    struct timer timer;
    struct fake_journeys *all;
    struct context *context;
    enum journey_outcome outcome;
    void (*ended)(void *arg, struct context *context, enum journey_outcome outcome);
    void *arg;
    LIST_ENTRY(fake_journey) link;
};

struct fake_journeys {
    struct journey_host host;
    struct loop *loop;
    uint64_t lasts_ns;            /* of those that start from now on; UINT64_MAX: until fake_end_all() */
    enum journey_outcome outcome; /* how they end */
    int loads, failed_loads, unloads, started, running, most_running;
    int64_t data_ids[64]; /* of the first ones */
    LIST_HEAD(, fake_journey) list;
};

/* Specs of the module "missing" are not there, those of "broken" fail to load. */
static inline int fake_load(struct journey_host *host, const char *spec, struct journey **out, struct mite_error *error)
{
    struct fake_journeys *all = (struct fake_journeys *)host;

    all->loads++;
    if (strncmp(spec, "missing:", 8) == 0) {
        all->failed_loads++;
        return error_set(error, MITE_ENOTFOUND, "cannot load journey \"%s\": no module \"missing\"", spec);
    }
    if (strncmp(spec, "broken:", 7) == 0) {
        all->failed_loads++;
        error_detail(error, "line 1\n", 7);
        return error_set(error, MITE_EUSER, "cannot load journey \"%s\": its module raised", spec);
    }
    *out = calloc(1, sizeof **out);
    assert_non_null(*out);
    strncpy((*out)->spec, spec, sizeof(*out)->spec - 1);
    return 0;
}

static inline void fake_unload(struct journey_host *host, struct journey *journey)
{
    ((struct fake_journeys *)host)->unloads++;
    free(journey);
}

static inline void fake_journey_closed(struct timer *timer)
{
    free(timer);
}

static inline void fake_journey_end(struct timer *timer)
{
    struct fake_journey *journey = (struct fake_journey *)timer;

    LIST_REMOVE(journey, link);
    journey->all->running--;
    journey->ended(journey->arg, journey->context, journey->outcome);
    timer_close(&journey->timer, fake_journey_closed);
}

static inline void fake_start(struct journey_host *host, struct journey *journey, struct context *context,
                              struct args *args,
                              void (*ended)(void *arg, struct context *context, enum journey_outcome outcome),
                              void *arg)
{
    struct fake_journeys *all = (struct fake_journeys *)host;
    struct fake_journey *fake = calloc(1, sizeof *fake);

    assert_non_null(fake);
    *fake = (struct fake_journey){.all = all, .context = context, .outcome = all->outcome, .ended = ended, .arg = arg};
    assert_int_equal(timer_init(&fake->timer, all->loop, fake_journey_end), 0);
    if (all->lasts_ns != UINT64_MAX) {
        timer_start(&fake->timer, all->lasts_ns, 0);
    }
    LIST_INSERT_HEAD(&all->list, fake, link);
    if (all->started < 64) {
        const struct value *id = &context->origin.scenario_data_id;
        all->data_ids[all->started] = id->type == VALUE_INT ? id->integer : -1;
    }
    all->started++;
    all->running++;
    all->most_running = all->running > all->most_running ? all->running : all->most_running;
}

static inline void fake_cancel(struct journey_host *host, struct context *context)
{
    struct fake_journeys *all = (struct fake_journeys *)host;
    struct fake_journey *fake;

    LIST_FOREACH(fake, &all->list, link)
    {
        if (fake->context == context) {
            fake->outcome = JOURNEY_CANCELLED;
            timer_start(&fake->timer, 0, 0);
        }
    }
}

/* Those that run now end in the next turn. */
static inline void fake_end_all(struct fake_journeys *all)
{
    struct fake_journey *fake;

    LIST_FOREACH(fake, &all->list, link)
    {
        timer_start(&fake->timer, 0, 0);
    }
}

static inline void fake_journeys_init(struct fake_journeys *all, struct loop *loop)
{
    *all = (struct fake_journeys){
        .host = {.name = "fake", .load = fake_load, .unload = fake_unload, .start = fake_start, .cancel = fake_cancel},
        .loop = loop,
    };
}

/* ---- waiting ---- */

/* One turn, after at most 50 ms of nothing to do: a test that waits in vain must get to say so. */
static inline void fake_turn(struct loop *loop)
{
    uv_loop_t *uv = loop_uv(loop);
    struct pollfd fd = {.fd = uv_backend_fd(uv), .events = POLLIN};
    int timeout_ms = uv_backend_timeout(uv);

    poll(&fd, 1, timeout_ms < 0 || timeout_ms > 50 ? 50 : timeout_ms);
    uv_run(uv, UV_RUN_NOWAIT);
}

#define FAKE_WAIT(loop, condition)                                                                                     \
    do {                                                                                                               \
        uint64_t give_up_ns = clock_now_ns() + 20 * NS_PER_S;                                                          \
        while (!(condition)) {                                                                                         \
            assert_true(clock_now_ns() < give_up_ns);                                                                  \
            fake_turn(loop);                                                                                           \
        }                                                                                                              \
    } while (0)
