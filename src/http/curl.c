#include "http/curl.h"

#include "base/clock.h"
#include "http/failure.h"
#include "http/h1_parse.h"

#include <stdlib.h>

#define DEFAULT_CONNECTIONS 10000
#define LANE_TRANSFERS      256     /* under way in a lane before the next one is taken */
#define REQUEST_HEAD_MAX    1000000 /* libcurl has 1 MiB for it, its own lines included */

/* ---- lanes ---- */

static void lane_free(struct curl_lane *lane)
{
    curl_multi_cleanup(lane->multi);
    lane->multi = NULL;
    curl_loop_close(lane);
}

static int lane_open(struct curl_transport *transport, struct curl_lane **out, struct mite_error *error)
{
    struct curl_lane **lanes = realloc(transport->lanes, (transport->lane_count + 1) * sizeof(struct curl_lane *));
    struct curl_lane *lane = lanes ? calloc(1, sizeof *lane) : NULL;

    if (lanes) {
        transport->lanes = lanes;
    }
    if (!lane || !(lane->multi = curl_multi_init())) {
        free(lane);
        return error_set(error, MITE_ENOMEM, "no memory for the HTTP client");
    }
    lane->transport = transport;
    int rc = curl_loop_open(lane, error);
    if (rc < 0) {
        curl_multi_cleanup(lane->multi);
        free(lane);
        return rc;
    }
    curl_multi_setopt(lane->multi, CURLMOPT_MAXCONNECTS, (long)transport->kept_connections);
    transport->lanes[transport->lane_count++] = lane;
    *out = lane;
    return 0;
}

/* The first one with room: what few users do at once stays within one pool of connections. */
static int lane_take(struct curl_transport *transport, struct curl_lane **out, struct mite_error *error)
{
    for (size_t i = 0; i < transport->lane_count; i++) {
        if (transport->lanes[i]->active < LANE_TRANSFERS) {
            *out = transport->lanes[i];
            return 0;
        }
    }
    return lane_open(transport, out, error);
}

/* ---- the end of a transfer ---- */

static uint64_t info_ns(CURL *easy, CURLINFO info)
{
    curl_off_t us = 0;

    curl_easy_getinfo(easy, info, &us);
    return us > 0 ? (uint64_t)us * NS_PER_US : 0;
}

static uint64_t info_bytes(CURL *easy, CURLINFO info)
{
    curl_off_t n = 0;

    curl_easy_getinfo(easy, info, &n);
    return n > 0 ? (uint64_t)n : 0;
}

/* A phase on our clock: libcurl's own begins only when it takes the request up, `delay` later. 0: it did not happen. */
static uint64_t phase_ns(CURL *easy, CURLINFO info, uint64_t delay)
{
    uint64_t ns = info_ns(easy, info);

    return ns > 0 ? ns + delay : 0;
}

static uint64_t not_behind(uint64_t *end, uint64_t next)
{
    if (*end == 0) {
        return next;
    }
    return *end = *end < next ? *end : next;
}

/* When libcurl sends a request once more over another connection, it mixes the times of both: no phase ends behind the
 * next one's end. */
static void put_in_order(struct http_timings *t)
{
    uint64_t next = not_behind(&t->first_byte_ns, t->total_ns);

    next = not_behind(&t->pretransfer_ns, next);
    next = not_behind(&t->tls_ns, next);
    next = not_behind(&t->connect_ns, next);
    not_behind(&t->dns_ns, next);
}

/* The clock of a request starts when it is asked for: what it waits for our own loop is part of what its user waits. */
static void fill_timings(const struct http_transfer *transfer, struct http_timings *out)
{
    CURL *easy = transfer->easy;
    uint64_t elapsed = clock_now_ns() - transfer->hop->start_ns, total = info_ns(easy, CURLINFO_TOTAL_TIME_T);
    uint64_t delay = elapsed > total ? elapsed - total : 0;
    long connections = 0;

    *out = (struct http_timings){
        .start_ns = transfer->hop->start_ns,
        .pretransfer_ns = phase_ns(easy, CURLINFO_PRETRANSFER_TIME_T, delay),
        .first_byte_ns = phase_ns(easy, CURLINFO_STARTTRANSFER_TIME_T, delay),
        .total_ns = total + delay,
    };
    curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connections);
    if (connections > 0) {
        out->dns_ns = phase_ns(easy, CURLINFO_NAMELOOKUP_TIME_T, delay);
        out->connect_ns = phase_ns(easy, CURLINFO_CONNECT_TIME_T, delay);
        out->tls_ns = phase_ns(easy, CURLINFO_APPCONNECT_TIME_T, delay);
    }
    put_in_order(out);
}

