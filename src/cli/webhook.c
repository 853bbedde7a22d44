#include "cli/webhook.h"
#include "base/buf.h"
#include "engine/loop.h"
#include "engine/signals.h"
#include "http/url.h"
#include "value/json.h"

#include <stdlib.h>

struct call {
    struct loop *loop;
    struct http_response *response; /* counted */
    struct mite_error *error;
    int code;
};

static void on_done(void *arg, const struct http_outcome *outcome)
{
    struct call *call = arg;

    if (outcome->failure == HTTP_OK) {
        call->response = http_response_ref(outcome->response);
    } else {
        call->code = error_set(call->error, MITE_EIO, "%s", outcome->error->text);
    }
    loop_stop(call->loop);
}

/* Nobody has to wait for a webhook that does not answer. */
static void on_signal(void *arg, int number, int count)
{
    struct call *call = arg;

    call->code = error_set(call->error, MITE_ECANCELLED, "interrupted before it had answered");
    loop_stop(call->loop);
}

/* Signals are watched before the request goes out: it may be at the server as soon as http_request() returns. */
static int run_call(struct call *call, struct http_session *session, const struct http_request *request)
{
    static const struct http_handlers handlers = {.done = on_done};
    struct http_exchange *exchange;
    int rc = signals_start(call->loop, on_signal, call, call->error);

    if (rc < 0) {
        return rc;
    }
    rc = http_request(session, request, &handlers, call, &exchange, call->error);
    if (rc == 0) {
        rc = loop_run(call->loop, call->error);
    }
    signals_stop();
    return rc == 0 ? call->code : rc;
}

/* The sentence of a call that failed; its URL may hold a password. */
static int complain(const struct webhook *webhook, const char *path, struct mite_error *error)
{
    struct buf url;

    buf_init(&url, 1 << 16);
    url_mask(str_of(webhook->url), &url);
    int rc = error_prefix(error, "webhook %s%s", url.failed ? "" : buf_view(&url).p, path);
    buf_done(&url);
    return rc;
}

/* One POST on a loop and a client of its own, for there is no other yet, or no more. */
static int post(struct webhook *webhook, const char *path, struct str body, struct http_response **response,
                struct mite_error *error)
{
    static const struct http_header json = {{"Content-Type", 12}, {"application/json", 16}};
    struct call call = {.error = error};
    struct http_client *client = NULL;
    struct http_session *session = NULL;
    struct buf url;
    int rc;

    buf_init(&url, 1 << 16);
    buf_printf(&url, "%s%s", webhook->url, path);
    rc = loop_new(&call.loop, error);
    if (rc == 0) {
        rc = http_client_new(call.loop, webhook->http, &client, error);
    }
    if (rc == 0 && !(session = http_session_new(client))) {
        rc = error_set(error, MITE_ENOMEM, "out of memory");
    }
    if (rc == 0) {
        struct http_request request = {.method = STR("POST"),
                                       .url = buf_view(&url),
                                       .headers = &json,
                                       .header_count = 1,
                                       .body = body,
                                       .verify = -1};

        rc = run_call(&call, session, &request);
    }
    http_session_free(session);
    http_client_free(client);
    if (call.loop) {
        loop_free(call.loop, NULL);
    }
    buf_done(&url);
    if (rc < 0) {
        return rc;
    }
    *response = call.response;
    return 0;
}

/* Keeps `newid` as the JSON text that it is, whatever its type. */
static int keep_id(struct webhook *webhook, const struct http_response *response, struct mite_error *error)
{
    struct arena arena;
    struct value answer;
    struct buf id;
    int rc;

    arena_init(&arena, 1 << 20);
    buf_init(&id, 1 << 16);
    rc = json_read(&arena, response->body, &answer, error);
    if (rc == 0) {
        const struct value *newid = value_get(&answer, "newid");

        if (newid) {
            json_write(&id, newid);
            webhook->id = str_copy(buf_view(&id));
        }
        if (!newid || !webhook->id) {
            rc = error_set(error, MITE_EPROTO, "its answer has no newid");
        }
    }
    buf_done(&id);
    arena_done(&arena);
    return rc;
}

int webhook_start(struct webhook *webhook, const char *spec, struct mite_error *error)
{
    struct http_response *response = NULL;
    struct buf body;
    int rc;

    if (!webhook->url || !*webhook->url) {
        return 0;
    }
    buf_init(&body, 1 << 16);
    buf_text(&body, "{\"testname\": ");
    json_write_text(&body, str_of(spec));
    buf_char(&body, '}');
    rc = post(webhook, "/start", buf_view(&body), &response, error);
    if (rc == 0 && response->status != 200) {
        rc = error_set(error, MITE_EPROTO, "it answered %d, not 200", response->status);
    }
    if (rc == 0) {
        rc = keep_id(webhook, response, error);
    }
    http_response_unref(response);
    buf_done(&body);
    return rc < 0 ? complain(webhook, "/start", error) : 0;
}

int webhook_end(struct webhook *webhook, struct mite_error *error)
{
    struct http_response *response = NULL;
    struct buf body;
    int rc;

    if (!webhook->id) {
        return 0;
    }
    buf_init(&body, 1 << 16);
    buf_printf(&body, "{\"id\": %s}", webhook->id);
    rc = post(webhook, "/end", buf_view(&body), &response, error);
    if (rc == 0 && response->status != 204) {
        rc = error_set(error, MITE_EPROTO, "it answered %d, not 204", response->status);
    }
    http_response_unref(response);
    buf_done(&body);
    free(webhook->id);
    webhook->id = NULL;
    return rc < 0 ? complain(webhook, "/end", error) : 0;
}
