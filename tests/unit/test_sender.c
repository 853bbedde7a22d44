/* Senders: nothing blocks, nothing is lost unseen, and what is dropped is counted by its type. */
#include "bus_fixture.h"

#include "bus/outbox.h"
#include "bus/peek.h"
#include "value/msgpack.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* {"time": 1.5, "type": TYPE, "pad": 1000 bytes} */
static struct str message(const char *type)
{
    static struct buf bytes;
    static const char pad[1000];

    buf_done(&bytes);
    buf_init(&bytes, 0);
    msgpack_write_map(&bytes, 3);
    msgpack_write_text(&bytes, STR("time"));
    msgpack_write_float(&bytes, 1.5);
    msgpack_write_text(&bytes, STR("type"));
    msgpack_write_text(&bytes, str_of(type));
    msgpack_write_text(&bytes, STR("pad"));
    msgpack_write_bytes(&bytes, (struct str){pad, sizeof pad});
    return buf_view(&bytes);
}

static void set_true(void *arg)
{
    *(bool *)arg = true;
}

/* One sender, mostly with a receiver. */
struct fixture {
    struct bus_fixture bus;
    struct sender *sender;
    struct end pull;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    bus_fixture_open(&f->bus);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    sender_free(f->sender);
    end_close(&f->pull);
    bus_fixture_close(&f->bus);
    free(f);
    return 0;
}

static void open_sender(struct fixture *f, const char *address, bool binds, size_t max_bytes)
{
    assert_int_equal(sender_new(f->bus.bus, address, binds, max_bytes, &f->sender, NULL), 0);
}

static void open_receiver(struct fixture *f)
{
    end_open(f->bus.bus, &f->pull, SOCKET_PULL, (struct socket_options){.high_water = 0});
}

static void open_both(struct fixture *f)
{
    open_receiver(f);
    assert_int_equal(socket_bind(f->pull.socket, "tcp://127.0.0.1:*", NULL), 0);
    open_sender(f, socket_address(f->pull.socket), false, 0);
}

static struct sender_counts counts_of(const struct fixture *f)
{
    struct sender_counts counts;

    sender_count(f->sender, &counts);
    return counts;
}

static void messages_go_out_in_order(void **state)
{
    struct fixture *f = *state;
    bool flushed = false;

    open_both(f);
    sender_raw(f->sender, STR("one"));
    sender_raw(f->sender, STR("two"));
    assert_int_equal(counts_of(f).queued, 2);
    assert_int_equal(counts_of(f).queued_bytes, 6);
    sender_when_flushed(f->sender, set_true, &flushed);
    bus_until(&f->bus, flushed);
    sender_raw(f->sender, STR("three"));
    bus_until(&f->bus, f->pull.count == 3);
    assert_string_equal(f->pull.bodies.data, "one\ntwo\nthree\n");
    assert_int_equal(counts_of(f).sent, 3);
    assert_int_equal(counts_of(f).sent_bytes, 11);
    assert_int_equal(counts_of(f).dropped, 0);
}

/* The bytes are those that message_write makes. */
static void a_sink_writes_what_it_gets(void **state)
{
    struct fixture *f = *state;
    struct message text = {
        .kind = MESSAGE_DEBUG_CONSOLE, .type = STR("debug_console_message"), .time = 2, .test = STR("t")};
    struct buf expected;

    text.text.text = STR("hello");
    buf_init(&expected, 0);
    message_write(&expected, &text);
    buf_char(&expected, '\n');
    open_both(f);
    sink_message(sender_sink(f->sender), &text);
    bus_until(&f->bus, f->pull.count == 1);
    assert_true(str_equal(buf_view(&f->pull.bodies), buf_view(&expected)));
    buf_done(&expected);
    sink_free(sender_sink(f->sender));
    f->sender = NULL;
}

/* More than the library takes waits in our queue until somebody comes. */
static void an_absent_receiver_gets_all_of_it_later(void **state)
{
    struct fixture *f = *state;
    bool flushed = false;

    open_sender(f, "tcp://127.0.0.1:*", true, 0);
    for (int i = 0; i < 20000; i++) {
        sender_raw(f->sender, message("txn"));
    }
    assert_int_equal(counts_of(f).queued, 20000);
    sender_when_flushed(f->sender, set_true, &flushed);
    assert_false(flushed);
    open_receiver(f);
    assert_int_equal(socket_connect(f->pull.socket, sender_address(f->sender), NULL), 0);
    bus_until(&f->bus, f->pull.count == 20000);
    assert_true(flushed);
    assert_int_equal(counts_of(f).queued, 0);
    assert_int_equal(counts_of(f).queued_bytes, 0);
}

