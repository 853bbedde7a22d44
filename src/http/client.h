/*
 * HTTP client: a request goes out, every response that comes (redirect hops too) is handed up with its timings, then
 * the outcome. Nothing here knows how bytes travel; that is the transport's part (transport.h).
 *
 * One client a process: it owns the connection pool, the DNS cache and the TLS settings. Proxies are those that the
 * environment names when it is made (http_proxy, https_proxy, all_proxy, no_proxy). A session is a cookie jar on that
 * client; sessions are cheap and may live for one journey. An exchange is one request with all its redirects.
 *
 * A request carries an Accept for everything, Host and the caller's headers, nothing else: no User-Agent, no
 * Accept-Encoding. A body that comes compressed all the same, or because the caller's headers ask for it, is decoded.
 *
 * Callbacks come from the loop, never from inside http_request(). After `done` or http_cancel() the exchange is gone.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"
#include "engine/loop.h"
#include "http/cookies.h"

struct http_client;
struct http_session;
struct http_exchange;

struct http_resolve {
    struct str host, address;
    uint16_t port;
};

/* Who carries requests: libcurl can do everything, our own transport costs a third (h1.h). */
enum http_transport_choice {
    HTTP_TRANSPORT_AUTO,   /* ours where it serves, else libcurl */
    HTTP_TRANSPORT_NATIVE, /* what ours does not serve fails */
    HTTP_TRANSPORT_CURL,
};

enum http_version { HTTP_VERSION_AUTO, HTTP_VERSION_1_1, HTTP_VERSION_2 };

struct http_client_options {
    enum http_transport_choice transport;
    enum http_version version;   /* over TLS; 2 is what a server may choose, not must */
    uint64_t connect_timeout_ns; /* 10 s when 0 */
    uint64_t timeout_ns;         /* of a whole exchange; 60 s when 0 */
    uint64_t max_body_bytes;     /* of a decoded body; 256 MiB when 0 */
    size_t max_connections;      /* kept idle for each 256 requests under way; 10,000 when 0 */
    bool insecure;               /* certificates are not verified */
    const char *ca_file;         /* NULL: the system's */
    const struct http_resolve *resolve;
    size_t resolve_count;
    const char *const *local_addresses; /* of this machine, taken in turns to connect from; none: the system's choice */
    size_t local_address_count;
};

struct http_header {
    struct str name, value;
};

/* All borrowed for the length of the http_request() call only. */
struct http_request {
    struct str method; /* "GET" ... */
    struct str url;
    const struct http_header *headers;
    size_t header_count;
    const struct http_header *cookies; /* name and value; they enter the session's jar for the URL's host */
    size_t cookie_count;
    struct str body;           /* p NULL: none; empty is a body */
    struct str user, password; /* user.p NULL: no authentication. Basic. */
    struct str cert_file, key_file;
    bool follow_redirects;
    unsigned max_redirects;
    uint64_t timeout_ns, connect_timeout_ns; /* 0: the client's */
    int verify;                              /* 1, 0, or -1: the client's */
};

/* Nanoseconds from the start of the request on the monotonic clock; a phase that did not happen (a reused connection)
 * is 0. */
struct http_timings {
    uint64_t start_ns;
    uint64_t dns_ns, connect_ns, tls_ns, pretransfer_ns, first_byte_ns, total_ns, redirect_ns;
};

/* One response. Counted: whoever keeps it longer than a callback takes a reference. Everything in it lives as long as
 * it. */
struct http_response {
    unsigned refs;
    int status;
    struct str method;
    struct str url;             /* that was asked, after redirects so far, without fragment */
    struct str redirect_url;    /* absolute target of a 3xx with Location; none otherwise */
    struct str header_block;    /* as it came: status line, header lines, CRLF each, without the empty line */
    bool sets_cookies;          /* a header may be Set-Cookie */
    struct str body;            /* decoded */
    struct str request_headers; /* header lines as they went out, "Name: value\r\n" each, as the caller gave them */
    struct str request_cookies; /* the Cookie header's value as sent; none without */
    struct str request_body;
    char primary_ip[46];
    uint64_t upload_bytes, download_bytes; /* bodies on the wire */
    struct http_timings timings;
    struct http_response *previous; /* owned reference: the hop before, NULL for the first */
};

