/*
 * A scenario of journeys in C and in Python, with datapools of both. The Python half is mixed.py, which has a scenario
 * of both, too.
 *
 *     mite scenario test mixed.c:scenario        # this one
 *     mite scenario test mixed:scenario          # the one in Python
 */
#include <mite/mite.h>

MITE_JOURNEY(in_c)
{
    MITE_TRANSACTION(ctx, "in C") {
        mite_send(ctx, "greeting", MITE_STR("from", "C"), MITE_VALUE("to", *mite_arg(ctx, 0)));
        mite_sleep(ctx, 0.1);
    }
}

MITE_DATAPOOL(names)
{
    return mite_pool_items(setup, MITE_RECYCLABLE, mite_list(mite_str("Ada")), mite_list(mite_str("Alan")));
}

MITE_SCENARIO(scenario)
{
    struct mite_datapool *names = mite_pool(setup, "mixed.c:names");

    mite_add(setup, "mixed.c:in_c", names, mite_volume(setup, MITE_CONSTANT(2, 1)));
    mite_add(setup, "mixed:in_python", names, mite_volume(setup, MITE_CONSTANT(2, 1)));
    mite_add(setup, "mixed.c:in_c", mite_pool(setup, "mixed:numbers"), mite_volume(setup, MITE_CONSTANT(2, 1)));
}
