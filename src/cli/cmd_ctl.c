/* `mite ctl`: one command to a running controller, and its answer. */
#include "base/clock.h"
#include "cli/component.h"
#include "cli/exit.h"
#include "sinks/text.h"
#include "value/json.h"
#include "value/msgpack.h"
#include "work/protocol.h"

#include <stdio.h>
#include <string.h>

#define PATIENCE_NS (3 * NS_PER_S)
#define ARENA_MAX   (4 * (size_t)BUS_MESSAGE_MAX) /* of an answer */

struct ctl {
    struct component component;
    struct bus_socket *socket;
    struct timer deadline;
    struct arena arena;
    struct value answer; /* the first that came */
    bool answered;
    int rc; /* of reading it */
};

/* ---- what is asked ---- */

struct form {
    const char *command, *arguments;
    size_t count;
};

static const struct form forms[] = {
    {"status", "", 0}, {"volume", " SCENARIO FACTOR", 2}, {"pause", "", 0}, {"resume", "", 0},
    {"stop", "", 0},   {"config", " KEY=VALUE", 1},
};
#define FORMS (sizeof forms / sizeof *forms)

static const struct form *form_of(const char *command, struct mite_error *error)
{
    const char *names[FORMS];

    for (size_t i = 0; i < FORMS; i++) {
        names[i] = forms[i].command;
        if (strcmp(command, names[i]) == 0) {
            return &forms[i];
        }
    }
    const char *nearest = str_nearest(command, names, FORMS);
    error_set(error, MITE_EINVAL, "unknown command \"%s\"%s%s%s: status, volume, pause, resume, stop or config",
              command, nearest ? " (did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?)" : "");
    return NULL;
}

/* What can be known without the controller. */
static int check(const struct options *options, struct mite_error *error)
{
    const struct form *form = form_of(options->positional[0], error);
    double factor;

    if (!form) {
        return MITE_EINVAL;
    }
    if (options->positional_count - 1 != form->count) {
        return error_set(error, MITE_EINVAL, "usage: mite ctl %s%s", form->command, form->arguments);
    }
    if (strcmp(form->command, "volume") == 0 && (!str_to_double(options->positional[2], &factor) || factor < 0)) {
        return error_set(error, MITE_EINVAL, "volume: \"%s\" is no factor: a number from 0 on is expected",
                         options->positional[2]);
    }
    const char *equals = strchr(options->positional[options->positional_count - 1], '=');
    if (strcmp(form->command, "config") == 0 && (!equals || equals == options->positional[1])) {
        return error_set(error, MITE_EINVAL, "config: \"%s\" is no KEY=VALUE", options->positional[1]);
    }
    return 0;
}

static int ask(struct ctl *ctl, const struct options *options, struct mite_error *error)
{
    struct value arguments[2];
    struct work_request request = {.kind = WORK_CONTROL,
                                   .command = str_of(options->positional[0]),
                                   .arguments = arguments,
                                   .argument_count = options->positional_count - 1};
    struct buf bytes;

    for (size_t i = 0; i < request.argument_count; i++) {
        struct str text = str_of(options->positional[i + 1]);
        if (!str_is_utf8(text)) {
            return error_set(error, MITE_EINVAL, "%s: \"%s\" is no UTF-8", options->positional[0], text.p);
        }
        arguments[i] = value_text(text);
    }
    buf_init(&bytes, 0);
    work_write_request(&bytes, &request);
    int rc = bytes.failed ? MITE_ENOMEM : socket_send(ctl->socket, STR_NONE, buf_view(&bytes));
    buf_done(&bytes);
    return rc < 0 ? error_set(error, rc, "cannot ask the controller") : 0;
}

/* ---- what is answered ---- */

static void on_received(void *arg, struct str peer, struct str body)
{
    struct ctl *ctl = arg;
    size_t used;

    if (ctl->answered) {
        return;
    }
    ctl->answered = true;
    ctl->rc = msgpack_read(&ctl->arena, body, &used, &ctl->answer, NULL);
    component_ended(&ctl->component);
}

