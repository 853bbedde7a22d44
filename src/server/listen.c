#include "server/listen.h"

#include "base/str.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096

/* Splits at the last colon; brackets around an IPv6 host go away. */
static bool split(const char *address, char host[256], const char **port)
{
    const char *colon = strrchr(address, ':');
    long long number;
    if (!colon || !str_to_int64(colon + 1, &number) || number < 0 || number > 65535) {
        return false;
    }
    size_t n = (size_t)(colon - address);
    bool bracketed = n >= 2 && address[0] == '[' && address[n - 1] == ']';
    if (bracketed) {
        address++;
        n -= 2;
    }
    if (n >= 256 || (!bracketed && memchr(address, ':', n))) {
        return false;
    }
    memcpy(host, address, n);
    host[n] = '\0';
    *port = colon + 1;
    return true;
}

static int open_one(const struct addrinfo *info, bool every_interface)
{
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    int on = 1, off = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (info->ai_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, every_interface ? &off : &on, sizeof(on));
    }
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int failure = errno;
        close(fd);
        return -failure;
    }
    return fd;
}

/* `:8000` means both families on one socket: IPv6 first, IPv4 where the kernel has no IPv6. */
static int open_first(const struct addrinfo *list, bool every_interface)
{
    int result = -EADDRNOTAVAIL;
    for (int pass = 0; pass < 2; pass++) {
        for (const struct addrinfo *info = list; info; info = info->ai_next) {
            bool first_choice = !every_interface || info->ai_family == AF_INET6;
            if (first_choice != (pass == 0)) {
                continue;
            }
            result = open_one(info, every_interface);
            if (result >= 0 || result == -EADDRINUSE) {
                return result;
            }
        }
    }
    return result;
}

int listen_open(const char *address, int *fd, struct mite_error *error)
{
    char host[256];
    const char *port;
    if (!split(address, host, &port)) {
        return error_set(error, MITE_EINVAL,
                         "\"%s\" is no address: use HOST:PORT, such as 127.0.0.1:8000 or [::1]:8000", address);
    }
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list;
    int failure = getaddrinfo(host[0] ? host : NULL, port, &hints, &list);
    if (failure) {
        return error_set(error, MITE_EINVAL, "cannot listen on \"%s\": host \"%s\": %s", address, host,
                         gai_strerror(failure));
    }
    int result = open_first(list, host[0] == '\0');
    freeaddrinfo(list);
    if (result < 0) {
        return error_set(error, MITE_EIO, "cannot listen on %s: %s", address, strerror(-result));
    }
    *fd = result;
    return 0;
}

int listen_url(int fd, char url[LISTEN_URL_MAX], struct mite_error *error)
{
    struct sockaddr_storage name;
    socklen_t size = sizeof(name);
    char host[64], port[8];
    if (getsockname(fd, (struct sockaddr *)&name, &size) != 0) {
        return error_errno(error, errno, "cannot tell where a socket listens");
    }
    int failure = getnameinfo((struct sockaddr *)&name, size, host, sizeof(host), port, sizeof(port),
                              NI_NUMERICHOST | NI_NUMERICSERV);
    if (failure) {
        return error_set(error, MITE_EIO, "cannot tell where a socket listens: %s", gai_strerror(failure));
    }
    snprintf(url, LISTEN_URL_MAX, strchr(host, ':') ? "http://[%s]:%s" : "http://%s:%s", host, port);
    return 0;
}
