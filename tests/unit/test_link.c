/* The runner's end of the line: what is sent again, when, and what is not. */
#include "bus_fixture.h"

#include "base/clock.h"
#include "worker/link.h"

#include <stdlib.h>
#include <unistd.h>

#define PATIENCE_NS (200 * NS_PER_MS)
#define LONG_NS     (600 * NS_PER_S)

struct fixture {
    struct bus_fixture bus;
    struct end controller;
    struct link *link;
    int received, up, down;
    char last[64];
    bool settles; /* what comes is the answer */
};

static void on_received(void *arg, struct str body)
{
    struct fixture *f = arg;

    f->received++;
    snprintf(f->last, sizeof f->last, STR_FMT, STR_ARG(body));
    if (f->settles) {
        link_answered(f->link);
    }
}

static void on_connection(void *arg, bool up)
{
    struct fixture *f = arg;

    *(up ? &f->up : &f->down) += 1;
}

static void open_controller(struct fixture *f, const char *address, const char *answer)
{
    memset(&f->controller, 0, sizeof f->controller);
    f->controller.answer = answer;
    end_open(f->bus.bus, &f->controller, SOCKET_SERVICE, (struct socket_options){0});
    /* One that was closed a moment ago may still have the address. */
    bus_until(&f->bus, socket_bind(f->controller.socket, address, NULL) == 0);
}

/* One that nobody else takes meanwhile. */
static void own_address(char *out, size_t size)
{
    snprintf(out, size, "ipc:///tmp/mite-test-link-%d", (int)getpid());
}

static void open_link(struct fixture *f, const char *address)
{
    struct link_options options = {.bus = f->bus.bus,
                                   .address = address,
                                   .name = "mite1:test",
                                   .received = on_received,
                                   .connection = on_connection,
                                   .arg = f};

    assert_int_equal(link_open(f->bus.loop, &options, &f->link, NULL), 0);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    bus_fixture_open(&f->bus);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    link_close(f->link);
    end_close(&f->controller);
    bus_fixture_close(&f->bus);
    free(f);
    return 0;
}

static void an_answer_settles_the_request(void **state)
{
    struct fixture *f = *state;

    open_controller(f, "tcp://127.0.0.1:*", "yes");
    f->settles = true;
    open_link(f, socket_address(f->controller.socket));
    assert_int_equal(link_send(f->link, STR("one"), PATIENCE_NS), 0);
    assert_true(link_waits(f->link));
    bus_until(&f->bus, f->received == 1);
    assert_false(link_waits(f->link));
    assert_string_equal(f->last, "yes");
    assert_string_equal(f->controller.peer, "mite1:test");
    assert_int_equal(link_send(f->link, STR("two"), PATIENCE_NS), 0);
    bus_until(&f->bus, f->received == 2);
    assert_string_equal(f->controller.bodies.data, "one\ntwo\n");
    assert_int_equal(f->up, 1);
}

static void a_silent_controller_gets_the_same_again_over_another_connection(void **state)
{
    struct fixture *f = *state;

    open_controller(f, "tcp://127.0.0.1:*", NULL);
    open_link(f, socket_address(f->controller.socket));
    link_send(f->link, STR("one"), PATIENCE_NS);
    bus_until(&f->bus, f->controller.count == 1);
    uint64_t first_ns = clock_now_ns();
    bus_until(&f->bus, f->controller.count == 2);
    uint64_t second_ns = clock_now_ns();
    assert_true(second_ns - first_ns >= PATIENCE_NS / 2); /* we may have seen the first one late */
    assert_int_equal(f->up, 2);
    bus_until(&f->bus, f->controller.count == 3);
    assert_true(clock_now_ns() - second_ns >= PATIENCE_NS);
    assert_string_equal(f->controller.bodies.data, "one\none\none\n");
    link_answered(f->link);
}

/* Whatever comes, it is not the answer unless the owner says so. */
static void other_messages_do_not_settle_it(void **state)
{
    struct fixture *f = *state;

    open_controller(f, "tcp://127.0.0.1:*", "nonsense");
    open_link(f, socket_address(f->controller.socket));
    link_send(f->link, STR("one"), PATIENCE_NS);
    bus_until(&f->bus, f->received == 2);
    assert_true(link_waits(f->link));
    assert_int_equal(f->controller.count, 2);
}

static void an_answer_of_no_use_is_asked_for_again(void **state)
{
    struct fixture *f = *state;

    open_controller(f, "tcp://127.0.0.1:*", "yes");
    f->settles = true;
    open_link(f, socket_address(f->controller.socket));
    link_send(f->link, STR("one"), PATIENCE_NS);
    bus_until(&f->bus, f->received == 1);
    link_ask_again(f->link);
    assert_true(link_waits(f->link));
    bus_until(&f->bus, f->received == 2);
    assert_string_equal(f->controller.bodies.data, "one\none\n");
    assert_false(link_waits(f->link));
}

static void a_controller_that_comes_later_is_found(void **state)
{
    struct fixture *f = *state;
    char address[64];

    own_address(address, sizeof address);
    open_link(f, address);
    link_send(f->link, STR("one"), PATIENCE_NS);
    link_send(f->link, STR("two"), PATIENCE_NS);
    for (int i = 0; i < 20; i++) {
        uv_run(loop_uv(f->bus.loop), UV_RUN_NOWAIT);
    }
    assert_int_equal(f->up, 0);
    f->settles = true;
    open_controller(f, address, "yes");
    bus_until(&f->bus, f->received == 1);
    assert_string_equal(f->controller.bodies.data, "two\n"); /* and that alone, once */
}

static void a_controller_that_comes_back_gets_what_it_has_not_answered(void **state)
{
    struct fixture *f = *state;
    char address[64];

    own_address(address, sizeof address);
    open_controller(f, address, NULL);
    open_link(f, address);
    link_send(f->link, STR("one"), LONG_NS);
    bus_until(&f->bus, f->controller.count == 1);
    end_close(&f->controller);
    bus_until(&f->bus, f->down == 1);
    f->settles = true;
    open_controller(f, address, "yes");
    bus_until(&f->bus, f->received == 1);
    assert_string_equal(f->controller.bodies.data, "one\n");
    assert_int_equal(f->up, 2);
}

static void an_address_that_is_none_is_refused(void **state)
{
    struct fixture *f = *state;
    struct link_options options = {.bus = f->bus.bus, .address = "inproc://x", .received = on_received, .arg = f};
    struct mite_error error = {0};

    open_controller(f, "tcp://127.0.0.1:*", NULL);
    assert_int_equal(link_open(f->bus.loop, &options, &f->link, &error), MITE_EINVAL);
    assert_non_null(strstr(error.text, "inproc"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_answer_settles_the_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_silent_controller_gets_the_same_again_over_another_connection, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(other_messages_do_not_settle_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_of_no_use_is_asked_for_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_controller_that_comes_later_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_controller_that_comes_back_gets_what_it_has_not_answered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_address_that_is_none_is_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
