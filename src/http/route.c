/*
 * Design notes
 *
 * - A transfer of this table holds its own copy of the hop, which points back to it: so the transport that carries it
 *   may change while it is under way, and cancel() finds the one that does.
 */
#include "http/route.h"

#include "base/clock.h"
#include "http/curl.h"
#include "http/h1.h"

#include <stdlib.h>
#include <sys/resource.h>

#define DESCRIPTORS_MAX (1u << 20)

struct route {
    struct http_transport base;
    struct http_transport *native, *curl; /* owned; NULL when it is not to be used */
    bool proxied[2];                      /* by url.tls: the environment names a proxy */
    bool second_version;                  /* HTTP/2 was asked for */
    uint64_t native_responses;
    struct route_transfer *idle;
};

struct route_transfer {
    struct route_transfer *next;
    struct route *route;
    struct http_hop hop; /* its `arg` is this */
    void *arg;           /* the client's */
    struct http_transport *by;
    struct http_transfer *transfer; /* of that transport */
};

/* ---- transfers ---- */

static void recycle(struct route_transfer *transfer)
{
    transfer->next = transfer->route->idle;
    transfer->route->idle = transfer;
}

static void finished(void *arg, struct http_response *response, enum http_failure failure, int curl_code,
                     const struct mite_error *error)
{
    struct route_transfer *transfer = arg;
    struct route *route = transfer->route;

    route->native_responses += response && transfer->by == route->native;
    recycle(transfer);
    route->base.finished(transfer->arg, response, failure, curl_code, error);
}

static int start_by(struct route_transfer *transfer, struct http_transport *by, struct mite_error *error)
{
    transfer->by = by;
    return by->ops->start(by, &transfer->hop, &transfer->transfer, error);
}

/* Why our own transport is not to be asked; NULL: it is. */
static const char *not_native(const struct route *route, const struct http_hop *hop)
{
    bool tls = hop->parts->tls;

    return !route->native                   ? "--http-transport=curl"
           : route->proxied[tls]            ? "the environment names a proxy"
           : tls && route->second_version   ? "--http-version=2"
           : str_is(hop->method, "CONNECT") ? "the method is CONNECT"
                                            : NULL;
}

static int choose(struct route_transfer *transfer, struct mite_error *error)
{
    struct route *route = transfer->route;
    struct mite_error refusal;
    const char *why = not_native(route, &transfer->hop);

    error_init(&refusal);
    if (!why) {
        int rc = start_by(transfer, route->native, &refusal);
        if (rc != MITE_EAGAIN) {
            return rc == 0 ? 0 : error_set(error, rc, "%s", refusal.text);
        }
        why = refusal.text;
    }
    if (!route->curl) {
        return error_set(error, MITE_EINVAL, "%s: left to libcurl, which --http-transport=native excludes", why);
    }
    return start_by(transfer, route->curl, error);
}

static int start(struct http_transport *base, const struct http_hop *hop, struct http_transfer **out,
                 struct mite_error *error)
{
    struct route *route = (struct route *)base;
    struct route_transfer *transfer = route->idle;

    if (transfer) {
        route->idle = transfer->next;
    } else if (!(transfer = malloc(sizeof *transfer))) {
        return error_set(error, MITE_ENOMEM, "no memory for a request");
    }
    transfer->route = route;
    transfer->hop = *hop;
    transfer->hop.arg = transfer;
    transfer->arg = hop->arg;
    int rc = choose(transfer, error);
    if (rc < 0) {
        recycle(transfer);
        return rc;
    }
    *out = (struct http_transfer *)transfer;
    return 0;
}

/* Its server chose HTTP/2 while the connection was made: libcurl goes on, within the time that is left. */
static void hand_over(void *arg)
{
    struct route_transfer *transfer = arg;
    struct route *route = transfer->route;
    struct mite_error error = {0};
    uint64_t spent = clock_now_ns() - transfer->hop.start_ns;

    transfer->hop.timeout_ns = spent < transfer->hop.timeout_ns ? transfer->hop.timeout_ns - spent : 1;
    if (start_by(transfer, route->curl, &error) < 0) {
        finished(transfer, NULL, HTTP_LOCAL, CURLE_OUT_OF_MEMORY, &error);
    }
}

static void cancel(struct http_transport *base, struct http_transfer *handle)
{
    struct route_transfer *transfer = (struct route_transfer *)handle;

    transfer->by->ops->cancel(transfer->by, transfer->transfer);
    recycle(transfer);
}

/* ---- life ---- */

static void free_route(struct http_transport *base)
{
    struct route *route = (struct route *)base;

    if (route->native) {
        route->native->ops->free(route->native);
    }
    if (route->curl) {
        route->curl->ops->free(route->curl);
    }
    while (route->idle) {
        struct route_transfer *transfer = route->idle;
        route->idle = transfer->next;
        free(transfer);
    }
    free(route);
}

void route_counts(const struct http_transport *base, struct http_counts *out)
{
    const struct route *route = (const struct route *)base;
    const struct http_transport *both[] = {route->native, route->curl};

    out->native = route->native_responses;
    out->connections = out->received_bytes = 0;
    for (size_t i = 0; i < 2; i++) {
        if (both[i]) {
            out->connections += both[i]->traffic.connections;
            out->received_bytes += both[i]->traffic.received_bytes;
        }
    }
}

/* A connection is a descriptor, and the usual soft limit of 1,024 is for programs that use select(). */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        rlim_t wanted = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
        if (limit.rlim_cur < wanted) {
            limit.rlim_cur = wanted;
            setrlimit(RLIMIT_NOFILE, &limit);
        }
    }
}

static bool is_set(const char *name)
{
    const char *value = getenv(name);

    return value && *value;
}

int route_new(struct loop *loop, const struct http_client_options *options, struct http_transport **out,
              struct mite_error *error)
{
    static const struct http_transport_ops ops = {"route", start, cancel, free_route};
    struct route *route = calloc(1, sizeof *route);
    bool any = is_set("all_proxy") || is_set("ALL_PROXY");
    int rc = 0;

    if (!route) {
        return error_set(error, MITE_ENOMEM, "no memory for the HTTP client");
    }
    raise_descriptor_limit();
    route->base.ops = &ops;
    route->second_version = options->version == HTTP_VERSION_2;
    route->proxied[false] = any || is_set("http_proxy");
    route->proxied[true] = any || is_set("https_proxy") || is_set("HTTPS_PROXY");
    if (options->transport != HTTP_TRANSPORT_CURL) {
        bool offer = options->transport == HTTP_TRANSPORT_AUTO && options->version == HTTP_VERSION_AUTO;
        rc = h1_transport_new(loop, options, offer ? hand_over : NULL, &route->native, error);
    }
    if (rc == 0 && options->transport != HTTP_TRANSPORT_NATIVE) {
        rc = curl_transport_new(loop, options, &route->curl, error);
    }
    if (rc < 0) {
        free_route(&route->base);
        return rc;
    }
    if (route->native) {
        route->native->finished = finished;
    }
    if (route->curl) {
        route->curl->finished = finished;
    }
    *out = &route->base;
    return 0;
}
