/* The memory of journeys in C: what they are given lasts as long as they do, and serves the next one. */
#include "native_stage.h"

#include <malloc.h>

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

MITE_JOURNEY(keeps_configuration)
{
    const char *text = mite_config(ctx, "text", "");
    const struct mite_value *list = mite_config_value(ctx, "list");

    seen = ctx;
    mite_sleep(ctx, 0);
    say("%s, %s;", text, mite_text_at(ctx, list, "0"));
}

MITE_JOURNEY(connects_on_and_on)
{
    size_t before = 0;

    for (int i = 0; i < 3; i++) {
        MITE_SCRATCH(ctx) {
            mite_connect(ctx, "tcp://127.0.0.1:1", .may_fail = true);
        }
        if (i > 0 && ctx->arena.used_bytes > before) {
            say("grows;");
        }
        before = ctx->arena.used_bytes;
    }
}

/* What the controller says anew does not pull the old text from under a journey. */
static void configuration_lasts_as_long_as_the_journey(void **state)
{
    struct stage *stage = *state;
    struct value old = value_text(STR("old")), new = value_text(STR("new")), list = value_list(&old, 1);

    mallopt(M_PERTURB, 'x');
    assert_int_equal(config_set(&stage->config, STR("text"), &old), 0);
    assert_int_equal(config_set(&stage->config, STR("list"), &list), 0);
    start(stage, "keeps_configuration", NULL);
    FAKE_WAIT(stage->loop, seen);
    assert_int_equal(config_set(&stage->config, STR("text"), &new), 0);
    assert_int_equal(config_set(&stage->config, STR("list"), &new), 0);
    FAKE_WAIT(stage->loop, stage->ended == 1);
    mallopt(M_PERTURB, 0);
    assert_string_equal(said, "old, old;");
}

static void connections_leave_nothing_in_the_journeys_memory(void **state)
{
    struct stage *stage = *state;

    run(stage, "connects_on_and_on", NULL);
    assert_string_equal(said, "");
    assert_int_equal(stage->outcomes[JOURNEY_OK], 1);
}

static void no_two_hosts_draw_alike(void **state)
{
    struct stage *stage = *state;
    struct native_options options = {.config = &stage->config, .http = &stage->http};
    struct native *other = NULL;

    assert_int_equal(native_new(&options, &other, NULL), 0);
    assert_memory_not_equal(other->random, stage->native->random, sizeof other->random);
    native_free(other);
}

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

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(configuration_lasts_as_long_as_the_journey),
        TEST(connections_leave_nothing_in_the_journeys_memory),
        TEST(no_two_hosts_draw_alike),
        TEST(visits_and_their_memory_are_used_again),
        TEST(refused_metrics_leave_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
