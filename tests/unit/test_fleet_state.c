/* --state: what a fleet writes down, and what the next one makes of it. */
#include "fake_runners.h"

#include "scratch.h"
#include "stats/totals_delta.h"
#include "stats_messages.h"
#include "value/msgpack.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#define US(n) "mite1:runner-" #n

struct fixture {
    struct scratch scratch;
    char path[256];
    struct fake_fleet fake;
    struct fleet_options options;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    scratch_make(&f->scratch);
    snprintf(f->path, sizeof f->path, "%s/state", f->scratch.dir);
    fake_fleet_init(&f->fake);
    f->options = (struct fleet_options){.scheduling = {.spawn_rate = 1e6}, .state_file = f->path};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    fake_fleet_done(&f->fake);
    scratch_remove(&f->scratch);
    free(f);
    return 0;
}

/* A process that was killed and another in its place: pools, figures and the configuration are as they were at first.
 */
static void start_again(struct fixture *f, struct datapool *pool)
{
    fleet_free(f->fake.fleet);
    totals_done(&f->fake.totals);
    assert_int_equal(totals_init(&f->fake.totals), 0);
    config_done(&f->fake.config);
    config_init(&f->fake.config);
    for (size_t i = 0; i < f->fake.scenario.count; i++) {
        datapool_unref(f->fake.scenario.entries[i].pool);
        f->fake.scenario.entries[i].pool = i ? datapool_ref(pool) : pool;
    }
    fake_open(&f->fake, f->options);
}

static struct fleet_counts counts_of(const struct fixture *f)
{
    struct fleet_counts counts;

    fleet_count(f->fake.fleet, &counts);
    return counts;
}

static void join_and_run(struct fixture *f, struct fake_runner *runner, const char *peer)
{
    fake_join(&f->fake, runner, peer);
    fake_report(&f->fake, runner);
    fake_report(&f->fake, runner);
    while (f->fake.fleet->shares.entries[0].wanted == 0) {
        fake_wait(&f->fake);
    }
    fake_report(&f->fake, runner);
}

/* It is told that it is unknown, says hello, and introduces itself. */
static void come_back(struct fixture *f, struct fake_runner *runner)
{
    int64_t id = runner->id;
    struct work_introduction introduction = {.host = STR("web-7"), .version = STR("3"), .pid = 7};

    fake_report(&f->fake, runner);
    assert_false(runner->orders.known);
    fake_join(&f->fake, runner, runner->peer);
    assert_int_equal(runner->id, id);
    struct work_entry_report entry = {.scenario_id = 1,
                                      .running = runner->running,
                                      .started = runner->started,
                                      .completed = runner->completed,
                                      .highest_id = -1};
    struct work_report report = {.seq = ++runner->seq,
                                 .runner_id = id,
                                 .epoch = runner->epoch,
                                 .introduction = &introduction,
                                 .entries = &entry,
                                 .entry_count = 1,
                                 .stats = value_nil(),
                                 .stats_from_start = true};
    fake_say_again(&f->fake, runner, &report);
    assert_true(runner->orders.known);
}

/* As if it had been silent for long. */
static void lose(struct fixture *f, size_t index)
{
    uint64_t now_ns = clock_now_ns();

    f->fake.fleet->runners[index]->heard_ns = now_ns - 20 * NS_PER_S;
    fleet_lose_silent(f->fake.fleet, now_ns);
    assert_int_equal(f->fake.fleet->runners[index]->state, RUNNER_LOST);
}

/* ---- runners ---- */

