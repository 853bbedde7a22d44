#include "server/target.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/map.h"
#include "server/server.h"
#include "value/json.h"

#include <stdlib.h>

#define JSON           "application/json"
#define NAME_MAX_BYTES 256 /* of a user's name and password */

struct target {
    struct server *server;
    struct server_page *hello, *gzip; /* made once */
    struct map users;                 /* name -> password, owned */
};

/* `printf '{"compressed": "gzip", "text": "aaa..."}\n' | gzip -9n` */
static const unsigned char gzip_body[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0x4a, 0xce, 0xcf, 0x2d, 0x28, 0x4a, 0x2d,
    0x2e, 0x4e, 0x4d, 0x51, 0xb2, 0x52, 0x50, 0x4a, 0xaf, 0xca, 0x2c, 0x50, 0xd2, 0x51, 0x50, 0x2a, 0x49, 0xad, 0x28,
    0x01, 0xf1, 0x13, 0x29, 0x04, 0x4a, 0xb5, 0x5c, 0x00, 0x16, 0xa2, 0xc6, 0x49, 0x63, 0x00, 0x00, 0x00,
};

/* ---- answers ---- */

static void send_once(struct server_request *request, struct server_page *page)
{
    server_send(request, page);
    server_page_free(page);
}

/* Sends what was written into `json`, and ends the buffer. */
static void send_json(struct server_request *request, int status, struct buf *json)
{
    buf_char(json, '\n');
    send_once(request, json->failed ? NULL : server_page_new(status, JSON, buf_view(json)));
    buf_done(json);
}

static void send_error(struct server_request *request, int status, const char *sentence)
{
    struct buf json;
    buf_init(&json, 0);
    buf_text(&json, "{\"error\": ");
    json_write_text(&json, str_of(sentence));
    buf_char(&json, '}');
    send_json(request, status, &json);
}

/* ---- names and values of a request as a JSON object ---- */

/* Collects pairs in their order; a repeated name is joined by ", " as HTTP reads it. */
struct pairs {
    struct map values; /* name -> struct buf, owned */
    bool failed;
};

static void pairs_add(void *arg, struct str name, struct str value)
{
    struct pairs *pairs = arg;
    struct buf *text = map_get(&pairs->values, name);
    if (text) {
        buf_text(text, ", ");
    } else {
        text = malloc(sizeof(*text));
        if (!text) {
            pairs->failed = true;
            return;
        }
        buf_init(text, 0);
        if (map_set(&pairs->values, name, text, NULL) != 0) {
            free(text);
            pairs->failed = true;
            return;
        }
    }
    buf_str(text, value);
    pairs->failed |= text->failed;
}

static void pair_free(void *value)
{
    buf_done(value);
    free(value);
}

static void write_text(struct buf *json, struct str s)
{
    struct value v = str_is_utf8(s) ? value_text(s) : value_bytes(s);
    json_write(json, &v);
}

static void write_pairs(struct buf *json, struct server_request *request, enum server_values kind)
{
    struct pairs pairs = {0};
    map_init(&pairs.values);
    server_each(request, kind, pairs_add, &pairs);
    const char *separator = "{";
    struct map_entry *entry;
    for (uint32_t i = 0; (entry = map_next(&pairs.values, &i));) {
        buf_text(json, separator);
        json_write_text(json, entry->key);
        buf_text(json, ": ");
        write_text(json, buf_view(entry->value));
        separator = ", ";
    }
    buf_text(json, separator[0] == '{' ? "{}" : "}");
    json->failed |= pairs.failed;
    map_done(&pairs.values, pair_free);
}

/* {"name": {...}} */
static void send_pairs(struct server_request *request, const char *name, enum server_values kind)
{
    struct buf json;
    buf_init(&json, 0);
    buf_printf(&json, "{\"%s\": ", name);
    write_pairs(&json, request, kind);
    buf_char(&json, '}');
    send_json(request, 200, &json);
}

/* ---- routes ---- */

static void hello(struct target *target, struct server_request *request, long long number)
{
    server_send(request, target->hello);
}

static void delayed(struct target *target, struct server_request *request, long long ms)
{
    server_send_after(request, target->hello, (uint64_t)ms * NS_PER_MS);
}

static void status(struct target *target, struct server_request *request, long long code)
{
    send_once(request, server_page_new((int)code, NULL, STR("")));
}

static void bytes(struct target *target, struct server_request *request, long long size)
{
    send_once(request, server_page_filled((uint64_t)size));
}

