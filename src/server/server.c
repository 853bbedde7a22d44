/*
 * Design notes.
 * - libmicrohttpd does its work in MHD_run(), called when its epoll descriptor is readable (drive). It calls
 *   `access_request` several times for one request: with its head, with pieces of its body, and when it is whole. An
 *   answer may be queued only in the first and the last of these calls.
 * - A request that waits (send_after, hold) is suspended; libmicrohttpd then looks at its socket no more. Its own timer
 *   and poll handle say when it is due or its client has gone; resuming makes libmicrohttpd call access_request again.
 * - MHD_run() is never called from inside itself: resuming asks for a drive by loop_defer.
 * - Idle connections time out in whole seconds; a timer of one second serves that, and nothing is re-armed per request.
 */
#include "server/server.h"

#include "base/buf.h"
#include "base/clock.h"
#include "engine/timer.h"
#include "server/listen.h"

#include <assert.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <unistd.h>

#define IDLE_TIMEOUT_S 75u
#define MAX_DRIVES     16 /* in one go, so that the loop's other handles get their turn */

struct server {
    struct timer tick; /* first: its callbacks get a pointer to it */
    struct loop *loop;
    struct server_options options;
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    struct waiting *waiting; /* list of suspended requests */
    struct call *spare;      /* list, for reuse */
    unsigned refs;           /* the owner's, one for each open handle, one for a drive that is asked for */
    bool drive_wanted, stopping;
    char url[LISTEN_URL_MAX];
};

/* One request in progress: what libmicrohttpd knows as its closure. */
struct call {
    struct server_request request; /* first: handlers get a pointer to it */
    struct server *server;
    struct MHD_Connection *connection;
    struct buf body;
    struct server_page *page; /* what to answer; a reference of our own */
    struct waiting *waiting;  /* while suspended */
    bool decided, drop;       /* the handler has said what it wants */
    struct call *next_spare;
};

/* The handles of a suspended request; outlives it until both are closed. */
struct waiting {
    struct timer due;  /* first: its callbacks get a pointer to it */
    struct call *call; /* NULL once resumed */
    struct server *server;
    uv_poll_t gone;
    unsigned open_handles;
    struct waiting *next, **self;
};

struct server_page {
    struct MHD_Response *response;
    unsigned status, refs;
};

static void drive(struct server *server);
static void server_unref(struct server *server);

/* ---- pages ---- */

static struct server_page *page_of(unsigned status, struct MHD_Response *response)
{
    struct server_page *page = response ? calloc(1, sizeof(*page)) : NULL;
    if (!page) {
        if (response) {
            MHD_destroy_response(response);
        }
        return NULL;
    }
    *page = (struct server_page){.response = response, .status = status, .refs = 1};
    return page;
}

struct server_page *server_page_new(int status, const char *content_type, struct str body)
{
    struct server_page *page = page_of(
        (unsigned)status, MHD_create_response_from_buffer(body.n, (void *)(uintptr_t)body.p, MHD_RESPMEM_MUST_COPY));
    if (page && content_type && server_page_header(page, MHD_HTTP_HEADER_CONTENT_TYPE, content_type) != 0) {
        server_page_free(page);
        return NULL;
    }
    return page;
}

static ssize_t fill(void *arg, uint64_t position, char *out, size_t size)
{
    memset(out, 'x', size);
    return (ssize_t)size;
}

struct server_page *server_page_filled(uint64_t size_bytes)
{
    struct server_page *page =
        page_of(MHD_HTTP_OK, MHD_create_response_from_callback(size_bytes, 64 << 10, fill, NULL, NULL));
    if (page && server_page_header(page, MHD_HTTP_HEADER_CONTENT_TYPE, "application/octet-stream") != 0) {
        server_page_free(page);
        return NULL;
    }
    return page;
}

int server_page_header(struct server_page *page, const char *name, const char *value)
{
    return MHD_add_response_header(page->response, name, value) == MHD_YES ? 0 : MITE_ENOMEM;
}