/* A runner that never came back to the second controller is lost to the third, and what it held is others'. */
static void test_lost_to_the_second(void **state)
{
    struct fixture *f = *state;
    struct fake_runner one = {0}, two = {0};

    fake_add(&f->fake, "shop:buy", fake_pool(true, 4), 4);
    fake_open(&f->fake, f->options);
    join_and_run(f, &one, US(1));
    assert_int_equal(one.held_count, 4);
    start_again(f, fake_pool(true, 4));
    lose(f, 0);
    assert_int_equal(counts_of(f).runners_lost, 1);
    assert_int_equal(counts_of(f).runners_unheard, 1);
    assert_int_equal(counts_of(f).runners_seen, 1);
    join_and_run(f, &two, US(2));
    assert_int_equal(two.held_count, 4);

    start_again(f, fake_pool(true, 4));
    assert_int_equal(counts_of(f).runners_lost, 1);
    assert_int_equal(f->fake.fleet->leases.pools[0].out, 4);
    come_back(f, &two);
    assert_int_equal(two.orders.item_count, 0);
    assert_int_equal(f->fake.fleet->runners[1]->holder.by_entry[0], 4); /* they are the second's, not the first's */
    assert_int_equal(counts_of(f).runners_unheard, 1);
    come_back(f, &one);
    assert_int_equal(counts_of(f).runners_lost, 0);
    assert_int_equal(counts_of(f).runners_unheard, 0);
    assert_int_equal(counts_of(f).runners_back, 1);
    assert_int_equal(counts_of(f).runners_seen, 2);
}

/* A runner that was cut off while it was given up still thinks that it has what it had, whichever controller it finds.
 */
static void test_cut_off_over_a_restart(void **state)
{
    struct fixture *f = *state;
    struct fake_runner one = {0}, two = {0};

    fake_add(&f->fake, "shop:buy", fake_pool(true, 4), 4);
    fake_open(&f->fake, f->options);
    join_and_run(f, &one, US(1));
    lose(f, 0);
    join_and_run(f, &two, US(2));
    assert_int_equal(two.held_count, 4);
    start_again(f, fake_pool(true, 4));
    start_again(f, fake_pool(true, 4));
    come_back(f, &one);
    assert_true(one.orders.void_up_to >= one.held[3] && one.orders.void_up_to < two.held[0]);
    start_again(f, fake_pool(true, 4)); /* that answer may have been lost */
    come_back(f, &one);
    assert_true(one.orders.void_up_to >= one.held[3] && one.orders.void_up_to < two.held[0]);
    fake_report(&f->fake, &one);
    assert_int_equal(one.orders.void_up_to, 0); /* once */
    come_back(f, &two);
    assert_int_equal(two.orders.void_up_to, 0);
}

static void test_counts_of_who_has_gone(void **state)
{
    struct fixture *f = *state;
    struct fake_runner one = {0}, two = {0}, three = {0};

    fake_add(&f->fake, "shop:buy", fake_pool(false, 20), 2);
    fake_open(&f->fake, f->options);
    join_and_run(f, &one, US(1));
    join_and_run(f, &two, US(2));
    join_and_run(f, &three, US(3));
    one.started = one.completed = 3;
    two.started = 7, two.completed = 6, two.running = 1;
    fake_report(&f->fake, &one);
    fake_report(&f->fake, &two);
    fake_tell(&f->fake, one.peer, &(struct work_request){.kind = WORK_BYE, .runner_id = one.id});
    lose(f, 0);
    fake_report(&f->fake, &two); /* and is back */
    lose(f, 0);
    uint64_t items_lost = counts_of(f).items_lost;
    assert_true(items_lost > 0);
    for (int i = 0; i < 3; i++) {
        start_again(f, fake_pool(false, 20));
        struct fleet_counts counts = counts_of(f);
        assert_int_equal(counts.runners_seen, 3);
        assert_int_equal(counts.runners_lost, 1);
        assert_int_equal(counts.runners_back, 1);
        assert_int_equal(counts.items_lost, items_lost);
        assert_int_equal(counts.journeys.started, 10);
        assert_int_equal(counts.journeys.completed, 9);
    }
    two.started = 8;
    come_back(f, &two);
    assert_int_equal(counts_of(f).journeys.started, 11);
    assert_int_equal(counts_of(f).runners_back, 1);
    assert_int_equal(counts_of(f).runners_lost, 0);
}

