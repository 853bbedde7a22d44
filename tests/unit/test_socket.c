/* Sockets: messages both ways, who is there and who is not, and what an address may be. */
#include "bus_fixture.h"
#include "scratch.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

static const struct socket_options plain;

/* What nng does not have: names of peers, and connections that go when their socket is closed. */
static void only_over_zeromq(void)
{
    if (bus_fixture_backend() != BUS_ZMQ) {
        skip();
    }
}

static void events_arrive_in_order(void **state)
{
    struct bus_fixture f;
    struct end push = {0}, pull = {0};

    only_over_zeromq();
    bus_fixture_open(&f);
    end_open(f.bus, &push, SOCKET_PUSH, plain);
    end_open(f.bus, &pull, SOCKET_PULL, plain);
    ends_join(&pull, &push);
    assert_int_equal(strncmp(socket_address(pull.socket), "tcp://127.0.0.1:", 16), 0);
    assert_int_equal(socket_send(push.socket, STR_NONE, STR("one")), 0);
    assert_int_equal(socket_send(push.socket, STR_NONE, STR("")), 0);
    assert_int_equal(socket_send(push.socket, STR_NONE, STR("three")), 0);
    bus_until(&f, pull.count == 3);
    assert_string_equal(pull.bodies.data, "one\n\nthree\n");
    bus_until(&f, push.up == 1 && pull.up == 1);
    assert_int_equal(socket_peers(pull.socket), 1);
    end_close(&push);
    bus_until(&f, pull.down == 1);
    assert_int_equal(socket_peers(pull.socket), 0);
    end_close(&pull);
    bus_fixture_close(&f);
}

static void a_service_answers_its_client(void **state)
{
    struct bus_fixture f;
    struct end service = {.answer = "work"}, client = {0};

    bus_fixture_open(&f);
    end_open(f.bus, &service, SOCKET_SERVICE, plain);
    end_open(f.bus, &client, SOCKET_CLIENT, (struct socket_options){.routing_id = "mite1:abc"});
    ends_join(&service, &client);
    for (size_t i = 1; i <= 3; i++) {
        assert_int_equal(socket_send(client.socket, STR_NONE, STR("ask")), 0);
        bus_until(&f, client.count == i);
    }
    assert_string_equal(bus_fixture_backend() == BUS_ZMQ ? service.peer : "mite1:abc", "mite1:abc");
    assert_string_equal(service.bodies.data, "ask\nask\nask\n");
    assert_string_equal(client.bodies.data, "work\nwork\nwork\n");
    assert_int_equal(socket_send(service.socket, STR("stranger"), STR("x")), MITE_ENOTFOUND);
    end_close(&client);
    end_close(&service);
    bus_fixture_close(&f);
}

/* A new socket with the name of an old one takes its place. */
static void a_client_that_opens_anew_is_the_same_peer(void **state)
{
    struct bus_fixture f;
    struct end service = {0}, old = {0}, new = {0};

    only_over_zeromq();
    bus_fixture_open(&f);
    end_open(f.bus, &service, SOCKET_SERVICE, plain);
    end_open(f.bus, &old, SOCKET_CLIENT, (struct socket_options){.routing_id = "mite1:abc"});
    ends_join(&service, &old);
    socket_send(old.socket, STR_NONE, STR("old"));
    bus_until(&f, service.count == 1);
    end_open(f.bus, &new, SOCKET_CLIENT, (struct socket_options){.routing_id = "mite1:abc"});
    assert_int_equal(socket_connect(new.socket, socket_address(service.socket), NULL), 0);
    socket_send(new.socket, STR_NONE, STR("new"));
    bus_until(&f, service.count == 2);
    assert_int_equal(socket_send(service.socket, STR("mite1:abc"), STR("for the new one")), 0);
    bus_until(&f, new.count == 1);
    assert_int_equal(old.count, 0);
    end_close(&old);
    end_close(&new);
    end_close(&service);
    bus_fixture_close(&f);
}

