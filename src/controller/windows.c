#include "controller/windows.h"

#include <math.h>

static int64_t whole_seconds(double length_s)
{
    return length_s > 1 ? lround(length_s) : 1;
}

void windows_init(struct windows *windows, const struct scenario *scenario, double length_s)
{
    *windows = (struct windows){.scenario = scenario, .length_s = whole_seconds(length_s)};
}

/* A model stops at the first window that starts behind its duration: one that starts at its very end is still run. */
int64_t windows_end_s(const struct scenario *scenario, double length_s)
{
    int64_t duration_s = scenario_duration_s(scenario), window_s = whole_seconds(length_s);

    return duration_s < 0 ? -1 : (duration_s / window_s + 1) * window_s;
}

static void ask_model(const struct windows *windows, size_t index, int64_t end_s, const struct windows_hooks *hooks,
                      void *arg)
{
    const struct scenario_entry *entry = &windows->scenario->entries[index];
    struct mite_error error = {0};
    int64_t wanted = 0;
    int rc = entry->model->ops->at(entry->model, windows->next_s, end_s, &wanted, &error);

    if (rc == 0 && wanted < 0) {
        rc = error_set(
            &error, MITE_EINVAL,
            "the volume model of journey \"%s\" wants %lld journeys at once from second %lld on: it must be 0 or "
            "more",
            entry->journey_spec, (long long)wanted, (long long)windows->next_s);
    }
    if (rc == 0) {
        hooks->want(arg, index, wanted);
    } else if (rc == MITE_EEND) {
        hooks->end(arg, index);
    } else {
        hooks->failed(arg, index, &error);
    }
    error_done(&error);
}

static void ask_models(const struct windows *windows, int64_t end_s, const struct windows_hooks *hooks, void *arg)
{
    for (size_t i = 0; i < windows->scenario->count; i++) {
        if (!hooks->ended(arg, i)) {
            ask_model(windows, i, end_s, hooks, arg);
        }
    }
}

void windows_open(struct windows *windows, double elapsed_s, const struct windows_hooks *hooks, void *arg)
{
    while (elapsed_s >= (double)windows->next_s) {
        int64_t end_s = windows->next_s + windows->length_s;
        ask_models(windows, end_s, hooks, arg);
        windows->next_s = end_s;
    }
}

void windows_ask_again(struct windows *windows, const struct windows_hooks *hooks, void *arg)
{
    int64_t end_s = windows->next_s;

    if (end_s > 0) {
        windows->next_s -= windows->length_s;
        ask_models(windows, end_s, hooks, arg);
        windows->next_s = end_s;
    }
}