/* Of the report that was on its way when the controller died, a second copy comes once hello has been said. */
static void test_a_late_copy_spoils_nothing(void **state)
{
    struct fixture *f = *state;
    struct fake_runner one = {0};
    struct totals fresh;
    struct buf bytes;
    struct arena arena;
    size_t used;

    fake_add(&f->fake, "shop:buy", NULL, 2);
    fake_open(&f->fake, f->options);
    join_and_run(f, &one, US(1));
    start_again(f, NULL);

    assert_int_equal(totals_init(&fresh), 0);
    buf_init(&bytes, 0);
    arena_init(&arena, 0);
    send_request(&fresh.sink, "__root__ :: pay", "GET", 200, 0.001);
    totals_write(&bytes, &fresh);
    struct work_report late = {.seq = ++one.seq, .runner_id = one.id, .epoch = one.epoch};
    assert_int_equal(msgpack_read(&arena, buf_view(&bytes), &used, &late.stats, NULL), 0);
    fake_say_again(&f->fake, &one, &late);
    assert_false(one.orders.known);
    fake_hello(&f->fake, one.peer);
    fake_say_again(&f->fake, &one, &late);
    assert_false(one.orders.known);
    assert_int_equal(f->fake.totals.requests, 0);

    struct work_introduction introduction = {.host = STR("web-7")};
    struct work_report whole = late;
    whole.seq++;
    whole.introduction = &introduction;
    whole.stats_from_start = true;
    fake_say_again(&f->fake, &one, &whole);
    assert_true(one.orders.known);
    assert_int_equal(f->fake.totals.requests, 1);
    assert_int_equal(counts_of(f).bad_messages, 0);
    arena_done(&arena);
    buf_done(&bytes);
    totals_done(&fresh);
}

/* It starts all that it may. */
static void start_all(struct fixture *f, struct fake_runner *runner)
{
    fake_report(&f->fake, runner);
    if (runner->orders.known && runner->entry.starts_left > 0) {
        runner->started += runner->entry.starts_left;
        runner->completed = runner->started;
    }
}

/* A limit on starts holds over a restart, whoever comes back first, and whoever never does. */
static void test_starts(void **state)
{
    struct fixture *f = *state;
    struct fake_runner one = {0}, two = {0}, three = {0};

    f->options.scheduling.iterations = 100;
    fake_add(&f->fake, "shop:buy", NULL, 10);
    fake_open(&f->fake, f->options);
    join_and_run(f, &one, US(1));
    join_and_run(f, &two, US(2));
    fake_report(&f->fake, &one);
    one.started = one.completed = 15;
    two.started = two.completed = 10;
    fake_report(&f->fake, &one);
    fake_report(&f->fake, &two);
    int64_t may_start = one.entry.starts_left + two.entry.starts_left;
    assert_true(one.entry.starts_left > 0 && two.entry.starts_left > 0 && may_start <= 75);

    for (int i = 0; i < 2; i++) {
        start_again(f, NULL);
        assert_int_equal(counts_of(f).journeys.started, 25);
    }
    join_and_run(f, &three, US(3));
    assert_true(three.entry.starts_left <= 75 - may_start); /* what the others may start is theirs */
    one.started += one.entry.starts_left;
    one.completed = one.started;
    come_back(f, &one);
    assert_int_equal(counts_of(f).journeys.started, 10 + one.started);
    lose(f, 1); /* the second never comes back */
    for (int i = 0; i < 50; i++) {
        start_all(f, i % 2 ? &one : &three);
    }
    assert_int_equal(one.started + three.started + 10, 100);
    assert_true(shares_over(&f->fake.fleet->shares));
}

/* Only the report that is sent again and again until somebody answers it was in vain: not one of which a late copy
 * comes. */