static void echo(struct target *target, struct server_request *request, long long number)
{
    struct buf json;
    buf_init(&json, 0);
    buf_text(&json, "{\"method\": ");
    write_text(&json, request->method);
    buf_text(&json, ", \"path\": ");
    write_text(&json, request->path);
    buf_text(&json, ", \"arguments\": ");
    write_pairs(&json, request, SERVER_ARGUMENTS);
    buf_text(&json, ", \"headers\": ");
    write_pairs(&json, request, SERVER_HEADERS);
    buf_text(&json, ", \"body\": ");
    write_text(&json, request->body.p ? request->body : STR(""));
    buf_char(&json, '}');
    send_json(request, 200, &json);
}

static void headers(struct target *target, struct server_request *request, long long number)
{
    send_pairs(request, "headers", SERVER_HEADERS);
}

static void cookies(struct target *target, struct server_request *request, long long number)
{
    send_pairs(request, "cookies", SERVER_COOKIES);
}

static void add_cookie(void *arg, struct str name, struct str value)
{
    struct server_page *page = arg;
    struct buf line;
    buf_init(&line, 0);
    buf_printf(&line, STR_FMT "=" STR_FMT "; Path=/", STR_ARG(name), STR_ARG(value));
    if (!line.failed) {
        server_page_header(page, "Set-Cookie", line.data); /* one that HTTP cannot carry is left out */
    }
    buf_done(&line);
}

static void set_cookies(struct target *target, struct server_request *request, long long number)
{
    struct buf json;
    buf_init(&json, 0);
    buf_text(&json, "{\"cookies\": ");
    write_pairs(&json, request, SERVER_ARGUMENTS);
    buf_text(&json, "}\n");
    struct server_page *page = json.failed ? NULL : server_page_new(200, JSON, buf_view(&json));
    if (page) {
        server_each(request, SERVER_ARGUMENTS, add_cookie, page);
    }
    send_once(request, page);
    buf_done(&json);
}

static void redirect(struct target *target, struct server_request *request, long long hops)
{
    char location[64] = "/";
    if (hops > 1) {
        snprintf(location, sizeof(location), "/redirect/%lld", hops - 1);
    }
    struct server_page *page = server_page_new(302, NULL, STR(""));
    if (page && server_page_header(page, "Location", location) != 0) {
        server_page_free(page);
        page = NULL;
    }
    send_once(request, page);
}

static void gzipped(struct target *target, struct server_request *request, long long number)
{
    server_send(request, target->gzip);
}

static void drop(struct target *target, struct server_request *request, long long number)
{
    server_drop(request);
}

static void stall(struct target *target, struct server_request *request, long long number)
{
    server_hold(request);
}

/* ---- users ---- */

/* Reads {"username": ..., "password": ...}; both stay in the arena. Says false when it has answered with an error. */
static bool read_user(struct arena *arena, struct server_request *request, struct str *name, struct str *password)
{
    struct value body;
    struct mite_error error = {0};
    if (json_read(arena, request->body.p ? request->body : STR(""), &body, &error) != 0) {
        send_error(request, 400, error.text);
        error_done(&error);
        return false;
    }
    const struct value *n = value_get(&body, "username"), *p = value_get(&body, "password");
    if (!n || !p || n->type != VALUE_TEXT || p->type != VALUE_TEXT || n->count == 0 || n->count > NAME_MAX_BYTES ||
        p->count > NAME_MAX_BYTES) {
        send_error(request, 400, "the body must be {\"username\": TEXT, \"password\": TEXT}, at most 256 bytes each");
        return false;
    }
    *name = value_str(n);
    *password = value_str(p);
    return true;
}

static void send_user(struct server_request *request, int code, struct str name)
{
    struct buf json;
    buf_init(&json, 0);
    buf_text(&json, "{\"username\": ");
    json_write_text(&json, name);
    buf_char(&json, '}');
    send_json(request, code, &json);
}

static void keep_user(struct target *target, struct server_request *request, struct str name, struct str password)
{
    if (map_get(&target->users, name)) {
        send_error(request, 409, "there is a user of that name");
        return;
    }
    if (target->users.live_count >= TARGET_MAX_USERS) {
        send_error(request, 507, "no room for another user");
        return;
    }
    char *copy = str_copy(password);
    if (!copy || map_set(&target->users, name, copy, NULL) != 0) {
        free(copy);
        send_error(request, 507, "out of memory");
        return;
    }
    send_user(request, 201, name);
}

