#include "cli/setup.h"
#include "base/clock.h"
#include "cli/hosts.h"
#include "http/dns.h"
#include "http/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* HOST:PORT:ADDRESS; host and address may be IPv6 in brackets. */
static int parse_resolve(const char *text, struct http_resolve *out, struct mite_error *error)
{
    struct str parts[3];
    const char *p = text;

    for (int i = 0; i < 3; i++) {
        bool bracket = *p == '[';
        const char *end = bracket ? strchr(p, ']') : p + strcspn(p, i < 2 ? ":" : "");

        if (!end) {
            goto bad;
        }
        parts[i] = bracket ? (struct str){p + 1, (size_t)(end - p - 1)} : (struct str){p, (size_t)(end - p)};
        p = end + bracket;
        if (parts[i].n == 0 || (i < 2 ? *p++ != ':' : *p != '\0')) {
            goto bad;
        }
    }

    char port_text[8] = "";
    union dns_address address;
    long long port;

    if (parts[1].n < sizeof(port_text)) {
        memcpy(port_text, parts[1].p, parts[1].n);
    }
    if (!str_to_int64(port_text, &port) || port < 1 || port > 65535) {
        goto bad;
    }
    if (!dns_literal(parts[2], (uint16_t)port, &address)) {
        goto bad;
    }
    *out = (struct http_resolve){.host = parts[0], .port = (uint16_t)port, .address = parts[2]};
    return 0;

bad:
    return error_set(error, MITE_EINVAL, "--resolve=%s: HOST:PORT:ADDRESS is expected, such as shop.test:443:127.0.0.1",
                     text);
}

/* The index of `text` among `words`, which end with NULL. */
static int parse_word(const char *option, const char *text, const char *const *words, int *out,
                      struct mite_error *error)
{
    for (int i = 0; words[i]; i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = i;
            return 0;
        }
    }
    return error_set(error, MITE_EINVAL, "--%s=%s: %s, %s or %s is expected", option, text, words[0], words[1],
                     words[2]);
}

static int parse_transport(const struct options *options, int *transport, int *version, struct mite_error *error)
{
    static const char *const transports[] = {"auto", "native", "curl", NULL}; /* enum http_transport_choice */
    static const char *const versions[] = {"auto", "1.1", "2", NULL};         /* enum http_version */
    int rc = parse_word("http-transport", options->http_transport, transports, transport, error);

    if (rc == 0) {
        rc = parse_word("http-version", options->http_version, versions, version, error);
    }
    if (rc == 0 && *transport == HTTP_TRANSPORT_NATIVE && *version == HTTP_VERSION_2) {
        rc = error_set(error, MITE_EINVAL,
                       "--http-version=2: HTTP/2 is libcurl's, which --http-transport=native excludes: leave one of "
                       "them out");
    }
    return rc;
}

/* What no connection could be made from is better told before the load. */
static int check_local_address(const char *text, struct mite_error *error)
{
    union dns_address address;
    int rc = 0;

    if (!dns_literal(str_of(text), 0, &address)) {
        return error_set(error, MITE_EINVAL, "--local-address=%s: an address of this machine is expected", text);
    }
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, &address.any, dns_size(&address)) < 0) {
        rc = error_errno(error, errno, "--local-address=%s", text);
    }
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

/* Without it every https request would fail. */
static int check_ca_file(const char *path, struct mite_error *error)
{
    if (access(path, R_OK) != 0) {
        return error_errno(error, errno, "--ca-file=%s", path);
    }
    return tls_check_authorities(path, error) == 0 ? 0 : error_prefix(error, "--ca-file=%s", path);
}

int setup_http(const struct options *options, struct http_resolve *resolve, struct http_client_options *out,
               struct mite_error *error)
{
    for (size_t i = 0; i < options->resolve.count; i++) {
        int rc = parse_resolve(options->resolve.items[i], &resolve[i], error);

        if (rc < 0) {
            return rc;
        }
    }
    int transport = HTTP_TRANSPORT_AUTO, version = HTTP_VERSION_AUTO,
        rc = parse_transport(options, &transport, &version, error);

    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < options->local_address.count; i++) {
        if ((rc = check_local_address(options->local_address.items[i], error)) < 0) {
            return rc;
        }
    }
    if (options->ca_file && (rc = check_ca_file(options->ca_file, error)) < 0) {
        return rc;
    }
    *out = (struct http_client_options){
        .transport = (enum http_transport_choice)transport,
        .version = (enum http_version)version,
        .local_addresses = options->local_address.items,
        .local_address_count = options->local_address.count,
        .connect_timeout_ns = ns_from_s(options->connect_timeout_s),
        .timeout_ns = ns_from_s(options->timeout_s),
        .max_body_bytes = (uint64_t)options->max_body_size,
        .insecure = options->insecure,
        .ca_file = options->ca_file,
        .resolve = resolve,
        .resolve_count = options->resolve.count,
    };
    return 0;
}

int setup_config(const struct options *options, const struct python_api *python, struct config *config,
                 struct mite_error *error)
{
    int rc = options->config ? python->load_config(options->config, config, error)
                             : config_from_environment(config, python ? python->eval_config : NULL, NULL, error);

    for (size_t i = 0; rc == 0 && i < options->add_to_config.count; i++) {
        rc = config_add_text(config, options->add_to_config.items[i], error);
    }
    return rc;
}

static int check_spec(const char *spec, struct mite_error *error)
{
    struct str module, name;

    return spec_split(spec, &module, &name, error);
}

int setup_scenario(const struct options *options, struct hosts *hosts, struct config *config, struct sink *sender,
                   struct scenario *out, struct mite_error *error)
{
    const char *spec = options->positional[0];
    int rc = check_spec(spec, error);

    return rc == 0 ? hosts_scenario(hosts, spec, config, sender, out, error) : rc;
}

int setup_journey(const struct options *options, struct hosts *hosts, int64_t volume, struct scenario *out,
                  struct mite_error *error)
{
    const char *spec = options->positional[0];
    const char *pool_spec = options->positional_count > 1 ? options->positional[1] : NULL;
    struct volume_model *model = NULL;
    struct datapool *pool = NULL;
    int rc = check_spec(spec, error);

    if (rc == 0 && pool_spec) {
        rc = check_spec(pool_spec, error);
    }
    if (rc == 0) {
        rc = scenario_init(out, spec);
    }
    if (rc == 0 && pool_spec) {
        rc = hosts_datapool(hosts, pool_spec, &pool, error);
    }
    if (rc == 0) {
        rc = volume_constant_new(volume, -1, &model, error);
    }
    if (rc == 0) {
        rc = scenario_add(out, spec, pool, model, error);
    }
    if (rc < 0) {
        volume_model_free(model);
        datapool_unref(pool);
    }
    return rc;
}