static void test_answers_that_arrived_and_one_that_did_not(void **state)
{
    struct fixture *f = *state;
    struct fake_runner one = {0};

    fake_add(&f->fake, "shop:buy", fake_pool(true, 4), 4);
    fake_open(&f->fake, f->options);
    join_and_run(f, &one, US(1));
    assert_int_equal(one.orders.item_count, 4);
    uint64_t answered = one.seq;
    start_again(f, fake_pool(true, 4));
    struct work_report late = {.seq = answered, .runner_id = one.id, .epoch = one.epoch, .stats = value_nil()};
    fake_say_again(&f->fake, &one, &late);
    assert_false(one.orders.known);
    come_back(f, &one);
    assert_int_equal(one.orders.item_count, 0);
    assert_int_equal(f->fake.fleet->leases.last, 4); /* they still are its own, under the same leases */

    start_again(f, fake_pool(true, 4));
    f->fake.fleet->runners[0]->holder.items.tqh_first->seq = one.seq + 1; /* as if it had gone out with the next one */
    come_back(f, &one);
    assert_int_equal(f->fake.fleet->leases.pools[0].out + f->fake.fleet->leases.pools[0].in_stock, 4);
    fake_report(&f->fake, &one);
    while (f->fake.fleet->shares.entries[0].wanted == 0) {
        fake_wait(&f->fake);
    }
    fake_report(&f->fake, &one);
    assert_int_equal(one.orders.item_count, 1);
    assert_int_equal(one.orders.items[0].lease, 5);
}

/* ---- steering and the clock ---- */

static void steer(struct fixture *f, const char *command, const char *first, const char *second)
{
    struct value arguments[2] = {value_text(str_of(first)), value_text(str_of(second))};
    struct work_request request = {.kind = WORK_CONTROL,
                                   .command = str_of(command),
                                   .arguments = arguments,
                                   .argument_count = (first != NULL) + (second != NULL)};

    fake_tell(&f->fake, "ctl", &request);
    assert_non_null(memmem(f->fake.last.data, f->fake.last.size, "done", 4));
}

static void test_steered(void **state)
{
    struct fixture *f = *state;

    fake_add(&f->fake, "shop:buy", NULL, 2);
    fake_add(&f->fake, "shop:buy", NULL, 2);
    fake_open(&f->fake, f->options);
    steer(f, "volume", "2", "0.5");
    steer(f, "config", "colour=red", NULL);
    steer(f, "pause", NULL, NULL);
    for (int i = 0; i < 2; i++) {
        start_again(f, NULL);
        assert_true(f->fake.fleet->factors[0] == 1);
        assert_true(f->fake.fleet->factors[1] == 0.5);
        assert_true(f->fake.fleet->shares.paused);
        assert_true(str_is(value_str(config_get(&f->fake.config, STR("colour"))), "red"));
    }
    steer(f, "resume", NULL, NULL);
    steer(f, "stop", NULL, NULL);
    start_again(f, NULL);
    assert_false(f->fake.fleet->shares.paused);
    assert_true(shares_over(&f->fake.fleet->shares));
    while (f->fake.finished == 0) {
        fake_wait(&f->fake);
    }
}

/* The file outlives the machine: a test may have begun before this one did. */
static void test_begun_before_the_machine(void **state)
{
    struct fixture *f = *state;
    struct fake_runner one = {0};
    double before_s = ns_to_s(clock_now_ns()) + 1000;

    fake_add(&f->fake, "shop:buy", NULL, 2);
    fake_open(&f->fake, f->options);
    join_and_run(f, &one, US(1));
    f->fake.fleet->start_ns -= ns_from_s(before_s);
    fleet_state_began(f->fake.fleet);
    for (int i = 0; i < 2; i++) {
        start_again(f, NULL);
        double elapsed_s = ns_to_s(counts_of(f).journeys.elapsed_ns);
        assert_true(elapsed_s > before_s - 1 && elapsed_s < before_s + 60);
    }
    while (f->fake.fleet->shares.entries[0].wanted == 0) {
        fake_wait(&f->fake);
    }
    assert_true(f->fake.fleet->windows.next_s > (int64_t)before_s - 1);
}

