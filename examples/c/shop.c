/*
 * A small shop: log in, browse, buy. JSON both ways, requests at once, checks.
 *
 *     mite target --address=127.0.0.1:8080 &
 *     MITE_CONF_app_url=http://127.0.0.1:8080 mite scenario test shop.c:scenario
 */
#include <mite/mite.h>
#include <stdio.h>

static const char *page(struct mite_context *ctx, const char *path)
{
    return mite_format(ctx, "%s%s", mite_config(ctx, "app_url", "http://127.0.0.1:8080"), path);
}

static void log_in(struct mite_context *ctx, const char *username)
{
    MITE_TRANSACTION(ctx, "Log in") {
        struct mite_value credentials = mite_map(MITE_STR("username", username), MITE_STR("password", "test1234"));

        mite_post(ctx, page(ctx, "/users/create"), .json = credentials);
        struct mite_response *answer = mite_post(ctx, page(ctx, "/login"), .json = credentials);
        mite_check(ctx, mite_status(answer) == 200, "login of %s refused: status %d", username, mite_status(answer));
    }
}

/* The pictures of a page are fetched at once, as a browser does. */
static void look_around(struct mite_context *ctx)
{
    struct mite_pending *pictures[3];

    MITE_TRANSACTION(ctx, "Browse") {
        mite_get(ctx, page(ctx, "/"), .headers = MITE_PAIRS({"Accept-Language", "de"}));
        for (int i = 0; i < 3; i++) {
            pictures[i] = mite_start(ctx, "GET", mite_format(ctx, "%s%d", page(ctx, "/bytes/"), 1000 * (i + 1)));
        }
        for (int i = 0; i < 3; i++) {
            struct mite_response *picture = mite_await(ctx, pictures[i]);
            mite_check(ctx, mite_body_size(picture) == 1000 * ((size_t)i + 1));
        }
    }
}

static void buy(struct mite_context *ctx, int64_t item, int64_t count)
{
    MITE_TRANSACTION(ctx, "Buy") {
        struct mite_response *answer =
            mite_post(ctx, page(ctx, "/echo"),
                      .json = mite_map(MITE_LIST("basket", mite_map(MITE_INT("item", item), MITE_INT("count", count)))),
                      .timeout_ms = 2000);
        const char *method = mite_text_at(ctx, mite_json(ctx, answer), "method");

        mite_check(ctx, strcmp(method, "POST") == 0);
        mite_send(ctx, "sold", MITE_INT("item", item), MITE_INT("count", count));
    }
}

MITE_JOURNEY(visit)
{
    /* Ten visits of this user in ten seconds, however long the pages take. */
    MITE_FIXED_SEPARATION(ctx, 1) {
        log_in(ctx, mite_arg_str(ctx, 0));
        look_around(ctx);
        buy(ctx, mite_arg_int(ctx, 1), 2);
    }
}

static bool customer(void *arg, uint64_t index, struct mite_value *item)
{
    static char name[32];
    static struct mite_value cells[2];

    cells[0] = mite_strn(name, (size_t)snprintf(name, sizeof name, "user%llu", (unsigned long long)index));
    cells[1] = mite_int((int64_t)(index % 7));
    *item = mite_items(cells, 2);
    return index < 1000;
}

MITE_DATAPOOL(customers)
{
    return mite_pool_function(setup, MITE_RECYCLABLE, customer, NULL);
}

MITE_SCENARIO(scenario)
{
    mite_add(setup, ":visit", mite_pool(setup, ":customers"),
             mite_volume(setup, MITE_RAMP_FROM(2, 0), MITE_CONSTANT(3, 10)));
}
