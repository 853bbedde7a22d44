/* `mite prometheus_exporter`: adds up what stats send, and shows it to Prometheus. */
#include "base/log.h"
#include "cli/component.h"
#include "server/server.h"
#include "stats/page.h"

#define MAX_CONNECTIONS 64
#define MAX_BODY_BYTES  1024 /* nobody has reason to send one */
#define PAGE_BYTES_MAX  (256u << 20)

#define NO_ROOM "There is no room for this page: at most 256 MiB. Fewer label sets (--max-label-sets) make it smaller."

#define HOME                                                                                                           \
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>mite</title></head>\n"                    \
    "<body><h1>mite</h1><p><a href=\"/metrics\">Metrics</a> for Prometheus</p></body></html>\n"

struct state {
    struct component component;
    struct bus_socket *dumps;
    struct server *server;
    struct server_page *home, *unknown, *not_allowed, *no_room; /* made once */
    struct page page;
    uint64_t bad_messages;
    struct buf text; /* of the page */
};

/* ---- dumps ---- */

static void on_dump(void *arg, struct str peer, struct str body)
{
    struct state *state = arg;
    struct mite_error error = {0};
    const char *full;

    if (page_take_bytes(&state->page, body, &error) != 0) {
        state->bad_messages++;
        log_once(LOG_WARNING, "dump", "prometheus_exporter: a message is left out: %s", error.text);
    }
    error_done(&error);
    while ((full = page_overflowed(&state->page))) {
        log_line(LOG_WARNING,
                 "prometheus_exporter: %s has more than %zu label sets (--max-label-sets): the others are counted as "
                 "\"other\"",
                 full, state->page.max_series);
    }
}

/* ---- pages ---- */

static void send_metrics(struct state *state, struct server_request *request)
{
    struct server_page *page = NULL;

    buf_clear(&state->text);
    page_write(&state->text, &state->page);
    page_write_counter(&state->text, PAGE_BAD_MESSAGES, "Messages to this exporter that it could not use",
                       state->bad_messages + socket_malformed(state->dumps));
    if (!state->text.failed) {
        page = server_page_new(200, PAGE_CONTENT_TYPE, buf_view(&state->text));
    }
    if (!page) {
        log_once(LOG_ERROR, "page", "prometheus_exporter: /metrics is answered with 500: %s", NO_ROOM);
    }
    server_send(request, page ? page : state->no_room);
    server_page_free(page);
}

static void on_request(void *arg, struct server_request *request)
{
    struct state *state = arg;

    if (!str_is(request->method, "GET") && !str_is(request->method, "HEAD")) {
        server_send(request, state->not_allowed);
    } else if (str_is(request->path, "/metrics")) {
        send_metrics(state, request);
    } else if (str_is(request->path, "/")) {
        server_send(request, state->home);
    } else {
        server_send(request, state->unknown);
    }
}

static int make_pages(struct state *state, struct mite_error *error)
{
    state->home = server_page_new(200, "text/html; charset=utf-8", STR(HOME));
    state->unknown = server_page_new(404, "text/plain; charset=utf-8", STR("Not here: the metrics are at /metrics\n"));
    state->not_allowed = server_page_new(405, "text/plain; charset=utf-8", STR("Only GET and HEAD\n"));
    state->no_room = server_page_new(500, "text/plain; charset=utf-8", STR(NO_ROOM "\n"));
    if (!state->home || !state->unknown || !state->not_allowed || !state->no_room ||
        server_page_header(state->not_allowed, "Allow", "GET, HEAD") != 0) {
        return error_set(error, MITE_ENOMEM, "no memory for pages");
    }
    return 0;
}

/* ---- running ---- */

static void on_stop(void *arg)
{
    struct state *state = arg;

    component_ended(&state->component);
}

static int open_all(struct state *state, const struct options *options, struct mite_error *error)
{
    const struct socket_options dumps = {.kind = SOCKET_PULL, .received = on_dump, .arg = state};
    const struct server_options server = {
        .address = options->web_address,
        .max_connections = MAX_CONNECTIONS,
        .max_body_bytes = MAX_BODY_BYTES,
        .handle = on_request,
        .arg = state,
    };
    int code = make_pages(state, error);

    if (code == 0) {
        code = component_open(&state->component, "prometheus_exporter", options, 1, error);
    }
    if (code == 0) {
        code = component_bind(&state->component, &dumps, "--stats-out-socket", options->stats_out_socket, &state->dumps,
                              error);
    }
    if (code == 0) {
        code = server_start(state->component.loop, &server, &state->server, error);
        if (code != 0) {
            error_prefix(error, "--web-address");
        }
    }
    return code;
}

int cmd_prometheus_exporter(const struct options *options)
{
    struct mite_error error = {0};
    struct state state = {.component = {.name = "prometheus_exporter"}};

    page_init(&state.page, (size_t)options->max_label_sets);
    buf_init(&state.text, PAGE_BYTES_MAX);
    int code = open_all(&state, options, &error);
    if (code == 0) {
        component_say(&state.component, "%s -> %s/metrics", socket_address(state.dumps), server_url(state.server));
        code = component_run(&state.component, on_stop, &state, &error);
    }
    server_stop(state.server);
    socket_close(state.dumps);
    code = component_close(&state.component, code, &error);
    server_page_free(state.home);
    server_page_free(state.unknown);
    server_page_free(state.not_allowed);
    server_page_free(state.no_room);
    page_done(&state.page);
    buf_done(&state.text);
    return code;
}
