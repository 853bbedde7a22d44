/*
 * `mite stats`: counts the events of a socket and tells the exporter what is new.
 *
 * Design notes. A dump goes out with the first message that comes DUMP_NS after the last one, and by a timer what came
 * meanwhile, so that a test's last messages are not withheld. While the last dump is still on its way, because the
 * exporter is away, none is made: what comes adds up here, in bounded memory, and nothing of it is lost.
 */
#include "base/clock.h"
#include "base/log.h"
#include "bus/sender.h"
#include "cli/intake.h"
#include "cli/stats_choice.h"
#include "python/api.h"
#include "stats/event_stats.h"
#include "value/msgpack.h"

#include <stdio.h>

#define DUMP_NS (NS_PER_S / 4)

struct state {
    struct component component;
    struct event_stats own;
    struct python_stats *python; /* of third parties; NULL: none */
    struct intake *intake;
    struct sender *sender;
    struct timer timer;
    bool timer_made;
    bool pending;     /* something came since the last dump */
    uint64_t dump_ns; /* when that was */
    uint64_t bad_messages;
    struct buf dump;
};

/* ---- dumps ---- */

static void say_if_full(struct state *state)
{
    const char *full;

    while ((full = event_stats_overflowed(&state->own))) {
        log_line(LOG_WARNING, "stats: %s has more than %lld label sets (--max-label-sets): the others are \"other\"",
                 full, (long long)state->component.options->max_label_sets);
    }
}

static void write_dump(struct state *state)
{
    struct buf theirs;

    buf_init(&theirs, BUS_MESSAGE_MAX);
    uint32_t count = state->python ? state->python->dump(state->python, &theirs) : 0;
    buf_clear(&state->dump);
    msgpack_write_list(&state->dump, (uint32_t)state->own.count + count);
    event_stats_dump(&state->own, &state->dump);
    buf_str(&state->dump, buf_view(&theirs));
    state->dump.failed |= theirs.failed;
    buf_done(&theirs);
}

static void send_dump(struct state *state)
{
    write_dump(state);
    state->pending = false;
    state->dump_ns = clock_now_ns();
    if (state->dump.failed) {
        log_once(LOG_ERROR, "dump", "stats: no memory for a dump: it is left out");
    } else {
        sender_raw(state->sender, buf_view(&state->dump));
    }
    say_if_full(state);
}

static bool last_dump_waits(const struct state *state)
{
    struct sender_counts counts;

    sender_count(state->sender, &counts);
    return counts.queued > 0;
}

static void dump_soon(struct state *state)
{
    uint64_t now = clock_now_ns(), due = state->dump_ns + DUMP_NS;

    if (now < due) {
        timer_start(&state->timer, due - now, 0);
    } else if (last_dump_waits(state)) {
        timer_start(&state->timer, DUMP_NS, 0);
    } else {
        send_dump(state);
    }
}

static void on_timer(struct timer *timer)
{
    dump_soon((struct state *)((char *)timer - offsetof(struct state, timer)));
}

/* ---- messages ---- */

static void on_message(void *arg, struct str bytes)
{
    struct state *state = arg;

    int code = event_stats_take(&state->own, bytes);

    if (code != 0) {
        state->bad_messages++;
        log_once(LOG_WARNING, "message",
                 "stats: a message is none, or not as its type has it: what it lacks is not counted");
    }
    if (state->python && code != MITE_EPROTO) {
        state->python->take(state->python, bytes);
    }
    if (!state->pending) {
        state->pending = true;
        dump_soon(state);
    }
}

/* ---- running ---- */

static void on_flushed(void *arg)
{
    component_ended(arg);
}

static void on_taken_in(void *arg)
{
    struct state *state = arg;

    timer_stop(&state->timer);
    if (state->pending) {
        send_dump(state);
    }
    sender_when_flushed(state->sender, on_flushed, &state->component);
}

static void on_stop(void *arg)
{
    struct state *state = arg;

    intake_stop(state->intake, on_taken_in, state);
}

static int open_stats(struct state *state, const struct options *options, struct mite_error *error)
{
    struct stats_choice choice;
    int code = stats_choose(options, &choice, error);

    if (code == 0 && choice.needs_python) {
        code = component_python(&state->component, options, error);
        if (code == 0) {
            code = state->component.python->load_stats(options->stats_include_processors,
                                                       options->stats_exclude_processors, &state->python, error);
        }
    }
    return code == 0 ? event_stats_init(&state->own, choice.own, (size_t)options->max_label_sets, error) : code;
}

static int open_sockets(struct state *state, const struct options *options, struct mite_error *error)
{
    const struct intake_options intake = {
        .option = "--stats-in-socket",
        .address = options->stats_in_socket,
        .unchecked = true,
        .message = on_message,
        .arg = state,
    };
    int code = component_open(&state->component, "stats", options, 1, error);

    if (code == 0) {
        code = timer_init(&state->timer, state->component.loop, on_timer);
        state->timer_made = code == 0;
    }
    if (code == 0) {
        code = sender_new(state->component.bus, options->stats_out_socket, false, (uint64_t)options->send_buffer,
                          &state->sender, error);
        if (code != 0) {
            error_prefix(error, "--stats-out-socket");
        }
    }
    return code == 0 ? intake_open(&state->component, &intake, &state->intake, error) : code;
}

static void say_goodbye(const struct state *state)
{
    struct sender_counts counts;

    sender_count(state->sender, &counts);
    component_say(&state->component, "%llu messages, %llu of them not as they should be, %llu dumps",
                  (unsigned long long)intake_received(state->intake), (unsigned long long)state->bad_messages,
                  (unsigned long long)counts.sent);
    if (counts.queued > 0) {
        component_say(&state->component, "the last dump found no exporter at %s and is lost",
                      state->component.options->stats_out_socket);
    }
}

int cmd_stats(const struct options *options)
{
    struct mite_error error = {0};
    struct state state = {.component = {.name = "stats"}, .dump_ns = clock_now_ns()};

    buf_init(&state.dump, BUS_MESSAGE_MAX);
    int code = open_stats(&state, options, &error);
    if (code == 0) {
        code = open_sockets(&state, options, &error);
    }
    if (code == 0) {
        component_say(&state.component, "%s -> %s", intake_address(state.intake), sender_address(state.sender));
        code = component_run(&state.component, on_stop, &state, &error);
        say_goodbye(&state);
    }
    intake_close(state.intake);
    sender_free(state.sender);
    if (state.timer_made) {
        timer_close(&state.timer, NULL);
    }
    if (state.python) {
        state.python->free(state.python);
    }
    code = component_close(&state.component, code, &error);
    event_stats_done(&state.own);
    buf_done(&state.dump);
    return code;
}
