#include "http/dns.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

/* What the thread works on and the loop waits for. The last of the two that needs it frees it. */
struct job {
    pthread_mutex_t lock;
    uv_async_t *waker; /* NULL: nobody waits any more */
    bool answered;
    uint16_t port;
    struct dns_addresses addresses;
    char host[];
};

struct dns_lookup {
    uv_async_t waker;
    struct job *job; /* NULL: it is the thread's alone */
    void (*done)(void *arg, const struct dns_addresses *addresses);
    void *arg;
};

bool dns_literal(struct str text, uint16_t port, union dns_address *out)
{
    char copy[DNS_TEXT_SIZE];

    if (text.n >= sizeof copy) {
        return false;
    }
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, copy, &out->four.sin_addr) == 1) {
        out->four.sin_family = AF_INET;
        out->four.sin_port = htons(port);
        return true;
    }
    out->six.sin6_family = AF_INET6;
    out->six.sin6_port = htons(port);
    return inet_pton(AF_INET6, copy, &out->six.sin6_addr) == 1;
}

void dns_text(const union dns_address *address, char out[DNS_TEXT_SIZE])
{
    const void *bytes = address->any.sa_family == AF_INET ? (const void *)&address->four.sin_addr
                                                          : (const void *)&address->six.sin6_addr;

    inet_ntop(address->any.sa_family, bytes, out, DNS_TEXT_SIZE);
}

socklen_t dns_size(const union dns_address *address)
{
    return address->any.sa_family == AF_INET ? sizeof address->four : sizeof address->six;
}

unsigned dns_count(const struct dns_addresses *addresses, int family)
{
    unsigned count = 0;

    for (unsigned i = 0; i < addresses->count; i++) {
        count += addresses->at[i].any.sa_family == family;
    }
    return count;
}

const union dns_address *dns_nth(const struct dns_addresses *addresses, int family, unsigned n)
{
    unsigned count = dns_count(addresses, family);

    n = count ? n % count : 0;
    for (unsigned i = 0; i < addresses->count; i++) {
        if (addresses->at[i].any.sa_family == family && n-- == 0) {
            return &addresses->at[i];
        }
    }
    return NULL;
}

static void take(struct dns_addresses *out, const struct addrinfo *info, uint16_t port)
{
    for (; info && out->count < DNS_ADDRESSES_MAX; info = info->ai_next) {
        union dns_address *address = &out->at[out->count];
        if (info->ai_family == AF_INET) {
            memcpy(&address->four, info->ai_addr, sizeof address->four);
            address->four.sin_port = htons(port);
            out->count++;
        } else if (info->ai_family == AF_INET6) {
            memcpy(&address->six, info->ai_addr, sizeof address->six);
            address->six.sin6_port = htons(port);
            out->count++;
        }
    }
}

/* ---- the thread's side ---- */

static void job_free(struct job *job)
{
    pthread_mutex_destroy(&job->lock);
    free(job);
}

static void *work(void *arg)
{
    static const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct job *job = arg;
    struct addrinfo *info = NULL;

    if (getaddrinfo(job->host, NULL, &hints, &info) == 0) {
        take(&job->addresses, info, job->port);
        freeaddrinfo(info);
    }
    pthread_mutex_lock(&job->lock);
    job->answered = true;
    bool wanted = job->waker != NULL;
    if (wanted) {
        uv_async_send(job->waker);
    }
    pthread_mutex_unlock(&job->lock);
    if (!wanted) {
        job_free(job);
    }
    return NULL;
}

/* Detached, and deaf to signals: those are the loop's. */
static int begin(struct job *job)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;

    if (pthread_attr_init(&attributes) != 0) {
        return MITE_ENOMEM;
    }
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&thread, &attributes, work, job);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return rc == 0 ? 0 : MITE_ENOMEM;
}

/* ---- the loop's side ---- */

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* Lets go of the job. Its answer may be on the way: from here on nobody waits for it. */
static void leave(struct dns_lookup *lookup)
{
    struct job *job = lookup->job;

    pthread_mutex_lock(&job->lock);
    bool answered = job->answered;
    job->waker = NULL;
    pthread_mutex_unlock(&job->lock);
    if (answered) {
        job_free(job);
    }
    lookup->job = NULL;
    uv_close((uv_handle_t *)&lookup->waker, on_closed);
}

static void on_answer(uv_async_t *waker)
{
    struct dns_lookup *lookup = waker->data;
    struct dns_addresses addresses = lookup->job->addresses;

    leave(lookup);
    lookup->done(lookup->arg, addresses.count > 0 ? &addresses : NULL);
}

static struct job *job_new(const char *host, uint16_t port)
{
    size_t size = strlen(host) + 1;
    struct job *job = calloc(1, sizeof *job + size);

    if (job) {
        pthread_mutex_init(&job->lock, NULL);
        job->port = port;
        memcpy(job->host, host, size);
    }
    return job;
}

int dns_lookup_start(struct loop *loop, const char *host, uint16_t port,
                     void (*done)(void *arg, const struct dns_addresses *addresses), void *arg, struct dns_lookup **out)
{
    struct dns_lookup *lookup = calloc(1, sizeof *lookup);
    struct job *job = lookup ? job_new(host, port) : NULL;

    if (!job || uv_async_init(loop_uv(loop), &lookup->waker, on_answer) < 0) {
        free(job);
        free(lookup);
        return MITE_ENOMEM;
    }
    lookup->waker.data = lookup;
    lookup->job = job;
    lookup->done = done;
    lookup->arg = arg;
    job->waker = &lookup->waker;
    loop_touch(loop);
    if (begin(job) < 0) {
        job->answered = true;
        leave(lookup);
        return MITE_ENOMEM;
    }
    *out = lookup;
    return 0;
}

void dns_lookup_cancel(struct dns_lookup *lookup)
{
    if (lookup) {
        leave(lookup);
    }
}
