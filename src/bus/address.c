#include "bus/address.h"
#include "bus/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define USE "use tcp://HOST:PORT, such as tcp://127.0.0.1:14302, or ipc://PATH"

static int parse_path(const char *text, const char *path, struct address *out, struct mite_error *error)
{
    size_t length = strlen(path);

    if (length == 0) {
        return error_set(error, MITE_EINVAL, "%s: a path is missing: ipc://PATH", text);
    }
    if (length >= sizeof out->path) {
        return error_set(error, MITE_EINVAL, "%s: the path of a local socket has at most %zu bytes", text,
                         sizeof out->path - 1);
    }
    *out = (struct address){.local = true};
    memcpy(out->path, path, length + 1);
    return 0;
}

static bool valid_port(const char *port, bool binds)
{
    long long number;

    if (binds && strcmp(port, "*") == 0) {
        return true;
    }
    return strlen(port) <= 5 && str_to_int64(port, &number) && number >= (binds ? 0 : 1) && number <= 65535;
}

/* Letters that names of hosts and interfaces are made of. */
static bool valid_name(struct str host)
{
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                    c == '-' || c == '_';
        if (!good) {
            return false;
        }
    }
    return host.n > 0;
}

/* HOST as it was written, brackets and all. */
static bool classify(struct str host, bool binds, struct address *out)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    bool bracketed = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';

    if (bracketed) {
        host = (struct str){host.p + 1, host.n - 2};
    }
    if (host.n >= sizeof out->host) {
        return false;
    }
    memcpy(out->host, host.p, host.n);
    out->host[host.n] = '\0';
    if (bracketed) {
        out->kind = ADDRESS_IPV6;
        out->host[strcspn(out->host, "%")] = '\0'; /* only to look at the digits */
        bool digits = inet_pton(AF_INET6, out->host, bytes) == 1;
        memcpy(out->host, host.p, host.n);
        return digits;
    }
    if (str_is(host, "*")) {
        out->kind = ADDRESS_ANY;
        return binds;
    }
    out->kind = inet_pton(AF_INET, out->host, bytes) == 1 ? ADDRESS_IPV4 : ADDRESS_NAME;
    return valid_name(host);
}

static int parse_tcp(const char *text, const char *rest, bool binds, struct address *out, struct mite_error *error)
{
    const char *colon = strrchr(rest, ':');
    struct address made = {.local = false};

    if (!colon || !valid_port(colon + 1, binds)) {
        return error_set(error, MITE_EINVAL, "%s: a port from 1 to 65535 is expected behind the last colon%s", text,
                         binds ? ", or * for any free one" : "");
    }
    if (!classify((struct str){rest, (size_t)(colon - rest)}, binds, &made)) {
        return error_set(error, MITE_EINVAL, "%s: the host makes no sense: a name, an IPv4 address%s, or [IPv6]", text,
                         binds ? ", * for every interface" : "");
    }
    snprintf(made.port, sizeof made.port, "%s", strcmp(colon + 1, "0") == 0 ? "*" : colon + 1);
    *out = made;
    return 0;
}

int address_parse(const char *text, bool binds, struct address *out, struct mite_error *error)
{
    if (strncmp(text, "tcp://", 6) == 0) {
        return parse_tcp(text, text + 6, binds, out, error);
    }
    if (strncmp(text, "ipc://", 6) == 0) {
        return parse_path(text, text + 6, out, error);
    }
    if (strncmp(text, "inproc://", 9) == 0) {
        return error_set(error, MITE_EINVAL,
                         "%s: inproc:// joins threads of one process, and every command of mite is a process of its "
                         "own: use ipc://PATH",
                         text);
    }
    return error_set(error, MITE_EINVAL, "\"%s\" is no address of a socket: " USE, text);
}

int bus_address_check(const char *address, bool binds, struct mite_error *error)
{
    struct address parsed;

    return address_parse(address, binds, &parsed, error);
}

bool bus_address_open(const char *address)
{
    struct address parsed;
    struct in6_addr six;

    if (address_parse(address, true, &parsed, NULL) < 0 || parsed.local) {
        return false;
    }
    switch (parsed.kind) {
    case ADDRESS_IPV4:
        return strncmp(parsed.host, "127.", 4) != 0;
    case ADDRESS_IPV6:
        return inet_pton(AF_INET6, parsed.host, &six) != 1 || !IN6_IS_ADDR_LOOPBACK(&six);
    case ADDRESS_NAME:
        return strcmp(parsed.host, "localhost") != 0 && strcmp(parsed.host, "lo") != 0;
    case ADDRESS_ANY:
        break;
    }
    return true;
}

int address_resolve(struct address *address, struct mite_error *error)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list;

    if (address->local || address->kind != ADDRESS_NAME || if_nametoindex(address->host) != 0) {
        return 0;
    }
    int failure = getaddrinfo(address->host, NULL, &hints, &list);
    if (failure || !list) {
        return error_set(error, MITE_EINVAL, "host \"%s\": %s: name an address of this machine, or * for all of them",
                         address->host, gai_strerror(failure));
    }
    const struct addrinfo *chosen = list; /* IPv4 where there is one: what connects prefers it too */
    for (const struct addrinfo *info = list; info; info = info->ai_next) {
        if (info->ai_family == AF_INET) {
            chosen = info;
            break;
        }
    }
    address->kind = chosen->ai_family == AF_INET6 ? ADDRESS_IPV6 : ADDRESS_IPV4;
    failure =
        getnameinfo(chosen->ai_addr, chosen->ai_addrlen, address->host, sizeof address->host, NULL, 0, NI_NUMERICHOST);
    freeaddrinfo(list);
    return failure ? error_set(error, MITE_EIO, "cannot tell the address of a name: %s", gai_strerror(failure)) : 0;
}

bool address_is_ipv6_only(const char *host, bool *known)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    bool four = false;

    *known = getaddrinfo(host, NULL, &hints, &list) == 0;
    if (!*known) {
        return false;
    }
    for (const struct addrinfo *info = list; info; info = info->ai_next) {
        four |= info->ai_family == AF_INET;
    }
    freeaddrinfo(list);
    return !four;
}

int address_claim_path(const char *path, struct mite_error *error)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct stat st;

    if (path[0] == '@' || lstat(path, &st) != 0) {
        return 0; /* an abstract name has no leftovers; what else is wrong, binding will tell */
    }
    if (!S_ISSOCK(st.st_mode)) {
        return error_set(error, MITE_EIO, "%s exists and is no socket: name another path", path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return error_errno(error, errno, "cannot look whether %s is in use", path);
    }
    snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
    bool refused = connect(fd, (struct sockaddr *)&name, sizeof name) != 0 && errno == ECONNREFUSED;
    close(fd);
    return refused ? 0 : error_set(error, MITE_EIO, "%s is in use by another process", path);
}

void address_text(const struct address *address, char out[ADDRESS_TEXT_MAX])
{
    if (address->local) {
        snprintf(out, ADDRESS_TEXT_MAX, "ipc://%s", address->path);
    } else {
        snprintf(out, ADDRESS_TEXT_MAX, address->kind == ADDRESS_IPV6 ? "tcp://[%s]:%s" : "tcp://%s:%s", address->host,
                 address->port);
    }
}