static struct http_response *take_response(struct http_transfer *transfer)
{
    CURL *easy = transfer->easy;
    long status = 0;
    char *address = NULL;

    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    struct http_response *response =
        response_new(transfer->hop, (int)status, buf_view(&transfer->head), &transfer->body);
    if (!response) {
        return NULL;
    }
    response->sets_cookies = transfer->sets_cookies;
    fill_timings(transfer, &response->timings);
    response->upload_bytes = info_bytes(easy, CURLINFO_SIZE_UPLOAD_T);
    response->download_bytes = info_bytes(easy, CURLINFO_SIZE_DOWNLOAD_T);
    curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &address);
    stpncpy(response->primary_ip, address ? address : "", sizeof response->primary_ip - 1);
    return response;
}

static void count_traffic(struct curl_transport *transport, CURL *easy)
{
    long connections = 0, head_bytes = 0;

    curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connections);
    curl_easy_getinfo(easy, CURLINFO_HEADER_SIZE, &head_bytes);
    transport->base.traffic.connections += (uint64_t)connections;
    transport->base.traffic.received_bytes += (uint64_t)head_bytes + info_bytes(easy, CURLINFO_SIZE_DOWNLOAD_T);
}

/* Back among the idle ones, where it may be used again. A large buffer is not kept: there may be thousands of handles.
 */
static void retire(struct http_transfer *transfer)
{
    struct curl_transport *transport = transfer->transport;

    curl_multi_remove_handle(transfer->lane->multi, transfer->easy);
    transfer->lane->active--;
    transfer->lane = NULL;
    if (transport->forgets) {
        curl_handle_forget(transfer);
    } else if (transfer->again) {
        curl_easy_setopt(transfer->easy, CURLOPT_FRESH_CONNECT, 0L);
    }
    if (transfer->body.capacity > 2 * RESPONSE_SMALL_BODY) {
        buf_done(&transfer->body);
    }
    transfer->hop = NULL;
    transfer->next_idle = transport->idle;
    transport->idle = transfer;
}

/*
 * When the server closes a kept connection just as we send over it, libcurl takes another one, up to five times; but it
 * counts those over the whole life of a handle, not of a request (7.88). So its giving up says nothing about this one.
 */
static bool try_again(struct http_transfer *transfer, CURLcode code)
{
    CURLM *multi = transfer->lane->multi;
    long connections = 0;

    if ((code != CURLE_SEND_ERROR && code != CURLE_RECV_ERROR && code != CURLE_GOT_NOTHING) || transfer->again ||
        transfer->head.size > 0) {
        return false;
    }
    curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &connections);
    if (connections > 0) {
        return false;
    }
    curl_multi_remove_handle(multi, transfer->easy);
    curl_handle_try_again(transfer);
    if (curl_multi_add_handle(multi, transfer->easy) != CURLM_OK) {
        return false;
    }
    curl_loop_kick(transfer->lane);
    return true;
}

/* What libcurl takes for an end, and we do not: a head that was cut off. And what it calls a failure to write: the
 * limits and the memory of our callbacks, or bytes behind a compressed body. */
static CURLcode judge(const struct http_transfer *transfer, CURLcode code)
{
    if (transfer->too_large) {
        return CURLE_FILESIZE_EXCEEDED;
    }
    if (code == CURLE_WRITE_ERROR) {
        return transfer->head_too_large                         ? CURLE_WEIRD_SERVER_REPLY
               : transfer->head.failed || transfer->body.failed ? CURLE_OUT_OF_MEMORY
                                                                : CURLE_BAD_CONTENT_ENCODING;
    }
    return code == CURLE_OK && !transfer->head_ended ? CURLE_PARTIAL_FILE : code;
}

