/* Blocking calls: on other threads, a few at once, and the loop hears of each; and how the pool ends. */
#include "fake_host.h"

#include "engine/blocking.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *arg), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *arg), void *arg);

static int threads_left = -1; /* that may be made; negative: no limit */

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *arg), void *arg)
{
    if (threads_left == 0) {
        return EAGAIN;
    }
    threads_left -= threads_left > 0;
    return __real_pthread_create(thread, attributes, start, arg);
}

struct scene {
    struct fake_host host;
    struct blocking *blocking;
    pthread_t loop_thread;
    int done;
    char order[32]; /* in which they were done, by what `owner` points to */
};

static struct scene scene;

static void open_scene(unsigned threads)
{
    threads_left = -1;
    scene = (struct scene){.loop_thread = pthread_self()};
    fake_host_open(&scene.host);
    assert_int_equal(blocking_new(scene.host.loop, threads, &scene.blocking, NULL), 0);
}

static void close_scene(void)
{
    assert_int_equal(blocking_free(scene.blocking, 10 * NS_PER_S), 0);
    fake_host_close(&scene.host);
}

static void on_done(struct blocking_job *job)
{
    assert_true(pthread_equal(pthread_self(), scene.loop_thread));
    assert_true(job->asked_ns <= job->began_ns && job->began_ns <= job->ended_ns && job->ended_ns <= clock_now_ns());
    scene.order[scene.done++] = *(const char *)job->owner;
}

static void begin(struct blocking_job *job, void (*fn)(void *arg), void *arg, const char *owner)
{
    *job = (struct blocking_job){.fn = fn, .arg = arg, .done = on_done, .owner = owner};
    assert_int_equal(blocking_start(scene.blocking, job, NULL), 0);
}

static void look(void *arg)
{
    bool *good = arg;
    sigset_t mask;

    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    *good = !pthread_equal(pthread_self(), scene.loop_thread) && *(const char *)blocking_owner() == 'a' &&
            sigismember(&mask, SIGINT) && !sigismember(&mask, SIGSEGV);
}

static void runs_elsewhere_and_is_heard_of_on_the_loop(void **state)
{
    struct blocking_job job;
    bool good = false;

    open_scene(0);
    begin(&job, look, &good, "a");
    assert_null(blocking_owner());
    fake_run_until(&scene.host, scene.done == 1);
    assert_true(good);
    close_scene();
}

static void wait_for_all(void *arg)
{
    pthread_barrier_wait(arg);
}

static void as_many_at_once_as_there_are_threads(void **state)
{
    struct blocking_job jobs[9];
    pthread_barrier_t three;

    pthread_barrier_init(&three, NULL, 3);
    open_scene(3);
    for (int i = 0; i < 9; i++) {
        begin(&jobs[i], wait_for_all, &three, "x");
    }
    fake_run_until(&scene.host, scene.done == 9);
    close_scene();
    pthread_barrier_destroy(&three);
}

static void wait_for_post(void *arg)
{
    while (sem_wait(arg) != 0) {
    }
}

static void nothing(void *arg)
{
}

static void they_begin_in_order(void **state)
{
    static const char names[] = "abcdefgh";
    struct blocking_job jobs[8];
    sem_t gate;

    sem_init(&gate, 0, 0);
    open_scene(1);
    begin(&jobs[0], wait_for_post, &gate, &names[0]);
    for (int i = 1; i < 8; i++) {
        begin(&jobs[i], nothing, NULL, &names[i]);
    }
    sem_post(&gate);
    fake_run_until(&scene.host, scene.done == 8);
    assert_string_equal(scene.order, names);
    assert_true(jobs[7].began_ns >= jobs[0].ended_ns); /* the wait for a thread shows */
    close_scene();
    sem_destroy(&gate);
}

static void begin_again(struct blocking_job *job)
{
    if (++scene.done < 5) {
        assert_int_equal(blocking_start(scene.blocking, job, NULL), 0);
    }
}

static void done_may_start_the_next(void **state)
{
    struct blocking_job job = {.fn = nothing, .done = begin_again};

    open_scene(2);
    assert_int_equal(blocking_start(scene.blocking, &job, NULL), 0);
    fake_run_until(&scene.host, scene.done == 5);
    close_scene();
}

static void without_threads_it_says_so(void **state)
{
    struct blocking_job job = {.fn = nothing, .done = on_done, .owner = "a"}, second = job;
    struct mite_error error = {0};

    open_scene(2);
    threads_left = 0;
    assert_int_equal(blocking_start(scene.blocking, &job, &error), MITE_EIO);
    assert_non_null(strstr(error.text, "thread"));
    threads_left = 1; /* one is enough for two */
    assert_int_equal(blocking_start(scene.blocking, &job, NULL), 0);
    assert_int_equal(blocking_start(scene.blocking, &second, NULL), 0);
    fake_run_until(&scene.host, scene.done == 2);
    close_scene();
}

static size_t count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    size_t count = 0;

    assert_non_null(tasks);
    for (struct dirent *entry; (entry = readdir(tasks));) {
        count += entry->d_name[0] != '.';
    }
    closedir(tasks);
    return count;
}

struct stuck {
    sem_t began, gate;
};

static void gets_stuck(void *arg)
{
    struct stuck *stuck = arg;

    sem_post(&stuck->began);
    wait_for_post(&stuck->gate);
}

static void what_never_ends_is_let_go(void **state)
{
    size_t threads_before = count_threads();
    uint64_t give_up_ns = clock_now_ns() + 10 * NS_PER_S;
    struct blocking_job running, waiting;
    struct stuck stuck;

    sem_init(&stuck.began, 0, 0);
    sem_init(&stuck.gate, 0, 0);
    open_scene(1);
    begin(&running, gets_stuck, &stuck, "a");
    begin(&waiting, nothing, NULL, "b");
    wait_for_post(&stuck.began);
    assert_int_equal(blocking_free(scene.blocking, NS_PER_MS), 1);
    fake_host_close(&scene.host);
    sem_post(&stuck.gate);
    while (count_threads() > threads_before) {
        assert_true(clock_now_ns() < give_up_ns);
    }
    assert_int_equal(scene.done, 0);
    sem_destroy(&stuck.began);
    sem_destroy(&stuck.gate);
}

static void an_idle_pool_just_goes(void **state)
{
    blocking_free(NULL, 0);
    open_scene(0);
    close_scene();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_elsewhere_and_is_heard_of_on_the_loop),
        cmocka_unit_test(as_many_at_once_as_there_are_threads),
        cmocka_unit_test(they_begin_in_order),
        cmocka_unit_test(done_may_start_the_next),
        cmocka_unit_test(without_threads_it_says_so),
        cmocka_unit_test(what_never_ends_is_let_go),
        cmocka_unit_test(an_idle_pool_just_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
