/* The models of the DSL: their values, their ends, and what is refused. */
#include "scenario/volume_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct volume_stretch nothing(double duration_s)
{
    return (struct volume_stretch){.kind = VOLUME_NOTHING, .duration_s = duration_s, .has_from = true, .has_to = true};
}

static struct volume_stretch constant(double duration_s, double volume)
{
    return (struct volume_stretch){.kind = VOLUME_CONSTANT,
                                   .duration_s = duration_s,
                                   .from = volume,
                                   .to = volume,
                                   .has_from = true,
                                   .has_to = true};
}

static struct volume_stretch ramp(double duration_s)
{
    return (struct volume_stretch){.kind = VOLUME_RAMP, .duration_s = duration_s};
}

static struct volume_stretch ramp_from(double duration_s, double from)
{
    return (struct volume_stretch){.kind = VOLUME_RAMP, .duration_s = duration_s, .from = from, .has_from = true};
}

static struct volume_stretch ramp_to(double duration_s, double to)
{
    return (struct volume_stretch){.kind = VOLUME_RAMP, .duration_s = duration_s, .to = to, .has_to = true};
}

#define CHAIN(...)                                                                                                     \
    (struct volume_stretch[]){__VA_ARGS__},                                                                            \
        sizeof((struct volume_stretch[]){__VA_ARGS__}) / sizeof(struct volume_stretch)

static struct volume_model *chain(const struct volume_stretch *stretches, size_t count)
{
    struct mite_error error = {0};
    struct volume_model *model = NULL;

    assert_int_equal(volume_chain_new(stretches, count, &model, &error), 0);
    return model;
}

/* What the model wants in the second that starts at `start_s`; -1: it has stopped. */
static int64_t at(struct volume_model *model, int64_t start_s)
{
    struct mite_error error = {0};
    int64_t wanted = -1;
    int rc = model->ops->at(model, start_s, start_s + 1, &wanted, &error);

    assert_true(rc == 0 || rc == MITE_EEND);
    return rc == MITE_EEND ? -1 : wanted;
}

static void refused(const struct volume_stretch *stretches, size_t count, const char *because)
{
    struct mite_error error = {0};
    struct volume_model *model = NULL;

    assert_int_equal(volume_chain_new(stretches, count, &model, &error), MITE_EINVAL);
    assert_null(model);
    assert_non_null(strstr(error.text, because));
}

static void constant_holds_its_volume(void **state)
{
    struct volume_model *model = chain(CHAIN(constant(10, 3)));

    assert_int_equal(at(model, 0), 3);
    assert_int_equal(at(model, 10), 3);
    assert_int_equal(at(model, 11), -1);
    assert_int_equal(model->duration_s, 10);
    assert_int_equal(model->max_starts, -1);
    volume_model_free(model);
}

static void stretches_follow_each_other(void **state)
{
    struct volume_model *model = chain(CHAIN(nothing(5), constant(10, 3), constant(2.5, 1)));

    assert_int_equal(at(model, 4), 0);
    assert_int_equal(at(model, 5), 3); /* where two meet the later one counts */
    assert_int_equal(at(model, 14), 3);
    assert_int_equal(at(model, 15), 1);
    assert_int_equal(at(model, 17), 1);
    assert_int_equal(at(model, 18), -1);
    assert_int_equal(model->duration_s, 17);
    volume_model_free(model);
}

static void a_ramp_takes_its_ends_from_its_neighbours(void **state)
{
    struct volume_model *model = chain(CHAIN(nothing(2), ramp(10), constant(5, 20), ramp(5), constant(1, 10)));

    assert_int_equal(at(model, 2), 0);
    assert_int_equal(at(model, 3), 2);
    assert_int_equal(at(model, 7), 10);
    assert_int_equal(at(model, 11), 18);
    assert_int_equal(at(model, 12), 20);
    assert_int_equal(at(model, 18), 18);
    assert_int_equal(at(model, 22), 10);
    volume_model_free(model);
}

static void outer_ramps_are_given_theirs(void **state)
{
    struct volume_model *model = chain(CHAIN(ramp_from(4, 2), constant(1, 4), ramp_to(4, 0)));
    struct volume_stretch lone = {
        .kind = VOLUME_RAMP, .duration_s = 3, .from = 0, .to = 1, .has_from = true, .has_to = true};

    assert_int_equal(at(model, 0), 2);
    assert_int_equal(at(model, 1), 3); /* 2.5 is rounded, away from zero */
    assert_int_equal(at(model, 4), 4);
    assert_int_equal(at(model, 9), 0); /* the ramp reaches its end */
    assert_int_equal(at(model, 10), -1);
    volume_model_free(model);

    model = chain(&lone, 1);
    assert_int_equal(at(model, 1), 0);
    assert_int_equal(at(model, 2), 1);
    volume_model_free(model);
}

static void a_ramp_without_length_is_a_step(void **state)
{
    struct volume_model *model = chain(CHAIN(constant(2, 1), ramp(0), constant(2, 5)));

    assert_int_equal(at(model, 1), 1);
    assert_int_equal(at(model, 2), 5);
    volume_model_free(model);
}

static void wrong_ramps_are_refused(void **state)
{
    struct volume_stretch both = {.kind = VOLUME_RAMP, .duration_s = 1, .has_from = true, .has_to = true};

    refused(CHAIN(ramp(10)), "without `frm`");
    refused(CHAIN(ramp_to(10, 5)), "without `frm`");
    refused(CHAIN(ramp_from(10, 5)), "without `to`");
    refused(CHAIN(ramp(10), constant(1, 1)), "without `frm`");
    refused(CHAIN(constant(1, 1), ramp_from(10, 5)), "with `frm`");
    refused(CHAIN(both, constant(1, 1)), "with `to`");
    refused(CHAIN(ramp_from(1, 1), ramp_to(1, 2)), "both ramps");
}

static void wrong_figures_are_refused(void **state)
{
    refused(CHAIN(constant(-1, 1)), "lasts -1 s");
    refused(CHAIN(constant(NAN, 1)), "lasts nan s");
    refused(CHAIN(constant(1, -1)), "volume -1");
    refused(CHAIN(constant(1, NAN)), "volume nan");
    refused(CHAIN(constant(1, 1e12)), "volume 1e+12");
    refused(CHAIN(constant(1, 1), ramp_to(1, -5)), "volume -5");
    refused(CHAIN(constant(1, 1), ramp_to(INFINITY, 5)), "a ramp must have an end");
    refused(NULL, 0, "no stretch");
}

static void without_end_it_never_stops(void **state)
{
    struct mite_error error = {0};
    struct volume_model *model;

    assert_int_equal(volume_constant_new(12, -1, &model, &error), 0);
    assert_int_equal(model->duration_s, -1);
    assert_int_equal(at(model, 1000000), 12);
    volume_model_free(model);
    assert_int_equal(volume_constant_new(12, 3, &model, &error), 0);
    assert_int_equal(model->duration_s, 3);
    assert_int_equal(at(model, 4), -1);
    volume_model_free(model);
    assert_int_equal(volume_constant_new(-1, 3, &model, &error), MITE_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_holds_its_volume),
        cmocka_unit_test(stretches_follow_each_other),
        cmocka_unit_test(a_ramp_takes_its_ends_from_its_neighbours),
        cmocka_unit_test(outer_ramps_are_given_theirs),
        cmocka_unit_test(a_ramp_without_length_is_a_step),
        cmocka_unit_test(wrong_ramps_are_refused),
        cmocka_unit_test(wrong_figures_are_refused),
        cmocka_unit_test(without_end_it_never_stops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