/* What the peer cannot take waits here, and the loop goes on. */
static void a_send_never_blocks(void **state)
{
    struct bus_fixture f;
    struct end push = {0}, pull = {0};
    size_t sent = 0;

    bus_fixture_open(&f);
    end_open(f.bus, &push, SOCKET_PUSH, (struct socket_options){.high_water = 10});
    assert_int_equal(socket_bind(push.socket, "tcp://127.0.0.1:*", NULL), 0);
    assert_int_equal(socket_send(push.socket, STR_NONE, STR("x")), MITE_EAGAIN);
    assert_int_equal(push.writable, 0);
    end_open(f.bus, &pull, SOCKET_PULL, plain);
    assert_int_equal(socket_connect(pull.socket, socket_address(push.socket), NULL), 0);
    bus_until(&f, push.writable == 1);
    while (sent < 5000) {
        if (socket_send(push.socket, STR_NONE, STR("message")) == 0) {
            sent++;
        } else {
            int before = push.writable;
            bus_until(&f, push.writable > before);
        }
    }
    bus_until(&f, pull.count == sent);
    end_close(&push);
    end_close(&pull);
    bus_fixture_close(&f);
}

#define A_SENDER   0x50
#define A_RECEIVER 0x51

/* A peer of nanomsg's that comes to `address` as one of these. Its descriptor. */
static int come_as(char protocol, const char *address)
{
    const char hello[] = {0, 'S', 'P', 0, 0, protocol, 0, 0};
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char answer[sizeof hello];

    name.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(write(fd, hello, sizeof hello), sizeof hello);
    assert_int_equal(recv(fd, answer, sizeof answer, MSG_WAITALL), sizeof answer);
    return fd;
}

static void come_as_a_sender_and_be_turned_away(const char *address)
{
    int fd = come_as(A_SENDER, address);
    char byte;

    assert_int_equal(read(fd, &byte, 1), 0);
    close(fd);
}

/* One sender that connects to another is no peer of it, not for a moment. */
static void a_peer_of_the_wrong_kind_does_not_count(void **state)
{
    struct bus_fixture f;
    struct end push = {0}, pull = {0};

    if (bus_fixture_backend() == BUS_ZMQ) {
        skip(); /* ZeroMQ tells of no connection at all */
    }
    bus_fixture_open(&f);
    end_open(f.bus, &push, SOCKET_PUSH, plain);
    end_open(f.bus, &pull, SOCKET_PULL, plain);
    assert_int_equal(socket_bind(push.socket, "tcp://127.0.0.1:*", NULL), 0);
    for (int i = 0; i < 20; i++) {
        come_as_a_sender_and_be_turned_away(socket_address(push.socket));
    }
    assert_int_equal(socket_connect(pull.socket, socket_address(push.socket), NULL), 0);
    bus_until(&f, push.up > 0 && socket_send(push.socket, STR_NONE, STR("still")) == 0);
    bus_until(&f, pull.count > 0);
    assert_int_equal(push.up, 1);
    assert_int_equal(push.down, 0);
    end_close(&push);
    end_close(&pull);
    bus_fixture_close(&f);
}

/* One end that always has something to say does not keep the others from their turn. */
static void a_busy_socket_leaves_room_for_others(void **state)
{
    struct bus_fixture f;
    struct end push = {0}, pull = {0};
    size_t turns = 0, last = 0, most = 0;

    bus_fixture_open(&f);
    end_open(f.bus, &push, SOCKET_PUSH, (struct socket_options){.high_water = 100000});
    end_open(f.bus, &pull, SOCKET_PULL, (struct socket_options){.high_water = 100000});
    ends_join(&pull, &push);
    for (size_t i = 0; i < 8000; i++) {
        assert_int_equal(socket_send(push.socket, STR_NONE, STR("message")), 0);
    }
    while (pull.count < 8000) {
        uv_run(loop_uv(f.loop), UV_RUN_ONCE);
        most = pull.count - last > most ? pull.count - last : most;
        last = pull.count;
        turns++;
    }
    assert_true(turns > 10);
    assert_true(most <= 2 * 256);
    end_close(&push);
    end_close(&pull);
    bus_fixture_close(&f);
}

