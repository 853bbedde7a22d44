/*
 * The host of journeys in C, with journeys of this file's own where a loader would bring them. What they do they note
 * in `said`: on a fiber nothing may be asserted, for cmocka would jump off its stack.
 */
#include <mite/mite.h>

#include "fake_journeys.h"
#include "runner/native_visit.h"

#include <semaphore.h>
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

/* ---- what journeys do ---- */

static char said[1024];
static sem_t held, entered; /* a blocking call waits for `held`, and has said so by `entered` */
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

static void say_end(const char **what)
{
    say("end of %s;", *what);
}

#define SAYS_ITS_END(what) const char *until_the_end __attribute__((cleanup(say_end), unused)) = what

static void say_deferred(void *what)
{
    say("deferred %s;", (const char *)what);
}

MITE_JOURNEY(short_one)
{
    seen = ctx;
    say("ran;");
}

MITE_JOURNEY(sleeps)
{
    SAYS_ITS_END("sleeps");
    mite_defer(ctx, say_deferred, (void *)"first");
    mite_defer(ctx, say_deferred, (void *)"second");
    MITE_TRANSACTION(ctx, "asleep") {
        mite_sleep(ctx, 3600);
    }
    say("woke;");
}

MITE_JOURNEY(fails)
{
    SAYS_ITS_END("fails");
    MITE_TRANSACTION(ctx, "inner") {
        mite_check(ctx, 1 == 2, "one is not %d", 2);
    }
    say("went on;");
}

static void fail_again(struct mite_context **ctx)
{
    say("cleaning;");
    mite_fail(*ctx, "again");
}

MITE_JOURNEY(fails_twice)
{
    struct mite_context *mine __attribute__((cleanup(fail_again), unused)) = ctx;
    mite_fail(ctx, "once");
}

MITE_JOURNEY(takes_memory)
{
    seen = ctx;
    mite_alloc(ctx, 100);
    MITE_SCRATCH(ctx) {
        mite_alloc(ctx, 200);
        MITE_SCRATCH(ctx) {
            mite_alloc(ctx, 300);
            if (mite_arg_count(ctx) > 0) {
                mite_fail(ctx, "inside");
            }
        }
    }
}

MITE_JOURNEY(refused_metrics)
{
    char text[600] = "";

    seen = ctx;
    memset(text, 'x', sizeof text - 1);
    mite_metrics(ctx, MITE_STR("good", text), MITE_STR("bad", "\xff"));
}

static void block(void *arg)
{
    sem_post(&entered);
    sem_wait(&held);
    say("returned;");
}

MITE_JOURNEY(blocks)
{
    SAYS_ITS_END("blocks");
    seen = ctx;
    mite_blocking(ctx, block, NULL);
    say("went on;");
    mite_sleep(ctx, 0);
    say("slept;");
}

static void block_late(struct mite_context **ctx)
{
    say("cleaning;");
    mite_blocking(*ctx, block, NULL);
    say("blocked late;");
}

MITE_JOURNEY(blocks_late)
{
    struct mite_context *mine __attribute__((cleanup(block_late), unused)) = ctx;
    mite_sleep(ctx, 3600);
}

static void sleep_late(struct mite_context **ctx)
{
    say("cleaning;");
    mite_sleep(*ctx, 0.001);
    say("slept late;");
}

MITE_JOURNEY(sleeps_late)
{
    struct mite_context *mine __attribute__((cleanup(sleep_late), unused)) = ctx;
    mite_sleep(ctx, 3600);
}

/* ---- the stage ---- */

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
    assert_int_equal(sem_init(&held, 0, 0), 0);
    assert_int_equal(sem_init(&entered, 0, 0), 0);
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
    sem_destroy(&held);
    sem_destroy(&entered);
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

static void turn(struct stage *stage)
{
    fake_turn(stage->loop);
}

/* ---- beginning and ending ---- */

static void begins_and_ends_from_the_loop(void **state)
{
    struct stage *stage = *state;

    start(stage, "short_one", NULL);
    assert_string_equal(said, "");
    assert_int_equal(stage->ended, 0);
    FAKE_WAIT(stage->loop, stage->ended == 1);
    assert_string_equal(said, "ran;");
    assert_int_equal(stage->outcomes[JOURNEY_OK], 1);
    assert_int_equal(stage->sink.by_kind[MESSAGE_TXN], 1);
}