static void create_user(struct target *target, struct server_request *request, long long number)
{
    struct arena arena;
    struct str name, password;
    arena_init(&arena, TARGET_MAX_BODY * 4ul);
    if (read_user(&arena, request, &name, &password)) {
        keep_user(target, request, name, password);
    }
    arena_done(&arena);
}

static void login(struct target *target, struct server_request *request, long long number)
{
    struct arena arena;
    struct str name, password;
    arena_init(&arena, TARGET_MAX_BODY * 4ul);
    if (read_user(&arena, request, &name, &password)) {
        const char *known = map_get(&target->users, name);
        if (known && str_is(password, known)) {
            send_user(request, 200, name);
        } else {
            send_error(request, 401, "no such user, or another password");
        }
    }
    arena_done(&arena);
}

/* ---- from a path to its route ---- */

struct route {
    struct str path; /* one that takes a number ends with a slash */
    void (*answer)(struct target *target, struct server_request *request, long long number);
    const char *method; /* NULL: any */
    bool numbered;
    long long least, most;
};

static const struct route routes[] = {
    {STR("/"), hello},
    {STR("/delay/"), delayed, NULL, true, 0, 3600 * 1000},
    {STR("/status/"), status, NULL, true, 200, 599},
    {STR("/bytes/"), bytes, NULL, true, 0, TARGET_MAX_BYTES},
    {STR("/echo"), echo},
    {STR("/headers"), headers},
    {STR("/cookies"), cookies},
    {STR("/cookies/set"), set_cookies},
    {STR("/redirect/"), redirect, NULL, true, 1, 1000},
    {STR("/gzip"), gzipped},
    {STR("/users/create"), create_user, "POST"},
    {STR("/login"), login, "POST"},
    {STR("/drop"), drop},
    {STR("/stall"), stall},
};

static bool route_matches(const struct route *route, struct str path)
{
    return route->numbered ? path.n > route->path.n && memcmp(path.p, route->path.p, route->path.n) == 0
                           : str_equal(path, route->path);
}

static void answer(void *arg, struct server_request *request)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        const struct route *route = &routes[i];
        long long number = 0;
        if (!route_matches(route, request->path)) {
            continue;
        }
        if (route->method && !str_is(request->method, route->method)) {
            send_error(request, 405, "this one takes POST");
        } else if (route->numbered && (!str_to_int64(request->path.p + route->path.n, &number) ||
                                       number < route->least || number > route->most)) {
            send_error(request, 400, "the number at the end of the path is none, or out of range");
        } else {
            route->answer(arg, request, number);
        }
        return;
    }
    send_error(
        request, 404,
        "no such path; there are / /delay/MS /status/N /bytes/N /echo /headers /cookies /cookies/set?k=v /redirect/N "
        "/gzip /users/create /login /drop /stall");
}

/* ---- life ---- */

static int make_pages(struct target *target)
{
    target->hello = server_page_new(200, "text/plain", STR("Hello from mite target\n"));
    target->gzip = server_page_new(200, JSON, (struct str){(const char *)gzip_body, sizeof(gzip_body)});
    if (!target->hello || !target->gzip) {
        return MITE_ENOMEM;
    }
    return server_page_header(target->gzip, "Content-Encoding", "gzip");
}

int target_start(struct loop *loop, const char *address, struct target **out, struct mite_error *error)
{
    struct target *target = calloc(1, sizeof(*target));
    if (!target) {
        return error_set(error, MITE_ENOMEM, "out of memory for the target");
    }
    map_init(&target->users);
    int code = make_pages(target);
    if (code != 0) {
        error_set(error, code, "out of memory for the target");
    } else {
        const struct server_options options = {
            .address = address,
            .max_connections = TARGET_MAX_CONNECTIONS,
            .max_body_bytes = TARGET_MAX_BODY,
            .handle = answer,
            .arg = target,
        };
        code = server_start(loop, &options, &target->server, error);
    }
    if (code != 0) {
        target_stop(target);
        return code;
    }
    *out = target;
    return 0;
}

void target_stop(struct target *target)
{
    if (!target) {
        return;
    }
    server_stop(target->server);
    server_page_free(target->hello);
    server_page_free(target->gzip);
    map_done(&target->users, free);
    free(target);
}

const char *target_url(const struct target *target)
{
    return server_url(target->server);
}
