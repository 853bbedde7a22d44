/*
 * What a journey in C reads of a response.
 */
#include "runner/native_http.h"

#include "base/clock.h"
#include "value/json.h"

static void need(const struct mite_response *response, const char *function)
{
    native_need(NULL, response, function, "the response");
}

/* What the functions are about: inside a callback the hop that it was called for. NULL: no answer came. */
static const struct http_response *answer(const struct mite_response *response, const char *function)
{
    need(response, function);
    return response->shown ? response->shown : response->last;
}

int mite_status(const struct mite_response *response)
{
    const struct http_response *from = answer(response, "mite_status");

    return !from || (response->failure && !response->shown) ? 0 : from->status;
}

const char *mite_failure(const struct mite_response *response)
{
    need(response, "mite_failure");
    return response->shown ? NULL : response->failure;
}

/* Bodies have a zero behind (response.h). */
const char *mite_body(const struct mite_response *response)
{
    const struct http_response *from = answer(response, "mite_body");

    return from && from->body.n ? from->body.p : "";
}

size_t mite_body_size(const struct mite_response *response)
{
    const struct http_response *from = answer(response, "mite_body_size");

    return from ? from->body.n : 0;
}

static const char *keep(struct mite_response *response, struct str text)
{
    const char *copy = text.p ? arena_str(&response->arena, text).p : NULL;

    if (text.p && !copy) {
        native_raise(response->ctx, "MemoryError", STR("MemoryError: no memory for a header"));
    }
    return copy;
}

const char *mite_header(struct mite_response *response, const char *name)
{
    const struct http_response *from = answer(response, "mite_header");

    native_need(response->ctx, name, "mite_header", "the header's name");
    return from ? keep(response, http_response_header(from, name)) : NULL;
}

const char *mite_url(const struct mite_response *response)
{
    const struct http_response *from = answer(response, "mite_url");

    return from ? from->url.p : "";
}

const char *mite_redirect_url(const struct mite_response *response)
{
    const struct http_response *from = answer(response, "mite_redirect_url");

    return from ? from->redirect_url.p : NULL;
}

const struct mite_value *mite_json(struct mite_context *ctx, struct mite_response *response)
{
    struct mite_error error = {0};

    need(response, "mite_json");
    if (!response->json_read) {
        struct str body = {mite_body(response), mite_body_size(response)};
        if (json_read(&response->arena, body, &response->json, &error) < 0) {
            native_fail(ctx, "JSONDecodeError", "%s", error.text);
        }
        response->json_read = true;
    }
    return native_public(&response->json);
}

double mite_seconds(const struct mite_response *response, enum mite_phase phase)
{
    const struct http_response *from = answer(response, "mite_seconds");

    if (!from) {
        return 0;
    }
    const struct http_timings *timings = &from->timings;
    switch (phase) {
    case MITE_PHASE_DNS:
        return ns_to_s(timings->dns_ns);
    case MITE_PHASE_CONNECT:
        return ns_to_s(timings->connect_ns);
    case MITE_PHASE_TLS:
        return ns_to_s(timings->tls_ns);
    case MITE_PHASE_TRANSFER_START:
        return ns_to_s(timings->pretransfer_ns);
    case MITE_PHASE_FIRST_BYTE:
        return ns_to_s(timings->first_byte_ns);
    case MITE_PHASE_TOTAL:
        return ns_to_s(timings->total_ns);
    }
    return 0;
}