static void knows_no_other_names(void **state)
{
    struct stage *stage = *state;
    struct journey *journey = NULL;
    struct mite_error error = {0};

    assert_int_equal(stage->host->load(stage->host, "nobody", &journey, &error), MITE_ENOTFOUND);
    assert_null(journey);
    error_done(&error);
}

static void failure_cleans_up_and_is_told_once(void **state)
{
    struct stage *stage = *state;

    run(stage, "fails", NULL);
    assert_string_equal(said, "end of fails;");
    assert_int_equal(stage->outcomes[JOURNEY_FAILED], 1);
    assert_int_equal(stage->sink.by_kind[MESSAGE_ERROR], 1);
    assert_int_equal(stage->sink.by_kind[MESSAGE_TXN], 2);
    assert_int_equal(stage->sink.failed_transactions, 2);
}

static void failing_in_a_clean_up_ends_the_clean_up(void **state)
{
    struct stage *stage = *state;

    run(stage, "fails_twice", NULL);
    assert_string_equal(said, "cleaning;");
    assert_int_equal(stage->outcomes[JOURNEY_FAILED], 1);
    assert_int_equal(stage->sink.by_kind[MESSAGE_ERROR], 1);
}

static int refuse_args(const struct args *args, struct arena *arena, struct value *out, struct mite_error *error)
{
    return error_set(error, MITE_EINVAL, "argument 1 is a socket");
}

static void arguments_that_are_no_values_fail_it(void **state)
{
    struct stage *stage = *state;
    static const struct args_ops ops = {.to_value = refuse_args};
    struct args args = {.ops = &ops, .refs = 1};

    run(stage, "short_one", &args);
    assert_string_equal(said, "");
    assert_int_equal(stage->outcomes[JOURNEY_FAILED], 1);
    assert_string_equal(stage->sink.last_failure, "TypeError: argument 1 is a socket");
}

/* ---- cancelling ---- */

static void cancelled_before_it_began(void **state)
{
    struct stage *stage = *state;

    stage->host->cancel(stage->host, start(stage, "short_one", NULL));
    FAKE_WAIT(stage->loop, stage->ended == 1);
    assert_string_equal(said, "");
    assert_int_equal(stage->outcomes[JOURNEY_CANCELLED], 1);
}

static void cancelled_while_it_sleeps(void **state)
{
    struct stage *stage = *state;
    struct context *context = start(stage, "sleeps", NULL);

    FAKE_WAIT(stage->loop, context->last_transaction_id == 2);
    stage->host->cancel(stage->host, context);
    stage->host->cancel(stage->host, context);
    assert_string_equal(said, "");
    FAKE_WAIT(stage->loop, stage->ended == 1);
    assert_string_equal(said, "end of sleeps;deferred second;deferred first;");
    assert_int_equal(stage->outcomes[JOURNEY_CANCELLED], 1);
    assert_int_equal(stage->sink.by_kind[MESSAGE_TXN], 2);
    assert_int_equal(stage->sink.failed_transactions, 0);
    assert_int_equal(stage->sink.by_kind[MESSAGE_ERROR] + stage->sink.by_kind[MESSAGE_EXCEPTION], 0);
}

static void cancelled_in_a_blocking_call_it_waits_for_that(void **state)
{
    struct stage *stage = *state;
    struct context *context = start(stage, "blocks", NULL);

    FAKE_WAIT(stage->loop, sem_trywait(&entered) == 0);
    stage->host->cancel(stage->host, context);
    turn(stage);
    assert_string_equal(said, "");
    sem_post(&held);
    FAKE_WAIT(stage->loop, stage->ended == 1);
    assert_string_equal(said, "returned;went on;end of blocks;");
    assert_int_equal(stage->outcomes[JOURNEY_CANCELLED], 1);
}

/* ---- memory ---- */

static void visits_and_their_memory_are_used_again(void **state)
{
    struct stage *stage = *state;
    struct value one = value_int(1), list = value_list(&one, 1);
    struct args *args = args_new(&list);

    assert_non_null(args);
    run(stage, "takes_memory", NULL);
    struct mite_context *first = seen;
    assert_int_equal(stage->sink.by_kind[MESSAGE_ERROR], 0);
    for (int i = 0; i < 3; i++) {
        run(stage, "takes_memory", i % 2 ? NULL : args);
        assert_ptr_equal(seen, first);
        assert_ptr_equal(first->memory, &first->arena);
        assert_int_equal(first->arena.used_bytes, 0);
        assert_null(first->scratch);
        assert_int_equal(stage->ended, i + 2);
    }
    assert_int_equal(stage->sink.by_kind[MESSAGE_ERROR], 2);
    args_unref(args);
}

