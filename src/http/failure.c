#include "http/failure.h"

#include "base/clock.h"
#include "http/url.h"

#include <ctype.h>
#include <errno.h>

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

static const char *detail(const struct failure_facts *facts)
{
    return facts->detail ? facts->detail : curl_easy_strerror(facts->code);
}

static void say_errno(struct buf *out, int number)
{
    const char *text = strerror(number);

    buf_printf(out, "%c%s", tolower((unsigned char)*text), text + 1);
}

static void describe_socket(const struct failure_facts *facts, struct buf *out)
{
    buf_text(out, "cannot open a socket: ");
    say_errno(out, facts->number);
    if (facts->number == EMFILE) {
        buf_text(out, " (raise the limit: ulimit -n)");
    }
}

/* libcurl's text, without the time that it took: the next failure of this kind is to read the same. */
static void say_detail(const struct failure_facts *facts, struct buf *out)
{
    const char *text = detail(facts), *figure = strstr(text, " after ");

    buf_str(out, figure ? (struct str){text, (size_t)(figure - text)} : str_of(text));
}

static void describe_connect(const struct failure_facts *facts, struct buf *out)
{
    if (facts->number == EADDRNOTAVAIL) {
        buf_text(out, "no local port is free: spread the connections over several addresses of this machine with "
                      "--local-address=ADDRESS, or keep connections open");
    } else if (facts->number && facts->code == CURLE_COULDNT_CONNECT) {
        say_errno(out, facts->number);
        if (facts->proxied) { /* to an address that is not the URL's, then */
            buf_text(out, ": ");
            say_detail(facts, out);
            buf_text(out, " (the environment names a proxy)");
        }
    } else {
        say_detail(facts, out);
    }
}

static void describe_timeout(const struct http_hop *hop, const struct failure_facts *facts, struct buf *out)
{
    double limit_s = ns_to_s(hop->whole_timeout_ns);

    if (!facts->connected) {
        bool shorter = hop->connect_timeout_ns < hop->timeout_ns;
        buf_printf(out, "no connection within %g s", shorter ? ns_to_s(hop->connect_timeout_ns) : limit_s);
    } else if (!facts->answered) {
        buf_printf(out, "no answer within %g s", limit_s);
    } else {
        buf_printf(out, "the answer was not whole within %g s", limit_s);
    }
}

static void describe_closed(const struct failure_facts *facts, struct buf *out)
{
    buf_text(out, facts->answered ? "the server closed the connection in the middle of its answer"
                                  : "the server closed the connection without an answer");
    if (facts->number) {
        buf_text(out, ": ");
        say_errno(out, facts->number);
    }
}

static void describe(const struct http_hop *hop, const struct failure_facts *facts, enum http_failure kind,
                     struct buf *out)
{
    switch (kind) {
    case HTTP_RESOLVE:
        buf_printf(out, "cannot find the host: %s", detail(facts));
        break;
    case HTTP_CONNECT:
        describe_connect(facts, out);
        break;
    case HTTP_TLS:
        buf_printf(out, "the TLS handshake failed: %s", detail(facts));
        break;
    case HTTP_UNTRUSTED:
        buf_printf(
            out,
            "the server's certificate is not trusted (%s): name its authority with --ca-file=FILE, or go without "
            "verification, with --insecure for all requests or verify=False for one",
            detail(facts));
        break;
    case HTTP_TIMEOUT:
        describe_timeout(hop, facts, out);
        break;
    case HTTP_CLOSED:
        describe_closed(facts, out);
        break;
    case HTTP_PROTOCOL:
        buf_printf(out, "the answer breaks the protocol: %s", detail(facts));
        break;
    case HTTP_TOO_LARGE:
        buf_printf(out, "the body is larger than %llu bytes (--max-body-size)",
                   (unsigned long long)hop->max_body_bytes);
        break;
    default:
        buf_text(out, detail(facts));
        break;
    }
}

/*
 * The sentence has no figure that was measured: a thousand failures of one kind at one URL read the same, and are
 * counted as one.
 */
enum http_failure failure_describe(const struct http_hop *hop, const struct failure_facts *facts,
                                   struct mite_error *error)
{
    enum http_failure kind = facts->tls         ? HTTP_TLS
                             : facts->malformed ? HTTP_PROTOCOL
                             : facts->no_socket ? HTTP_LOCAL
                                                : kind_of(facts->code);
    struct buf text;

    buf_init(&text, 4096);
    buf_printf(&text, STR_FMT " ", STR_ARG(hop->method));
    url_mask(hop->url, &text);
    buf_text(&text, ": ");
    if (facts->no_socket) {
        describe_socket(facts, &text);
    } else {
        describe(hop, facts, kind, &text);
    }
    error_set(error,
              kind == HTTP_TIMEOUT     ? MITE_ETIMEDOUT
              : kind == HTTP_TOO_LARGE ? MITE_ELIMIT
                                       : MITE_EIO,
              "%s", buf_view(&text).p);
    buf_done(&text);
    return kind;
}