static void closing_inside_a_callback(void **state)
{
    struct bus_fixture f;
    struct end push = {0}, pull = {.close_at_once = true};

    only_over_zeromq();
    bus_fixture_open(&f);
    end_open(f.bus, &push, SOCKET_PUSH, plain);
    end_open(f.bus, &pull, SOCKET_PULL, plain);
    ends_join(&pull, &push);
    for (int i = 0; i < 10; i++) {
        socket_send(push.socket, STR_NONE, STR("x"));
    }
    bus_until(&f, pull.count > 0);
    bus_until(&f, push.down == 1);
    assert_int_equal(pull.count, 1);
    end_close(&push);
    end_close(&pull);
    bus_fixture_close(&f);
}

static void in_a_loop_inside_another(void **state)
{
    struct fake_host host;
    struct bus *bus;
    struct end service = {.answer = "work"}, client = {0};

    fake_host_open(&host);
    assert_int_equal(bus_open(host.loop, &(struct bus_options){.backend = bus_fixture_backend()}, &bus, NULL), 0);
    end_open(bus, &service, SOCKET_SERVICE, plain);
    end_open(bus, &client, SOCKET_CLIENT, plain);
    ends_join(&service, &client);
    size_t at_once = bus_fixture_backend() == BUS_ZMQ ? 3 : 1; /* over nanomsg a question calls off the one before */
    for (size_t i = 1; i <= 300; i++) {
        assert_int_equal(socket_send(client.socket, STR_NONE, STR("ask")), 0);
        if (i % at_once == 0) {
            fake_run_until(&host, client.count == i);
        }
    }
    end_close(&client);
    end_close(&service);
    fake_host_close(&host);
    bus_close(bus);
}

/* So large that its sender is still at it when the connection is cut. */
static void large_messages_are_cut_off(void **state)
{
    struct bus_fixture f;
    struct end push = {0}, pull = {0};
    static char large[16 << 20];

    bus_fixture_open(&f);
    end_open(f.bus, &push, SOCKET_PUSH, plain);
    end_open(f.bus, &pull, SOCKET_PULL, (struct socket_options){.max_message_size = 1000});
    ends_join(&pull, &push);
    bus_until(&f, pull.up == 1 && push.up == 1);
    socket_send(push.socket, STR_NONE, (struct str){large, sizeof large});
    bus_until(&f, pull.down > 0);
    assert_int_equal(pull.count, 0);
    bus_until(&f, push.up == 2 && socket_peers(pull.socket) == 1);
    socket_send(push.socket, STR_NONE, STR("small"));
    bus_until(&f, pull.count == 1);
    end_close(&push);
    end_close(&pull);
    bus_fixture_close(&f);
}

/* Even in the moment in which a message to one is on its way, and whether it was alone or not. */
static void receivers_that_die_do_no_harm(void **state)
{
    struct bus_fixture f;
    struct end push = {0}, pull = {0};
    int came = 0;

    if (bus_fixture_backend() == BUS_ZMQ) {
        skip(); /* it speaks another protocol */
    }
    bus_fixture_open(&f);
    end_open(f.bus, &push, SOCKET_PUSH, plain);
    assert_int_equal(socket_bind(push.socket, "tcp://127.0.0.1:*", NULL), 0);
    for (int i = 0; i < 200; i++) {
        int fds[2], count = i % 8 == 0 ? 2 : 1;

        for (int j = 0; j < count; j++) {
            fds[j] = come_as(A_RECEIVER, socket_address(push.socket));
        }
        came += count;
        bus_until(&f, push.up == came);
        for (int j = 0; j < count; j++) {
            assert_int_equal(socket_send(push.socket, STR_NONE, STR("x")), 0);
        }
        for (int j = 0; j < count; j++) {
            close(fds[j]);
        }
        bus_until(&f, push.down == came);
    }
    end_open(f.bus, &pull, SOCKET_PULL, plain);
    assert_int_equal(socket_connect(pull.socket, socket_address(push.socket), NULL), 0);
    bus_until(&f, socket_peers(push.socket) == 1);
    assert_int_equal(socket_send(push.socket, STR_NONE, STR("last")), 0);
    bus_until(&f, pull.bodies.size >= 5 && strcmp(pull.bodies.data + pull.bodies.size - 5, "last\n") == 0);
    end_close(&push);
    end_close(&pull);
    bus_fixture_close(&f);
}

