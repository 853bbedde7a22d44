#include "base/clock.h"
#include "http/curl.h"
#include "http/url.h"

#include <ctype.h>

static enum http_failure kind_of(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return HTTP_OK;
    case CURLE_URL_MALFORMAT:
        return HTTP_BAD_URL;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return HTTP_RESOLVE;
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
        return HTTP_CONNECT;
    case CURLE_PEER_FAILED_VERIFICATION:
        return HTTP_UNTRUSTED;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT:
        return HTTP_TLS;
    case CURLE_OPERATION_TIMEDOUT:
        return HTTP_TIMEOUT;
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return HTTP_CLOSED;
    case CURLE_FILESIZE_EXCEEDED:
        return HTTP_TOO_LARGE;
    case CURLE_TOO_MANY_REDIRECTS:
        return HTTP_REDIRECTS;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_INTERFACE_FAILED:
    case CURLE_WRITE_ERROR:
    case CURLE_BAD_FUNCTION_ARGUMENT:
        return HTTP_LOCAL;
    default:
        return HTTP_PROTOCOL;
    }
}

/* libcurl's own sentence about this transfer, or its text for the code. */
static const char *detail(const struct http_transfer *transfer, CURLcode code)
{
    return transfer->message[0] ? transfer->message : curl_easy_strerror(code);
}

static bool message_starts(const struct http_transfer *transfer, const char *text)
{
    return strncmp(transfer->message, text, strlen(text)) == 0;
}

/* libcurl has few codes for what it receives; its message tells more. */
static enum http_failure kind_of_transfer(const struct http_transfer *transfer, CURLcode code)
{
    if (code != CURLE_RECV_ERROR && code != CURLE_SEND_ERROR) {
        return kind_of(code);
    }
    if (strstr(transfer->message, " alert ")) { /* in TLS 1.3 the server refuses us when our handshake is over */
        return HTTP_TLS;
    }
    bool lost = code == CURLE_SEND_ERROR || !transfer->message[0] || message_starts(transfer, "Recv failure") ||
                message_starts(transfer, "OpenSSL SSL_read");
    return lost ? HTTP_CLOSED : HTTP_PROTOCOL; /* a chunk without its size, a head without end */
}

static void say_errno(struct buf *out, long number)
{
    const char *text = strerror((int)number);

    buf_printf(out, "%c%s", tolower((unsigned char)*text), text + 1);
}

static void describe_connect(const struct http_transfer *transfer, CURLcode code, struct buf *out)
{
    long number = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &number);
    if (number && code == CURLE_COULDNT_CONNECT) {
        say_errno(out, number);
    } else {
        buf_text(out, detail(transfer, code));
    }
}

static void describe_timeout(const struct http_transfer *transfer, struct buf *out)
{
    const struct http_hop *hop = transfer->hop;
    double limit_s = ns_to_s(hop->whole_timeout_ns);
    curl_off_t connected_us = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T, &connected_us);
    if (connected_us == 0) {
        bool shorter = hop->connect_timeout_ns < hop->timeout_ns;
        buf_printf(out, "no connection within %g s", shorter ? ns_to_s(hop->connect_timeout_ns) : limit_s);
    } else if (transfer->head.size == 0) {
        buf_printf(out, "no answer within %g s", limit_s);
    } else {
        buf_printf(out, "the answer was not whole within %g s", limit_s);
    }
}

static void describe_closed(const struct http_transfer *transfer, struct buf *out)
{
    long number = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &number);
    buf_text(out, transfer->head.size == 0 ? "the server closed the connection without an answer"
                                           : "the server closed the connection in the middle of its answer");
    if (number) {
        buf_text(out, ": ");
        say_errno(out, number);
    }
}

static void describe(const struct http_transfer *transfer, enum http_failure kind, CURLcode code, struct buf *out)
{
    switch (kind) {
    case HTTP_RESOLVE:
        buf_printf(out, "cannot find the host: %s", detail(transfer, code));
        break;
    case HTTP_CONNECT:
        describe_connect(transfer, code, out);
        break;
    case HTTP_TLS:
        buf_printf(out, "the TLS handshake failed: %s", detail(transfer, code));
        break;
    case HTTP_UNTRUSTED:
        buf_printf(
            out,
            "the server's certificate is not trusted (%s): name its authority with --ca-file=FILE, or go without "
            "verification, with --insecure for all requests or verify=False for one",
            detail(transfer, code));
        break;
    case HTTP_TIMEOUT:
        describe_timeout(transfer, out);
        break;
    case HTTP_CLOSED:
        describe_closed(transfer, out);
        break;
    case HTTP_PROTOCOL:
        buf_printf(out, "the answer breaks the protocol: %s", detail(transfer, code));
        break;
    case HTTP_TOO_LARGE:
        buf_printf(out, "the body is larger than %llu bytes (--max-body-size)",
                   (unsigned long long)transfer->hop->max_body_bytes);
        break;
    default:
        buf_text(out, detail(transfer, code));
        break;
    }
}

/*
 * The sentence has no figure that was measured: a thousand failures of one kind at one URL read the same, and are
 * counted as one.
 */
enum http_failure curl_failure(const struct http_transfer *transfer, CURLcode code, struct mite_error *error)
{
    enum http_failure kind = kind_of_transfer(transfer, code);
    struct buf text;

    buf_init(&text, 4096);
    buf_printf(&text, STR_FMT " ", STR_ARG(transfer->hop->method));
    url_mask(transfer->hop->url, &text);
    buf_text(&text, ": ");
    if (transfer->socket_errno) {
        kind = HTTP_LOCAL;
        buf_text(&text, "cannot open a socket: ");
        say_errno(&text, transfer->socket_errno);
    } else {
        describe(transfer, kind, code, &text);
    }
    error_set(error,
              kind == HTTP_TIMEOUT     ? MITE_ETIMEDOUT
              : kind == HTTP_TOO_LARGE ? MITE_ELIMIT
                                       : MITE_EIO,
              "%s", buf_view(&text).p);
    buf_done(&text);
    return kind;
}