/* ---- the file ---- */

static off_t size_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? st.st_size : -1;
}

static void use_one(struct fixture *f, struct fake_runner *runner)
{
    assert_true(runner->held_count > 0);
    runner->done[runner->done_count++] = runner->held[--runner->held_count];
    runner->started++;
    runner->completed++;
    fake_report(&f->fake, runner);
}

/* It gives back what it has, but for its first item. */
static void give_back(struct fixture *f, struct fake_runner *runner)
{
    struct work_report report = {.seq = ++runner->seq,
                                 .runner_id = runner->id,
                                 .epoch = runner->epoch,
                                 .unused = &runner->held[1],
                                 .unused_count = runner->held_count - 1,
                                 .stats = value_nil(),
                                 .leaving = true};

    fake_say_again(&f->fake, runner, &report);
    runner->held_count = 1;
}

/* A file that has grown long is written anew, and says the same. */
static void test_long(void **state)
{
    struct fixture *f = *state;
    struct fake_runner one = {0}, two = {0};
    bool used[61] = {0};

    fake_add(&f->fake, "shop:buy", fake_pool(false, 60), 2);
    fake_open(&f->fake, f->options);
    join_and_run(f, &one, US(1));
    for (int i = 0; i < 20; i++) {
        used[one.ids[one.held_count - 1]] = true;
        use_one(f, &one);
    }
    assert_true(one.held_count > 2);
    give_back(f, &one);
    used[one.ids[0]] = true; /* or is about to */
    off_t before = size_of(f->path);
    f->fake.fleet->journal.long_at = 1;
    fleet_state_look(f->fake.fleet, clock_now_ns());
    assert_true(size_of(f->path) < before);
    assert_int_equal(f->fake.fleet->journal.size, size_of(f->path));

    for (int i = 0; i < 2; i++) {
        start_again(f, fake_pool(false, 60));
        assert_int_equal(f->fake.fleet->leases.pools[0].out, 1);
    }
    join_and_run(f, &two, US(2));
    while (two.held_count > 0) {
        assert_false(used[two.ids[two.held_count - 1]]);
        used[two.ids[two.held_count - 1]] = true;
        use_one(f, &two);
    }
    for (int i = 1; i <= 60; i++) {
        assert_true(used[i]);
    }
}

/* On a full disk nothing is believed that is not so; once there is room the file is whole again. */
static void test_full(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, small;
    struct fake_runner one = {0};

    signal(SIGXFSZ, SIG_IGN);
    fake_add(&f->fake, "shop:buy", fake_pool(false, 60), 2);
    fake_open(&f->fake, f->options);
    join_and_run(f, &one, US(1));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){(rlim_t)size_of(f->path) + 3, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    use_one(f, &one);
    off_t emptied = size_of(f->path);
    small.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    uint64_t now_ns = clock_now_ns() + 2 * NS_PER_S;
    fleet_state_look(f->fake.fleet, now_ns);
    bool still = f->fake.fleet->journal.failed;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(emptied, 0);
    assert_true(still);

    fleet_state_look(f->fake.fleet, now_ns);
    assert_true(f->fake.fleet->journal.failed); /* not at every look */
    fleet_state_look(f->fake.fleet, now_ns + 2 * NS_PER_S);
    assert_false(f->fake.fleet->journal.failed);
    use_one(f, &one);
    int64_t out = f->fake.fleet->leases.pools[0].out;
    start_again(f, fake_pool(false, 60));
    assert_int_equal(f->fake.fleet->leases.pools[0].out, out);
    come_back(f, &one);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_lost_to_the_second),
        TEST(test_cut_off_over_a_restart),
        TEST(test_counts_of_who_has_gone),
        TEST(test_a_late_copy_spoils_nothing),
        TEST(test_answers_that_arrived_and_one_that_did_not),
        TEST(test_starts),
        TEST(test_steered),
        TEST(test_begun_before_the_machine),
        TEST(test_long),
        TEST(test_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
