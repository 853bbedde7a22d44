/*
 * `mite stats`: counts the events of a socket and tells the exporter what is new.
 *
 * Design notes. A dump goes out with the first message that comes DUMP_NS after the last one, and by a timer what came
 * meanwhile, so that a test's last messages are not withheld. Without an exporter none is made: what comes adds up
 * here, in bounded memory, and is told when there is one. So there is one message at most that waits, `dump`. What
 * third parties count goes in a message of its own, so that an exporter that refuses it has ours all the same.
 */
#include "base/clock.h"
#include "base/log.h"
#include "cli/intake.h"
#include "cli/stats_choice.h"
#include "python/api.h"
#include "stats/event_stats.h"
#include "value/msgpack.h"

#include <arpa/inet.h>

#define DUMP_NS        (NS_PER_S / 4)
#define OUT_HIGH_WATER 4 /* dumps in the library's hands: what an exporter does not take adds up here, at no cost */

struct state {
    struct component component;
    struct event_stats own;
    struct python_stats *python; /* of third parties; NULL: none */
    struct intake *intake;
    struct bus_socket *out;
    struct timer timer;
    bool timer_made;
    bool pending;     /* there is something that no dump has told */
    uint64_t dump_ns; /* when the last one was made */
    struct buf dump;
    bool unsent;     /* it is to be sent yet */
    bool theirs_due; /* and behind it what third parties have */
    bool taking_in;  /* until nothing more comes */
    uint64_t bad_messages, dumps;
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

static void write_ours(struct state *state)
{
    buf_clear(&state->dump);
    msgpack_write_list(&state->dump, (uint32_t)state->own.count);
    state->pending = event_stats_dump(&state->own, &state->dump);
}

/* A list of as many maps as they turn out to be; there is room for its head, since ours was written there. */
static void write_theirs(struct state *state)
{
    buf_clear(&state->dump);
    buf_append(&state->dump, "\xdd\0\0\0\0", 5);
    uint32_t count = htonl(state->python->dump(state->python, &state->dump));
    memcpy(state->dump.data + 1, &count, sizeof count);
}

static void end_when_told(struct state *state)
{
    if (!state->taking_in && !state->pending && !state->unsent) {
        component_ended(&state->component);
    }
}

static void hand_over(struct state *state)
{
    int code = socket_send(state->out, STR_NONE, buf_view(&state->dump));

    state->unsent = code != 0;
    if (code == 0) {
        state->dumps++;
    } else if (code != MITE_EAGAIN) { /* nobody will say when that is over */
        log_once(LOG_ERROR, "dump", "stats: a dump could not be sent: it is tried again");
        timer_start(&state->timer, DUMP_NS, 0);
    }
}

/* What waits to be sent, then what third parties have. */
static void send_what_waits(struct state *state)
{
    hand_over(state);
    if (!state->unsent && state->theirs_due) {
        state->theirs_due = false;
        write_theirs(state);
        hand_over(state);
    }
    end_when_told(state);
}

/* From one dump to the next. At the end there is nothing to wait for, but for memory. */
static uint64_t interval_ns(const struct state *state)
{
    return state->taking_in || state->dump.failed ? DUMP_NS : 1;
}

static void send_dump(struct state *state)
{
    write_ours(state);
    state->dump_ns = clock_now_ns();
    say_if_full(state);
    if (state->dump.failed) {
        log_once(LOG_ERROR, "memory", "stats: no memory for a dump: it is tried again");
    } else {
        state->theirs_due = state->python != NULL;
        send_what_waits(state);
    }
    if (state->pending) {
        timer_start(&state->timer, interval_ns(state), 0);
    }
}

/* What is pending goes out now, or when it is due, or when the exporter is there. */
static void dump_soon(struct state *state)
{
    uint64_t now = clock_now_ns(), due = state->dump_ns + interval_ns(state);

    if (!state->pending || state->unsent || socket_peers(state->out) == 0) {
        return;
    }
    if (now < due) {
        timer_start(&state->timer, due - now, 0);
    } else {
        send_dump(state);
    }
}

static void go_on(struct state *state)
{
    if (state->unsent) {
        send_what_waits(state);
    }
    dump_soon(state);
}

static void on_connection(void *arg, bool up, const char *address)
{
    if (up) {
        go_on(arg);
    }
}

static void on_writable(void *arg)
{
    go_on(arg);
}

static void on_timer(struct timer *timer)
{
    go_on((struct state *)((char *)timer - offsetof(struct state, timer)));
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

static void on_taken_in(void *arg)
{
    struct state *state = arg;

    timer_stop(&state->timer);
    state->taking_in = false;
    go_on(state);
    end_when_told(state);
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
    const struct socket_options out = {
        .kind = SOCKET_PUSH,
        .high_water = OUT_HIGH_WATER,
        .writable = on_writable,
        .connection = on_connection,
        .arg = state,
    };
    int code = component_open(&state->component, "stats", options, 1, error);

    if (code == 0) {
        code = timer_init(&state->timer, state->component.loop, on_timer);
        state->timer_made = code == 0;
    }
    if (code == 0) {
        code = component_connect(&state->component, &out, "--stats-out-socket", options->stats_out_socket, &state->out,
                                 error);
    }
    return code == 0 ? intake_open(&state->component, &intake, &state->intake, error) : code;
}

static void say_goodbye(const struct state *state)
{
    component_say(&state->component, "%llu messages, %llu of them not as they should be, %llu dumps",
                  (unsigned long long)intake_received(state->intake), (unsigned long long)state->bad_messages,
                  (unsigned long long)state->dumps);
    if (state->pending || state->unsent) {
        component_say(&state->component, "%s %s: what came since the last dump is lost",
                      socket_peers(state->out) == 0 ? "there is no exporter at" : "the exporter takes no more at",
                      state->component.options->stats_out_socket);
    }
}

int cmd_stats(const struct options *options)
{
    struct mite_error error = {0};
    struct state state = {.component = {.name = "stats"}, .dump_ns = clock_now_ns(), .taking_in = true};

    buf_init(&state.dump, BUS_MESSAGE_MAX);
    int code = open_stats(&state, options, &error);
    if (code == 0) {
        code = open_sockets(&state, options, &error);
    }
    if (code == 0) {
        component_say(&state.component, "%s -> %s", intake_address(state.intake), socket_address(state.out));
        code = component_run(&state.component, on_stop, &state, &error);
        say_goodbye(&state);
    }
    intake_close(state.intake);
    socket_close(state.out);
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