void server_page_free(struct server_page *page)
{
    if (page && --page->refs == 0) {
        MHD_destroy_response(page->response);
        free(page);
    }
}

/* ---- requests that wait ---- */

static void waiting_unref(struct waiting *waiting)
{
    if (--waiting->open_handles == 0) {
        free(waiting);
    }
}

static void gone_closed(uv_handle_t *handle)
{
    waiting_unref(handle->data);
}

static void due_closed(struct timer *timer)
{
    waiting_unref((struct waiting *)timer);
}

static void drive_deferred(void *arg)
{
    struct server *server = arg;
    server->drive_wanted = false;
    if (!server->stopping) {
        drive(server);
    }
    server_unref(server);
}

/* Asks for one drive soon. Without memory for that the tick does it. */
static void want_drive(struct server *server)
{
    if (!server->drive_wanted && !server->stopping && loop_defer(server->loop, drive_deferred, server) == 0) {
        server->drive_wanted = true;
        server->refs++;
    }
}

/* Ends the wait: the poll handle goes before libmicrohttpd may close its socket. */
static void resume(struct waiting *waiting)
{
    struct call *call = waiting->call;
    struct server *server = waiting->server;
    if (!call) {
        return;
    }
    *waiting->self = waiting->next;
    if (waiting->next) {
        waiting->next->self = waiting->self;
    }
    waiting->call = NULL;
    call->waiting = NULL;
    uv_close((uv_handle_t *)&waiting->gone, gone_closed);
    timer_close(&waiting->due, due_closed);
    MHD_resume_connection(call->connection);
    want_drive(server);
}

static void client_gone(uv_poll_t *handle, int status, int events)
{
    struct waiting *waiting = handle->data;
    if (waiting->call) {
        waiting->call->drop = true;
        resume(waiting);
    }
}

static void answer_due(struct timer *timer)
{
    resume((struct waiting *)timer);
}

