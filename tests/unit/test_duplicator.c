/* The duplicator: every output gets every message, and a slow one holds up nobody. */
#include "bus_fixture.h"

#include "bus/duplicator.h"
#include "value/msgpack.h"

struct wire {
    struct bus_fixture f;
    struct duplicator *duplicator;
    struct end push;
    char dropping[64]; /* the output that said so */
    bool done;
};

static void on_dropping(void *arg, const char *output)
{
    struct wire *wire = arg;

    assert_string_equal(wire->dropping, ""); /* once */
    snprintf(wire->dropping, sizeof wire->dropping, "%s", output);
}

static void on_done(void *arg)
{
    ((struct wire *)arg)->done = true;
}

static void wire_open(struct wire *wire, uint64_t max_bytes)
{
    static const char *const outputs[] = {"tcp://127.0.0.1:*", "tcp://127.0.0.1:*"};
    const struct duplicator_options options = {
        .in = "tcp://127.0.0.1:*",
        .outputs = outputs,
        .output_count = 2,
        .max_bytes = max_bytes,
        .dropping = on_dropping,
        .arg = wire,
    };

    *wire = (struct wire){.done = false};
    bus_fixture_open(&wire->f);
    assert_int_equal(duplicator_open(wire->f.bus, &options, &wire->duplicator, NULL), 0);
    end_open(wire->f.bus, &wire->push, SOCKET_PUSH, (struct socket_options){.high_water = 100000});
    assert_int_equal(socket_connect(wire->push.socket, duplicator_in(wire->duplicator), NULL), 0);
}

static void wire_close(struct wire *wire)
{
    end_close(&wire->push);
    duplicator_close(wire->duplicator);
    bus_fixture_close(&wire->f);
}

static void consume(struct wire *wire, struct end *end, size_t output)
{
    end_open(wire->f.bus, end, SOCKET_PULL, (struct socket_options){.high_water = 0});
    assert_int_equal(socket_connect(end->socket, duplicator_output(wire->duplicator, output), NULL), 0);
    bus_until(&wire->f, end->up == 1);
}

static void push(struct wire *wire, struct str body)
{
    assert_int_equal(socket_send(wire->push.socket, STR_NONE, body), 0);
}

static void every_output_gets_every_message(void **state)
{
    struct wire wire;
    struct end a = {0}, b1 = {0}, b2 = {0};

    wire_open(&wire, 0);
    consume(&wire, &a, 0);
    consume(&wire, &b1, 1);
    consume(&wire, &b2, 1);
    for (int i = 0; i < 10; i++) {
        push(&wire, STR("message"));
    }
    bus_until(&wire.f, a.count == 10 && b1.count + b2.count == 10);
    assert_int_equal(b1.count, 5); /* consumers of one output take turns */
    end_close(&a);
    end_close(&b1);
    end_close(&b2);
    wire_close(&wire);
}

/* Nobody is there yet, or it is somebody else's message: it waits, and goes as it came. */
static void what_waits_goes_out_when_somebody_comes(void **state)
{
    struct wire wire;
    struct end a = {0}, b = {0};

    wire_open(&wire, 0);
    consume(&wire, &a, 0);
    for (int i = 0; i < 5000; i++) {
        push(&wire, STR("\xff\xfenot msgpack"));
    }
    bus_until(&wire.f, a.count == 5000);
    consume(&wire, &b, 1);
    bus_until(&wire.f, b.count == 5000);
    assert_int_equal(memcmp(b.bodies.data, "\xff\xfenot msgpack\n", 14), 0);
    end_close(&a);
    end_close(&b);
    wire_close(&wire);
}

static void add(void *arg, struct str type, uint64_t count)
{
    if (str_is(type, "txn")) {
        *(uint64_t *)arg += count;
    }
}

/* The consumers that are there hear of it. */
static void drops_are_counted_and_told(void **state)
{
    static const char txn[] = "\x81\xa4type\xa3txn";
    struct wire wire;
    struct end a = {0};
    struct sender_counts counts;
    uint64_t dropped = 0;
    size_t used;
    struct arena arena;
    struct value report;

    wire_open(&wire, 10000);
    consume(&wire, &a, 0);
    for (int i = 0; i < 1000; i++) {
        push(&wire, (struct str){txn, sizeof txn - 1});
        bus_until(&wire.f, a.count == (size_t)i + 1);
    }
    bus_until(&wire.f, a.count == 1001);
    assert_string_equal(wire.dropping, duplicator_output(wire.duplicator, 1));
    duplicator_count(wire.duplicator, 0, &counts);
    assert_int_equal(counts.dropped, 0);
    duplicator_count(wire.duplicator, 1, &counts);
    duplicator_each_dropped(wire.duplicator, 1, add, &dropped);
    assert_int_equal(counts.queued + dropped, 1000);
    assert_true(dropped > 500);

    arena_init(&arena, 0);
    const char *at = a.bodies.data + 1000 * sizeof txn;
    assert_int_equal(
        msgpack_read(&arena, (struct str){at, (size_t)(a.bodies.data + a.bodies.size - at)}, &used, &report, NULL), 0);
    assert_true(str_is(value_str(value_get(&report, "type")), "messages_dropped"));
    assert_true(str_is(value_str(value_get(&report, "component")), "duplicator"));
    assert_true(str_is(value_str(value_get(&report, "output")), duplicator_output(wire.duplicator, 1)));
    assert_int_equal(value_get(value_get(&report, "dropped"), "txn")->integer, dropped);
    arena_done(&arena);
    end_close(&a);
    wire_close(&wire);
}

static void stopping_hands_over_what_came_before(void **state)
{
    struct wire wire;
    struct end a = {0}, b = {0};

    wire_open(&wire, 0);
    consume(&wire, &a, 0);
    for (int i = 0; i < 5000; i++) {
        push(&wire, STR("message"));
    }
    duplicator_stop(wire.duplicator, on_done, &wire);
    bus_until(&wire.f, a.count == 5000);
    assert_false(wire.done);
    consume(&wire, &b, 1);
    bus_until(&wire.f, wire.done && b.count == 5000);
    end_close(&a);
    end_close(&b);
    wire_close(&wire);
}

static void an_address_in_use(void **state)
{
    struct wire wire;
    struct duplicator *second = NULL;
    struct mite_error error = {0};

    wire_open(&wire, 0);
    const char *taken = duplicator_output(wire.duplicator, 1);
    const struct duplicator_options options = {.in = "tcp://127.0.0.1:*", .outputs = &taken, .output_count = 1};
    assert_int_equal(duplicator_open(wire.f.bus, &options, &second, &error), MITE_EIO);
    assert_non_null(strstr(error.text, taken));
    assert_null(second);
    wire_close(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_output_gets_every_message),
        cmocka_unit_test(what_waits_goes_out_when_somebody_comes),
        cmocka_unit_test(drops_are_counted_and_told),
        cmocka_unit_test(stopping_hands_over_what_came_before),
        cmocka_unit_test(an_address_in_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
