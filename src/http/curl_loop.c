/*
 * Design notes
 *
 * - libcurl takes its interest in a socket back at the end of each response and declares it anew for the next request.
 *   Following that would cost two epoll_ctl() a request. So a connection stays watched while it idles in the pool; only
 *   when it becomes readable there (the server closed it, for one) is the watching stopped. That is safe because
 *   libcurl closes connections through curl_loop_close_socket(). Sockets that it made itself (to wake up from its
 *   resolver threads) it closes behind our back, and 7.88 does the same to those that are not connected yet: they are
 *   let go of when it takes its interest back, or, if it never had any, when another socket gets the descriptor.
 * - The timer is only ever moved forward: libcurl's next deadline moves back with nearly every request, and a timer
 *   that fires too early costs less than one that is set each time. libcurl is called only when its deadline is due.
 * - libcurl is entered from the loop only (kick, ready socket, timer), never from start(): what many journeys add in
 *   one round of the loop is started with one call. It never calls up from inside: curl_lane_drain() does that after
 *   it.
 * - After curl_lane_drain() the transport may be closed. Its memory is there as long as a handle or a deferred
 *   call points to it.
 */
#include "base/clock.h"
#include "http/curl.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define NEVER_MS UINT64_MAX

struct watch {
    uv_poll_t poll;
    struct curl_lane *lane;
    curl_socket_t fd;
    int wanted;     /* UV_READABLE | UV_WRITABLE as libcurl wants; 0: nothing, idle */
    int watched;    /* what the loop looks for */
    bool connected; /* so we hear when it is closed */
};

/* ---- sockets ---- */

static void call_for_socket(struct curl_lane *lane, curl_socket_t fd, int mask)
{
    int running;

    curl_multi_socket_action(lane->multi, fd, mask, &running);
    curl_lane_drain(lane);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void on_watch_closed(uv_handle_t *handle)
{
    struct watch *watch = handle->data;

    curl_transport_drop(watch->lane->transport);
    free(watch);
}

static struct watch *watch_find(struct curl_transport *transport, curl_socket_t fd)
{
    return (size_t)fd < transport->watch_capacity ? transport->watches[fd] : NULL;
}

static void watch_close(struct watch *watch)
{
    watch->lane->transport->watches[watch->fd] = NULL;
    uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
    loop_touch(watch->lane->transport->loop);
}

static struct watch *watch_open(struct curl_lane *lane, curl_socket_t fd)
{
    struct curl_transport *transport = lane->transport;

    if ((size_t)fd >= transport->watch_capacity) {
        size_t capacity = transport->watch_capacity ? transport->watch_capacity : 64;
        while (capacity <= (size_t)fd) {
            capacity *= 2;
        }
        struct watch **watches = realloc(transport->watches, capacity * sizeof(struct watch *));
        if (!watches) {
            return NULL;
        }
        memset(watches + transport->watch_capacity, 0, (capacity - transport->watch_capacity) * sizeof *watches);
        transport->watches = watches;
        transport->watch_capacity = capacity;
    }
    struct watch *watch = calloc(1, sizeof *watch);
    if (!watch || uv_poll_init_socket(loop_uv(transport->loop), &watch->poll, fd) < 0) {
        free(watch);
        return NULL;
    }
    watch->poll.data = watch;
    watch->lane = lane;
    watch->fd = fd;
    transport->watches[fd] = watch;
    transport->holders++;
    return watch;
}

static int watch_set(struct watch *watch, int events)
{
    watch->wanted = events;
    if ((watch->watched & events) == events && !(watch->watched & ~events & UV_WRITABLE)) {
        return 0;
    }
    watch->watched = events;
    loop_touch(watch->lane->transport->loop);
    return uv_poll_start(&watch->poll, events, on_poll);
}

/* A socket with an error is no longer watched by libuv. libcurl shall meet the error itself, where it knows whether the
 * request can be sent once more; told of one, it would give up at once. */
static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    struct curl_lane *lane = watch->lane;
    curl_socket_t fd = watch->fd;

    if (status < 0) {
        watch->watched = 0;
        events = watch->wanted;
    }
    if (watch->wanted == 0) {
        uv_poll_stop(poll);
        watch->watched = 0;
        return;
    }
    call_for_socket(lane, fd,
                    (events & UV_READABLE ? CURL_CSELECT_IN : 0) | (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0));
    if (status < 0 && (watch = watch_find(lane->transport, fd)) && watch->wanted && !watch->watched) {
        watch_set(watch, watch->wanted);
    }
}

/* Whether it is a connection. One that never was is closed by now, and what is no connection is one of a pair. */
static bool is_connected(struct watch *watch)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;

    if (!watch->connected) {
        watch->connected = getpeername(watch->fd, (struct sockaddr *)&peer, &size) == 0 && peer.ss_family != AF_UNIX;
    }
    return watch->connected;
}

