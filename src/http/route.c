#include "http/route.h"

#include "http/curl.h"
#include "http/h1.h"

#include <stdlib.h>
#include <sys/resource.h>

#define DESCRIPTORS_MAX (1u << 20)

/* ---- a hop ---- */

static int start_by(struct http_transport *by, const struct http_hop *hop, struct carried *out,
                    struct mite_error *error)
{
    out->by = by;
    return by->ops->start(by, hop, &out->transfer, error);
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

int route_start(struct route *route, const struct http_hop *hop, struct carried *out, struct mite_error *error)
{
    struct mite_error refusal;
    const char *why = not_native(route, hop);

    if (!why) {
        error_init(&refusal);
        int rc = start_by(route->native, hop, out, &refusal);
        if (rc != MITE_EAGAIN) {
            return rc == 0 ? 0 : error_set(error, rc, "%s", refusal.text);
        }
        why = refusal.text;
    }
    if (!route->curl) {
        return error_set(error, MITE_EINVAL, "%s: left to libcurl, which --http-transport=native excludes", why);
    }
    return start_by(route->curl, hop, out, error);
}

int route_go_on(struct route *route, const struct http_hop *hop, struct carried *out, struct mite_error *error)
{
    return start_by(route->curl, hop, out, error);
}

void route_cancel(struct carried *carried)
{
    carried->by->ops->cancel(carried->by, carried->transfer);
    carried->transfer = NULL;
}

/* ---- life ---- */

void route_close(struct route *route)
{
    struct http_transport *both[] = {route->native, route->curl};

    for (size_t i = 0; i < 2; i++) {
        if (both[i]) {
            both[i]->ops->free(both[i]);
        }
    }
    *route = (struct route){0};
}

void route_counts(const struct route *route, struct http_counts *out)
{
    const struct http_transport *both[] = {route->native, route->curl};

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

int route_open(struct route *route, struct loop *loop, const struct http_client_options *options,
               http_finished_fn finished, void (*hand_over)(void *hop_arg), struct mite_error *error)
{
    bool any = is_set("all_proxy") || is_set("ALL_PROXY");
    int rc = 0;

    *route = (struct route){
        .second_version = options->version == HTTP_VERSION_2,
        .proxied = {any || is_set("http_proxy"), any || is_set("https_proxy") || is_set("HTTPS_PROXY")},
    };
    raise_descriptor_limit();
    if (options->transport != HTTP_TRANSPORT_CURL) {
        bool offer = options->transport == HTTP_TRANSPORT_AUTO && options->version == HTTP_VERSION_AUTO;
        rc = h1_transport_new(loop, options, offer ? hand_over : NULL, &route->native, error);
    }
    if (rc == 0 && options->transport != HTTP_TRANSPORT_NATIVE) {
        rc = curl_transport_new(loop, options, &route->curl, error);
    }
    if (rc < 0) {
        route_close(route);
        return rc;
    }
    if (route->native) {
        route->native->finished = finished;
    }
    if (route->curl) {
        route->curl->finished = finished;
    }
    return 0;
}