static void on_deadline(struct timer *timer)
{
    component_ended(&((struct ctl *)((char *)timer - offsetof(struct ctl, deadline)))->component);
}

static double number_at(const struct value *map, const char *key)
{
    const struct value *v = value_get(map, key);

    return v ? value_number(v, 0) : 0;
}

static struct str text_at(const struct value *map, const char *key)
{
    const struct value *v = value_get(map, key);
    struct str text = v ? value_str(v) : STR_NONE;

    return text.p ? text : STR("-");
}

/* Runners say what they like: none of it may steer the terminal. */
static void put_text(struct buf *out, struct str text)
{
    text_fit(out, text, text_width(text), false);
}

/* ---- status ---- */

static void put_entry(struct buf *out, const struct value *status, const struct value *entry)
{
    const struct value *ended = value_get(entry, "ended");

    buf_printf(out, "%3.0f  ", number_at(entry, "id"));
    put_text(out, text_at(entry, "journey"));
    buf_printf(out, ": wants %.0f, runs %.0f, started %.0f", number_at(entry, "wanted"), number_at(entry, "running"),
               number_at(entry, "started"));
    if (number_at(entry, "factor") != 1) {
        buf_printf(out, ", volume times %g", number_at(entry, "factor"));
    }
    if (number_at(entry, "items_out") > 0) {
        buf_printf(out, ", %.0f items out", number_at(entry, "items_out"));
    }
    buf_printf(out, "%s\n", ended && ended->type == VALUE_BOOL && ended->boolean ? ", ended" : "");
}

