/*
 * Design notes
 *
 * Every heartbeat pushes the timer signal `limit` further into the future. As long as the loop moves no signal ever
 * comes, so that no system call of a journey is interrupted for nothing. Once the loop stands still the signal comes
 * every `limit`. It is directed at the main thread: only there can the interpreter be asked to run a handler.
 *
 * The handler reads `last_beat_ns`, the hooks and the probe; whoever changes those blocks the signal meanwhile.
 */
#include "engine/watchdog.h"

#include "base/clock.h"
#include "engine/timer.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid /* glibc 2.36 has the field and no name for it */
#endif

/* Far from the numbers that valgrind and thread libraries take. */
#define SIGNAL_NUMBER (SIGRTMIN + 8)
/* Heartbeats in one limit: a block may have begun up to one of them after the last beat. */
#define BEATS 8

struct watchdog {
    struct timer heartbeat; /* freed when it has closed */
    timer_t timer;
    uint64_t limit_ns, beat_ns;
    int paused; /* depth */
    struct sigaction old_action;
};

static struct watchdog *current; /* owned; NULL when stopped */
static struct watchdog_hooks hooks;
static struct {
    void (*blocked)(void *arg, uint64_t blocked_ns);
    void *arg;
} probe;
static _Atomic uint64_t last_beat_ns;
static atomic_bool reported; /* blocked() was called since the last beat */

static void on_signal(int number)
{
    int saved_errno = errno;
    uint64_t blocked_ns = clock_now_ns() - atomic_load(&last_beat_ns);

    atomic_store(&reported, true);
    if (probe.blocked) {
        probe.blocked(probe.arg, blocked_ns);
    }
    if (hooks.blocked) {
        hooks.blocked(hooks.arg, blocked_ns);
    }
    errno = saved_errno;
}

/* First after limit and a beat without a heartbeat, so that the loop has stood still for the limit at least, then every
 * limit. 0 takes the signal back. */
static void set_signal(struct watchdog *dog, bool on)
{
    uint64_t first_ns = on ? dog->limit_ns + dog->beat_ns : 0, every_ns = on ? dog->limit_ns : 0;
    struct itimerspec spec = {
        .it_value = {.tv_sec = (time_t)(first_ns / NS_PER_S), .tv_nsec = (long)(first_ns % NS_PER_S)},
        .it_interval = {.tv_sec = (time_t)(every_ns / NS_PER_S), .tv_nsec = (long)(every_ns % NS_PER_S)},
    };

    timer_settime(dog->timer, 0, &spec, NULL);
}

static void beat(struct timer *timer)
{
    struct watchdog *dog = current;
    uint64_t now_ns = clock_now_ns(), blocked_ns = now_ns - atomic_load(&last_beat_ns);

    if (dog->paused) {
        return;
    }
    set_signal(dog, true);
    atomic_store(&last_beat_ns, now_ns);
    if (atomic_exchange(&reported, false) && hooks.recovered) {
        hooks.recovered(hooks.arg, blocked_ns);
    }
}

void watchdog_beat(void)
{
    if (current) {
        beat(&current->heartbeat);
    }
}

static void heartbeat_closed(struct timer *timer)
{
    free(timer); /* the watchdog's first member */
}

static int create_signal(struct watchdog *dog, struct mite_error *error)
{
    /* Not on a fiber's stack, which may be small or nearly full: crash.c has another one. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGNAL_NUMBER};

    event.sigev_notify_thread_id = gettid();
    if (timer_create(CLOCK_MONOTONIC, &event, &dog->timer) < 0) {
        return error_errno(error, errno, "cannot create the watchdog's timer");
    }
    sigaction(SIGNAL_NUMBER, &action, &dog->old_action);
    return 0;
}

int watchdog_start(struct loop *loop, uint64_t limit_ns, const struct watchdog_hooks *new_hooks,
                   struct mite_error *error)
{
    if (current || limit_ns == 0) {
        return error_set(error, MITE_EINVAL, current ? "the watchdog runs already" : "the watchdog needs a limit");
    }
    struct watchdog *dog = calloc(1, sizeof *dog);
    if (!dog) {
        return error_set(error, MITE_ENOMEM, "no memory for the watchdog");
    }
    int rc = create_signal(dog, error);
    if (rc < 0) {
        free(dog);
        return rc;
    }
    dog->limit_ns = limit_ns;
    dog->beat_ns = limit_ns / BEATS > NS_PER_MS ? limit_ns / BEATS : NS_PER_MS;
    current = dog;
    watchdog_set_hooks(new_hooks);
    atomic_store(&reported, false);
    atomic_store(&last_beat_ns, clock_now_ns());
    timer_init(&dog->heartbeat, loop, beat);
    timer_start(&dog->heartbeat, 0, dog->beat_ns);
    set_signal(dog, true);
    return 0;
}

static void block_signal(sigset_t *before)
{
    sigset_t ours;

    sigemptyset(&ours);
    sigaddset(&ours, SIGNAL_NUMBER);
    pthread_sigmask(SIG_BLOCK, &ours, before);
}

void watchdog_set_hooks(const struct watchdog_hooks *new_hooks)
{
    sigset_t before;

    block_signal(&before);
    hooks = new_hooks ? *new_hooks : (struct watchdog_hooks){0};
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void watchdog_set_probe(void (*blocked)(void *arg, uint64_t blocked_ns), void *arg)
{
    sigset_t before;

    block_signal(&before);
    probe.blocked = blocked;
    probe.arg = arg;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

bool watchdog_probed(void)
{
    return probe.blocked != NULL;
}

void watchdog_pause(void)
{
    if (current && current->paused++ == 0) {
        set_signal(current, false);
    }
}

void watchdog_resume(void)
{
    if (current && current->paused > 0 && --current->paused == 0) {
        atomic_store(&reported, false);
        atomic_store(&last_beat_ns, clock_now_ns());
        set_signal(current, true);
    }
}

void watchdog_stop(void)
{
    struct watchdog *dog = current;

    if (!dog) {
        return;
    }
    timer_delete(dog->timer);
    sigaction(SIGNAL_NUMBER, &dog->old_action, NULL);
    current = NULL;
    timer_close(&dog->heartbeat, heartbeat_closed);
}
