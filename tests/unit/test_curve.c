/* Keys: files of them, and who gets in with which. */
#include "bus_fixture.h"
#include "scratch.h"

#include <errno.h>

/* Somebody else makes files right after we have looked for them: the look finds none. */
static bool looks_too_early;

int __real_fstatat64(int dir_fd, const char *name, struct stat *out, int flags);
int __wrap_fstatat64(int dir_fd, const char *name, struct stat *out, int flags);

int __wrap_fstatat64(int dir_fd, const char *name, struct stat *out, int flags)
{
    if (looks_too_early) {
        errno = ENOENT;
        return -1;
    }
    return __real_fstatat64(dir_fd, name, out, flags);
}

struct keys {
    struct scratch scratch;
};

static struct scratch_path in(const struct keys *keys, const char *name)
{
    return scratch_path(&keys->scratch, name);
}

static void copy_key(const struct keys *keys, const char *from, const char *to)
{
    struct curve_key key;
    FILE *file = fopen(in(keys, to).s, "w");

    assert_non_null(file);
    assert_int_equal(curve_read(in(keys, from).s, false, &key, NULL), 0);
    fprintf(file, "%s\n", key.text);
    assert_int_equal(fclose(file), 0);
}

static void keys_make(struct keys *keys)
{
    scratch_make(&keys->scratch);
    assert_int_equal(curve_generate(in(keys, "a").s, NULL), 0);
    assert_int_equal(curve_generate(in(keys, "b").s, NULL), 0);
    assert_int_equal(mkdir(in(keys, "allow").s, 0700), 0);
    copy_key(keys, "a/client.pub", "allow/a.pub");
}

/* ---- files ---- */

static void a_set_is_made_once(void **state)
{
    struct keys keys;
    struct curve_key secret, public, derived;
    struct mite_error error = {0};
    struct stat st;

    keys_make(&keys);
    assert_int_equal(curve_read(in(&keys, "a/server.key").s, true, &secret, NULL), 0);
    assert_int_equal(curve_read(in(&keys, "a/server.pub").s, false, &public, NULL), 0);
    assert_int_equal(curve_public(&secret, &derived, NULL), 0);
    assert_string_equal(public.text, derived.text);
    assert_int_equal(stat(in(&keys, "a/client.key").s, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(in(&keys, "a").s, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);

    assert_int_equal(unlink(in(&keys, "a/server.key").s), 0);
    assert_int_equal(curve_generate(in(&keys, "a").s, &error), MITE_EINVAL);
    assert_non_null(strstr(error.text, "a/server.pub exists already"));
    assert_int_equal(access(in(&keys, "a/server.key").s, F_OK), -1);
    scratch_remove(&keys.scratch);
}

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static void a_key_that_somebody_else_made_meanwhile_is_theirs(void **state)
{
    struct keys keys;
    struct mite_error error = {0};

    scratch_make(&keys.scratch);
    assert_int_equal(mkdir(in(&keys, "c").s, 0700), 0);
    put(in(&keys, "c/client.key").s, "theirs");
    looks_too_early = true;
    assert_int_equal(curve_generate(in(&keys, "c").s, &error), MITE_EINVAL);
    looks_too_early = false;
    assert_non_null(strstr(error.text, "c/client.key exists already"));
    assert_int_equal(access(in(&keys, "c/client.key").s, F_OK), 0);
    assert_int_equal(scratch_each(in(&keys, "c").s, NULL, NULL), 1);
    scratch_remove(&keys.scratch);
}

#define A_KEY "0123456789012345678901234567890123456789"

static void how_a_line_may_end(void **state)
{
    static const char *const good[] = {A_KEY, A_KEY "\n", A_KEY "\r\n"};
    struct keys keys;
    struct curve_key key;

    keys_make(&keys);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        put(in(&keys, "good").s, good[i]);
        assert_int_equal(curve_read(in(&keys, "good").s, true, &key, NULL), 0);
        assert_string_equal(key.text, A_KEY);
    }
    scratch_remove(&keys.scratch);
}

static void files_that_hold_no_key(void **state)
{
    static const char *const bad[] = {"",
                                      "\n",
                                      "short",
                                      "0123456789012345678901234567890123456789x",
                                      "01234567890123456789012345678901234567 9",
                                      "-----BEGIN PRIVATE KEY-----\nabc",
                                      A_KEY "\nand more\n",
                                      A_KEY "\n\n",
                                      A_KEY " "};
    struct keys keys;
    struct curve_key key;
    struct mite_error error = {0};

    keys_make(&keys);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put(in(&keys, "bad").s, bad[i]);
        assert_int_equal(curve_read(in(&keys, "bad").s, true, &key, &error), MITE_EINVAL);
        assert_non_null(strstr(error.text, "holds no key"));
    }
    assert_int_equal(curve_read(in(&keys, "missing").s, true, &key, &error), MITE_ENOTFOUND);
    assert_non_null(strstr(error.text, "mite keygen"));
    assert_int_equal(chmod(in(&keys, "a/client.key").s, 0640), 0);
    assert_int_equal(curve_read(in(&keys, "a/client.key").s, true, &key, &error), MITE_EINVAL);
    assert_non_null(strstr(error.text, "chmod 600"));
    scratch_remove(&keys.scratch);
}