static void one_receiver_after_another(void **state)
{
    struct bus_fixture f;
    struct scratch scratch;
    struct end push = {0};
    char address[600];

    scratch_make(&scratch);
    bus_fixture_open(&f);
    snprintf(address, sizeof address, "ipc://%s", scratch_path(&scratch, "bus").s);
    end_open(f.bus, &push, SOCKET_PUSH, plain);
    assert_int_equal(socket_bind(push.socket, address, NULL), 0);
    for (int i = 1; i <= 5; i++) {
        struct end pull = {0};

        end_open(f.bus, &pull, SOCKET_PULL, plain);
        assert_int_equal(socket_connect(pull.socket, address, NULL), 0);
        bus_until(&f, push.up == i);
        assert_int_equal(socket_send(push.socket, STR_NONE, STR("x")), 0);
        bus_until(&f, pull.count == 1);
        end_close(&pull);
        bus_until(&f, push.down == i);
    }
    end_close(&push);
    bus_fixture_close(&f);
    scratch_remove(&scratch);
}

/* ---- addresses ---- */

static void addresses(void **state)
{
    static const char *const good[] = {"tcp://127.0.0.1:14301", "tcp://localhost:1", "tcp://[::1]:65535",
                                       "tcp://duplicator_1:80", "ipc:///tmp/x",      "ipc://x",
                                       "tcp://[fe80::1%eth0]:1"};
    static const char *const bad[] = {
        "",           "127.0.0.1:80", "tcp://",       "tcp://h",      "tcp://h:",     "tcp://h:0",    "tcp://h:65536",
        "tcp://h:x",  "tcp://:80",    "tcp://::1:80", "tcp://[x]:80", "tcp://a b:80", "tcp://a;b:80", "tcp://h:*",
        "tcp://*:80", "ipc://",       "udp://h:80"};
    struct mite_error error = {0};

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(bus_address_check(good[i], false, &error), 0);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(bus_address_check(bad[i], false, &error), MITE_EINVAL);
        assert_non_null(strstr(error.text, bad[i]));
    }
    assert_int_equal(bus_address_check("tcp://*:80", true, NULL), 0);
    assert_int_equal(bus_address_check("tcp://127.0.0.1:*", true, NULL), 0);
    assert_int_equal(bus_address_check("inproc://x", true, &error), MITE_EINVAL);
    assert_non_null(strstr(error.text, "use ipc://PATH"));
}

static void which_addresses_others_can_reach(void **state)
{
    assert_false(bus_address_open("tcp://127.0.0.1:80"));
    assert_false(bus_address_open("tcp://[::1]:80"));
    assert_false(bus_address_open("tcp://localhost:80"));
    assert_false(bus_address_open("ipc:///tmp/x"));
    assert_true(bus_address_open("tcp://*:80"));
    assert_true(bus_address_open("tcp://0.0.0.0:80"));
    assert_true(bus_address_open("tcp://[::]:80"));
    assert_true(bus_address_open("tcp://eth0:80"));
}

static void cannot_bind(struct bus *bus, const char *address, const char *why)
{
    struct end end = {0};
    struct mite_error error = {0};

    end_open(bus, &end, SOCKET_PULL, plain);
    assert_int_equal(socket_bind(end.socket, address, &error), MITE_EIO);
    assert_non_null(strstr(error.text, address));
    assert_non_null(strstr(error.text, why));
    end_close(&end);
}

static void an_address_in_use(void **state)
{
    struct bus_fixture f;
    struct end first = {0};

    bus_fixture_open(&f);
    end_open(f.bus, &first, SOCKET_PULL, plain);
    assert_int_equal(socket_bind(first.socket, "tcp://127.0.0.1:*", NULL), 0);
    cannot_bind(f.bus, socket_address(first.socket), "the address is in use: end the process that has it");
    cannot_bind(f.bus, "tcp://192.0.2.1:14399", "no such address");
    end_close(&first);
    bus_fixture_close(&f);
}