struct http_response *http_response_ref(struct http_response *response) PRIVATE_API(http_response_ref);
void http_response_unref(struct http_response *response) PRIVATE_API(http_response_unref);

/* The next header, as views into the block; `at` is NULL before the first. False: no more. */
bool http_response_next_header(const struct http_response *response, const char **at, struct http_header *out)
    PRIVATE_API(http_response_next_header);

/* First header of that name, any case; none when missing. */
struct str http_response_header(const struct http_response *response, const char *name)
    PRIVATE_API(http_response_header);

/* What can become of an exchange besides a response. `curl_code` is libcurl's number for it, for the users who know it.
 */
enum http_failure {
    HTTP_OK,
    HTTP_BAD_URL,
    HTTP_RESOLVE,   /* no such host */
    HTTP_CONNECT,   /* refused, unreachable */
    HTTP_TLS,       /* the handshake failed */
    HTTP_UNTRUSTED, /* the certificate is not trusted; the sentence names --ca-file and --insecure */
    HTTP_TIMEOUT,
    HTTP_CLOSED,    /* the peer closed before the response was whole */
    HTTP_PROTOCOL,  /* the response breaks the protocol */
    HTTP_TOO_LARGE, /* body larger than --max-body-size */
    HTTP_REDIRECTS, /* more than max_redirects */
    HTTP_LOCAL,     /* a file, memory, a descriptor on our side */
};

struct http_outcome {
    enum http_failure failure;
    int curl_code;
    const char *curl_text;          /* libcurl's fixed text for it, static */
    const struct mite_error *error; /* the sentence: what was being done, to which URL; NULL when HTTP_OK */
    struct http_response *response; /* the last one, borrowed; NULL when there was none */
};

struct http_handlers {
    /* Each response, hops included, in order, before done. May be NULL. */
    void (*response)(void *arg, struct http_response *response);
    void (*done)(void *arg, const struct http_outcome *outcome);
};

/* What the client counted so far. */
struct http_counts {
    uint64_t started;     /* requests on the wire or about to be, hops included */
    uint64_t responses;   /* of those, answered */
    uint64_t native;      /* of the responses, brought by our own transport; libcurl brought the rest */
    uint64_t failed;      /* of those, failed */
    uint64_t aborted;     /* of those, cancelled before an answer */
    uint64_t connections; /* opened */
    uint64_t received_bytes;
};

int http_client_new(struct loop *loop, const struct http_client_options *options, struct http_client **out,
                    struct mite_error *error) PRIVATE_API(http_client_new);

/* Cancels what runs as http_cancel() does and closes every connection; finishes on the loop, which must turn once more.
 * NULL is a no-op. */
void http_client_free(struct http_client *client) PRIVATE_API(http_client_free);
void http_client_counts(const struct http_client *client, struct http_counts *out) PRIVATE_API(http_client_counts);

/* Sessions are counted by their exchanges: http_session_free() with exchanges under way frees it when they end. */
struct http_session *http_session_new(struct http_client *client) PRIVATE_API(http_session_new); /* NULL: no memory */
void http_session_free(struct http_session *session) PRIVATE_API(http_session_free);
struct cookie_jar *http_session_cookies(struct http_session *session) PRIVATE_API(http_session_cookies); /* borrowed */

/*
 * Starts a request. On failure (a bad URL, an unreadable certificate file) the code and the sentence, and no callback.
 * `arg` goes to the handlers, which are borrowed until done or http_cancel().
 */
int http_request(struct http_session *session, const struct http_request *request, const struct http_handlers *handlers,
                 void *arg, struct http_exchange **out, struct mite_error *error) PRIVATE_API(http_request);

/* No callback will come any more. */
void http_cancel(struct http_exchange *exchange) PRIVATE_API(http_cancel);