/* Where nobody listens. A socket of the library's that is closed goes on listening for a moment. */
static void nobodys_address(char *out, size_t size)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof name;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
    close(fd);
    snprintf(out, size, "tcp://127.0.0.1:%d", ntohs(name.sin_port));
}

/* Nothing is handed to the library for somebody who is not there: it would be lost in the end without a word. */
static void a_receiver_that_comes_later_finds_all_of_it_here(void **state)
{
    struct fixture *f = *state;
    char address[64];
    bool flushed = false;

    nobodys_address(address, sizeof address);
    open_sender(f, address, false, 0);
    for (int i = 0; i < 300; i++) {
        sender_raw(f->sender, message("txn"));
    }
    sender_when_flushed(f->sender, set_true, &flushed);
    sender_raw(f->sender, message("txn"));
    assert_int_equal(counts_of(f).sent, 0);
    assert_int_equal(counts_of(f).queued, 301);
    assert_false(flushed);
    open_receiver(f);
    bus_until(&f->bus, socket_bind(f->pull.socket, address, NULL) == 0);
    bus_until(&f->bus, f->pull.count == 301);
    assert_true(flushed);
}

struct tally {
    uint64_t txn, error, other, types;
};

static void tally_type(void *arg, struct str type, uint64_t count)
{
    struct tally *tally = arg;

    tally->types++;
    *(str_is(type, "txn") ? &tally->txn : str_is(type, "error") ? &tally->error : &tally->other) += count;
}

static void past_its_limit_the_newest_is_dropped_and_counted(void **state)
{
    struct fixture *f = *state;
    struct tally tally = {0};
    char type[16];

    open_sender(f, "tcp://127.0.0.1:*", true, 100 * 1000);
    for (int i = 0; i < 200; i++) {
        sender_raw(f->sender, message(i % 2 ? "txn" : "error"));
    }
    assert_in_range(counts_of(f).queued, 80, 100);
    assert_int_equal(counts_of(f).queued + counts_of(f).dropped, 200);
    sender_each_dropped(f->sender, tally_type, &tally);
    assert_int_equal(tally.txn + tally.error, counts_of(f).dropped);
    assert_in_range(tally.txn, tally.error - 1, tally.error + 1);

    for (int i = 0; i < 100; i++) { /* more types than are told apart, and bytes that are no message */
        snprintf(type, sizeof type, "type %d", i);
        sender_raw(f->sender, message(type));
    }
    sender_raw(f->sender, (struct str){"\xc1", 1});
    tally = (struct tally){0};
    sender_each_dropped(f->sender, tally_type, &tally);
    assert_int_equal(tally.types, SENDER_TYPES_MAX + 1);
    assert_int_equal(tally.txn + tally.error + tally.other, counts_of(f).dropped);
}

/* What a sender on the network made up is not told apart by what stands before a zero byte. */
static void a_type_with_a_zero_byte_is_another_one(void **state)
{
    static const struct str types[] = {{"a\0b", 3}, {"a\0c", 3}};
    struct fixture *f = *state;
    struct tally tally = {0};

    open_sender(f, "tcp://127.0.0.1:*", true, 1);
    for (size_t i = 0; i < 2; i++) {
        struct buf bytes;
        buf_init(&bytes, 0);
        msgpack_write_map(&bytes, 1);
        msgpack_write_text(&bytes, STR("type"));
        msgpack_write_text(&bytes, types[i]);
        sender_raw(f->sender, buf_view(&bytes));
        buf_done(&bytes);
    }
    sender_each_dropped(f->sender, tally_type, &tally);
    assert_int_equal(tally.types, 1);
    assert_int_equal(tally.other, 2);
}

/* What a receiver that went away may have taken with it. */
static void a_lost_connection_puts_at_risk_what_it_held(void **state)
{
    struct fixture *f = *state;

    open_both(f);
    for (int i = 0; i < 10; i++) {
        sender_raw(f->sender, message("txn"));
    }
    bus_until(&f->bus, f->pull.count == 10);
    end_close(&f->pull);
    bus_until(&f->bus, counts_of(f).at_risk > 0);
    assert_in_range(counts_of(f).at_risk, 1, 10);
}

