/*
 * Design notes
 *
 * `struct blocking` is shared by the loop's thread and the pool's, and freed by the last of them: a thread that is let
 * go at the end may outlive everything else. The lock guards all of it but what says otherwise.
 *
 * The wake-up of the loop (uv_async_t) is apart, for it belongs to the loop and closes with it; threads send it under
 * the lock and only as long as the pool is not closed.
 */
#include "engine/blocking.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define THREAD_STACK_BYTES ((size_t)1 << 20)

STAILQ_HEAD(job_list, blocking_job);

struct wakeup {
    uv_async_t async;
    struct loop *loop;
    struct blocking *blocking; /* the loop's thread only; NULL once closed */
};

struct blocking {
    pthread_mutex_t lock;
    pthread_cond_t work;    /* there is a job, or the end has come */
    pthread_cond_t settled; /* a thread has ended */
    struct job_list waiting, finished;
    unsigned threads, max_threads;
    unsigned idle; /* threads without a job, also those that were woken for one and have not looked yet */
    unsigned waiting_count, running; /* jobs */
    bool closed;                     /* no `done` any more */
    struct wakeup *wakeup;           /* freed when its handle has closed */
};

static _Thread_local const void *owner __attribute__((tls_model("initial-exec")));

const void *blocking_owner(void)
{
    return owner;
}

/* ---- the threads ---- */

/* In a child that a call has forked: queue and loop are its parent's. */
static _Noreturn void end_child(void)
{
    static const char text[] = "mite: a process that a blocking call forked must end by itself (exec, _exit)\n";

    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    abort();
}

static void run(struct blocking_job *job)
{
    pid_t process = getpid();

    owner = job->owner;
    job->fn(job->arg);
    if (getpid() != process) {
        end_child();
    }
    job->ended_ns = clock_now_ns();
    owner = NULL;
}

/* With the lock held. */
static struct blocking_job *next_job(struct blocking *blocking)
{
    while (STAILQ_EMPTY(&blocking->waiting) && !blocking->closed) {
        blocking->idle++;
        pthread_cond_wait(&blocking->work, &blocking->lock);
        blocking->idle--;
    }
    if (blocking->closed) {
        return NULL;
    }
    struct blocking_job *job = STAILQ_FIRST(&blocking->waiting);
    STAILQ_REMOVE_HEAD(&blocking->waiting, link);
    blocking->waiting_count--;
    job->began_ns = clock_now_ns(); /* from here on it cannot be called off, and its owner must be able to see that */
    return job;
}

static void blocking_destroy(struct blocking *blocking)
{
    pthread_mutex_destroy(&blocking->lock);
    pthread_cond_destroy(&blocking->work);
    pthread_cond_destroy(&blocking->settled);
    free(blocking);
}

/* The lock is held and goes. `blocking` goes with the last thread, or with the loop's side if that is later. */
static void end_thread(struct blocking *blocking)
{
    bool last = --blocking->threads == 0 && !blocking->wakeup;

    pthread_cond_signal(&blocking->settled);
    pthread_mutex_unlock(&blocking->lock);
    if (last) {
        blocking_destroy(blocking);
    }
}

static void *thread_main(void *arg)
{
    struct blocking *blocking = arg;
    struct blocking_job *job;

    pthread_mutex_lock(&blocking->lock);
    while ((job = next_job(blocking))) {
        blocking->running++;
        pthread_mutex_unlock(&blocking->lock);
        run(job);
        pthread_mutex_lock(&blocking->lock);
        blocking->running--;
        if (!blocking->closed) {
            STAILQ_INSERT_TAIL(&blocking->finished, job, link);
            uv_async_send(&blocking->wakeup->async);
        }
    }
    end_thread(blocking);
    return NULL;
}

/* A thread that nobody joins, and that leaves signals to the main one. An errno. */
static int start_thread(struct blocking *blocking)
{
    sigset_t mask, before;
    pthread_attr_t attributes;
    pthread_t thread;
    int failed = pthread_attr_init(&attributes);

    if (failed) {
        return failed;
    }
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    sigfillset(&mask);
    for (const int *crash = (const int[]){SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, 0}; *crash; crash++) {
        sigdelset(&mask, *crash);
    }
    pthread_sigmask(SIG_SETMASK, &mask, &before);
    failed = pthread_create(&thread, &attributes, thread_main, blocking);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return failed;
}

/* ---- the loop's side ---- */