/* CURLMOPT_SOCKETFUNCTION */
static int on_socket_wish(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
    struct curl_lane *lane = arg;
    struct watch *watch = watch_find(lane->transport, fd);

    if (what == CURL_POLL_REMOVE) {
        if (watch && is_connected(watch)) {
            watch->wanted = 0;
        } else if (watch) {
            watch_close(watch);
        }
        return 0;
    }
    if (!watch && !(watch = watch_open(lane, fd))) {
        return -1;
    }
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    return watch_set(watch, events) < 0 ? -1 : 0;
}

curl_socket_t curl_loop_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http_transfer *transfer = arg;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);

    if (fd < 0) {
        transfer->socket_errno = errno;
        return CURL_SOCKET_BAD;
    }
    struct watch *before = watch_find(transfer->transport, fd);
    if (before) {
        watch_close(before);
    }
    if (!watch_open(transfer->lane, fd)) {
        transfer->socket_errno = ENOMEM;
        close(fd);
        return CURL_SOCKET_BAD;
    }
    return fd;
}

int curl_loop_close_socket(void *arg, curl_socket_t fd)
{
    struct watch *watch = watch_find(arg, fd);

    if (watch) {
        watch_close(watch);
    }
    return close(fd);
}

/* ---- the timer ---- */

static struct curl_lane *lane_of(struct timer *timer)
{
    return (struct curl_lane *)((char *)timer - offsetof(struct curl_lane, timer));
}

static void arm(struct curl_lane *lane, uint64_t now_ms)
{
    uint64_t after_ms = lane->due_ms > now_ms ? lane->due_ms - now_ms : 0;

    lane->armed_ms = lane->due_ms;
    timer_start(&lane->timer, after_ms * NS_PER_MS, 0);
}

static uint64_t now_ms(struct curl_lane *lane)
{
    return loop_now_ns(lane->transport->loop) / NS_PER_MS;
}

static void on_timer(struct timer *timer)
{
    struct curl_lane *lane = lane_of(timer);
    uint64_t now = now_ms(lane);

    lane->armed_ms = NEVER_MS;
    if (lane->due_ms <= now) {
        lane->due_ms = NEVER_MS;
        call_for_socket(lane, CURL_SOCKET_TIMEOUT, 0);
    } else if (lane->due_ms != NEVER_MS) {
        arm(lane, now);
    }
}

/* CURLMOPT_TIMERFUNCTION */
static int on_timer_wish(CURLM *multi, long timeout_ms, void *arg)
{
    struct curl_lane *lane = arg;

    if (timeout_ms == 0) {
        curl_loop_kick(lane);
        return 0;
    }
    uint64_t now = now_ms(lane);
    lane->due_ms = timeout_ms < 0 ? NEVER_MS : now + (uint64_t)timeout_ms;
    if (lane->due_ms < lane->armed_ms) {
        arm(lane, now);
    }
    return 0;
}

static void on_kick(void *arg)
{
    struct curl_lane *lane = arg;

    lane->kick_waits = false;
    if (!lane->transport->closed) {
        call_for_socket(lane, CURL_SOCKET_TIMEOUT, 0);
    }
    curl_transport_drop(lane->transport);
}

void curl_loop_kick(struct curl_lane *lane)
{
    if (lane->kick_waits) {
        return;
    }
    if (loop_defer(lane->transport->loop, on_kick, lane) == 0) {
        lane->kick_waits = true;
        lane->transport->holders++;
    } else { /* no memory for a deferred call: the timer does as well */
        lane->due_ms = now_ms(lane);
        arm(lane, lane->due_ms);
    }
}

/* ---- life ---- */

static void on_timer_closed(struct timer *timer)
{
    curl_transport_drop(lane_of(timer)->transport);
}

int curl_loop_open(struct curl_lane *lane, struct mite_error *error)
{
    lane->due_ms = lane->armed_ms = NEVER_MS;
    if (timer_init(&lane->timer, lane->transport->loop, on_timer) < 0) {
        return error_set(error, MITE_EIO, "cannot make a timer for HTTP");
    }
    lane->transport->holders++;
    curl_multi_setopt(lane->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wish);
    curl_multi_setopt(lane->multi, CURLMOPT_SOCKETDATA, lane);
    curl_multi_setopt(lane->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish);
    curl_multi_setopt(lane->multi, CURLMOPT_TIMERDATA, lane);
    return 0;
}

void curl_loop_close(struct curl_lane *lane)
{
    timer_close(&lane->timer, on_timer_closed);
}

void curl_loop_close_watches(struct curl_transport *transport)
{
    for (size_t i = 0; i < transport->watch_capacity; i++) { /* those that libcurl closed without a word */
        if (transport->watches[i]) {
            watch_close(transport->watches[i]);
        }
    }
    free(transport->watches);
    transport->watches = NULL;
    transport->watch_capacity = 0;
}