static bool message_starts(const struct http_transfer *transfer, const char *text)
{
    return strncmp(transfer->message, text, strlen(text)) == 0;
}

/* libcurl has few codes for what it receives; its message tells more. */
static enum http_failure describe(const struct http_transfer *transfer, CURLcode code, struct mite_error *error)
{
    bool behind_body = code == CURLE_BAD_CONTENT_ENCODING && message_starts(transfer, "Failed writing");
    const char *message = transfer->head_too_large ? H1_HEAD_MAX_TEXT
                          : behind_body            ? "something follows its compressed body"
                                                   : transfer->message;
    long number = 0;
    curl_off_t connected_us = 0;
    bool broken = code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR;
    bool lost = code == CURLE_SEND_ERROR || !message[0] || message_starts(transfer, "Recv failure") ||
                message_starts(transfer, "OpenSSL SSL_read");

    curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &number);
    curl_easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T, &connected_us);
    struct failure_facts facts = {
        .code = code,
        .detail = message[0] ? message : NULL,
        .number = transfer->socket_errno ? transfer->socket_errno : (int)number,
        .proxied = transfer->transport->proxied,
        .no_socket = transfer->socket_errno != 0,
        .connected = connected_us > 0,
        .answered = transfer->head.size > 0,
        .tls = broken && strstr(message, " alert "), /* in TLS 1.3 the server refuses us when our handshake is over */
        .malformed = broken && !lost,                /* a chunk without its size, a head without end */
    };
    return failure_describe(transfer->hop, &facts, error);
}

static void finish(struct http_transfer *transfer, CURLcode code)
{
    struct curl_transport *transport = transfer->transport;
    struct http_response *response = NULL;
    struct mite_error error;
    enum http_failure failure = HTTP_OK;
    void *arg = transfer->hop->arg;

    error_init(&error);
    if (try_again(transfer, code)) {
        return;
    }
    code = judge(transfer, code);
    if (code == CURLE_OK && !(response = take_response(transfer))) {
        code = CURLE_OUT_OF_MEMORY;
    }
    if (code != CURLE_OK) {
        failure = describe(transfer, code, &error);
    }
    count_traffic(transport, transfer->easy);
    retire(transfer);
    transport->base.finished(arg, response, failure, (int)code, failure == HTTP_OK ? NULL : &error);
}

void curl_lane_drain(struct curl_lane *lane)
{
    CURLMsg *message;
    int left;

    while (!lane->transport->closed && (message = curl_multi_info_read(lane->multi, &left))) {
        char *private = NULL;
        CURLcode code = message->data.result;
        if (message->msg == CURLMSG_DONE) {
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
            finish((struct http_transfer *)(void *)private, code);
        }
    }
}

/* ---- the transport's table ---- */

static int start(struct http_transport *base, const struct http_hop *hop, struct http_transfer **out,
                 struct mite_error *error)
{
    struct curl_transport *transport = (struct curl_transport *)base;
    struct http_transfer *transfer = transport->idle;
    struct curl_lane *lane = NULL;

    if (hop->url.n + hop->header_lines.n + hop->cookie.n > REQUEST_HEAD_MAX) {
        return error_set(error, MITE_EINVAL, "URL, headers and cookies are longer than libcurl takes: %d bytes",
                         REQUEST_HEAD_MAX);
    }
    int rc = lane_take(transport, &lane, error);
    if (rc < 0) {
        return rc;
    }
    if (transfer) {
        transport->idle = transfer->next_idle;
    } else if (!(transfer = curl_handle_new(transport))) {
        return error_set(error, MITE_ENOMEM, "no memory for a request");
    }
    transfer->hop = hop;
    transfer->lane = lane;
    rc = curl_handle_prepare(transfer, error);
    if (rc == 0 && curl_multi_add_handle(lane->multi, transfer->easy) != CURLM_OK) {
        rc = error_set(error, MITE_ENOMEM, "no memory for a request");
    }
    if (rc < 0) {
        curl_handle_free(transfer);
        return rc;
    }
    lane->active++;
    curl_loop_kick(lane);
    *out = transfer;
    return 0;
}

