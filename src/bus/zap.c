#include "bus/zap.h"

#include "base/clock.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <zmq.h>

#define FRAMES    7 /* version, request id, domain, address, routing id, mechanism, public key */
#define FRAME_MAX 256
#define KEY_BYTES 32
#define ALLOWED   ((void *)1)
#define FRESH_NS  NS_PER_S /* a directory that changed less than this ago may change again unseen */

struct zap {
    struct bus *bus;
    void *zmq;
    uv_poll_t poll;
    unsigned users;
    struct map allowed; /* public keys as text */
    struct timespec read_at;
    uint64_t read_ns; /* when it was read */
    bool fresh;       /* the directory had changed only just when it was read */
};

struct request {
    struct {
        char bytes[FRAME_MAX];
        size_t size;
    } frames[FRAMES];
};

/* ---- the directory ---- */

static bool is_public_key(const char *name)
{
    size_t n = strlen(name);

    return n > 4 && strcmp(name + n - 4, ".pub") == 0;
}

/* Adds every key of the directory; one that is none is an error, or only said. */
static int read_keys(const char *dir, struct map *keys, bool strict, struct mite_error *error)
{
    DIR *listing = opendir(dir);
    struct dirent *entry;
    char path[4096];
    int rc = 0;

    if (!listing) {
        return error_errno(error, errno, "cannot read the keys in %s (--curve-allow)", dir);
    }
    while (rc == 0 && (entry = readdir(listing))) {
        struct curve_key key;
        struct mite_error why = {0};

        if (!is_public_key(entry->d_name)) {
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (curve_read(path, false, &key, &why) == 0) {
            rc = map_set(keys, str_of(key.text), ALLOWED, NULL);
            rc = rc == 0 ? 0 : error_set(error, rc, "no memory for the keys in %s (--curve-allow)", dir);
        } else if (strict) {
            rc = error_set(error, why.code, "%s", why.text);
        } else {
            log_once(LOG_WARNING, path, "%s", why.text);
        }
        error_done(&why);
    }
    closedir(listing);
    return rc;
}

int zap_check(const char *allow_dir, struct mite_error *error)
{
    struct map keys;

    map_init(&keys);
    int rc = read_keys(allow_dir, &keys, true, error);
    map_done(&keys, NULL);
    return rc;
}

static void refresh(struct zap *zap)
{
    const char *dir = zap->bus->allow_dir;
    struct stat st = {0};

    /* A file that is written over leaves the directory's time as it was: hence also by age. */
    bool old = clock_now_ns() - zap->read_ns > FRESH_NS;

    if (stat(dir, &st) == 0 && !zap->fresh && !old && st.st_mtim.tv_sec == zap->read_at.tv_sec &&
        st.st_mtim.tv_nsec == zap->read_at.tv_nsec) {
        return;
    }
    zap->read_ns = clock_now_ns();
    /* A directory that cannot be read lets nobody in. */
    map_done(&zap->allowed, NULL);
    map_init(&zap->allowed);
    zap->read_at = st.st_mtim;
    zap->fresh = clock_wall_s() - (double)st.st_mtim.tv_sec < ns_to_s(2 * FRESH_NS);
    struct mite_error error = {0};
    if (read_keys(dir, &zap->allowed, false, &error) < 0) {
        zap->fresh = true; /* what was in the way may go, and the directory be as it was */
        log_once(LOG_WARNING, dir, "%s", error.text);
    }
    error_done(&error);
}

/* ---- questions and answers ---- */

/* False: there is none. Frames beyond those of a question are thrown away, and make it none that we can answer. */
static bool read_request(struct zap *zap, struct request *out, unsigned *count)
{
    int more = 1;
    size_t size = sizeof more;

    for (*count = 0; more; ++*count) {
        unsigned at = *count < FRAMES ? *count : FRAMES - 1;
        int n = zmq_recv(zap->zmq, out->frames[at].bytes, FRAME_MAX, ZMQ_DONTWAIT);
        if (n < 0) {
            return false;
        }
        out->frames[at].size = n < FRAME_MAX ? (size_t)n : FRAME_MAX;
        zmq_getsockopt(zap->zmq, ZMQ_RCVMORE, &more, &size);
    }
    return true;
}

static struct str frame(const struct request *request, unsigned index)
{
    return (struct str){request->frames[index].bytes, request->frames[index].size};
}

static bool allows(struct zap *zap, const struct request *request, unsigned count)
{
    char key[KEY_BYTES * 5 / 4 + 1];

    if (count != FRAMES || !str_is(frame(request, 5), "CURVE") || frame(request, 6).n != KEY_BYTES) {
        return false;
    }
    zmq_z85_encode(key, (const uint8_t *)frame(request, 6).p, KEY_BYTES);
    refresh(zap);
    if (map_get(&zap->allowed, str_of(key))) {
        return true;
    }
    log_once(LOG_WARNING, key, "refused a client at " STR_FMT ": its public key %s is not in %s (--curve-allow)",
             STR_ARG(frame(request, 3)), key, zap->bus->allow_dir);
    return false;
}

static void answer(struct zap *zap, struct str id, bool good)
{
    zmq_send(zap->zmq, "1.0", 3, ZMQ_SNDMORE);
    zmq_send(zap->zmq, id.p, id.n, ZMQ_SNDMORE);
    zmq_send(zap->zmq, good ? "200" : "400", 3, ZMQ_SNDMORE);
    zmq_send(zap->zmq, good ? "OK" : "NO", 2, ZMQ_SNDMORE);
    zmq_send(zap->zmq, "", 0, ZMQ_SNDMORE);
    zmq_send(zap->zmq, "", 0, 0);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct zap *zap = poll->data;
    struct request request;
    unsigned count;

    while (read_request(zap, &request, &count)) {
        answer(zap, frame(&request, 1), allows(zap, &request, count));
    }
}

/* ---- life ---- */

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void zap_close(struct zap *zap)
{
    if (zap->poll.data) {
        uv_close((uv_handle_t *)&zap->poll, on_closed);
        loop_touch(zap->bus->loop);
    }
    if (zap->zmq) {
        zmq_close(zap->zmq);
    }
    map_done(&zap->allowed, NULL);
    if (!zap->poll.data) {
        free(zap);
    }
}

static int zap_open(struct zap *zap, struct mite_error *error)
{
    int fd = -1, linger = 0;
    size_t size = sizeof fd;

    zap->zmq = zmq_socket(zap->bus->context, ZMQ_REP);
    if (!zap->zmq || zmq_setsockopt(zap->zmq, ZMQ_LINGER, &linger, sizeof linger) != 0 ||
        zmq_bind(zap->zmq, "inproc://zeromq.zap.01") != 0 || zmq_getsockopt(zap->zmq, ZMQ_FD, &fd, &size) != 0) {
        return error_set(error, MITE_EIO, "cannot watch who connects: %s", zmq_strerror(zmq_errno()));
    }
    int rc = uv_poll_init(loop_uv(zap->bus->loop), &zap->poll, fd);
    if (rc < 0) {
        return error_errno(error, -rc, "cannot watch who connects");
    }
    zap->poll.data = zap;
    uv_poll_start(&zap->poll, UV_READABLE, on_ready);
    loop_touch(zap->bus->loop);
    on_ready(&zap->poll, 0, 0); /* the library wakes only a reader that has found nothing */
    return 0;
}

int zap_use(struct bus *bus, struct mite_error *error)
{
    struct zap *zap = bus->zap;

    if (zap) {
        zap->users++;
        return 0;
    }
    zap = calloc(1, sizeof *zap);
    if (!zap) {
        return error_set(error, MITE_ENOMEM, "no memory to watch who connects");
    }
    zap->bus = bus;
    zap->users = 1;
    zap->fresh = true;
    map_init(&zap->allowed);
    int rc = zap_open(zap, error);
    if (rc < 0) {
        zap_close(zap);
        return rc;
    }
    bus->zap = zap;
    return 0;
}

void zap_release(struct bus *bus)
{
    if (--bus->zap->users == 0) {
        zap_close(bus->zap);
        bus->zap = NULL;
    }
}
