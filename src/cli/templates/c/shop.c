/* Virtual users of a small shop. README.md says how to run this. */
#include <mite/mite.h>

static const char *site(struct mite_context *ctx)
{
    return mite_config(ctx, "site", "http://127.0.0.1:8080");
}

/* One visit. The next one begins a second after this one began, however long it took. */
MITE_JOURNEY(browse)
{
    MITE_FIXED_SEPARATION(ctx, 1) {
        MITE_TRANSACTION(ctx, "Browse") {
            MITE_TRANSACTION(ctx, "Front page") {
                struct mite_response *page = mite_get(ctx, site(ctx));

                mite_check(ctx, strstr(mite_body(page), "Hello"), "this is not the front page");
            }
            MITE_TRANSACTION(ctx, "Picture") {
                mite_get(ctx, mite_format(ctx, "%s/bytes/20000", site(ctx)));
            }
        }
    }
}

/* Users for the journey below: an item's values are its arguments. */
MITE_DATAPOOL(users)
{
    return mite_pool_items(setup, MITE_RECYCLABLE, mite_list(mite_str("ada"), mite_str("lovelace")),
                           mite_list(mite_str("alan"), mite_str("turing")),
                           mite_list(mite_str("grace"), mite_str("hopper")));
}

MITE_JOURNEY(login)
{
    struct mite_value credentials =
        mite_map(MITE_STR("username", mite_arg_str(ctx, 0)), MITE_STR("password", mite_arg_str(ctx, 1)));

    MITE_FIXED_SEPARATION(ctx, 1) {
        MITE_TRANSACTION(ctx, "Log in") {
            /* 409 later on: there is somebody of that name. */
            mite_post(ctx, mite_format(ctx, "%s/users/create", site(ctx)), .json = credentials);

            struct mite_response *answer = mite_post(ctx, mite_format(ctx, "%s/login", site(ctx)), .json = credentials);

            mite_check(ctx, mite_status(answer) == 200, "login refused: status %d", mite_status(answer));
        }
    }
}

/* Who runs, with which data, and how many at once. */
MITE_SCENARIO(scenario)
{
    mite_add(setup, ":browse", NULL, mite_volume(setup, MITE_RAMP_FROM(2, 0), MITE_CONSTANT(3, 20)));
    mite_add(setup, ":login", mite_pool(setup, ":users"), mite_volume(setup, MITE_CONSTANT(5, 2)));
}
