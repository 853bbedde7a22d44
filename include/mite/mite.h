/*
 * mite.h: journeys, datapools and scenarios in C.
 *
 *     #include <mite/mite.h>
 *
 *     MITE_JOURNEY(browse)
 *     {
 *         MITE_TRANSACTION(ctx, "front page") {
 *             struct mite_response *page = mite_get(ctx, "http://127.0.0.1:8080/");
 *             mite_check(ctx, mite_status(page) == 200, "front page: status %d", mite_status(page));
 *         }
 *     }
 *
 * `mite journey test shop.c:browse` runs it. C11 with GNU extensions, or C++20; gcc or clang. docs/journeys-in-c.md is
 * the introduction.
 *
 * A journey is one virtual user's visit. It runs on a fiber: a function marked "Waits" lets other journeys run until
 * what it waits for has come; all other functions return at once. A journey calls nothing else that waits (sleep(),
 * read(), a blocking library), except through mite_blocking(). Its stack is 64 KiB (`--fiber-stack`).
 *
 * Memory: what mite hands to a journey lives until the journey ends, and mite frees it. Never pass it to free().
 *
 * Failure: a function marked "Fails the journey" does not return then. The journey ends with a message (`exception`, or
 * `error` for mite_check and mite_fail) that carries file and line, its open transactions end with had_error, its stack
 * is unwound (cleanup attributes and C++ destructors run) and what mite_defer() was given is called. A function that
 * is given NULL for what it cannot do without fails the journey too (`exception`, TypeError).
 *
 * Texts are UTF-8 with a zero behind and are borrowed for the call, unless said otherwise. Options are given by name:
 * mite_get(ctx, url, .timeout_ms = 500); in C++ in the order of the struct's members. What is left out is 0, and 0
 * means the default.
 *
 * Everything is called from the journey's own fiber, in the thread of the loop.
 */
#ifndef MITE_MITE_H
#define MITE_MITE_H

#ifdef __cplusplus
#pragma GCC system_header /* g++ calls options that are left out uninitialised */
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Of the tables below and of all that crosses them. A file for another number is refused before anything in it is
 * called. */
#define MITE_ABI 1