/* ---- sockets ---- */

struct side {
    struct bus *bus;
    struct end end;
};

/* Names are of the keys' folder; NULL: none. */
static void side_open(struct side *side, struct loop *loop, const struct keys *keys, enum socket_kind kind,
                      const char *key, const char *server_key, const char *allow)
{
    struct scratch_path key_path = in(keys, key ? key : ""), server_path = in(keys, server_key ? server_key : ""),
                        allow_path = in(keys, allow ? allow : "");
    const struct bus_options options = {
        .curve = {key ? key_path.s : NULL, server_key ? server_path.s : NULL, allow ? allow_path.s : NULL}};
    struct mite_error error = {0};

    *side = (struct side){.bus = NULL};
    int rc = bus_open(loop, &options, &side->bus, &error);
    assert_string_equal(error.text, "");
    assert_int_equal(rc, 0);
    end_open(side->bus, &side->end, kind, (struct socket_options){.high_water = 0});
}

struct pair_of_sides {
    struct keys keys;
    struct bus_fixture f;
    struct side server, client;
};

/* A server with the keys of set a, and a client as said. */
static void pair_open(struct pair_of_sides *pair, const char *client_key, const char *server_key, const char *allow)
{
    keys_make(&pair->keys);
    assert_int_equal(loop_new(&pair->f.loop, NULL), 0);
    side_open(&pair->server, pair->f.loop, &pair->keys, SOCKET_PULL, "a/server.key", NULL, allow);
    side_open(&pair->client, pair->f.loop, &pair->keys, SOCKET_PUSH, client_key, server_key, NULL);
    ends_join(&pair->server.end, &pair->client.end);
    socket_send(pair->client.end.socket, STR_NONE, STR("secret"));
}

static void pair_close(struct pair_of_sides *pair)
{
    struct mite_error error = {0};

    bus_abandon(pair->client.bus);
    end_close(&pair->client.end);
    end_close(&pair->server.end);
    loop_free(pair->f.loop, &error);
    assert_string_equal(error.text, "");
    bus_close(pair->client.bus);
    bus_close(pair->server.bus);
    scratch_remove(&pair->keys.scratch);
}

static void who_is_listed_gets_in(void **state)
{
    struct pair_of_sides pair;

    pair_open(&pair, "a/client.key", "a/server.pub", "allow");
    bus_until(&pair.f, pair.server.end.count == 1);
    assert_string_equal(pair.server.end.bodies.data, "secret\n");
    assert_int_equal(pair.client.end.refused, 0);
    pair_close(&pair);
}

static void without_a_list_the_servers_public_key_is_enough(void **state)
{
    struct pair_of_sides pair;

    pair_open(&pair, "b/client.key", "a/server.pub", NULL);
    bus_until(&pair.f, pair.server.end.count == 1);
    pair_close(&pair);
}

