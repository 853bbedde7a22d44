/* What a context says of its journey: transactions, ids, paths; and who keeps whom alive. */
#include "fake_journeys.h"

static struct context *shop_context(struct fake_sink *sink)
{
    struct message_origin origin = {
        .test = STR("shop:scenario"),
        .runner_id = 3,
        .journey = STR("shop:visit"),
        .context_id = 17,
        .scenario_id = 2,
        .scenario_data_id = value_int(5),
    };

    fake_sink_init(sink);
    struct context *context = context_new(&sink->sink, &origin);
    assert_non_null(context);
    return context;
}

static struct transaction *begin(struct context *context, struct transaction *parent, const char *name)
{
    struct transaction *transaction = transaction_begin(context, parent, str_of(name));

    assert_non_null(transaction);
    return transaction;
}

static void end(struct transaction *transaction, bool had_error)
{
    transaction_end(transaction, had_error);
    transaction_unref(transaction);
}

static void messages_carry_their_origin(void **state)
{
    struct fake_sink sink;
    struct context *context = shop_context(&sink);
    struct transaction *root = begin(context, NULL, "__root__");
    struct transaction *inner = begin(context, root, "test1");
    struct message message = {.kind = MESSAGE_OTHER, .type = STR("greeting")};
    double before_s = clock_wall_s();

    context_send(context, inner, &message);
    assert_string_equal(sink.last_path, "__root__ :: test1");
    assert_int_equal(sink.last_transaction_id, 2);
    assert_ptr_equal(message.origin, &context->origin);
    assert_true(message.time >= before_s && message.time < before_s + 10);
    assert_int_equal(sink.last_origin.runner_id, 3);
    assert_int_equal(sink.last_origin.context_id, 17);
    assert_int_equal(sink.last_origin.scenario_data_id.integer, 5);
    context_send(context, NULL, &message);
    assert_null(message.transaction.p);
    assert_int_equal(message.transaction_id, 0);

    message.kind = MESSAGE_ERROR;
    context_send(context, root, &message);
    assert_int_equal(context->messages, 3);
    assert_int_equal(context->errors, 1);
    end(inner, false);
    end(root, false);
    context_unref(context);
}

static void an_ended_transaction_is_one_message(void **state)
{
    struct fake_sink sink;
    struct context *context = shop_context(&sink);
    struct transaction *root = begin(context, NULL, "__root__");
    struct transaction *inner = begin(context, root, "pay");

    transaction_end(inner, true);
    transaction_end(inner, false);
    assert_int_equal(sink.by_kind[MESSAGE_TXN], 1);
    assert_int_equal(sink.last_transaction_id, 2);
    assert_true(sink.last_txn.had_error && inner->had_error);
    assert_true(sink.last_txn.end_time >= sink.last_txn.start_time);
    transaction_unref(inner);
    end(root, false);
    assert_string_equal(sink.last_path, "__root__");
    assert_false(sink.last_txn.had_error);
    assert_int_equal(sink.by_kind[MESSAGE_TXN], 2);
    context_unref(context);
}

static void the_current_one_is_always_open(void **state)
{
    struct fake_sink sink;
    struct context *context = shop_context(&sink);
    struct transaction *root = begin(context, NULL, "__root__");
    struct transaction *outer = begin(context, root, "outer");
    struct transaction *inner = begin(context, outer, "inner");

    assert_ptr_equal(context->current, inner);
    end(outer, false); /* out of turn */
    assert_ptr_equal(context->current, inner);
    assert_true(str_is(inner->path, "__root__ :: outer :: inner"));
    end(inner, false);
    assert_ptr_equal(context->current, root);
    end(root, false);
    assert_null(context->current);
    context_unref(context);
}

static void an_abandoned_transaction_says_nothing(void **state)
{
    struct fake_sink sink;
    struct context *context = shop_context(&sink);
    struct transaction *root = begin(context, NULL, "__root__");
    struct transaction *lost = begin(context, root, "lost");

    transaction_unref(lost);
    assert_ptr_equal(context->current, root);
    end(root, false);
    assert_int_equal(sink.by_kind[MESSAGE_TXN], 1);
    context_unref(context);
}

static void an_open_transaction_keeps_its_context(void **state)
{
    struct fake_sink sink;
    struct context *context = shop_context(&sink);
    struct transaction *transaction = begin(context, NULL, "late");

    context_unref(context);
    transaction_end(transaction, false);
    assert_int_equal(sink.by_kind[MESSAGE_TXN], 1);
    transaction_end(transaction, false);
    transaction_unref(transaction);
}

static void a_detached_context_drops_what_it_is_told(void **state)
{
    struct fake_sink sink;
    struct context *context = shop_context(&sink);
    struct transaction *root = begin(context, NULL, "__root__");
    struct message message = {.kind = MESSAGE_ERROR, .type = STR("error")};

    context_detach(context);
    context_send(context, root, &message);
    end(root, true);
    assert_int_equal(sink.by_kind[MESSAGE_ERROR] + sink.by_kind[MESSAGE_TXN], 0);
    assert_int_equal(context->messages, 0);
    context_unref(context);
    context_unref(NULL);
}

static void texts_are_copied(void **state)
{
    char journey[] = "shop:visit", id[] = "bob";
    struct message_origin origin = {.journey = str_of(journey), .scenario_data_id = value_text(str_of(id))};
    struct fake_sink sink;

    fake_sink_init(&sink);
    struct context *context = context_new(&sink.sink, &origin);
    memset(journey, 'x', sizeof journey - 1);
    memset(id, 'x', sizeof id - 1);
    assert_string_equal(context->journey_name, "shop:visit");
    assert_true(str_is(context->origin.journey, "shop:visit"));
    assert_true(str_is(value_str(&context->origin.scenario_data_id), "bob"));
    context_unref(context);
}

/* Long paths are allocated, short ones recycled: both end well, and a recycled one starts anew. */
static void paths_of_any_length(void **state)
{
    struct fake_sink sink;
    struct context *context = shop_context(&sink);
    char name[300];

    for (size_t length = 1; length < sizeof name; length += 7) {
        memset(name, 'n', length);
        name[length] = '\0';
        struct transaction *outer = begin(context, NULL, name);
        struct transaction *inner = begin(context, outer, name);
        assert_int_equal(outer->path.n, length);
        assert_int_equal(inner->path.n, 2 * length + 4);
        assert_false(inner->ended || inner->had_error);
        end(inner, true);
        end(outer, true);
    }
    context_unref(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_carry_their_origin),
        cmocka_unit_test(an_ended_transaction_is_one_message),
        cmocka_unit_test(the_current_one_is_always_open),
        cmocka_unit_test(an_abandoned_transaction_says_nothing),
        cmocka_unit_test(an_open_transaction_keeps_its_context),
        cmocka_unit_test(a_detached_context_drops_what_it_is_told),
        cmocka_unit_test(texts_are_copied),
        cmocka_unit_test(paths_of_any_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