static void cancel(struct http_transport *base, struct http_transfer *transfer)
{
    count_traffic((struct curl_transport *)base, transfer->easy);
    retire(transfer);
}

static void release(struct curl_transport *transport)
{
    while (transport->idle) {
        struct http_transfer *transfer = transport->idle;
        transport->idle = transfer->next_idle;
        curl_handle_free(transfer);
    }
    for (size_t i = 0; i < transport->lane_count; i++) {
        lane_free(transport->lanes[i]);
    }
    curl_loop_close_watches(transport);
    curl_easy_cleanup(transport->model);
    curl_share_cleanup(transport->share);
    curl_slist_free_all(transport->resolve);
    curl_slist_free_all(transport->local);
    free(transport->ca_file);
    curl_transport_drop(transport);
}

static void free_transport(struct http_transport *base)
{
    struct curl_transport *transport = (struct curl_transport *)base;

    transport->closed = true;
    release(transport);
}

void curl_transport_drop(struct curl_transport *transport)
{
    if (--transport->holders > 0) {
        return;
    }
    for (size_t i = 0; i < transport->lane_count; i++) {
        free(transport->lanes[i]);
    }
    free(transport->lanes);
    free(transport);
    curl_global_cleanup();
}

static int add_addresses(struct curl_transport *transport, const struct http_client_options *options)
{
    for (size_t i = 0; i < options->resolve_count; i++) {
        const struct http_resolve *resolve = &options->resolve[i];
        struct buf line;

        buf_init(&line, 0);
        buf_printf(&line, STR_FMT ":%u:" STR_FMT, STR_ARG(resolve->host), resolve->port, STR_ARG(resolve->address));
        struct curl_slist *longer = line.failed ? NULL : curl_slist_append(transport->resolve, line.data);
        buf_done(&line);
        if (!longer) {
            return MITE_ENOMEM;
        }
        transport->resolve = longer;
    }
    return 0;
}

static int add_local_addresses(struct curl_transport *transport, const struct http_client_options *options)
{
    for (size_t i = 0; i < options->local_address_count; i++) {
        char line[80]; /* an address, never the name of a network interface */
        snprintf(line, sizeof line, "host!%s", options->local_addresses[i]);
        struct curl_slist *longer = curl_slist_append(transport->local, line);
        if (!longer) {
            return MITE_ENOMEM;
        }
        transport->local = longer;
    }
    transport->next_local = transport->local;
    return 0;
}

/* Looked up once: libcurl would search the environment half a dozen times for each request. */
static bool environment_has_proxy(void)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && *value) {
            return true;
        }
    }
    return false;
}

static int set_up(struct curl_transport *transport, const struct http_client_options *options, struct mite_error *error)
{
    transport->share = curl_share_init();
    if (!transport->share || add_addresses(transport, options) < 0 || add_local_addresses(transport, options) < 0 ||
        (options->ca_file && !(transport->ca_file = strdup(options->ca_file))) ||
        !(transport->model = curl_handle_model(transport))) {
        return error_set(error, MITE_ENOMEM, "no memory for the HTTP client");
    }
    transport->forgets = curl_version_info(CURLVERSION_NOW)->version_num < 0x080100;
    curl_share_setopt(transport->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    curl_share_setopt(transport->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    return 0;
}

int curl_transport_new(struct loop *loop, const struct http_client_options *options, struct http_transport **out,
                       struct mite_error *error)
{
    static const struct http_transport_ops ops = {start, cancel, free_transport};
    struct curl_transport *transport = calloc(1, sizeof *transport);

    if (!transport) {
        return error_set(error, MITE_ENOMEM, "no memory for the HTTP client");
    }
    transport->base.ops = &ops;
    transport->loop = loop;
    transport->kept_connections = options->max_connections ? options->max_connections : DEFAULT_CONNECTIONS;
    transport->proxied = environment_has_proxy();
    transport->old_version = options->version == HTTP_VERSION_1_1;
    transport->holders = 1;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int rc = set_up(transport, options, error);
    if (rc < 0) {
        release(transport);
        return rc;
    }
    *out = &transport->base;
    return 0;
}