static void names_and_ipv6(void **state)
{
    static const char *const places[] = {"tcp://localhost:*", "tcp://[::1]:*", "tcp://*:*"};
    struct bus_fixture f;

    bus_fixture_open(&f);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct end push = {0}, pull = {0};
        char address[64];

        end_open(f.bus, &pull, SOCKET_PULL, plain);
        if (socket_bind(pull.socket, places[i], NULL) == 0) { /* a machine may have no IPv6 */
            const char *port = strrchr(socket_address(pull.socket), ':');
            snprintf(address, sizeof address, "tcp://%s%s", i == 1 ? "[::1]" : "localhost", port);
            end_open(f.bus, &push, SOCKET_PUSH, plain);
            assert_int_equal(socket_connect(push.socket, address, NULL), 0);
            socket_send(push.socket, STR_NONE, STR("x"));
            bus_until(&f, pull.count == 1);
            end_close(&push);
        } else {
            assert_int_equal(i, 1);
        }
        end_close(&pull);
    }
    bus_fixture_close(&f);
}

/* A process that was killed leaves its path behind. */
static void leave_socket_behind(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    assert_true(strlen(path) < sizeof name.sun_path);
    strcpy(name.sun_path, path);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    close(fd);
}

static void local_sockets(void **state)
{
    struct bus_fixture f;
    struct scratch scratch;
    struct end pull = {0}, push = {0};
    char address[600];

    scratch_make(&scratch);
    bus_fixture_open(&f);
    leave_socket_behind(scratch_path(&scratch, "bus").s);
    snprintf(address, sizeof address, "ipc://%s", scratch_path(&scratch, "bus").s);
    end_open(f.bus, &pull, SOCKET_PULL, plain);
    assert_int_equal(socket_bind(pull.socket, address, NULL), 0);
    end_open(f.bus, &push, SOCKET_PUSH, plain);
    assert_int_equal(socket_connect(push.socket, address, NULL), 0);
    socket_send(push.socket, STR_NONE, STR("x"));
    bus_until(&f, pull.count == 1);
    cannot_bind(f.bus, address, "in use by another process");

    FILE *file = fopen(scratch_path(&scratch, "file").s, "w");
    assert_non_null(file);
    fclose(file);
    snprintf(address, sizeof address, "ipc://%s", scratch_path(&scratch, "file").s);
    cannot_bind(f.bus, address, "is no socket");
    end_close(&push);
    end_close(&pull);
    bus_fixture_close(&f);
    scratch_remove(&scratch);
}

static void backends(void **state)
{
    enum bus_backend backend;
    struct mite_error error = {0};

    assert_int_equal(bus_backend_parse("zmq", &backend, NULL), 0);
    assert_int_equal(backend, BUS_ZMQ);
    assert_int_equal(bus_backend_parse("ZMQ", &backend, NULL), 0);
    assert_int_equal(bus_backend_parse("kafka", &backend, &error), MITE_EINVAL);
    assert_string_equal(error.text, "--message-backend=kafka: ZMQ or nanomsg is expected");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_arrive_in_order),
        cmocka_unit_test(a_service_answers_its_client),
        cmocka_unit_test(a_client_that_opens_anew_is_the_same_peer),
        cmocka_unit_test(a_send_never_blocks),
        cmocka_unit_test(a_peer_of_the_wrong_kind_does_not_count),
        cmocka_unit_test(a_busy_socket_leaves_room_for_others),
        cmocka_unit_test(closing_inside_a_callback),
        cmocka_unit_test(in_a_loop_inside_another),
        cmocka_unit_test(large_messages_are_cut_off),
        cmocka_unit_test(receivers_that_die_do_no_harm),
        cmocka_unit_test(one_receiver_after_another),
        cmocka_unit_test(addresses),
        cmocka_unit_test(which_addresses_others_can_reach),
        cmocka_unit_test(an_address_in_use),
        cmocka_unit_test(names_and_ipv6),
        cmocka_unit_test(local_sockets),
        cmocka_unit_test(backends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