/* Suspends the request; `delay_ns` UINT64_MAX waits for its client to go. */
static int wait_for(struct call *call, uint64_t delay_ns)
{
    struct server *server = call->server;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(call->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct waiting *waiting = calloc(1, sizeof(*waiting));
    if (!waiting || !info) {
        free(waiting);
        return MITE_ENOMEM;
    }
    *waiting = (struct waiting){.call = call, .server = server, .open_handles = 2};
    if (timer_init(&waiting->due, server->loop, answer_due) != 0) {
        free(waiting);
        return MITE_ENOMEM;
    }
    if (uv_poll_init(loop_uv(server->loop), &waiting->gone, info->connect_fd) != 0) {
        waiting->open_handles = 1;
        timer_close(&waiting->due, due_closed);
        return MITE_EIO;
    }
    waiting->gone.data = waiting;
    uv_poll_start(&waiting->gone, UV_DISCONNECT, client_gone);
    if (delay_ns != UINT64_MAX) {
        timer_start(&waiting->due, delay_ns, 0);
    }
    waiting->next = server->waiting;
    waiting->self = &server->waiting;
    if (waiting->next) {
        waiting->next->self = &waiting->next;
    }
    server->waiting = waiting;
    call->waiting = waiting;
    MHD_suspend_connection(call->connection);
    loop_touch(server->loop);
    return 0;
}

/* ---- what a handler says ---- */

void server_send(struct server_request *request, struct server_page *page)
{
    struct call *call = (struct call *)request;
    assert(!call->decided);
    call->decided = true;
    call->page = page;
    if (page) {
        page->refs++;
    }
}

void server_send_after(struct server_request *request, struct server_page *page, uint64_t delay_ns)
{
    struct call *call = (struct call *)request;
    server_send(request, page);
    if (wait_for(call, delay_ns) != 0) {
        server_page_free(call->page);
        call->page = NULL;
    }
}

void server_hold(struct server_request *request)
{
    struct call *call = (struct call *)request;
    assert(!call->decided);
    call->decided = true;
    call->drop = wait_for(call, UINT64_MAX) != 0;
}

void server_drop(struct server_request *request)
{
    struct call *call = (struct call *)request;
    assert(!call->decided);
    call->decided = call->drop = true;
}

struct visit {
    void (*each)(void *arg, struct str name, struct str value);
    void *arg;
};

static enum MHD_Result visit_one(void *arg, enum MHD_ValueKind kind, const char *key, size_t key_size,
                                 const char *value, size_t value_size)
{
    struct visit *visit = arg;
    visit->each(visit->arg, (struct str){key, key_size}, value ? (struct str){value, value_size} : STR(""));
    return MHD_YES;
}

void server_each(struct server_request *request, enum server_values kind,
                 void (*each)(void *arg, struct str name, struct str value), void *arg)
{
    static const enum MHD_ValueKind kinds[] = {
        [SERVER_HEADERS] = MHD_HEADER_KIND,
        [SERVER_COOKIES] = MHD_COOKIE_KIND,
        [SERVER_ARGUMENTS] = MHD_GET_ARGUMENT_KIND,
    };
    struct visit visit = {each, arg};
    MHD_get_connection_values_n(((struct call *)request)->connection, kinds[kind], visit_one, &visit);
}

/* ---- requests ---- */

static struct call *call_new(struct server *server, struct MHD_Connection *connection, const char *path,
                             const char *method)
{
    struct call *call = server->spare;
    if (call) {
        server->spare = call->next_spare;
    } else {
        call = calloc(1, sizeof(*call));
        if (!call) {
            return NULL;
        }
        buf_init(&call->body, server->options.max_body_bytes);
    }
    struct buf body = call->body;
    *call = (struct call){.server = server, .connection = connection, .body = body};
    call->request.method = str_of(method);
    call->request.path = str_of(path);
    return call;
}

static void call_done(struct call *call)
{
    struct server *server = call->server;
    server_page_free(call->page);
    if (call->body.capacity > 4096) { /* one large body must not stay in memory with every spare call */
        buf_done(&call->body);
        buf_init(&call->body, server->options.max_body_bytes);
    }
    buf_clear(&call->body);
    call->next_spare = server->spare;
    server->spare = call;
}

/* libmicrohttpd is done with a request, answered or not. */
static void request_completed(void *arg, struct MHD_Connection *connection, void **closure,
                              enum MHD_RequestTerminationCode code)
{
    if (*closure) {
        call_done(*closure);
        *closure = NULL;
    }
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
    if (!response) {
        return MHD_NO;
    }
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* The head has come. A body that says it is too large is refused before it is read. */
static enum MHD_Result request_begins(struct server *server, struct MHD_Connection *connection, const char *path,
                                      const char *method, void **closure)
{
    const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (length && strtoull(length, NULL, 10) > server->options.max_body_bytes) {
        return refuse(connection, MHD_HTTP_CONTENT_TOO_LARGE);
    }
    *closure = call_new(server, connection, path, method);
    return *closure ? MHD_YES : MHD_NO;
}

static enum MHD_Result request_whole(struct call *call)
{
    if (!call->decided) {
        call->request.body = call->body.data ? buf_view(&call->body) : STR_NONE;
        call->server->options.handle(call->server->options.arg, &call->request);
        assert(call->decided);
    }
    if (call->waiting) {
        return MHD_YES;
    }
    if (call->drop) {
        return MHD_NO;
    }
    if (!call->page) {
        return refuse(call->connection, MHD_HTTP_INTERNAL_SERVER_ERROR);
    }
    return MHD_queue_response(call->connection, call->page->status, call->page->response);
}

static enum MHD_Result access_request(void *arg, struct MHD_Connection *connection, const char *path,
                                      const char *method, const char *version, const char *piece, size_t *piece_size,
                                      void **closure)
{
    if (!*closure) {
        return request_begins(arg, connection, path, method, closure);
    }
    struct call *call = *closure;
    if (*piece_size > 0) {
        if (buf_append(&call->body, piece, *piece_size) != 0) {
            return MHD_NO;
        }
        *piece_size = 0;
        return MHD_YES;
    }
    return request_whole(call);
}

/* ---- the daemon on the loop ---- */

static bool more_to_do(struct server *server)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    return MHD_get_timeout(server->daemon, &timeout_ms) == MHD_YES && timeout_ms == 0;
}

static void drive(struct server *server)
{
    int drives = 0;
    do {
        MHD_run(server->daemon);
    } while (more_to_do(server) && ++drives < MAX_DRIVES);
    if (drives == MAX_DRIVES) {
        want_drive(server);
    }
}

static void daemon_ready(uv_poll_t *handle, int status, int events)
{
    drive(handle->data);
}

static void tick(struct timer *timer)
{
    drive((struct server *)timer);
}

static void server_unref(struct server *server)
{
    if (--server->refs > 0) {
        return;
    }
    while (server->spare) {
        struct call *call = server->spare;
        server->spare = call->next_spare;
        buf_done(&call->body);
        free(call);
    }
    free(server);
}

static void poll_closed(uv_handle_t *handle)
{
    server_unref(handle->data);
}

static void tick_closed(struct timer *timer)
{
    server_unref((struct server *)timer);
}

static struct MHD_Daemon *daemon_start(struct server *server, int fd)
{
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO, 0, NULL, NULL, access_request,
                            server, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                            server->options.max_connections, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S,
                            MHD_OPTION_NOTIFY_COMPLETED, request_completed, server, MHD_OPTION_SIGPIPE_HANDLED_BY_APP,
                            1, MHD_OPTION_END);
}