static void refused_metrics_leave_nothing(void **state)
{
    struct stage *stage = *state;
    const struct arena *arenas;

    for (int i = 0; i < 3; i++) {
        run(stage, "refused_metrics", NULL);
        arenas = seen->session.arenas;
        assert_int_equal(arenas[0].used_bytes + arenas[1].used_bytes, 0);
    }
    assert_int_equal(stage->outcomes[JOURNEY_FAILED], 3);
}

/* ---- closing ---- */

static void close_host(struct stage *stage)
{
    native_close(stage->native);
}

static void closing_ends_what_waits(void **state)
{
    struct stage *stage = *state;
    struct context *asleep = start(stage, "sleeps", NULL);

    FAKE_WAIT(stage->loop, asleep->last_transaction_id == 2);
    start(stage, "short_one", NULL);
    close_host(stage);
    assert_string_equal(said, "end of sleeps;deferred second;deferred first;");
    assert_int_equal(stage->outcomes[JOURNEY_CANCELLED], 2);
}

static void closing_does_not_wait_for_clean_ups(void **state)
{
    struct stage *stage = *state;

    start(stage, "sleeps_late", NULL);
    turn(stage);
    close_host(stage);
    assert_string_equal(said, "cleaning;slept late;");
    assert_int_equal(stage->outcomes[JOURNEY_CANCELLED], 1);
}

static void closing_starts_no_threads(void **state)
{
    struct stage *stage = *state;

    start(stage, "blocks_late", NULL);
    turn(stage);
    close_host(stage);
    assert_string_equal(said, "cleaning;");
    assert_null(stage->native->blocking);
    assert_int_equal(stage->outcomes[JOURNEY_CANCELLED], 1);
}

static void closing_lets_a_blocking_call_return(void **state)
{
    struct stage *stage = *state;

    start(stage, "blocks", NULL);
    FAKE_WAIT(stage->loop, sem_trywait(&entered) == 0);
    sem_post(&held);
    close_host(stage);
    assert_string_equal(said, "returned;end of blocks;");
    assert_int_equal(stage->outcomes[JOURNEY_CANCELLED], 1);
}

static void closing_lets_go_of_one_that_does_not(void **state)
{
    struct stage *stage = *state;
    static struct fiber_pool *stays; /* with the stack that the thread works on */
    struct value one = value_int(1), list = value_list(&one, 1);
    struct args *args = args_new(&list);

    start(stage, "blocks", args);
    FAKE_WAIT(stage->loop, sem_trywait(&entered) == 0);
    start(stage, "sleeps", NULL);
    turn(stage);
    stays = stage->native->fibers;
    close_host(stage);
    assert_string_equal(said, "end of sleeps;deferred second;deferred first;");
    assert_int_equal(stage->outcomes[JOURNEY_CANCELLED], 2);
    assert_int_equal(stage->sink.by_kind[MESSAGE_TXN], 4);
    assert_int_equal(args->refs, 2);
    assert_int_equal(fiber_pool_count(stays), 1);
    sem_post(&held);
    FAKE_WAIT(stage->loop, strstr(said, "returned;"));
    args_unref(args);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(begins_and_ends_from_the_loop),
        TEST(knows_no_other_names),
        TEST(failure_cleans_up_and_is_told_once),
        TEST(failing_in_a_clean_up_ends_the_clean_up),
        TEST(arguments_that_are_no_values_fail_it),
        TEST(cancelled_before_it_began),
        TEST(cancelled_while_it_sleeps),
        TEST(cancelled_in_a_blocking_call_it_waits_for_that),
        TEST(visits_and_their_memory_are_used_again),
        TEST(refused_metrics_leave_nothing),
        TEST(closing_ends_what_waits),
        TEST(closing_does_not_wait_for_clean_ups),
        TEST(closing_starts_no_threads),
        TEST(closing_lets_a_blocking_call_return),
        TEST(closing_lets_go_of_one_that_does_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
