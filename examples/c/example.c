/*
 * The smallest journey that does something: a message inside a transaction.
 *
 *     MITE_CONF_test_msg="Hello from mite" mite journey test example.c:journey example.c:datapool --duration=2
 */
#include <mite/mite.h>

MITE_JOURNEY(journey)
{
    int64_t a = mite_arg_int(ctx, 0), b = mite_arg_int(ctx, 1);

    MITE_TRANSACTION(ctx, "test1") {
        mite_send(ctx, "test_message", MITE_STR("content", mite_config(ctx, "test_msg", "Not set")),
                  MITE_INT("sum", a + b));
        mite_sleep(ctx, 0.5);
    }
}

/* Each item is a journey's arguments. */
MITE_DATAPOOL(datapool)
{
    return mite_pool_items(setup, MITE_RECYCLABLE, mite_list(mite_int(1), mite_int(2)),
                           mite_list(mite_int(3), mite_int(4)), mite_list(mite_int(5), mite_int(6)));
}

MITE_SCENARIO(scenario)
{
    mite_add(setup, ":journey", mite_pool(setup, ":datapool"),
             mite_volume(setup, MITE_RAMP_FROM(2, 0), MITE_CONSTANT(2, 3)));
}
