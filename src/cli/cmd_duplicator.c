/* `mite duplicator`: events from the message socket to each of the sockets that it is given. */
#include "base/log.h"
#include "bus/duplicator.h"
#include "cli/component.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define DUMP_FILE    "/tmp/mite_messages_to_dump"
#define DUMP_DEFAULT 100

struct command_state {
    struct component component;
    struct duplicator *duplicator;
    uv_signal_t dump;
    bool dump_made;
};

/* ---- USR1 ---- */

static bool parse_count(const char *text, uint64_t *out)
{
    long long number;

    if (!str_to_int64(text, &number) || number < 0) {
        return false;
    }
    *out = (uint64_t)number;
    return true;
}

static bool count_in_file(const char *path, uint64_t *out)
{
    char line[32] = "";
    FILE *file = fopen(path, "re");

    if (!file) {
        return false;
    }
    bool read = fgets(line, sizeof line, file);
    fclose(file);
    line[strcspn(line, " \t\r\n")] = '\0';
    return read && parse_count(line, out);
}

/* Looked up at each signal: the file is how a running duplicator is told. */
static uint64_t messages_to_dump(void)
{
    const char *number = getenv("MITE_DEBUG_MESSAGES_TO_DUMP"), *path = getenv("MITE_DEBUG_MESSAGES_TO_DUMP_FILE");
    uint64_t count;

    if ((number && parse_count(number, &count)) || count_in_file(path ? path : DUMP_FILE, &count)) {
        return count;
    }
    return DUMP_DEFAULT;
}

static void on_dump(uv_signal_t *handle, int number)
{
    struct command_state *state = handle->data;

    duplicator_dump(state->duplicator, messages_to_dump());
}

static void watch_dump(struct command_state *state)
{
    uv_signal_init(loop_uv(state->component.loop), &state->dump);
    state->dump.data = state;
    state->dump_made = true;
    uv_signal_start(&state->dump, on_dump, SIGUSR1);
}

/* ---- running ---- */

static void on_dropping(void *arg, const char *output)
{
    struct command_state *state = arg;

    log_line(LOG_WARNING,
             "%s: its receivers are slow or absent and %lld bytes wait for them (--send-buffer): messages are dropped",
             output, (long long)state->component.options->send_buffer);
}

static int open_duplicator(struct command_state *state, struct mite_error *error)
{
    const struct options *options = state->component.options;
    struct duplicator_options made = {
        .in = options->message_socket,
        .outputs = options->positional,
        .output_count = options->positional_count,
        .max_bytes = (uint64_t)options->send_buffer,
        .dropping = on_dropping,
        .arg = state,
    };

    return duplicator_open(state->component.bus, &made, &state->duplicator, error);
}

static void say_hello(struct command_state *state)
{
    struct duplicator *duplicator = state->duplicator;
    struct buf outputs;

    buf_init(&outputs, 0);
    component_bound(&state->component, duplicator_in(duplicator));
    for (size_t i = 0; i < duplicator_output_count(duplicator); i++) {
        component_bound(&state->component, duplicator_output(duplicator, i));
        buf_printf(&outputs, "%s%s", i > 0 ? ", " : "", duplicator_output(duplicator, i));
    }
    component_say(&state->component, "%s -> %s", duplicator_in(duplicator), buf_view(&outputs).p);
    buf_done(&outputs);
}

static void on_done(void *arg)
{
    component_ended(arg);
}

static void on_stop(void *arg)
{
    struct command_state *state = arg;

    duplicator_stop(state->duplicator, on_done, &state->component);
}

static void add_type(void *arg, struct str type, uint64_t count)
{
    struct buf *types = arg;

    buf_printf(types, "%s" STR_FMT " %llu", types->size > 0 ? ", " : "", STR_ARG(type), (unsigned long long)count);
}

/* What went well needs no words. */
static void say_goodbye(struct command_state *state)
{
    for (size_t i = 0; i < duplicator_output_count(state->duplicator); i++) {
        struct sender_counts counts;
        struct buf types;
        const char *output = duplicator_output(state->duplicator, i);

        duplicator_count(state->duplicator, i, &counts);
        buf_init(&types, 0);
        duplicator_each_dropped(state->duplicator, i, add_type, &types);
        if (counts.dropped > 0) {
            component_say(&state->component, "%s: %llu sent, %llu dropped (%s)", output,
                          (unsigned long long)counts.sent, (unsigned long long)counts.dropped, buf_view(&types).p);
        }
        if (counts.queued > 0) {
            component_say(&state->component, "%s: %llu were still waiting for a receiver and are lost", output,
                          (unsigned long long)counts.queued);
        }
        if (counts.at_risk > 0) {
            component_say(&state->component, "%s: connections broke with up to %llu messages on their way", output,
                          (unsigned long long)counts.at_risk);
        }
        buf_done(&types);
    }
}

int cmd_duplicator(const struct options *options)
{
    struct mite_error error = {0};
    struct command_state state = {.duplicator = NULL};
    int code = component_open(&state.component, "duplicator", options, 2, &error);

    if (code == 0) {
        code = open_duplicator(&state, &error);
    }
    if (code == 0) {
        watch_dump(&state);
        say_hello(&state);
        code = component_run(&state.component, on_stop, &state, &error);
        say_goodbye(&state);
    }
    duplicator_close(state.duplicator);
    if (state.dump_made) {
        uv_close((uv_handle_t *)&state.dump, NULL);
    }
    return component_close(&state.component, code, &error);
}
