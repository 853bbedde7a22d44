/* `mite recorder`: the data of `data_created` events to a file for each name. */
#include "base/log.h"
#include "bus/peek.h"
#include "cli/exit.h"
#include "cli/intake.h"
#include "sinks/recorder.h"
#include "value/msgpack.h"

struct state {
    struct component component;
    struct recorder *recorder;
    struct intake *intake;
    struct arena arena;
    uint64_t left_out;
};

/* Hands a decoded message to the recorder. */
static int record(struct state *state, const struct value *map, struct mite_error *error)
{
    struct field *fields = arena_alloc(&state->arena, map->count * sizeof *fields);
    struct message_origin origin;
    struct message message;

    if (!fields) {
        return error_set(error, MITE_ENOMEM, "no memory for a message");
    }
    int rc = message_from_value(&state->arena, &message, &origin, fields, map, error);
    if (rc == 0) {
        sink_message(recorder_sink(state->recorder), &message);
    }
    return rc;
}

static void on_message(void *arg, struct str bytes)
{
    struct state *state = arg;
    enum message_kind kind = message_kind_of(peek_type(bytes));
    struct mite_error error = {0};
    struct value map;
    size_t used;

    if (kind != MESSAGE_DATA_CREATED && kind != MESSAGE_PURGE_DATA) {
        return; /* most are not for us */
    }
    arena_reset(&state->arena);
    int rc = msgpack_read(&state->arena, bytes, &used, &map, &error);
    if (rc == 0) {
        rc = record(state, &map, &error);
    }
    if (rc < 0) {
        state->left_out++;
        log_once(LOG_WARNING, "message", "recorder: a message is left out: %s", error.text);
    }
    error_done(&error);
}

static int open_all(struct state *state, const struct options *options, struct mite_error *error)
{
    const struct intake_options intake = {
        .option = "--recorder-socket",
        .address = options->recorder_socket,
        .message = on_message,
        .arg = state,
    };
    int rc = component_open(&state->component, "recorder", options, 1, error);

    if (rc == 0) {
        rc = recorder_new(options->recorder_dir, &state->recorder, error);
    }
    return rc == 0 ? intake_open(&state->component, &intake, &state->intake, error) : rc;
}

static void say_goodbye(struct state *state)
{
    struct recorder_counts counts;
    const char *refused = recorder_first_refusal(state->recorder), *failure = recorder_first_failure(state->recorder);

    recorder_count(state->recorder, &counts);
    counts.failed += state->left_out;
    component_say(&state->component, "%llu records written, %llu files purged, %llu refused, %llu failed",
                  (unsigned long long)counts.written, (unsigned long long)counts.purged,
                  (unsigned long long)counts.refused, (unsigned long long)counts.failed);
    if (refused) {
        component_say(&state->component, "the first that was refused: %s", refused);
    }
    if (failure) {
        component_say(&state->component, "the first failure: %s", failure);
    }
}

static int run(struct state *state, struct mite_error *error)
{
    const char *dir = state->component.options->recorder_dir;

    component_say(&state->component, "%s -> %s", intake_address(state->intake), dir ? dir : recorder_default_dir());
    int rc = component_run(&state->component, intake_end, state->intake, error);
    say_goodbye(state);
    return rc;
}

int cmd_recorder(const struct options *options)
{
    struct mite_error error = {0};
    struct state state = {.component = {.name = "recorder"}};

    arena_init(&state.arena, 4 * (size_t)BUS_MESSAGE_MAX);
    int code = open_all(&state, options, &error);
    if (code == 0) {
        code = run(&state, &error);
    }
    intake_close(state.intake);
    bool failed = state.recorder && recorder_first_failure(state.recorder);
    if (state.recorder) {
        sink_free(recorder_sink(state.recorder));
    }
    arena_done(&state.arena);
    int status = component_close(&state.component, code, &error);
    return status == EXIT_GOOD && failed ? EXIT_BROKE : status;
}