#ifdef __cplusplus
#include <initializer_list>
#if defined(__cpp_exceptions) && defined(__cpp_rtti) && defined(__GLIBCXX__)
#define MITE_CATCHES 1
#include <cstdlib>
#include <cxxabi.h>
#include <exception>
#include <typeinfo>
#endif
extern "C" {
#endif

#if defined(MITE_IMPLEMENTATION)
#define MITE_PUBLIC __attribute__((visibility("default")))
#else
#define MITE_PUBLIC
#endif

/* ======== what is passed around ========================================================================= */

/* Their contents are mite's alone. */
struct mite_context;  /* one visit */
struct mite_response; /* what came back for a request */
struct mite_pending;  /* a request under way */
struct mite_socket;   /* a connection of any protocol */
struct mite_setup;    /* what a datapool or a scenario is made with */
struct mite_datapool; /* the arguments of many visits */
struct mite_volume;   /* how many visits run at once, second by second */

/* ======== values ======================================================================================== */

/* What messages, arguments, configuration and JSON are made of. Owns nothing: texts, items and fields are borrowed. */
enum mite_type {
    MITE_TYPE_NIL,
    MITE_TYPE_BOOL,
    MITE_TYPE_INT,
    MITE_TYPE_UINT, /* only for integers above INT64_MAX */
    MITE_TYPE_FLOAT,
    MITE_TYPE_TEXT,
    MITE_TYPE_BYTES,
    MITE_TYPE_LIST,
    MITE_TYPE_MAP
};

struct mite_value {
    uint32_t type;  /* enum mite_type */
    uint32_t count; /* bytes of text and bytes, items of a list, fields of a map */
    union {
        bool boolean;
        int64_t integer;
        uint64_t large;
        double number;
        const char *text; /* no zero promised behind it: mite_text_at() gives one */
        const struct mite_value *items;
        const struct mite_field *fields;
    } as;
};

struct mite_field {
    struct mite_value key, value;
};

/* One of each kind. A text that is NULL gives nil. */
static inline struct mite_value mite_nil(void)
{
    struct mite_value v = {MITE_TYPE_NIL, 0, {0}};
    return v;
}
static inline struct mite_value mite_bool(bool b)
{
    struct mite_value v = {MITE_TYPE_BOOL, 0, {0}};
    v.as.boolean = b;
    return v;
}
static inline struct mite_value mite_int(int64_t i)
{
    struct mite_value v = {MITE_TYPE_INT, 0, {0}};
    v.as.integer = i;
    return v;
}
static inline struct mite_value mite_float(double f)
{
    struct mite_value v = {MITE_TYPE_FLOAT, 0, {0}};
    v.as.number = f;
    return v;
}
static inline struct mite_value mite_str(const char *text)
{
    struct mite_value v = {MITE_TYPE_NIL, 0, {0}};
    if (text) {
        v.type = MITE_TYPE_TEXT;
        v.count = (uint32_t)strlen(text);
        v.as.text = text;
    }
    return v;
}
static inline struct mite_value mite_strn(const char *text, size_t size)
{
    struct mite_value v = {MITE_TYPE_TEXT, (uint32_t)size, {0}};
    v.as.text = text;
    return v;
}
static inline struct mite_value mite_bytes(const void *bytes, size_t size)
{
    struct mite_value v = {MITE_TYPE_BYTES, (uint32_t)size, {0}};
    v.as.text = (const char *)bytes;
    return v;
}
static inline struct mite_value mite_items(const struct mite_value *items, size_t count)
{
    struct mite_value v = {MITE_TYPE_LIST, (uint32_t)count, {0}};
    v.as.items = items;
    return v;
}
static inline struct mite_value mite_fields(const struct mite_field *fields, size_t count)
{
    struct mite_value v = {MITE_TYPE_MAP, (uint32_t)count, {0}};
    v.as.fields = fields;
    return v;
}
static inline struct mite_field mite_named(const char *name, struct mite_value value)
{
    struct mite_field field = {mite_str(name), value};
    return field;
}

/* Named fields: of a message, of a map. */
#define MITE_INT(name, i)         mite_named((name), mite_int(i))
#define MITE_FLOAT(name, f)       mite_named((name), mite_float(f))
#define MITE_BOOL(name, b)        mite_named((name), mite_bool(b))
#define MITE_STR(name, text)      mite_named((name), mite_str(text))
#define MITE_BYTES(name, p, size) mite_named((name), mite_bytes((p), (size)))
#define MITE_NIL(name)            mite_named((name), mite_nil())
#define MITE_VALUE(name, v)       mite_named((name), (v))
#define MITE_LIST(name, ...)      mite_named((name), mite_list(__VA_ARGS__))
#define MITE_MAP(name, ...)       mite_named((name), mite_map(__VA_ARGS__))

/* A list of values and a map of fields, such as mite_list(mite_int(1), mite_str("a")) and mite_map(MITE_INT("a", 1)).
 * They last as long as the block (C) or the expression (C++) they are written in. */
#ifdef __cplusplus
#define mite_list(...) mite_list_of({__VA_ARGS__})
#define mite_map(...)  mite_map_of({__VA_ARGS__})
#else
#define mite_list(...) mite_items(MITE_ARRAY(struct mite_value, __VA_ARGS__))
#define mite_map(...)  mite_fields(MITE_ARRAY(struct mite_field, __VA_ARGS__))
#endif

/* The value at `path`, such as "order.items.0.price": keys of maps and indexes of lists, with dots between. NULL when
 * there is none, or `value` is NULL; so below. */
MITE_PUBLIC const struct mite_value *mite_find(const struct mite_value *value, const char *path);
/* The value of a key, which may have dots in it, and the item of that index. */
MITE_PUBLIC const struct mite_value *mite_key(const struct mite_value *value, const char *key);
static inline const struct mite_value *mite_item(const struct mite_value *list, size_t index)
{
    return list && list->type == MITE_TYPE_LIST && index < list->count ? &list->as.items[index] : NULL;
}

/* What is at `path` ("" or NULL: the value itself), which must be there and be of that type. An integer is taken as a
 * float too. Fails the journey (`exception`, TypeError). mite_text_at() copies into the journey's memory, so that there
 * is a zero behind it. */
MITE_PUBLIC int64_t mite_int_at(struct mite_context *ctx, const struct mite_value *value, const char *path);
MITE_PUBLIC double mite_float_at(struct mite_context *ctx, const struct mite_value *value, const char *path);
MITE_PUBLIC bool mite_bool_at(struct mite_context *ctx, const struct mite_value *value, const char *path);
MITE_PUBLIC const char *mite_text_at(struct mite_context *ctx, const struct mite_value *value, const char *path);

/* ======== the journey =================================================================================== */

/* Defines a journey, called with `ctx`. Several may stand in one file. A C++ exception that leaves it fails it
 * (`exception`, with the exception's type and what()). */
#define MITE_JOURNEY(name)                                                                                             \
    static void mite_journey_##name(struct mite_context *ctx);                                                         \
    MITE_CAUGHT(void, mite_journey_##name, struct mite_context)                                                        \
    MITE_ENTRY(MITE_ENTRY_JOURNEY, name, MITE_CATCHER(mite_journey_##name))                                            \
    static void mite_journey_##name(struct mite_context *ctx __attribute__((unused)))

/* Arguments, as they came from the datapool; the first has index 0. They last until the journey ends. One that is
 * missing or of another type fails the journey (`exception`, TypeError). An integer is taken as a float too. */
MITE_PUBLIC size_t mite_arg_count(struct mite_context *ctx);
MITE_PUBLIC const struct mite_value *mite_arg(struct mite_context *ctx, size_t index);
MITE_PUBLIC int64_t mite_arg_int(struct mite_context *ctx, size_t index);
MITE_PUBLIC double mite_arg_float(struct mite_context *ctx, size_t index);
MITE_PUBLIC bool mite_arg_bool(struct mite_context *ctx, size_t index);
MITE_PUBLIC const char *mite_arg_str(struct mite_context *ctx, size_t index);
/* One of bytes. `size` gets their number; may be NULL. */
MITE_PUBLIC const void *mite_arg_bytes(struct mite_context *ctx, size_t index, size_t *size);

/* Configuration: MITE_CONF_key=text, --config, --add-to-config. `fallback` when there is no such key. Numbers may be
 * given as text; a value that is no text (no number) fails the journey (`exception`, TypeError). */
MITE_PUBLIC const char *mite_config(struct mite_context *ctx, const char *key, const char *fallback);
MITE_PUBLIC int64_t mite_config_int(struct mite_context *ctx, const char *key, int64_t fallback);
MITE_PUBLIC double mite_config_float(struct mite_context *ctx, const char *key, double fallback);
/* A configured value as it is, of any type; NULL when there is no such key. */
MITE_PUBLIC const struct mite_value *mite_config_value(struct mite_context *ctx, const char *key);

/* Sends a message: mite_send(ctx, "login", MITE_STR("user", name), MITE_INT("tries", 2)). Everything is copied before
 * it returns. A text that is not UTF-8 fails the journey (`exception`, TypeError). */
MITE_PUBLIC void mite_send_fields(struct mite_context *ctx, const char *type, const struct mite_field *fields,
                                  size_t count);
#ifdef __cplusplus
#define mite_send(ctx, type, ...) mite_send_list(MITE_HERE(ctx), (type), {__VA_ARGS__})
#else
#define mite_send(ctx, type, ...) mite_send_fields(MITE_HERE(ctx), (type), MITE_ARRAY(struct mite_field, __VA_ARGS__))
#endif

/* A named, timed block. It ends with its block, whatever way that is left: its end, break, continue, return, goto or
 * failure. Transactions nest. */
#define MITE_TRANSACTION(ctx, name)                                                                                    \
    for (struct mite_block MITE_UNIQUE(mite_block)                                                                     \
             __attribute__((cleanup(mite_block_end))) = mite_transaction_block((ctx), (name));                         \
         MITE_UNIQUE(mite_block).ctx; mite_block_end(&MITE_UNIQUE(mite_block)))

/* The same in two calls. begin returns the transaction's number, end closes it and what is still open inside; a number
 * that is not open any more does nothing. */
MITE_PUBLIC int64_t mite_transaction_begin(struct mite_context *ctx, const char *name);
MITE_PUBLIC void mite_transaction_end(struct mite_context *ctx, int64_t number);

/* Waits. Negative and NaN count as 0. */
MITE_PUBLIC void mite_sleep(struct mite_context *ctx, double seconds);

/* Blocks that take at least so many seconds: what is left of them is slept out at the block's end (not when the journey
 * is cancelled). With MITE_AVERAGE_SEPARATION the length is drawn evenly from mean - plus_minus to mean + plus_minus; a
 * negative plus_minus means a quarter of the mean. */
#define MITE_FIXED_SEPARATION(ctx, seconds) MITE_SEPARATION_BLOCK(mite_separation_begin(MITE_HERE(ctx), (seconds), 0))
#define MITE_AVERAGE_SEPARATION(ctx, mean, plus_minus)                                                                 \
    MITE_SEPARATION_BLOCK(mite_separation_begin(MITE_HERE(ctx), (mean), (plus_minus)))

/* True once the run wants to end: a journey that goes on and on looks at it now and then. */
MITE_PUBLIC bool mite_should_stop(struct mite_context *ctx);

/* Ends the journey with an `error` message. The first takes a printf format; the second a text and fields, which go
 * into the message. Bytes that are no UTF-8 become question marks. Do not return. */
#define mite_fail(ctx, ...) mite_fail_format(MITE_HERE(ctx), __VA_ARGS__)
#ifdef __cplusplus
#define mite_fail_with(ctx, text, ...) mite_fail_list(MITE_HERE(ctx), (text), {__VA_ARGS__})
#else
#define mite_fail_with(ctx, text, ...)                                                                                 \
    mite_fail_fields(MITE_HERE(ctx), (text), MITE_ARRAY(struct mite_field, __VA_ARGS__))
#endif
MITE_PUBLIC void mite_fail_format(struct mite_context *ctx, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));
MITE_PUBLIC void mite_fail_fields(struct mite_context *ctx, const char *text, const struct mite_field *fields,
                                  size_t count) __attribute__((noreturn));

/* Fails the journey (`error`) unless the condition holds. Behind the condition a printf format and its arguments may
 * follow (a literal); without them the message is the condition itself. */
#define mite_check(ctx, condition, ...)                                                                                \
    ((condition) ? (void)0 : mite_check_failed(MITE_HERE(ctx), #condition, " " __VA_ARGS__))

/* Calls fn(arg) when the journey ends, whatever way; the last one first. It must not wait or fail. */
MITE_PUBLIC void mite_defer(struct mite_context *ctx, void (*fn)(void *arg), void *arg);

/* Memory of the journey's, aligned for any type, not zeroed. Fails the journey (`exception`, MemoryError). */
MITE_PUBLIC void *mite_alloc(struct mite_context *ctx, size_t size);
/* A text made with a printf format, in the same memory. */
MITE_PUBLIC const char *mite_format(struct mite_context *ctx, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A block with memory of its own, for journeys that go on and on: what mite hands out inside (texts, responses, JSON)
 * is given back when the block ends, and requests that were not awaited are cancelled. Sockets and deferred calls stay,
 * but not why a call inside failed (mite_socket_failure). */
#define MITE_SCRATCH(ctx)                                                                                              \
    for (struct mite_scratch MITE_UNIQUE(mite_scratch)                                                                 \
             __attribute__((cleanup(mite_scratch_end))) = mite_scratch_begin(MITE_HERE(ctx));                          \
         MITE_UNIQUE(mite_scratch).ctx; mite_scratch_end(&MITE_UNIQUE(mite_scratch)))

/* Calls fn(arg) in a thread, for what blocks and cannot do otherwise, inside a transaction of the function's name.
 * Waits until it has returned, also when the journey is cancelled meanwhile. fn must use nothing of mite's. */
#define mite_blocking(ctx, fn, arg) mite_blocking_named(MITE_HERE(ctx), #fn, (fn), (arg))
MITE_PUBLIC void mite_blocking_named(struct mite_context *ctx, const char *name, void (*fn)(void *arg), void *arg);

/* ======== HTTP ========================================================================================== */

/* Headers, cookies and forms: .headers = MITE_PAIRS({"Accept", "text/html"}, {"X-Shop", "7"}). */
struct mite_pair {
    const char *name, *value;
};
#ifdef __cplusplus
#define MITE_PAIRS(...) mite_pairs_of({__VA_ARGS__, {nullptr, nullptr}})
#else
#define MITE_PAIRS(...) ((const struct mite_pair[]){__VA_ARGS__, {NULL, NULL}})
#endif

/* What a request can be given besides its URL, by name: mite_get(ctx, url, .timeout_ms = 500). */
#define MITE_NO_REDIRECTS (-1)
struct mite_http_options {
    size_t size;                      /* of this struct, set by the macros */
    const struct mite_pair *headers;  /* MITE_PAIRS(...): the last one has a NULL name */
    const struct mite_pair *cookies;  /* enter the session's jar for the URL's host */
    const char *body;                 /* sent as application/x-www-form-urlencoded unless a header says otherwise */
    size_t body_size;                 /* 0: the body is a text with a zero behind */
    struct mite_value json;           /* a body in JSON: mite_map(...) or any other value but nil */
    const struct mite_pair *form;     /* a body of encoded names and values. body, json and form exclude one another */
    const char *user, *password;      /* Basic authentication; no password without a user */
    const char *cert_file, *key_file; /* PEM; the client's certificate, and its key unless both are in one file */
    int max_redirects;                /* 5; MITE_NO_REDIRECTS: the 3xx itself is handed over */
    int verify;                       /* of certificates: 1 yes, -1 no, 0 as --insecure says */
    int64_t timeout_ms;               /* of the request with all its redirects; --timeout */
    int64_t connect_timeout_ms;       /* --connect-timeout */
    bool may_fail;                    /* a request without an answer returns: mite_failure() tells why */
};

/* One request and its redirects, over the process's connection pool, with the cookies of the journey's session. Waits.
 * Each response is an http_metrics message, whatever its status. Fails the journey when no answer comes (`exception`,
 * AcurlError), or after too many redirects (`exception`, RequestError), unless .may_fail; and for options that make no
 * sense (`exception`, ValueError). Returns the last response, never NULL. `options` may be NULL. */
MITE_PUBLIC struct mite_response *mite_request(struct mite_context *ctx, const char *method, const char *url,
                                               const struct mite_http_options *options);
#define mite_get(ctx, url, ...)     MITE_HTTP(ctx, "GET", url, __VA_ARGS__)
#define mite_head(ctx, url, ...)    MITE_HTTP(ctx, "HEAD", url, __VA_ARGS__)
#define mite_options(ctx, url, ...) MITE_HTTP(ctx, "OPTIONS", url, __VA_ARGS__)
#define mite_post(ctx, url, ...)    MITE_HTTP(ctx, "POST", url, __VA_ARGS__)
#define mite_put(ctx, url, ...)     MITE_HTTP(ctx, "PUT", url, __VA_ARGS__)
#define mite_patch(ctx, url, ...)   MITE_HTTP(ctx, "PATCH", url, __VA_ARGS__)
#define mite_delete(ctx, url, ...)  MITE_HTTP(ctx, "DELETE", url, __VA_ARGS__)

/* The same in two steps, so that several requests are under way at once: mite_start(ctx, "GET", url, .timeout_ms = 500)
 * returns at once, mite_await() waits for its end and returns or fails as mite_request() does. The response's message
 * is sent by mite_await(), with the transaction that was open at the start. What was never awaited is cancelled when
 * the journey ends; if it was answered, its message is sent then. Why it failed is told by mite_await() alone. */
#define mite_start(ctx, method, url, ...)                                                                              \
    mite_start_request(MITE_HERE(ctx), (method), (url), MITE_OPTIONS(mite_http_options, __VA_ARGS__))
MITE_PUBLIC struct mite_pending *mite_start_request(struct mite_context *ctx, const char *method, const char *url,
                                                    const struct mite_http_options *options);
MITE_PUBLIC struct mite_response *mite_await(struct mite_context *ctx, struct mite_pending *pending);

/* Of a response. Everything lasts until the journey ends, or mite_release(). */
MITE_PUBLIC int mite_status(const struct mite_response *response);          /* 0: no answer came (.may_fail) */
MITE_PUBLIC const char *mite_failure(const struct mite_response *response); /* why not; NULL when one came */
MITE_PUBLIC const char *mite_body(const struct mite_response *response);    /* decoded, a zero behind it; never NULL */
MITE_PUBLIC size_t mite_body_size(const struct mite_response *response);
MITE_PUBLIC const char *mite_url(const struct mite_response *response);          /* after redirects */
MITE_PUBLIC const char *mite_redirect_url(const struct mite_response *response); /* of a 3xx, absolute; or NULL */
/* First header of that name, any case; NULL when there is none. */
MITE_PUBLIC const char *mite_header(struct mite_response *response, const char *name);
/* The body as JSON. A body that is none fails the journey (`exception`, JSONDecodeError). */
MITE_PUBLIC const struct mite_value *mite_json(struct mite_context *ctx, struct mite_response *response);

/* Seconds from the start of the request; a phase that did not happen (a connection used again) is 0. */
enum mite_phase {
    MITE_PHASE_DNS,
    MITE_PHASE_CONNECT,
    MITE_PHASE_TLS,
    MITE_PHASE_TRANSFER_START,
    MITE_PHASE_FIRST_BYTE,
    MITE_PHASE_TOTAL
};
MITE_PUBLIC double mite_seconds(const struct mite_response *response, enum mite_phase phase);

/* Gives a response back before the journey ends, for journeys that make very many requests. NULL does nothing. */
MITE_PUBLIC void mite_release(struct mite_response *response);

/* Called for each response (redirect hops too, each of which `response` then is) before its http_metrics message is
 * sent. It must not wait; it may call mite_metrics() and fail the journey. NULL: nobody is called. */
MITE_PUBLIC void mite_on_response(struct mite_context *ctx,
                                  void (*callback)(struct mite_context *ctx, struct mite_response *response, void *arg),
                                  void *arg);
/* Further fields of all http_metrics messages from now on: mite_metrics(ctx, MITE_STR("page", "front")). Copied;
 * replaces those before. */
#ifdef __cplusplus
#define mite_metrics(ctx, ...) mite_metrics_list(MITE_HERE(ctx), {__VA_ARGS__})
#else
#define mite_metrics(ctx, ...) mite_metrics_fields(MITE_HERE(ctx), MITE_ARRAY(struct mite_field, __VA_ARGS__))
#endif
MITE_PUBLIC void mite_metrics_fields(struct mite_context *ctx, const struct mite_field *fields, size_t count);

/* The session: a cookie jar of the journey's own. */
MITE_PUBLIC void mite_new_session(struct mite_context *ctx); /* a new, empty one, without callback and metrics */
/* The value of the first cookie of that name; NULL when there is none. */
MITE_PUBLIC const char *mite_cookie(struct mite_context *ctx, const char *name);
/* Sets one for a host and what lies below it; forgets all. What no header could carry fails the journey (`exception`,
 * ValueError). */
MITE_PUBLIC void mite_set_cookie(struct mite_context *ctx, const char *domain, const char *name, const char *value);
MITE_PUBLIC void mite_clear_cookies(struct mite_context *ctx);

/* ======== any other protocol ============================================================================ */

/* What a connection can be given besides its address, by name. */
struct mite_socket_options {
    size_t size;
    int64_t timeout_ms;               /* of each call, from connecting on; 10,000 */
    int verify;                       /* tls: 1 yes, -1 no, 0 as --insecure says */
    const char *ca_file;              /* tls: PEM; --ca-file */
    const char *cert_file, *key_file; /* tls: PEM; the client's certificate, and its key unless both are in one file */
    const char *server_name;          /* tls: the host of the address */
    bool may_fail;                    /* connect returns NULL, read and write return -1 */
};

/* Connects to "tcp://HOST:PORT", "tls://HOST:PORT" or "udp://HOST:PORT". Waits. Fails the journey (`exception`,
 * SocketError) unless .may_fail, then also every later use of the socket returns its failure: NULL, -1. */
#define mite_connect(ctx, address, ...)                                                                                \
    mite_socket_connect(MITE_HERE(ctx), (address), MITE_OPTIONS(mite_socket_options, __VA_ARGS__))
MITE_PUBLIC struct mite_socket *mite_socket_connect(struct mite_context *ctx, const char *address,
                                                    const struct mite_socket_options *options);
/* Reads what is there, at least one byte, at most `size`; over UDP one datagram. 0: the peer has closed, or
 * `size` is 0. Waits. */
MITE_PUBLIC int64_t mite_read(struct mite_context *ctx, struct mite_socket *socket, void *buffer, size_t size);
/* Reads exactly `size` bytes; a peer that closes before is a failure. Waits. Returns size, or -1. */
MITE_PUBLIC int64_t mite_read_exactly(struct mite_context *ctx, struct mite_socket *socket, void *buffer, size_t size);
/* Reads up to a newline, which is cut off together with a carriage return before it; at most 64 KiB, in the journey's
 * memory. NULL: the peer has closed. Waits. */
MITE_PUBLIC const char *mite_read_line(struct mite_context *ctx, struct mite_socket *socket);
/* Writes all of it; over UDP one datagram. Waits. Returns size, or -1. */
MITE_PUBLIC int64_t mite_write(struct mite_context *ctx, struct mite_socket *socket, const void *bytes, size_t size);
MITE_PUBLIC int64_t mite_write_text(struct mite_context *ctx, struct mite_socket *socket, const char *text);
/* Why the last call failed, of a socket with .may_fail; NULL: of mite_connect(). NULL when none did. */
MITE_PUBLIC const char *mite_socket_failure(struct mite_context *ctx, const struct mite_socket *socket);
/* Closes it now; the journey's end does so otherwise. NULL does nothing. */
MITE_PUBLIC void mite_close(struct mite_socket *socket);

/* ======== datapools and scenarios ======================================================================= */

/* Defines a datapool, which returns what one of the functions below made: `mite journey test shop.c:browse
 * shop.c:users`. Its body is called with `setup`. */
#define MITE_DATAPOOL(name)                                                                                            \
    static struct mite_datapool *mite_datapool_##name(struct mite_setup *setup);                                       \
    MITE_CAUGHT(struct mite_datapool *, mite_datapool_##name, struct mite_setup)                                       \
    MITE_ENTRY(MITE_ENTRY_DATAPOOL, name, MITE_CATCHER(mite_datapool_##name))                                          \
    static struct mite_datapool *mite_datapool_##name(struct mite_setup *setup __attribute__((unused)))

/* Defines a scenario: its body calls mite_add() for each journey. `mite scenario test shop.c:peak`. */
#define MITE_SCENARIO(name)                                                                                            \
    static void mite_scenario_##name(struct mite_setup *setup);                                                        \
    MITE_CAUGHT(void, mite_scenario_##name, struct mite_setup)                                                         \
    MITE_ENTRY(MITE_ENTRY_SCENARIO, name, MITE_CATCHER(mite_scenario_##name))                                          \
    static void mite_scenario_##name(struct mite_setup *setup __attribute__((unused)))

/* In both, the first thing that goes wrong is kept in `setup` and ends the command with its sentence; functions that
 * return a pointer return NULL from then on, and NULL is taken without complaint. mite frees everything. This is for
 * what you find wrong yourself; the sentence is a printf format. */
MITE_PUBLIC void mite_setup_fail(struct mite_setup *setup, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Configuration, as in a journey; a value that is no text gives the fallback. */
MITE_PUBLIC const char *mite_setup_config(struct mite_setup *setup, const char *key, const char *fallback);
/* Memory until the scenario is made. NULL without memory. */
MITE_PUBLIC void *mite_setup_alloc(struct mite_setup *setup, size_t size);

/* How often a datapool gives an item. */
enum mite_pool_kind {
    MITE_RECYCLABLE = 1, /* an item is given again once its journey has ended; ids from 0 */
    MITE_ITERABLE        /* each item once, then its journey ends; ids from 1 */
};

/* Items are lists, the arguments of one journey each: mite_pool_items(setup, MITE_RECYCLABLE, mite_list(mite_int(1)),
 * mite_list(mite_int(2))). Copied. */
#ifdef __cplusplus
#define mite_pool_items(setup, kind, ...) mite_pool_list((setup), (kind), {__VA_ARGS__})
#else
#define mite_pool_items(setup, kind, ...) mite_pool_array((setup), (kind), MITE_ARRAY(struct mite_value, __VA_ARGS__))
#endif
MITE_PUBLIC struct mite_datapool *mite_pool_array(struct mite_setup *setup, enum mite_pool_kind kind,
                                                  const struct mite_value *items, size_t count);
/* One item with these arguments, given once (id 1): for a journey that shall run once. */
#define mite_pool_single(setup, ...) mite_pool_items((setup), MITE_ITERABLE, mite_list(__VA_ARGS__))

/* Items made by a function: called with 0, 1, 2, ... it sets *item to a list and returns true, or returns false when
 * there are no more. What *item points to is copied before the next call. An iterable pool calls it when an item is
 * needed and may go on for ever; a recyclable one calls it for all items when the pool is made. It must not wait. `arg`
 * must outlive the run. */
MITE_PUBLIC struct mite_datapool *mite_pool_function(struct mite_setup *setup, enum mite_pool_kind kind,
                                                     bool (*next)(void *arg, uint64_t index, struct mite_value *item),
                                                     void *arg);

/* Items from a CSV file (RFC 4180, UTF-8), one line each: mite_pool_csv(setup, MITE_RECYCLABLE, "users.csv", .columns =
 * "user,age"). The path of a file, here and below, starts from the directory that mite is run in. */
struct mite_csv_options {
    size_t size;
    const char *columns; /* "user,password": these, in that order, by the names in the first line; all when NULL */
    char separator;      /* a comma */
    bool no_header;      /* the first line is data; then `columns` are numbers, from 1 */
    bool numbers;        /* what looks like an integer or a float becomes one; else every cell is a text */
};
#define mite_pool_csv(setup, kind, path, ...)                                                                          \
    mite_pool_csv_file((setup), (kind), (path), MITE_OPTIONS(mite_csv_options, __VA_ARGS__))
MITE_PUBLIC struct mite_datapool *mite_pool_csv_file(struct mite_setup *setup, enum mite_pool_kind kind,
                                                     const char *path, const struct mite_csv_options *options);

/* Items from a file of JSON lines: each a list, or an object whose fields ("user,password") become the arguments; with
 * `fields` NULL the line's value itself is the one argument unless it is a list. */
MITE_PUBLIC struct mite_datapool *mite_pool_jsonl(struct mite_setup *setup, enum mite_pool_kind kind, const char *path,
                                                  const char *fields);
/* Items from a file that the recorder wrote (recorder_data/NAME.msgpack): these fields of each record. */
MITE_PUBLIC struct mite_datapool *mite_pool_recorded(struct mite_setup *setup, enum mite_pool_kind kind,
                                                     const char *path, const char *fields);
/* A datapool by its spec: in C, "data.c:users" or, in this file, ":users"; in Python, "package.module:name". */
MITE_PUBLIC struct mite_datapool *mite_pool(struct mite_setup *setup, const char *spec);

/* One stretch of a volume model: how many journeys run at once. A ramp takes its ends from its neighbours; only where
 * it has none there it is given one. */
struct mite_stretch {
    int kind;
    double seconds, from, to;
    bool has_from, has_to;
};
#define MITE_NOTHING(seconds)                mite_stretch_of(1, (seconds), 0, 0, true, true)
#define MITE_CONSTANT(seconds, volume)       mite_stretch_of(2, (seconds), (volume), (volume), true, true)
#define MITE_RAMP(seconds)                   mite_stretch_of(3, (seconds), 0, 0, false, false)
#define MITE_RAMP_FROM(seconds, from)        mite_stretch_of(3, (seconds), (from), 0, true, false)
#define MITE_RAMP_TO(seconds, to)            mite_stretch_of(3, (seconds), 0, (to), false, true)
#define MITE_RAMP_FROM_TO(seconds, from, to) mite_stretch_of(3, (seconds), (from), (to), true, true)

static inline struct mite_stretch mite_stretch_of(int kind, double seconds, double from, double to, bool has_from,
                                                  bool has_to)
{
    struct mite_stretch stretch = {kind, seconds, from, to, has_from, has_to};
    return stretch;
}

/* A chain of stretches: mite_volume(setup, MITE_RAMP_FROM(60, 0), MITE_CONSTANT(300, 50)). */
#ifdef __cplusplus
#define mite_volume(setup, ...) mite_volume_list((setup), {__VA_ARGS__})
#else
#define mite_volume(setup, ...) mite_volume_chain((setup), MITE_ARRAY(struct mite_stretch, __VA_ARGS__))
#endif
MITE_PUBLIC struct mite_volume *mite_volume_chain(struct mite_setup *setup, const struct mite_stretch *stretches,
                                                  size_t count);

/* A function of your own: how many journeys run at once in the window from start_s to end_s (whole seconds since the
 * start), or MITE_STOP to end its journey. `arg` must outlive the run. */
#define MITE_STOP (-1)
MITE_PUBLIC struct mite_volume *
mite_volume_function(struct mite_setup *setup, int64_t (*volume)(void *arg, int64_t start_s, int64_t end_s), void *arg);

/* Adds a journey to the scenario: one of this file, ":browse", whatever the file is called by then (shop.c, ./shop.so);
 * of another file in C, "shop.c:browse"; or in Python, "package.module:name". The pool may serve several journeys, a
 * volume model serves one. `pool` NULL: the journey takes no arguments. */
MITE_PUBLIC void mite_add(struct mite_setup *setup, const char *journey_spec, struct mite_datapool *pool,
                          struct mite_volume *volume);

/* ======== machinery of the macros above ================================================================= */

enum mite_entry_kind { MITE_ENTRY_JOURNEY = 1, MITE_ENTRY_DATAPOOL, MITE_ENTRY_SCENARIO };

/* One name that a file offers. */
struct mite_entry {
    uint32_t size; /* of this struct as the file knows it */
    uint32_t kind; /* enum mite_entry_kind */
    const char *name;
    void (*function)(void);
    const char *file;
    int line;
};

/* What a file offers. Found by its name before anything in the file is called. */
struct mite_module {
    uint32_t abi, size;
    const struct mite_entry *const *begin, *const *end;
};

#ifndef MITE_IMPLEMENTATION
/* The linker collects the section and names its ends. */
extern const struct mite_entry *const __start_mite_entries[] __attribute__((weak, visibility("hidden")));
extern const struct mite_entry *const __stop_mite_entries[] __attribute__((weak, visibility("hidden")));
extern const struct mite_module mite_module __attribute__((weak, visibility("default")));
const struct mite_module mite_module = {MITE_ABI, sizeof(struct mite_module), __start_mite_entries,
                                        __stop_mite_entries};
#endif

/* In C++ a function around each entry catches what it throws. */
#ifdef MITE_CATCHES
#define MITE_CATCHER(function) function##_caught
#define MITE_CAUGHT(type, function, argument)                                                                          \
    static type function##_caught(argument *arg)                                                                       \
    {                                                                                                                  \
        try {                                                                                                          \
            return function(arg);                                                                                      \
        } catch (abi::__forced_unwind &) {                                                                             \
            throw;                                                                                                     \
        } catch (const std::exception &caught) {                                                                       \
            mite_caught(arg, caught.what());                                                                           \
        } catch (...) {                                                                                                \
            mite_caught(arg, nullptr);                                                                                 \
        }                                                                                                              \
        return (type)0;                                                                                                \
    }
#else
#define MITE_CATCHER(function) function
#define MITE_CAUGHT(type, function, argument)
#endif

#define MITE_ENTRY(kind, name, function)                                                                               \
    static const struct mite_entry mite_entry_##name = {sizeof(struct mite_entry), kind,     #name,                    \
                                                        (void (*)(void))function,  __FILE__, __LINE__};                \
    static const struct mite_entry *const mite_entry_of_##name __attribute__((section("mite_entries"), used)) =        \
        &mite_entry_##name;

/* Notes where the journey is, for messages and for reports of what blocks or crashes. Returns ctx. */
MITE_PUBLIC struct mite_context *mite_here(struct mite_context *ctx, const char *file, int line);
#define MITE_HERE(ctx) mite_here((ctx), __FILE__, __LINE__)
/* What mite_check() calls. */
MITE_PUBLIC void mite_check_failed(struct mite_context *ctx, const char *condition, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));
/* Fails the journey for a C++ exception that left it. `text` may be NULL. */
MITE_PUBLIC void mite_threw(struct mite_context *ctx, const char *type, const char *text) __attribute__((noreturn));

#define MITE_JOIN_(a, b) a##b
#define MITE_JOIN(a, b)  MITE_JOIN_(a, b)
#define MITE_UNIQUE(a)   MITE_JOIN(a##_, __LINE__)

#ifdef __cplusplus
#define MITE_OPTIONS(tag, ...) mite_temporary(tag{.size = sizeof(tag), __VA_ARGS__})
#else
#define MITE_OPTIONS(tag, ...) (&(const struct tag){.size = sizeof(struct tag), __VA_ARGS__})
#define MITE_ARRAY(type, ...)  ((const type[]){__VA_ARGS__}), sizeof((const type[]){__VA_ARGS__}) / sizeof(type)
#endif

#define MITE_HTTP(ctx, method, url, ...)                                                                               \
    (mite_request)(MITE_HERE(ctx), (method), (url), MITE_OPTIONS(mite_http_options, __VA_ARGS__))

/* What a block of a macro ends with. */
struct mite_block {
    struct mite_context *ctx; /* NULL: has ended */
    int64_t number;
};
static inline void mite_block_end(struct mite_block *block)
{
    struct mite_context *ctx = block->ctx;

    block->ctx = NULL;
    if (ctx) {
        mite_transaction_end(ctx, block->number);
    }
}

struct mite_scratch {
    struct mite_context *ctx; /* NULL: has ended */
    const void *memory;
};
MITE_PUBLIC struct mite_scratch mite_scratch_begin(struct mite_context *ctx);
MITE_PUBLIC void mite_scratch_end(struct mite_scratch *block);

struct mite_separation {
    struct mite_context *ctx; /* NULL: has ended */
    uint64_t end_ns;
};
MITE_PUBLIC struct mite_separation mite_separation_begin(struct mite_context *ctx, double mean, double plus_minus);
MITE_PUBLIC void mite_separation_end(struct mite_separation *separation);
#define MITE_SEPARATION_BLOCK(begin)                                                                                   \
    for (struct mite_separation MITE_UNIQUE(mite_separation) __attribute__((cleanup(mite_separation_end))) = begin;    \
         MITE_UNIQUE(mite_separation).ctx; mite_separation_end(&MITE_UNIQUE(mite_separation)))

static inline struct mite_block mite_transaction_block_at(struct mite_context *ctx, const char *name)
{
    struct mite_block block = {ctx, mite_transaction_begin(ctx, name)};
    return block;
}
#define mite_transaction_block(ctx, name) mite_transaction_block_at(MITE_HERE(ctx), (name))

#ifdef __cplusplus
} /* extern "C" */

#ifdef MITE_CATCHES
/* The type of the exception that is being handled, in `room`. */
static inline const char *mite_caught_type(char *room, size_t size)
{
    const std::type_info *type = abi::__cxa_current_exception_type();
    char *name = type ? abi::__cxa_demangle(type->name(), nullptr, nullptr, nullptr) : nullptr;
    const char *text = name ? name : type ? type->name() : "an exception of another language";
    size_t n = strlen(text) < size ? strlen(text) : size - 1;

    memcpy(room, text, n);
    room[n] = '\0';
    free(name);
    return room;
}
static inline void mite_caught(struct mite_context *ctx, const char *text)
{
    char type[128];
    mite_threw(ctx, mite_caught_type(type, sizeof type), text);
}
static inline void mite_caught(struct mite_setup *setup, const char *text)
{
    char type[128];
    mite_caught_type(type, sizeof type);
    mite_setup_fail(setup, text ? "%s: %s" : "%s was thrown", type, text);
}
#endif

template <class T> static inline const T *mite_temporary(const T &options)
{
    return &options;
}
static inline struct mite_value mite_list_of(std::initializer_list<struct mite_value> items)
{
    return mite_items(items.begin(), items.size());
}
static inline struct mite_value mite_map_of(std::initializer_list<struct mite_field> fields)
{
    return mite_fields(fields.begin(), fields.size());
}
static inline const struct mite_pair *mite_pairs_of(std::initializer_list<struct mite_pair> pairs)
{
    return pairs.begin();
}
static inline void mite_send_list(struct mite_context *ctx, const char *type,
                                  std::initializer_list<struct mite_field> fields)
{
    mite_send_fields(ctx, type, fields.begin(), fields.size());
}
[[noreturn]] static inline void mite_fail_list(struct mite_context *ctx, const char *text,
                                               std::initializer_list<struct mite_field> fields)
{
    mite_fail_fields(ctx, text, fields.begin(), fields.size());
}
static inline void mite_metrics_list(struct mite_context *ctx, std::initializer_list<struct mite_field> fields)
{
    mite_metrics_fields(ctx, fields.begin(), fields.size());
}
static inline struct mite_datapool *mite_pool_list(struct mite_setup *setup, enum mite_pool_kind kind,
                                                   std::initializer_list<struct mite_value> items)
{
    return mite_pool_array(setup, kind, items.begin(), items.size());
}
static inline struct mite_volume *mite_volume_list(struct mite_setup *setup,
                                                   std::initializer_list<struct mite_stretch> stretches)
{
    return mite_volume_chain(setup, stretches.begin(), stretches.size());
}
#endif

/* Functions that may fail note first where they were called. */
#ifndef MITE_IMPLEMENTATION
#define mite_int_at(ctx, ...)            (mite_int_at)(MITE_HERE(ctx), __VA_ARGS__)
#define mite_float_at(ctx, ...)          (mite_float_at)(MITE_HERE(ctx), __VA_ARGS__)
#define mite_bool_at(ctx, ...)           (mite_bool_at)(MITE_HERE(ctx), __VA_ARGS__)
#define mite_text_at(ctx, ...)           (mite_text_at)(MITE_HERE(ctx), __VA_ARGS__)
#define mite_arg(ctx, index)             (mite_arg)(MITE_HERE(ctx), (index))
#define mite_arg_int(ctx, index)         (mite_arg_int)(MITE_HERE(ctx), (index))
#define mite_arg_float(ctx, index)       (mite_arg_float)(MITE_HERE(ctx), (index))
#define mite_arg_bool(ctx, index)        (mite_arg_bool)(MITE_HERE(ctx), (index))
#define mite_arg_str(ctx, index)         (mite_arg_str)(MITE_HERE(ctx), (index))
#define mite_arg_bytes(ctx, index, size) (mite_arg_bytes)(MITE_HERE(ctx), (index), (size))
#define mite_config(ctx, ...)            (mite_config)(MITE_HERE(ctx), __VA_ARGS__)
#define mite_config_int(ctx, ...)        (mite_config_int)(MITE_HERE(ctx), __VA_ARGS__)
#define mite_config_float(ctx, ...)      (mite_config_float)(MITE_HERE(ctx), __VA_ARGS__)
#define mite_config_value(ctx, key)      (mite_config_value)(MITE_HERE(ctx), (key))
#define mite_transaction_begin(ctx, ...) (mite_transaction_begin)(MITE_HERE(ctx), __VA_ARGS__)
#define mite_defer(ctx, ...)             (mite_defer)(MITE_HERE(ctx), __VA_ARGS__)
#define mite_cookie(ctx, name)           (mite_cookie)(MITE_HERE(ctx), (name))
#define mite_sleep(ctx, seconds)         (mite_sleep)(MITE_HERE(ctx), (seconds))
#define mite_alloc(ctx, size)            (mite_alloc)(MITE_HERE(ctx), (size))
#define mite_format(ctx, ...)            (mite_format)(MITE_HERE(ctx), __VA_ARGS__)
#define mite_request(ctx, ...)           (mite_request)(MITE_HERE(ctx), __VA_ARGS__)
#define mite_await(ctx, pending)         (mite_await)(MITE_HERE(ctx), (pending))
#define mite_json(ctx, response)         (mite_json)(MITE_HERE(ctx), (response))
#define mite_set_cookie(ctx, ...)        (mite_set_cookie)(MITE_HERE(ctx), __VA_ARGS__)
#define mite_read(ctx, ...)              (mite_read)(MITE_HERE(ctx), __VA_ARGS__)
#define mite_read_exactly(ctx, ...)      (mite_read_exactly)(MITE_HERE(ctx), __VA_ARGS__)
#define mite_read_line(ctx, socket)      (mite_read_line)(MITE_HERE(ctx), (socket))
#define mite_write(ctx, ...)             (mite_write)(MITE_HERE(ctx), __VA_ARGS__)
#define mite_write_text(ctx, ...)        (mite_write_text)(MITE_HERE(ctx), __VA_ARGS__)
#endif

#endif