/* Until its key is put there: nobody has to be started again. */
static void who_is_not_listed_stays_outside(void **state)
{
    struct pair_of_sides pair;

    pair_open(&pair, "b/client.key", "a/server.pub", "allow");
    bus_until(&pair.f, pair.client.end.refused > 0 && pair.server.end.refused > 0);
    assert_non_null(strstr(pair.client.end.refusal, "our key is not among those that it allows"));
    assert_int_equal(pair.server.end.count, 0);
    assert_int_equal(pair.server.end.up, 0);
    copy_key(&pair.keys, "b/client.pub", "allow/b.pub");
    bus_until(&pair.f, pair.client.end.up > 0);
    socket_send(pair.client.end.socket, STR_NONE, STR("again"));
    bus_until(&pair.f, pair.server.end.count > 0);
    pair_close(&pair);
}

static void the_wrong_servers_key(void **state)
{
    struct pair_of_sides pair;

    pair_open(&pair, "a/client.key", "b/server.pub", "allow");
    bus_until(&pair.f, pair.client.end.refused > 0 && pair.server.end.refused > 0);
    assert_non_null(strstr(pair.client.end.refusal, "is --curve-server-key its key?"));
    assert_non_null(strstr(pair.server.end.refusal, "do not belong together"));
    assert_int_equal(pair.server.end.count, 0);
    pair_close(&pair);
}

static void no_key_at_all(void **state)
{
    struct pair_of_sides pair;

    pair_open(&pair, NULL, NULL, "allow");
    bus_until(&pair.f, pair.client.end.refused > 0);
    assert_non_null(strstr(pair.client.end.refusal, "one side uses CURVE keys and the other does not"));
    assert_int_equal(pair.server.end.count, 0);
    pair_close(&pair);
}

static void cannot_open(const struct bus_options *options, int code, const char *why)
{
    struct loop *loop;
    struct bus *bus = NULL;
    struct mite_error error = {0};

    assert_int_equal(loop_new(&loop, NULL), 0);
    assert_int_equal(bus_open(loop, options, &bus, &error), code);
    assert_non_null(strstr(error.text, why));
    assert_null(bus);
    loop_free(loop, NULL);
}

static void options_that_do_not_fit(void **state)
{
    struct keys keys;

    keys_make(&keys);
    struct scratch_path key = in(&keys, "a/server.key"), missing = in(&keys, "missing"), allow = in(&keys, "allow");
    cannot_open(&(struct bus_options){.curve = {NULL, key.s, NULL}}, MITE_EINVAL, "--curve-server-key needs");
    cannot_open(&(struct bus_options){.curve = {NULL, NULL, allow.s}}, MITE_EINVAL, "--curve-allow needs");
    cannot_open(&(struct bus_options){.curve = {missing.s, NULL, NULL}}, MITE_ENOTFOUND, "no key ");
    cannot_open(&(struct bus_options){.curve = {key.s, NULL, missing.s}}, MITE_ENOTFOUND, "--curve-allow");
    put(in(&keys, "allow/bad.pub").s, "nonsense");
    cannot_open(&(struct bus_options){.curve = {key.s, NULL, allow.s}}, MITE_EINVAL, "bad.pub");

    struct loop *loop;
    struct side side;
    struct mite_error error = {0};
    assert_int_equal(loop_new(&loop, NULL), 0);
    side_open(&side, loop, &keys, SOCKET_PUSH, "a/client.key", NULL, NULL);
    assert_int_equal(socket_connect(side.end.socket, "tcp://127.0.0.1:1", &error), MITE_EINVAL);
    assert_non_null(strstr(error.text, "--curve-server-key=FILE is missing"));
    end_close(&side.end);
    loop_free(loop, NULL);
    bus_close(side.bus);
    scratch_remove(&keys.scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_is_made_once),
        cmocka_unit_test(a_key_that_somebody_else_made_meanwhile_is_theirs),
        cmocka_unit_test(how_a_line_may_end),
        cmocka_unit_test(files_that_hold_no_key),
        cmocka_unit_test(who_is_listed_gets_in),
        cmocka_unit_test(without_a_list_the_servers_public_key_is_enough),
        cmocka_unit_test(who_is_not_listed_stays_outside),
        cmocka_unit_test(the_wrong_servers_key),
        cmocka_unit_test(no_key_at_all),
        cmocka_unit_test(options_that_do_not_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
