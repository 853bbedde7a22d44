/*
 * Make users, then use them: journey, recorder, datapool.
 *
 *     mite target --address=127.0.0.1:8080 &
 *     export MITE_CONF_app_url=http://127.0.0.1:8080
 *     mite scenario test data_creation.c:create     # 137 users into recorder_data/users.msgpack, then ends by itself
 *     mite scenario test data_creation.c:sign_in
 */
#include <mite/mite.h>
#include <stdio.h>

static struct mite_response *send_credentials(struct mite_context *ctx, const char *path, const char *username)
{
    const char *app = mite_config(ctx, "app_url", "http://127.0.0.1:8080");

    return mite_post(ctx, mite_format(ctx, "%s%s", app, path),
                     .json = mite_map(MITE_STR("username", username), MITE_STR("password", "test1234")));
}

MITE_JOURNEY(create_user)
{
    const char *username = mite_arg_str(ctx, 0);

    MITE_TRANSACTION(ctx, "Create user") {
        send_credentials(ctx, "/users/create", username);
        mite_send(ctx, "data_created", MITE_STR("name", "users"), MITE_MAP("data", MITE_STR("username", username)));
    }
}

MITE_JOURNEY(log_in)
{
    MITE_TRANSACTION(ctx, "Log in") {
        struct mite_response *answer = send_credentials(ctx, "/login", mite_arg_str(ctx, 0));

        mite_check(ctx, mite_status(answer) == 200, "login refused: status %d", mite_status(answer));
    }
    mite_sleep(ctx, 0.5);
}

/* Each name is given once, so there are exactly as many users as names. */
static bool name(void *arg, uint64_t index, struct mite_value *item)
{
    static char text[32];
    static struct mite_value cell;

    cell = mite_strn(text, (size_t)snprintf(text, sizeof text, "created-%llu", (unsigned long long)index));
    *item = mite_items(&cell, 1);
    return index < 137;
}

MITE_SCENARIO(create)
{
    mite_add(setup, ":create_user", mite_pool_function(setup, MITE_ITERABLE, name, NULL),
             mite_volume(setup, MITE_CONSTANT(60, 10)));
}

MITE_SCENARIO(sign_in)
{
    mite_add(setup, ":log_in", mite_pool_recorded(setup, MITE_RECYCLABLE, "recorder_data/users.msgpack", "username"),
             mite_volume(setup, MITE_CONSTANT(3, 20)));
}
