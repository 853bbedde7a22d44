#include "sinks/report.h"

#include "base/clock.h"
#include "sinks/text.h"

#include <stdio.h>

#define NAME_WIDTH  22
#define VALUE_WIDTH 12

static void head(struct buf *out, bool colour, const char *text)
{
    buf_printf(out, "%s%s%s\n", colour_code(colour, COLOUR_BOLD), text, colour_code(colour, COLOUR_NONE));
}

static void row(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, "  %-*s", NAME_WIDTH, name);
    text_fit(out, str_of(value), VALUE_WIDTH, true);
}

static void duration_row(struct buf *out, const char *name, double ns, bool any)
{
    row(out, name, any ? text_duration((uint64_t)(ns + 0.5)).s : "-");
    buf_char(out, '\n');
}

static void percentile_row(struct buf *out, bool colour, const struct percentile_limit *limit, const struct hist *hist)
{
    char name[40];
    uint64_t ns = hist_percentile(hist, limit->percent);
    bool crossed = percentile_limit_crossed(limit, (double)ns / (double)NS_PER_MS);
    snprintf(name, sizeof name, "percentile %g", limit->percent);
    row(out, name, hist->count ? text_duration(ns).s : "-");
    if (limit->limit_ms > 0) {
        buf_printf(out, "   threshold %s: %s%s%s", text_duration(ns_from_s(limit->limit_ms / 1e3)).s,
                   colour_code(colour, crossed ? COLOUR_BAD : COLOUR_GOOD), crossed ? "FAILED" : "passed",
                   colour_code(colour, COLOUR_NONE));
    }
    buf_char(out, '\n');
}

static void write_latency(struct buf *out, bool colour, const struct hist *hist, const struct thresholds *thresholds)
{
    char share[32] = "-";
    bool any = hist->count > 0;
    head(out, colour, "LATENCY");
    duration_row(out, "average", hist_mean(hist), any);
    duration_row(out, "minimum", (double)hist_min(hist), any);
    duration_row(out, "maximum", (double)hist->max_ns, any);
    duration_row(out, "standard deviation", hist_deviation(hist), any);
    if (any) {
        snprintf(share, sizeof share, "%.2f %%", hist_share_within(hist) * 100);
    }
    row(out, "within +/- deviation", share);
    buf_char(out, '\n');
    for (size_t i = 0; i < thresholds->percentile_count; i++) {
        percentile_row(out, colour, &thresholds->percentiles[i], hist);
    }
    buf_char(out, '\n');
}

static void write_rate(struct buf *out, bool colour, struct totals *totals)
{
    double mean, deviation;
    char text[40];
    totals_request_rate(totals, &mean, &deviation);
    head(out, colour, "REQUESTS PER SECOND");
    snprintf(text, sizeof text, "%.2f", mean);
    row(out, "average", text);
    buf_char(out, '\n');
    snprintf(text, sizeof text, "%.2f", deviation);
    row(out, "standard deviation", text);
    buf_char(out, '\n');
}

void report_write(struct buf *out, struct totals *totals, const struct thresholds *thresholds, bool colour)
{
    buf_char(out, '\n');
    write_latency(out, colour, &totals->latency, thresholds);
    write_rate(out, colour, totals);
}
