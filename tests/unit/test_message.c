/* Messages: the wire's golden files there and back, and what journeys send. */
#include "wire.h"

#include "bus/sink.h"

#define TEXT(s) value_text(STR(s))

struct fixture {
    struct arena arena;
    struct buf out;
    struct message message;
    struct message_origin origin;
    struct field fields[64];
    struct value map; /* what was read */
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    arena_init(&f->arena, 0);
    buf_init(&f->out, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    arena_done(&f->arena);
    buf_done(&f->out);
    free(f);
    return 0;
}

static void read_file(struct fixture *f, const char *file)
{
    struct mite_error error = {0};

    f->map = wire_value(&f->arena, file);
    assert_int_equal(message_from_value(&f->arena, &f->message, &f->origin, f->fields, &f->map, &error), 0);
}

/* What message_write makes of the message, as a value. */
static struct value written(struct fixture *f)
{
    struct value value;
    size_t used;

    buf_clear(&f->out);
    message_write(&f->out, &f->message);
    assert_false(f->out.failed);
    assert_int_equal(msgpack_read(&f->arena, buf_view(&f->out), &used, &value, NULL), 0);
    assert_int_equal(used, f->out.size);
    return value;
}

static void assert_values_equal(struct value a, struct value b)
{
    assert_true(value_equal(&a, &b));
}

static void assert_str(struct str s, const char *text)
{
    assert_int_equal(s.n, strlen(text));
    assert_memory_equal(s.p, text, s.n);
}

/* ---- the wire ---- */

static void golden_files_come_back_byte_for_byte(void **state)
{
    static const struct {
        const char *file;
        enum message_kind kind;
        size_t further;
    } files[] = {
        {"event_txn", MESSAGE_TXN, 0},
        {"event_txn_root", MESSAGE_TXN, 0},
        {"event_error", MESSAGE_ERROR, 1},
        {"event_exception", MESSAGE_EXCEPTION, 0},
        {"event_data_created", MESSAGE_DATA_CREATED, 0},
        {"event_controller_report", MESSAGE_CONTROLLER_REPORT, 0},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct buf golden;
        buf_init(&golden, 0);
        wire_bytes(&golden, files[i].file);
        read_file(f, files[i].file);
        assert_int_equal(f->message.kind, files[i].kind);
        assert_int_equal(f->message.field_count, files[i].further);
        written(f);
        assert_int_equal(f->out.size, golden.size);
        assert_memory_equal(f->out.data, golden.data, golden.size);
        buf_done(&golden);
    }
}

/* The corrections: method is text, start_time a float, wait_time stands behind the last of its own fields. */
static void http_metrics_come_back_corrected(void **state)
{
    static const char *const files[] = {"event_http_metrics_GET", "event_http_metrics_POST"};
    struct fixture *f = *state;

    for (size_t i = 0; i < 2; i++) {
        read_file(f, files[i]);
        assert_int_equal(f->message.kind, MESSAGE_HTTP_METRICS);
        f->message.http.wait_time = 0.25;
        f->message.http.start_time += 0.5;
        struct value out = written(f);
        uint32_t shift = 0;

        assert_int_equal(out.count, f->map.count + 1);
        for (uint32_t k = 0; k < f->map.count; k++) {
            const struct pair *was = &f->map.pairs[k], *is = &out.pairs[k + shift];
            assert_values_equal(is->key, was->key);
            if (str_is(value_str(&was->key), "start_time")) {
                assert_values_equal(is->value, value_float(value_number(&was->value, 0) + 0.5));
            } else if (str_is(value_str(&was->key), "method")) {
                assert_int_equal(was->value.type, VALUE_BYTES);
                assert_values_equal(is->value, value_text(value_str(&was->value)));
            } else {
                assert_values_equal(is->value, was->value);
            }
            if (str_is(value_str(&was->key), "download_size")) {
                shift = 1;
                assert_values_equal(is[1].key, TEXT("wait_time"));
                assert_values_equal(is[1].value, value_float(0.25));
            }
        }
    }
}

static void structs_hold_what_the_wire_says(void **state)
{
    struct fixture *f = *state;

    read_file(f, "event_http_metrics_POST");
    assert_str(f->message.type, "http_metrics");
    assert_ptr_equal(f->message.origin, &f->origin);
    assert_str(f->origin.test, "wirejourneys:scenario");
    assert_str(f->origin.journey, "wirejourneys:shop");
    assert_int_equal(f->origin.context_id, 2);
    assert_values_equal(f->origin.scenario_data_id, value_int(0));
    assert_str(f->message.transaction, "__root__ :: shop :: pay");
    assert_int_equal(f->message.transaction_id, 3);
    assert_str(f->message.http.method, "POST");
    assert_int_equal(f->message.http.response_code, 404);
    assert_true(f->message.http.total_time == 9.9e-05);

    read_file(f, "event_controller_report");
    assert_null(f->message.origin);
    assert_str(f->message.test, "wirejourneys:scenario");
    assert_int_equal(f->message.report.required_count, 2);
    assert_int_equal(f->message.report.actual_count, 3);
    assert_int_equal(f->message.report.actual[0].scenario_id, 2);
    assert_int_equal(f->message.report.actual[0].count, 0);
    assert_int_equal(f->message.report.num_runners, 1);
}

static void the_value_tree_says_the_same_as_the_bytes(void **state)
{
    static const char *const files[] = {"event_txn", "event_error", "event_controller_report", "event_data_created"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct value tree;
        read_file(f, files[i]);
        assert_int_equal(message_to_value(&f->arena, &f->message, &tree), 0);
        assert_values_equal(tree, f->map);
    }
}

static void read_pairs(struct fixture *f, const struct pair *pairs, uint32_t count, int expected)
{
    f->map = value_map(pairs, count);
    assert_int_equal(message_from_value(&f->arena, &f->message, &f->origin, f->fields, &f->map, NULL), expected);
}

#define READ(f, pairs, expected) read_pairs(f, pairs, sizeof(pairs) / sizeof *(pairs), expected)

static void what_is_no_message_is_refused(void **state)
{
    const struct pair no_type[] = {{TEXT("time"), value_float(1)}};
    const struct pair odd_type[] = {{TEXT("type"), value_int(1)}};
    const struct pair odd_key[] = {{TEXT("type"), TEXT("txn")}, {value_int(1), value_nil()}};
    struct fixture *f = *state;
    struct value list = value_list(NULL, 0);

    READ(f, no_type, MITE_EPROTO);
    READ(f, odd_type, MITE_EPROTO);
    READ(f, odd_key, MITE_EPROTO);
    assert_int_equal(message_from_value(&f->arena, &f->message, &f->origin, f->fields, &list, NULL), MITE_EPROTO);
}

static void fields_of_wrong_types_are_kept_and_counted_by_nobody(void **state)
{
    const struct pair report[] = {
        {TEXT("type"), TEXT("controller_report")},
        {TEXT("time"), value_float(2)},
        {TEXT("test"), TEXT("t")},
        {TEXT("required"), TEXT("many")},
        {TEXT("actual"), value_map(NULL, 0)},
        {TEXT("num_runners"), value_int(1)},
    };
    const struct pair txn[] = {
        {TEXT("type"), TEXT("txn")},
        {TEXT("time"), value_float(2)},
        {TEXT("start_time"), value_int(1)},
        {TEXT("had_error"), value_bool(true)}, /* no end_time */
    };
    const struct pair half_origin[] = {
        {TEXT("type"), TEXT("mine")},          {TEXT("time"), value_float(2)},   {TEXT("context_id"), value_int(1)},
        {TEXT("runner_id"), TEXT("the best")}, {TEXT("transaction"), TEXT("x")},
    };
    struct fixture *f = *state;

    READ(f, report, 0);
    assert_int_equal(f->message.kind, MESSAGE_OTHER);
    assert_values_equal(written(f), f->map);
    READ(f, txn, 0);
    assert_int_equal(f->message.kind, MESSAGE_OTHER);
    assert_values_equal(written(f), f->map);
    READ(f, half_origin, 0);
    assert_null(f->message.origin);
    assert_str(f->message.transaction, "x");
    assert_values_equal(written(f), f->map);
}

/* ---- what journeys send ---- */

static void journeys_fields_fill_the_struct(void **state)
{
    struct field fields[] = {
        {STR("shop"), TEXT("corner")},
        {STR("data"), value_int(5)},
        {STR("till"), value_int(3)},
        {STR("name"), TEXT("orders")},
    };
    struct fixture *f = *state;

    message_from_fields(&f->message, STR("data_created"), fields, 4);
    assert_int_equal(f->message.kind, MESSAGE_DATA_CREATED);
    assert_str(f->message.data.name, "orders");
    assert_values_equal(f->message.data.data, value_int(5));
    assert_int_equal(f->message.field_count, 2);
    assert_str(f->message.fields[0].key, "shop");
    assert_str(f->message.fields[1].key, "till");
}

static void a_failure_counts_whatever_it_leaves_out(void **state)
{
    struct field fields[] = {{STR("message"), TEXT("oh")}, {STR("stacktrace"), TEXT("mine")}};
    const struct pair expected[] = {
        {TEXT("type"), TEXT("error")},
        {TEXT("time"), value_float(3)},
        {TEXT("message"), TEXT("oh")},
        {TEXT("stacktrace"), TEXT("mine")},
    };
    struct fixture *f = *state;

    message_from_fields(&f->message, STR("error"), fields, 2);
    f->message.time = 3;
    assert_int_equal(f->message.kind, MESSAGE_ERROR);
    assert_null(f->message.failure.location.p);
    assert_values_equal(written(f), value_map(expected, 4));
}

static void journeys_send_no_controller_report(void **state)
{
    struct field fields[] = {{STR("num_runners"), value_int(1)}};
    struct fixture *f = *state;

    message_from_fields(&f->message, STR("controller_report"), fields, 1);
    assert_int_equal(f->message.kind, MESSAGE_OTHER);
    message_from_fields(&f->message, STR("basket"), NULL, 0);
    assert_int_equal(f->message.kind, MESSAGE_OTHER);
    assert_str(f->message.type, "basket");
}

static void our_fields_win_over_further_ones_of_the_same_name(void **state)
{
    struct field fields[] = {
        {STR("time"), TEXT("noon")},      {STR("type"), TEXT("kind")},       {STR("journey"), TEXT("mine")},
        {STR("transaction"), TEXT("my")}, {STR("context_id"), value_int(9)}, {STR("note"), TEXT("kept")},
    };
    const struct pair expected[] = {
        {TEXT("note"), TEXT("kept")},
        {TEXT("type"), TEXT("basket")},
        {TEXT("time"), value_float(4)},
        {TEXT("test"), TEXT("t")},
        {TEXT("runner_id"), value_int(1)},
        {TEXT("journey"), TEXT("j:x")},
        {TEXT("context_id"), value_int(2)},
        {TEXT("scenario_id"), value_int(3)},
        {TEXT("scenario_data_id"), value_nil()},
        {TEXT("transaction"), value_nil()},
        {TEXT("transaction_id"), value_nil()},
    };
    struct fixture *f = *state;

    f->origin = (struct message_origin){
        .test = STR("t"), .runner_id = 1, .journey = STR("j:x"), .context_id = 2, .scenario_id = 3};
    message_from_fields(&f->message, STR("basket"), fields, 6);
    f->message.time = 4;
    f->message.origin = &f->origin;
    assert_values_equal(written(f), value_map(expected, 11));
}

/* Every allocation fails once: each limit lets one more through. */
static void survives_without_memory(void **state)
{
    struct fixture *f = *state;
    struct value golden = wire_value(&f->arena, "event_controller_report"), tree;
    size_t limit = 1;
    int rc = MITE_ENOMEM;

    for (; rc != 0 && limit < 4096; limit++) {
        struct arena small;
        arena_init(&small, limit);
        rc = message_from_value(&small, &f->message, &f->origin, f->fields, &golden, NULL);
        if (rc == 0) {
            rc = message_to_value(&small, &f->message, &tree);
        }
        assert_true(rc == 0 || rc == MITE_ENOMEM);
        arena_done(&small);
    }
    assert_int_equal(rc, 0);
    assert_true(limit > 2);
}

static void labels_leave_the_root_out(void **state)
{
    assert_str(message_transaction_label(STR("__root__ :: a :: b")), "a :: b");
    assert_str(message_transaction_label(STR("__root__")), "");
    assert_str(message_transaction_label(STR("__root__s")), "__root__s");
    assert_str(message_transaction_label(STR("mine")), "mine");
    assert_null(message_transaction_label(STR_NONE).p);
}

static void kinds_have_names(void **state)
{
    for (enum message_kind kind = MESSAGE_TXN; kind <= MESSAGE_DEBUG_CONSOLE; kind++) {
        assert_int_equal(message_kind_of(message_type_of(kind)), kind);
    }
    assert_int_equal(message_kind_of(STR("tx")), MESSAGE_OTHER);
    assert_null(message_type_of(MESSAGE_OTHER).p);
}

/* ---- fanout ---- */

struct taker {
    struct sink sink;
    int order;
};

static int turn;

static void take_one(struct sink *sink, const struct message *message)
{
    ((struct taker *)sink)->order = ++turn;
}

static void a_fanout_hands_on_in_order(void **state)
{
    static const struct sink_ops ops = {.name = "taker", .message = take_one};
    struct taker first = {.sink = {&ops}}, second = {.sink = {&ops}};
    struct message message = {0};
    struct fanout fanout;

    fanout_init(&fanout);
    assert_int_equal(fanout_add(&fanout, &first.sink), 0);
    assert_int_equal(fanout_add(&fanout, &second.sink), 0);
    sink_message(&fanout.sink, &message);
    assert_int_equal(first.order, 1);
    assert_int_equal(second.order, 2);
    while (fanout.count < FANOUT_MAX) {
        assert_int_equal(fanout_add(&fanout, &first.sink), 0);
    }
    assert_int_equal(fanout_add(&fanout, &first.sink), MITE_ELIMIT);
    sink_free(&fanout.sink);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(golden_files_come_back_byte_for_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(http_metrics_come_back_corrected, set_up, tear_down),
        cmocka_unit_test_setup_teardown(structs_hold_what_the_wire_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_value_tree_says_the_same_as_the_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_message_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fields_of_wrong_types_are_kept_and_counted_by_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(journeys_fields_fill_the_struct, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failure_counts_whatever_it_leaves_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(journeys_send_no_controller_report, set_up, tear_down),
        cmocka_unit_test_setup_teardown(our_fields_win_over_further_ones_of_the_same_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(survives_without_memory, set_up, tear_down),
        cmocka_unit_test(labels_leave_the_root_out),
        cmocka_unit_test(kinds_have_names),
        cmocka_unit_test(a_fanout_hands_on_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