static void on_wakeup(uv_async_t *async)
{
    struct wakeup *wakeup = async->data;
    struct job_list finished = STAILQ_HEAD_INITIALIZER(finished);
    struct blocking_job *job;

    if (!wakeup->blocking) {
        return;
    }
    pthread_mutex_lock(&wakeup->blocking->lock);
    STAILQ_CONCAT(&finished, &wakeup->blocking->finished);
    pthread_mutex_unlock(&wakeup->blocking->lock);
    while ((job = STAILQ_FIRST(&finished)) && wakeup->blocking) { /* `done` may end it all */
        STAILQ_REMOVE_HEAD(&finished, link);
        job->done(job);
    }
}

static void wakeup_closed(uv_handle_t *handle)
{
    free(handle->data);
}

int blocking_new(struct loop *loop, unsigned threads, struct blocking **out, struct mite_error *error)
{
    struct blocking *blocking = calloc(1, sizeof *blocking);
    struct wakeup *wakeup = calloc(1, sizeof *wakeup);
    int rc = blocking && wakeup ? uv_async_init(loop_uv(loop), &wakeup->async, on_wakeup) : UV_ENOMEM;

    if (rc < 0) {
        free(blocking);
        free(wakeup);
        return rc == UV_ENOMEM ? error_set(error, MITE_ENOMEM, "no memory for blocking calls")
                               : error_errno(error, -rc, "cannot wake the loop from other threads");
    }
    wakeup->async.data = wakeup;
    wakeup->loop = loop;
    wakeup->blocking = blocking;
    blocking->wakeup = wakeup;
    blocking->max_threads = threads ? threads : BLOCKING_THREADS;
    pthread_mutex_init(&blocking->lock, NULL);
    pthread_cond_init(&blocking->work, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&blocking->settled, &attributes);
    pthread_condattr_destroy(&attributes);
    STAILQ_INIT(&blocking->waiting);
    STAILQ_INIT(&blocking->finished);
    loop_touch(loop);
    *out = blocking;
    return 0;
}

int blocking_start(struct blocking *blocking, struct blocking_job *job, struct mite_error *error)
{
    int failed = 0;

    job->asked_ns = clock_now_ns();
    pthread_mutex_lock(&blocking->lock);
    STAILQ_INSERT_TAIL(&blocking->waiting, job, link);
    blocking->waiting_count++;
    if (blocking->waiting_count > blocking->idle && blocking->threads < blocking->max_threads) {
        failed = start_thread(blocking);
        blocking->threads += failed == 0;
    }
    if (blocking->threads == 0) {
        STAILQ_REMOVE(&blocking->waiting, job, blocking_job, link);
        blocking->waiting_count--;
    } else {
        failed = 0; /* those that there are will come to it */
        pthread_cond_signal(&blocking->work);
    }
    pthread_mutex_unlock(&blocking->lock);
    return failed ? error_errno(error, failed, "cannot start a thread for blocking calls") : 0;
}

/* Threads without a job end at once; for the others there is a limit. With the lock held. */
static void wait_for_threads(struct blocking *blocking, uint64_t grace_ns)
{
    uint64_t now_ns = clock_now_ns(), until_ns = grace_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + grace_ns;
    struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S), .tv_nsec = (long)(until_ns % NS_PER_S)};

    while (blocking->threads > 0) {
        if (blocking->threads > blocking->running) {
            pthread_cond_wait(&blocking->settled, &blocking->lock);
        } else if (pthread_cond_timedwait(&blocking->settled, &blocking->lock, &until) == ETIMEDOUT) {
            return;
        }
    }
}

unsigned blocking_free(struct blocking *blocking, uint64_t grace_ns)
{
    if (!blocking) {
        return 0;
    }
    struct wakeup *wakeup = blocking->wakeup;
    pthread_mutex_lock(&blocking->lock);
    blocking->closed = true;
    pthread_cond_broadcast(&blocking->work);
    wait_for_threads(blocking, grace_ns);
    blocking->wakeup = NULL;
    unsigned running = blocking->running;
    bool last = blocking->threads == 0;
    pthread_mutex_unlock(&blocking->lock);
    if (last) {
        blocking_destroy(blocking);
    }
    wakeup->blocking = NULL;
    uv_close((uv_handle_t *)&wakeup->async, wakeup_closed);
    loop_touch(wakeup->loop);
    return running;
}