static int attach(struct server *server)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info || timer_init(&server->tick, server->loop, tick) != 0) {
        return MITE_EIO;
    }
    server->refs++;
    if (uv_poll_init(loop_uv(server->loop), &server->poll, info->epoll_fd) != 0) {
        return MITE_EIO;
    }
    server->poll.data = server;
    server->refs++;
    uv_poll_start(&server->poll, UV_READABLE, daemon_ready);
    timer_start(&server->tick, NS_PER_S, NS_PER_S);
    loop_touch(server->loop);
    return 0;
}

int server_start(struct loop *loop, const struct server_options *options, struct server **out, struct mite_error *error)
{
    int fd;
    int code = listen_open(options->address, &fd, error);
    if (code != 0) {
        return code;
    }
    struct server *server = calloc(1, sizeof(*server));
    if (!server) {
        close(fd);
        return error_set(error, MITE_ENOMEM, "out of memory for a server");
    }
    *server = (struct server){.loop = loop, .options = *options, .refs = 1};
    server->options.address = NULL; /* borrowed for this call only */
    code = listen_url(fd, server->url, error);
    if (code == 0) {
        server->daemon = daemon_start(server, fd);
        if (!server->daemon) {
            code = error_set(error, MITE_EIO, "libmicrohttpd cannot serve %s", server->url);
        }
    }
    if (code != 0) {
        close(fd);
        server_unref(server);
        return code;
    }
    code = attach(server);
    if (code != 0) {
        error_set(error, code, "cannot put the server at %s on the loop", server->url);
        server_stop(server);
        return code;
    }
    *out = server;
    return 0;
}

void server_stop(struct server *server)
{
    if (!server) {
        return;
    }
    server->stopping = true;
    while (server->waiting) { /* libmicrohttpd refuses to stop while a connection is suspended */
        server->waiting->call->drop = true;
        resume(server->waiting);
    }
    if (server->tick.loop) {
        timer_close(&server->tick, tick_closed);
    }
    if (server->poll.data) {
        uv_close((uv_handle_t *)&server->poll, poll_closed);
    }
    MHD_stop_daemon(server->daemon);
    server_unref(server);
}

const char *server_url(const struct server *server)
{
    return server->url;
}
