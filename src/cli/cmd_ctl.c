/* `mite ctl`: one command to a running controller, and its answer. */
#include "base/clock.h"
#include "cli/component.h"
#include "cli/exit.h"
#include "sinks/table.h"
#include "sinks/text.h"
#include "value/json.h"
#include "value/msgpack.h"
#include "work/protocol.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PATIENCE_NS (3 * NS_PER_S)

struct ctl {
    struct component component;
    struct bus_socket *socket;
    struct timer deadline;
    struct arena arena;
    struct value answer; /* nil: none has come */
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
    error_set(error, MITE_EINVAL, "ctl has no command \"%s\"%s%s%s: status, volume, pause, resume, stop or config",
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
        return error_set(error, MITE_EINVAL, "ctl volume: \"%s\" is no factor: a number from 0 on is expected",
                         options->positional[2]);
    }
    const char *equals = strchr(options->positional[options->positional_count - 1], '=');
    if (strcmp(form->command, "config") == 0 && (!equals || equals == options->positional[1])) {
        return error_set(error, MITE_EINVAL, "ctl config: \"%s\" is no KEY=VALUE", options->positional[1]);
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
            return error_set(error, MITE_EINVAL, "ctl %s: \"%s\" is no UTF-8", options->positional[0], text.p);
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
    struct value value;
    size_t used;

    if (msgpack_read(&ctl->arena, body, &used, &value, NULL) == 0 && value.type == VALUE_MAP) {
        ctl->answer = value;
        component_ended(&ctl->component);
    }
}

static void on_deadline(struct timer *timer)
{
    component_ended(&((struct ctl *)((char *)timer - offsetof(struct ctl, deadline)))->component);
}

static struct str text_at(const struct value *map, const char *key)
{
    const struct value *v = value_get(map, key);
    struct str text = v ? value_str(v) : STR_NONE;

    return text.p ? text : STR("-");
}

static double number_at(const struct value *map, const char *key)
{
    const struct value *v = value_get(map, key);

    return v ? value_number(v, 0) : 0;
}

static void print_entry(const struct value *entry)
{
    const struct value *ended = value_get(entry, "ended");

    printf("%3.0f  " STR_FMT ": wants %.0f, runs %.0f, started %.0f", number_at(entry, "id"),
           STR_ARG(text_at(entry, "journey")), number_at(entry, "wanted"), number_at(entry, "running"),
           number_at(entry, "started"));
    if (number_at(entry, "factor") != 1) {
        printf(", volume times %g", number_at(entry, "factor"));
    }
    if (number_at(entry, "items_out") > 0) {
        printf(", %.0f items out", number_at(entry, "items_out"));
    }
    printf("%s\n", ended && ended->type == VALUE_BOOL && ended->boolean ? ", ended" : "");
}

static void print_runner(const struct value *runner)
{
    const struct value *running = value_get(runner, "running");
    const char *separator = "; runs ";

    printf("runner %.0f  " STR_FMT " pid %.0f, mite " STR_FMT ", " STR_FMT
           ", %.0f %% of a core, %.0f events queued, heard %.1f s ago",
           number_at(runner, "id"), STR_ARG(text_at(runner, "host")), number_at(runner, "pid"),
           STR_ARG(text_at(runner, "version")), STR_ARG(text_at(runner, "state")), 100 * number_at(runner, "cpu"),
           number_at(runner, "queued"), number_at(runner, "silent"));
    for (uint32_t i = 0; running && running->type == VALUE_MAP && i < running->count; i++) {
        const struct pair *pair = &running->pairs[i];
        if (value_number(&pair->value, 0) > 0) {
            printf("%s%.0f of " STR_FMT, separator, value_number(&pair->value, 0),
                   STR_ARG(value_str(&pair->key).p ? value_str(&pair->key) : STR("?")));
            separator = ", ";
        }
    }
    printf("\n");
}

static void print_each(const struct value *list, void (*print)(const struct value *item))
{
    for (uint32_t i = 0; list && list->type == VALUE_LIST && i < list->count; i++) {
        print(&list->items[i]);
    }
}

static void print_status(const struct value *status)
{
    printf(STR_FMT ": " STR_FMT ", %.1f s, %.0f requests, %.0f errors\n", STR_ARG(text_at(status, "test")),
           STR_ARG(text_at(status, "state")), number_at(status, "elapsed"), number_at(status, "requests"),
           number_at(status, "errors"));
    print_each(value_get(status, "entries"), print_entry);
    print_each(value_get(status, "runners"), print_runner);
    if (number_at(status, "items_lost") > 0) {
        printf("datapool items lost with runners: %.0f\n", number_at(status, "items_lost"));
    }
    if (number_at(status, "bad_messages") > 0) {
        printf("messages that made no sense: %.0f\n", number_at(status, "bad_messages"));
    }
}

static void print_json(const struct value *answer)
{
    struct buf text;

    buf_init(&text, 0);
    json_write(&text, answer);
    printf(STR_FMT "\n", STR_ARG(buf_view(&text)));
    buf_done(&text);
}

/* 0, or the code of what went wrong. */
static int print_answer(const struct ctl *ctl, const struct options *options, struct mite_error *error)
{
    struct str bad = value_get(&ctl->answer, "error") ? text_at(&ctl->answer, "error") : STR_NONE;

    if (ctl->answer.type == VALUE_NIL) {
        return error_set(error, MITE_ETIMEDOUT,
                         "no controller answers at %s: is it running? --controller-socket says where it is",
                         options->controller_socket);
    }
    if (bad.p) {
        return error_set(error, MITE_EINVAL, STR_FMT, STR_ARG(bad));
    }
    if (options->ctl_json) {
        print_json(&ctl->answer);
    } else if (value_get(&ctl->answer, "done")) {
        printf(STR_FMT "\n", STR_ARG(text_at(&ctl->answer, "done")));
    } else {
        print_status(&ctl->answer);
    }
    return 0;
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

    arena_init(&ctl.arena, 0);
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
    if (ctl.socket && ctl.component.bus && ctl.answer.type == VALUE_NIL) {
        bus_abandon(ctl.component.bus);
    }
    socket_close(ctl.socket);
    if (asked) {
        timer_close(&ctl.deadline, NULL);
    }
    int status = component_close(&ctl.component, rc, &error);
    arena_done(&ctl.arena);
    return status;
}
