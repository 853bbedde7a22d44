/* `mite receiver`: every event of a socket to message processors of the user's own. */
#include "cli/intake.h"
#include "python/api.h"

#include "bus/sink.h"
#include "cli/exit.h"

#define RECEIVER_PROCESSORS_MAX 32

struct state {
    struct component component;
    struct intake *intake;
    struct sink *processors[RECEIVER_PROCESSORS_MAX]; /* owned */
    size_t count;
};

static void on_message(void *arg, struct str bytes)
{
    struct state *state = arg;

    for (size_t i = 0; i < state->count; i++) {
        state->component.python->processor_bytes(state->processors[i], bytes);
    }
}

static int load_processors(struct state *state, const struct options *options, struct mite_error *error)
{
    if (options->processor.count == 0) {
        return error_set(error, MITE_EINVAL, "nobody gets the messages: --processor=SPEC names a class that does");
    }
    if (options->processor.count > RECEIVER_PROCESSORS_MAX) {
        return error_set(error, MITE_EINVAL, "--processor: at most %d of them", RECEIVER_PROCESSORS_MAX);
    }
    int rc = component_python(&state->component, options, error);
    for (size_t i = 0; rc == 0 && i < options->processor.count; i++) {
        rc = state->component.python->load_processor(options->processor.items[i], NULL, &state->processors[i], error);
        state->count += rc == 0;
    }
    return rc;
}

static int open_all(struct state *state, const struct options *options, struct mite_error *error)
{
    const struct intake_options intake = {
        .option = "SOCKET",
        .address = options->positional[0],
        .message = on_message,
        .arg = state,
    };
    int rc = load_processors(state, options, error);

    if (rc == 0) {
        rc = component_open(&state->component, "receiver", options, 1, error);
    }
    return rc == 0 ? intake_open(&state->component, &intake, &state->intake, error) : rc;
}

static int run(struct state *state, struct mite_error *error)
{
    component_say(&state->component, "%s -> %zu processor%s", intake_address(state->intake), state->count,
                  state->count == 1 ? "" : "s");
    int rc = component_run(&state->component, intake_end, state->intake, error);
    component_say(&state->component, "%llu messages, %llu left out", (unsigned long long)intake_received(state->intake),
                  (unsigned long long)intake_left_out(state->intake));
    return rc;
}

int cmd_receiver(const struct options *options)
{
    struct mite_error error = {0};
    struct state state = {.component = {.name = "receiver"}};
    int code = open_all(&state, options, &error);

    if (code == 0) {
        code = run(&state, &error);
    }
    intake_close(state.intake);
    for (size_t i = 0; i < state.count; i++) {
        sink_free(state.processors[i]);
    }
    return component_close(&state.component, code, &error);
}
