/* Journeys in C: how they begin, end, are cancelled, and what closing their host does to them. */
#include "native_stage.h"

#include "engine/sanitizer.h"

#include <semaphore.h>

/* ---- what journeys do ---- */

static sem_t held, entered; /* a blocking call waits for `held`, and has said so by `entered` */

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

MITE_JOURNEY(blocks_late_after_a_nap)
{
    struct mite_context *mine __attribute__((cleanup(block_late), unused)) = ctx;
    mite_sleep(ctx, 0.02);
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

static int slept_late;

static void nap_late(struct mite_context **ctx)
{
    mite_sleep(*ctx, 0);
    slept_late++;
}

MITE_JOURNEY(naps_late)
{
    struct mite_context *mine __attribute__((cleanup(nap_late), unused)) = ctx;
    mite_sleep(ctx, 3600);
}

/* ---- the stage ---- */

static int set_up_threads(void **state)
{
    assert_int_equal(sem_init(&held, 0, 0), 0);
    assert_int_equal(sem_init(&entered, 0, 0), 0);
    return set_up(state);
}

static int tear_down_threads(void **state)
{
    int rc = tear_down(state);

    sem_destroy(&held);
    sem_destroy(&entered);
    return rc;
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

/* The timer of the sleep that was cut short is not for what the clean-up waits for. */
static void a_cancelled_sleep_wakes_nothing_else(void **state)
{
    struct stage *stage = *state;
    struct context *context = start(stage, "blocks_late_after_a_nap", NULL);

    turn(stage);
    stage->host->cancel(stage->host, context);
    FAKE_WAIT(stage->loop, sem_trywait(&entered) == 0);
    uint64_t over_ns = clock_now_ns() + 40 * NS_PER_MS;
    FAKE_WAIT(stage->loop, clock_now_ns() > over_ns);
    assert_string_equal(said, "cleaning;");
    sem_post(&held);
    FAKE_WAIT(stage->loop, stage->ended == 1);
    assert_string_equal(said, "cleaning;returned;blocked late;");
}

static void many_are_cancelled_at_once(void **state)
{
    enum { COUNT = 30000 };
    struct stage *stage = *state;
    struct context **contexts = calloc(COUNT, sizeof *contexts);

    slept_late = 0;
    for (int i = 0; i < COUNT; i++) {
        contexts[i] = start(stage, "naps_late", NULL);
    }
    turn(stage);
    uint64_t before_ns = clock_cpu_ns();
    for (int i = 0; i < COUNT; i++) {
        stage->host->cancel(stage->host, contexts[i]);
    }
    FAKE_WAIT(stage->loop, stage->ended == COUNT);
    assert_int_equal(slept_late, COUNT);
    assert_true(SANITIZED || RUNNING_ON_VALGRIND || clock_cpu_ns() - before_ns < NS_PER_S);
    free(contexts);
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
    assert_non_null(seen); /* the thread's for ever, and no leak, for it can be reached from here */
    sem_post(&held);
    FAKE_WAIT(stage->loop, strstr(said, "returned;"));
    args_unref(args);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up_threads, tear_down_threads)

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
        TEST(a_cancelled_sleep_wakes_nothing_else),
        TEST(many_are_cancelled_at_once),
        TEST(closing_ends_what_waits),
        TEST(closing_does_not_wait_for_clean_ups),
        TEST(closing_starts_no_threads),
        TEST(closing_lets_a_blocking_call_return),
        TEST(closing_lets_go_of_one_that_does_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