/* The socket takes nothing more, and our queue has room for nothing: what there is to wait for is over. */
static void an_empty_queue_in_front_of_a_full_socket_is_empty(void **state)
{
    struct fixture *f = *state;
    struct outbox *outbox;
    struct sender_counts counts;
    bool emptied = false;

    assert_int_equal(outbox_open(f->bus.bus, &(struct outbox_options){.max_bytes = 1}, &outbox, NULL), 0);
    assert_int_equal(outbox_bind(outbox, "tcp://127.0.0.1:*", NULL), 0);
    outbox_put_bytes(outbox, message("txn"));
    outbox_count(outbox, &counts);
    assert_int_equal(counts.dropped, 1);
    outbox_when_empty(outbox, set_true, &emptied);
    assert_true(emptied);
    outbox_close(outbox);
}

static void addresses_are_checked(void **state)
{
    struct fixture *f = *state;
    struct mite_error error = {0};

    assert_int_equal(sender_new(f->bus.bus, "inproc://x", false, 0, &f->sender, &error), MITE_EINVAL);
    assert_null(f->sender);
    sender_free(NULL);
}

static void the_type_is_found_wherever_it_stands(void **state)
{
    /* {"a": [1, {"type": "no"}, nil, 2.5], "b": -1000, "type": "txn"} */
    static const char nested[] = "\x83\xa1"
                                 "a\x94\x01\x81\xa4type\xa2no\xc0\xcb@\x04\0\0\0\0\0\0\xa1"
                                 "b\xd1\xfc\x18\xa4type\xa3txn";

    assert_true(str_is(peek_type(message("exception")), "exception"));
    assert_true(str_is(peek_type((struct str){nested, sizeof nested - 1}), "txn"));
    for (size_t n = 0; n < sizeof nested - 1; n++) {
        assert_null(peek_type((struct str){nested, n}).p);
    }
    assert_null(peek_type(STR("\x80")).p);
    assert_null(peek_type(STR("\x81\x01\x02")).p);
    assert_null(peek_type(STR("\x81\xa4type\x02")).p);
    assert_null(peek_type(STR("\x81\xa4type\xa2\xff\xff")).p);
    assert_null(peek_type(STR("\x81\xa1x\xdf\xff\xff\xff\xff")).p);
    assert_null(peek_type(STR("\x93")).p);
}

static void a_map_is_told_from_what_no_reader_takes(void **state)
{
    static const char nested[] = "\x81\xa1"
                                 "a\x94\x01\x81\xc4\x02xy\xa2no\xc0\xcb@\x04\0\0\0\0\0\0";
    char deep[2 * VALUE_MAX_DEPTH + 1];

    assert_true(peek_is_map(message("txn")));
    assert_true(peek_is_map(STR("\x80")));
    assert_true(peek_is_map((struct str){nested, sizeof nested - 1}));
    for (size_t n = 0; n < sizeof nested - 1; n++) {
        assert_false(peek_is_map((struct str){nested, n}));
    }
    assert_false(peek_is_map((struct str){nested, sizeof nested})); /* a byte too many */
    assert_false(peek_is_map(STR("\x90")));
    assert_false(peek_is_map(STR("\x81\xa1x\xd4\x01\x02")));
    assert_false(peek_is_map(STR("\x81\xa1x\xa1\xff")));
    assert_false(peek_is_map(STR("\x81\xa1x\xc1")));

    deep[0] = (char)0x81;
    deep[1] = (char)0x01;
    memset(deep + 2, 0x91, sizeof deep - 2);
    deep[2 + VALUE_MAX_DEPTH - 1] = (char)0xc0;
    assert_true(peek_is_map((struct str){deep, 2 + VALUE_MAX_DEPTH}));
    deep[2 + VALUE_MAX_DEPTH - 1] = (char)0x91;
    deep[2 + VALUE_MAX_DEPTH] = (char)0xc0;
    assert_false(peek_is_map((struct str){deep, 2 + VALUE_MAX_DEPTH + 1}));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(messages_go_out_in_order),
        TEST(a_sink_writes_what_it_gets),
        TEST(an_absent_receiver_gets_all_of_it_later),
        TEST(a_receiver_that_comes_later_finds_all_of_it_here),
        TEST(past_its_limit_the_newest_is_dropped_and_counted),
        TEST(a_type_with_a_zero_byte_is_another_one),
        TEST(a_lost_connection_puts_at_risk_what_it_held),
        TEST(an_empty_queue_in_front_of_a_full_socket_is_empty),
        TEST(addresses_are_checked),
        cmocka_unit_test(the_type_is_found_wherever_it_stands),
        cmocka_unit_test(a_map_is_told_from_what_no_reader_takes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
