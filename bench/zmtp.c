/*
 * The cheapest ZeroMQ peers that there can be, so that a measurement of a component measures the component: ZMTP 3.0
 * without encryption over a plain socket, messages prepared beforehand, counted and not looked at.
 *
 *     zmtp push ADDRESS COUNT FILE RATE   sends the bytes of FILE as a message, COUNT times, RATE a second
 *     zmtp pull ADDRESS COUNT             receives COUNT messages; prints how many came, and in how many seconds
 *     zmtp serve ADDRESS TIMES FILE RATE  sends the bytes of FILE, which are frames, TIMES times, RATE a second;
 * prints how many seconds it took to get rid of them
 *
 * Push and pull connect, trying again until somebody listens; a pull that sees nothing for five seconds gives up. Serve
 * listens, for one peer.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BATCH_BYTES (64 << 10)
#define QUIET_MS    5000

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void write_all(int fd, const void *bytes, size_t size)
{
    for (const char *at = bytes; size > 0;) {
        ssize_t n = write(fd, at, size);
        if (n < 0) {
            fail("write");
        }
        at += n;
        size -= (size_t)n;
    }
}

static void read_all(int fd, void *bytes, size_t size)
{
    for (char *at = bytes; size > 0;) {
        ssize_t n = read(fd, at, size);
        if (n <= 0) {
            fail("read");
        }
        at += n;
        size -= (size_t)n;
    }
}

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in tcp;
        struct sockaddr_un ipc;
    } name;
    socklen_t size;
};

static struct address address_of(const char *text)
{
    struct address address = {.size = sizeof address.name.ipc};
    struct sockaddr_in *tcp = &address.name.tcp;
    struct sockaddr_un *ipc = &address.name.ipc;
    char host[16];
    unsigned short port;

    if (sscanf(text, "ipc://%107s", ipc->sun_path) == 1) {
        ipc->sun_family = AF_UNIX;
        return address;
    }
    if (sscanf(text, "tcp://%15[0-9.]:%hu", host, &port) != 2 || inet_pton(AF_INET, host, &tcp->sin_addr) != 1) {
        fprintf(stderr, "zmtp: %s is neither tcp://IPV4:PORT nor ipc://PATH\n", text);
        exit(2);
    }
    tcp->sin_family = AF_INET;
    tcp->sin_port = htons(port);
    address.size = sizeof *tcp;
    return address;
}

static int accepted(const char *text)
{
    struct address address = address_of(text);
    int one = 1, listener = socket(address.name.any.sa_family, SOCK_STREAM, 0);

    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(listener, &address.name.any, address.size) < 0 || listen(listener, 1) < 0) {
        fail("listen");
    }
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) {
        fail("accept");
    }
    close(listener);
    return fd;
}

static int connected(const char *text)
{
    struct address address = address_of(text);
    int one = 1;

    for (;;) {
        int fd = socket(address.name.any.sa_family, SOCK_STREAM, 0);
        if (fd < 0) {
            fail("socket");
        }
        if (connect(fd, &address.name.any, address.size) == 0) {
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* not for ipc, where nothing is held back */
            return fd;
        }
        close(fd);
        usleep(10 * 1000);
    }
}

/* Greeting, then READY with our type; the peer's are read and taken as they are. */
static void shake_hands(int fd, const char *type)
{
    unsigned char greeting[64] = {0xff, [8] = 1, [9] = 0x7f, [10] = 3, [12] = 'N', 'U', 'L', 'L'};
    unsigned char ready[64] = {4, 0, 5, 'R', 'E', 'A', 'D', 'Y', 11};
    unsigned char peer[512];

    memcpy(ready + 9, "Socket-Type\0\0\0\4", 15);
    memcpy(ready + 24, type, 4);
    ready[1] = 26;
    write_all(fd, greeting, sizeof greeting);
    read_all(fd, peer, 64);
    write_all(fd, ready, 28);
    read_all(fd, peer, 2);
    read_all(fd, peer + 2, peer[1]);
}

static void sleep_until(double at_s)
{
    double left_s = at_s - now_s();

    if (left_s > 0) {
        usleep((useconds_t)(left_s * 1e6));
    }
}

/* Until the peer has read all of it: closing may throw away what is on its way. */
static void wait_for_end(int fd)
{
    char byte;

    shutdown(fd, SHUT_WR);
    while (read(fd, &byte, 1) > 0) {
    }
}

