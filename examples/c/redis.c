/*
 * Any protocol: PING, SET and GET against Redis, over a socket.
 *
 *     redis-server --port 6379 --save "" &
 *     MITE_CONF_redis=tcp://127.0.0.1:6379 mite journey test redis.c:visit redis.c:keys --volume=10 --duration=5
 */
#include <mite/mite.h>

/* One command and its answer's first line, such as +OK or $3. */
static const char *ask(struct mite_context *ctx, struct mite_socket *redis, const char *command)
{
    mite_write_text(ctx, redis, mite_format(ctx, "%s\r\n", command));
    const char *answer = mite_read_line(ctx, redis);

    mite_check(ctx, answer != NULL, "Redis hung up at %s", command);
    mite_check(ctx, answer[0] != '-', "%s: %s", command, answer);
    return answer;
}

MITE_JOURNEY(visit)
{
    const char *key = mite_arg_str(ctx, 0), *value = mite_arg_str(ctx, 1);
    struct mite_socket *redis = NULL;

    MITE_TRANSACTION(ctx, "connect") {
        redis = mite_connect(ctx, mite_config(ctx, "redis", "tcp://127.0.0.1:6379"), .timeout_ms = 2000);
        mite_check(ctx, strcmp(ask(ctx, redis, "PING"), "+PONG") == 0);
    }
    while (!mite_should_stop(ctx)) {
        MITE_SCRATCH(ctx) { /* texts of this round are given back at its end */
            MITE_TRANSACTION(ctx, "SET") {
                ask(ctx, redis, mite_format(ctx, "SET %s %s", key, value));
            }
            MITE_TRANSACTION(ctx, "GET") {
                ask(ctx, redis, mite_format(ctx, "GET %s", key));
                mite_check(ctx, strcmp(mite_read_line(ctx, redis), value) == 0);
            }
            mite_sleep(ctx, 0.1);
        }
    }
}

MITE_DATAPOOL(keys)
{
    return mite_pool_csv(setup, MITE_RECYCLABLE, "keys.csv", .columns = "key,value");
}
