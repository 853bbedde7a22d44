#include "runner/http_report.h"

#include "base/clock.h"

void http_report_fill(struct message *out, const struct http_response *response, uint64_t wait_ns)
{
    const struct http_timings *timings = &response->timings;
    double start_s = clock_wall_at(timings->start_ns);

    /* How long it has waited was found out a moment ago. */
    out->time = wait_ns > 0 ? start_s + ns_to_s(timings->total_ns + wait_ns) : 0;
    out->http = (struct message_http){
        .start_time = start_s,
        .effective_url = response->url,
        .response_code = response->status,
        .dns_time = ns_to_s(timings->dns_ns),
        .connect_time = ns_to_s(timings->connect_ns),
        .tls_time = ns_to_s(timings->tls_ns),
        .transfer_start_time = ns_to_s(timings->pretransfer_ns),
        .first_byte_time = ns_to_s(timings->first_byte_ns),
        .total_time = ns_to_s(timings->total_ns),
        .wait_time = ns_to_s(wait_ns),
        .primary_ip = str_of(response->primary_ip),
        .method = response->method,
        .download_size = (double)response->download_bytes,
    };
}

uint64_t http_report_wait_ns(const struct http_response *response)
{
    uint64_t end_ns = response->timings.start_ns + response->timings.total_ns;
    uint64_t now_ns = clock_now_ns();

    return now_ns > end_ns ? now_ns - end_ns : 0;
}

void http_report_failure(struct buf *out, const struct http_outcome *outcome)
{
    const char *sentence = outcome->error ? outcome->error->text : "";

    if (outcome->failure != HTTP_REDIRECTS) {
        buf_printf(out, "curl failed with code %d %s: ", outcome->curl_code, outcome->curl_text);
    }
    buf_text(out, sentence);
}

bool http_report_refusal(struct buf *out, const struct mite_error *error)
{
    switch (error->code) {
    case MITE_EINVAL:
        buf_printf(out, "curl failed with code 3 URL using bad/illegal format or missing URL: %s", error->text);
        return true;
    case MITE_EIO:
    case MITE_ENOTFOUND:
        buf_printf(out, "curl failed with code 58 Problem with the local SSL certificate: %s", error->text);
        return true;
    default:
        return false;
    }
}
