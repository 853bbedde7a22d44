/*
 * The host of journeys in C on a loop of the test's own, with journeys of the test's file where a loader would bring
 * them. What they do they note in `said`: on a fiber nothing may be asserted, for cmocka would jump off its stack.
 * Linked with --wrap for loader_find (meson.build: `wrapped`).
 */
#pragma once

#include <mite/mite.h>

#include "fake_journeys.h"
#include "runner/native_visit.h"

#include <stdio.h>

int __wrap_loader_find(struct loader *loader, unsigned kind, const char *spec, const struct mite_entry **out,
                       struct mite_error *error);

int __wrap_loader_find(struct loader *loader, unsigned kind, const char *spec, const struct mite_entry **out,
                       struct mite_error *error)
{
    for (const struct mite_entry *const *p = __start_mite_entries; p < __stop_mite_entries; p++) {
        if ((*p)->kind == kind && strcmp((*p)->name, spec) == 0) {
            *out = *p;
            return 0;
        }
    }
    return error_set(error, MITE_ENOTFOUND, "no %s", spec);
}

static char said[1024];
static struct mite_context *seen;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    size_t n = strlen(said);
    va_list args;

    va_start(args, format);
    vsnprintf(said + n, sizeof said - n, format, args);
    va_end(args);
}

struct stage {
    struct loop *loop;
    struct config config;
    struct http_client_options http;
    struct native *native;
    struct journey_host *host;
    struct fake_sink sink;
    int ended, outcomes[JOURNEY_CANCELLED + 1];
};

static int set_up(void **state)
{
    struct stage *stage = calloc(1, sizeof *stage);

    assert_non_null(stage);
    said[0] = '\0';
    seen = NULL;
    fake_sink_init(&stage->sink);
    config_init(&stage->config);
    assert_int_equal(loop_new(&stage->loop, NULL), 0);
    struct native_options options = {.config = &stage->config, .http = &stage->http};
    assert_int_equal(native_new(&options, &stage->native, NULL), 0);
    assert_int_equal(native_open(stage->native, stage->loop, NULL), 0);
    stage->host = native_journey_host(stage->native);
    *state = stage;
    return 0;
}

/* Nothing is left on the loop, nor any memory. */
static int tear_down(void **state)
{
    struct stage *stage = *state;

    native_close(stage->native);
    assert_int_equal(loop_free(stage->loop, NULL), 0);
    native_free(stage->native);
    config_done(&stage->config);
    free(stage);
    return 0;
}

static void on_ended(void *arg, struct context *context, enum journey_outcome outcome)
{
    struct stage *stage = arg;

    stage->ended++;
    stage->outcomes[outcome]++;
    transaction_end(context->root, outcome == JOURNEY_FAILED);
    context_unref(context);
}

static struct context *start(struct stage *stage, const char *name, struct args *args)
{
    struct message_origin origin = {.test = STR("test"), .journey = str_of(name), .scenario_data_id = value_nil()};
    struct context *context = context_new(&stage->sink.sink, &origin);
    struct journey *journey = NULL;

    assert_non_null(context);
    context->root = transaction_begin(context, NULL, STR("__root__"));
    assert_non_null(context->root);
    assert_int_equal(stage->host->load(stage->host, name, &journey, NULL), 0);
    stage->host->start(stage->host, journey, context, args, on_ended, stage);
    stage->host->unload(stage->host, journey);
    return context;
}

static void run(struct stage *stage, const char *name, struct args *args)
{
    int before = stage->ended;

    start(stage, name, args);
    FAKE_WAIT(stage->loop, stage->ended > before);
}

static inline void turn(struct stage *stage)
{
    fake_turn(stage->loop);
}