static void serve(int fd, uint64_t times, const char *file, double rate)
{
    static unsigned char frames[4 << 20];
    double start_s = now_s();
    FILE *in = fopen(file, "rb");

    if (!in) {
        fail(file);
    }
    size_t size = fread(frames, 1, sizeof frames, in);
    fclose(in);
    for (uint64_t sent = 0; sent < times; sent++) {
        sleep_until(start_s + (double)sent / rate);
        write_all(fd, frames, size);
    }
    printf("%.6f\n", now_s() - start_s);
    fflush(stdout);
    wait_for_end(fd);
}

static void push(int fd, uint64_t count, const char *file, double rate)
{
    double start_s = now_s();
    uint64_t sent = 0;

    static unsigned char body[64 << 10], batch[BATCH_BYTES + sizeof body + 9];
    FILE *in = fopen(file, "rb");
    size_t size, in_batch = 0, frame;

    if (!in) {
        fail(file);
    }
    size = fread(body, 1, sizeof body, in);
    fclose(in);
    frame = size + (size > 255 ? 9 : 2);
    for (size_t at = 0; at < BATCH_BYTES; at += frame, in_batch++) {
        batch[at] = size > 255 ? 2 : 0;
        for (int i = 0; i < 8 && size > 255; i++) {
            batch[at + 1 + (size_t)i] = (unsigned char)((uint64_t)size >> (56 - 8 * i));
        }
        if (size <= 255) {
            batch[at + 1] = (unsigned char)size;
        }
        memcpy(batch + at + frame - size, body, size);
    }
    while (sent < count) {
        size_t n = count - sent < in_batch ? (size_t)(count - sent) : in_batch;
        sleep_until(start_s + (double)sent / rate);
        write_all(fd, batch, n * frame);
        sent += n;
    }
    wait_for_end(fd);
}

/* Where in a frame the reader stands. */
struct reader {
    uint64_t body_left;
    unsigned char head[9];
    unsigned head_size;
    uint64_t messages;
};

static void take(struct reader *reader, const unsigned char *at, size_t size)
{
    while (size > 0) {
        if (reader->body_left > 0) {
            size_t n = reader->body_left < size ? (size_t)reader->body_left : size;
            reader->body_left -= n;
            at += n;
            size -= n;
            continue;
        }
        reader->head[reader->head_size++] = *at++;
        size--;
        if (reader->head_size < ((reader->head[0] & 2) ? 9 : 2)) {
            continue;
        }
        reader->body_left = reader->head[1];
        for (unsigned i = 2; i < reader->head_size; i++) {
            reader->body_left = reader->body_left << 8 | reader->head[i];
        }
        reader->messages += !(reader->head[0] & 4); /* commands are no messages */
        reader->head_size = 0;
    }
}

static void pull(int fd, uint64_t count)
{
    static unsigned char buffer[BATCH_BYTES];
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    struct reader reader = {.messages = 0};
    double first_s = 0, last_s = 0;

    while ((reader.messages < count || reader.body_left > 0) && poll(&ready, 1, QUIET_MS) == 1) {
        ssize_t n = read(fd, buffer, sizeof buffer);
        if (n <= 0) {
            break;
        }
        last_s = now_s();
        first_s = first_s > 0 ? first_s : last_s;
        take(&reader, buffer, (size_t)n);
    }
    printf("%llu %.6f\n", (unsigned long long)reader.messages, last_s - first_s);
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "push") == 0) {
        int fd = connected(argv[2]);
        shake_hands(fd, "PUSH");
        push(fd, strtoull(argv[3], NULL, 10), argv[4], atof(argv[5]));
    } else if (argc == 4 && strcmp(argv[1], "pull") == 0) {
        int fd = connected(argv[2]);
        shake_hands(fd, "PULL");
        pull(fd, strtoull(argv[3], NULL, 10));
    } else if (argc == 6 && strcmp(argv[1], "serve") == 0) {
        int fd = accepted(argv[2]);
        shake_hands(fd, "PUSH");
        serve(fd, strtoull(argv[3], NULL, 10), argv[4], atof(argv[5]));
    } else {
        fprintf(stderr, "usage: zmtp push ADDRESS COUNT FILE RATE | zmtp pull ADDRESS COUNT | zmtp serve ADDRESS TIMES "
                        "FILE RATE\n");
        return 2;
    }
    return 0;
}