/* The journey of an entry, with the entry's id where others have the same. */
static void put_journey(struct buf *out, const struct value *status, struct str id)
{
    const struct value *entries = value_get(status, "entries");
    uint32_t count = id.p && entries && entries->type == VALUE_LIST ? entries->count : 0, same = 0;
    struct str journey = id.p ? id : STR("?");
    char text[24];

    for (uint32_t i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%.0f", number_at(&entries->items[i], "id"));
        if (str_is(id, text)) {
            journey = text_at(&entries->items[i], "journey");
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        same += str_equal(text_at(&entries->items[i], "journey"), journey);
    }
    put_text(out, journey);
    if (same > 1) {
        buf_text(out, " (");
        put_text(out, id);
        buf_char(out, ')');
    }
}

static void put_running(struct buf *out, const struct value *status, const struct value *running)
{
    const char *separator = "; runs ";

    for (uint32_t i = 0; running && running->type == VALUE_MAP && i < running->count; i++) {
        const struct pair *pair = &running->pairs[i];
        if (value_number(&pair->value, 0) > 0) {
            buf_printf(out, "%s%.0f of ", separator, value_number(&pair->value, 0));
            put_journey(out, status, value_str(&pair->key));
            separator = ", ";
        }
    }
}

static void put_runner(struct buf *out, const struct value *status, const struct value *runner)
{
    bool introduced = number_at(runner, "pid") > 0; /* one of the Python program says nothing of itself */

    buf_printf(out, "runner %.0f  ", number_at(runner, "id"));
    if (introduced) {
        put_text(out, text_at(runner, "host"));
        buf_printf(out, " pid %.0f, mite ", number_at(runner, "pid"));
        put_text(out, text_at(runner, "version"));
        buf_text(out, ", ");
    }
    put_text(out, text_at(runner, "state"));
    if (introduced) {
        buf_printf(out, ", %.0f %% of a core, %.0f events queued", 100 * number_at(runner, "cpu"),
                   number_at(runner, "queued"));
    }
    buf_printf(out, ", heard %.1f s ago", number_at(runner, "silent"));
    put_running(out, status, value_get(runner, "running"));
    buf_char(out, '\n');
}

static void put_each(struct buf *out, const struct value *status, const char *key,
                     void (*put)(struct buf *out, const struct value *status, const struct value *item))
{
    const struct value *list = value_get(status, key);

    for (uint32_t i = 0; list && list->type == VALUE_LIST && i < list->count; i++) {
        put(out, status, &list->items[i]);
    }
}

static void put_status(struct buf *out, const struct value *status)
{
    put_text(out, text_at(status, "test"));
    buf_text(out, ": ");
    put_text(out, text_at(status, "state"));
    buf_printf(out, ", %.1f s, %.0f requests, %.0f errors\n", number_at(status, "elapsed"),
               number_at(status, "requests"), number_at(status, "errors"));
    put_each(out, status, "entries", put_entry);
    put_each(out, status, "runners", put_runner);
    if (number_at(status, "items_lost") > 0) {
        buf_printf(out, "datapool items lost with runners: %.0f\n", number_at(status, "items_lost"));
    }
    if (number_at(status, "bad_messages") > 0) {
        buf_printf(out, "messages that made no sense: %.0f\n", number_at(status, "bad_messages"));
    }
}

/* ---- on stdout ---- */

static int print(const struct buf *text, struct mite_error *error)
{
    bool printed = !text->failed && fwrite(text->data, 1, text->size, stdout) == text->size && fflush(stdout) == 0;

    return printed ? 0 : error_set(error, MITE_EIO, "cannot write the controller's answer");
}

/* 0, or the code of what went wrong. */
static int print_answer(const struct ctl *ctl, const struct options *options, struct mite_error *error)
{
    struct str bad = value_get(&ctl->answer, "error") ? text_at(&ctl->answer, "error") : STR_NONE;
    struct buf text;

    if (!ctl->answered) {
        return error_set(error, MITE_ETIMEDOUT,
                         "no controller answers at %s: is it running? --controller-socket says where it is",
                         options->controller_socket);
    }
    if (ctl->rc < 0 || ctl->answer.type != VALUE_MAP) {
        return error_set(error, MITE_EPROTO, "what answers at %s is no controller of this mite",
                         options->controller_socket);
    }
    if (bad.p) {
        return error_set(error, MITE_EINVAL, STR_FMT, STR_ARG(bad));
    }
    buf_init(&text, 0);
    if (options->ctl_json) {
        json_write(&text, &ctl->answer);
        buf_char(&text, '\n');
    } else if (value_get(&ctl->answer, "done")) {
        put_text(&text, text_at(&ctl->answer, "done"));
        buf_char(&text, '\n');
    } else {
        put_status(&text, &ctl->answer);
    }
    int rc = print(&text, error);
    buf_done(&text);
    return rc;
}

static void on_stop(void *arg)
{
    component_ended(&((struct ctl *)arg)->component);
}

int cmd_ctl(const struct options *options)
{
    struct ctl ctl = {.answer = value_nil()};
    struct socket_options socket = {.kind = SOCKET_CLIENT, .received = on_received, .arg = &ctl};
    struct mite_error error = {0};
    bool asked = false;

    arena_init(&ctl.arena, ARENA_MAX);
    ctl.component.name = "ctl";
    int rc = check(options, &error);
    if (rc == 0) {
        rc = component_open(&ctl.component, "ctl", options, 0, &error);
    }
    if (rc == 0) {
        rc = component_connect(&ctl.component, &socket, "--controller-socket", options->controller_socket, &ctl.socket,
                               &error);
    }
    if (rc == 0) {
        rc = ask(&ctl, options, &error);
    }
    if (rc == 0) {
        timer_init(&ctl.deadline, ctl.component.loop, on_deadline);
        timer_start(&ctl.deadline, PATIENCE_NS, 0);
        asked = true;
        rc = component_run(&ctl.component, on_stop, &ctl, &error);
    }
    if (asked && !ctl.component.stopping && rc == 0) {
        rc = print_answer(&ctl, options, &error);
    }
    if (ctl.socket && !ctl.answered) {
        bus_abandon(ctl.component.bus);
    }
    socket_close(ctl.socket);
    if (asked) {
        timer_close(&ctl.deadline, NULL);
    }
    int status = component_close(&ctl.component, rc, &error);
    arena_done(&ctl.arena);
    return status == EXIT_GOOD && ctl.component.stopping ? EXIT_SIGNALLED : status;
}
