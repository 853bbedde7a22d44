#include "sinks/table.h"

#include "base/clock.h"

#define LATENCIES     8
#define LATENCY_WIDTH 9
#define COUNT_WIDTH   13
#define BAD_WIDTH     11
#define RATE_WIDTH    12
#define COUNTS_WIDTH  (COUNT_WIDTH + BAD_WIDTH + RATE_WIDTH)
#define ALL_WIDTH     (COUNTS_WIDTH + LATENCIES * LATENCY_WIDTH)
#define NAME_MIN      22 /* in one line; what is narrower takes two */
#define NAME_WIDEST   60

#define RATE_SECONDS_MIN 0.05 /* of a run that is shorter, as 0.0 s, the clock's steps make any number */

static const char *const latency_names[LATENCIES] = {"min", "avg", "p50", "p90", "p95", "p99", "p99.9", "max"};

void table_init(struct table *table, struct buf *out, int width, bool colour, uint64_t elapsed_ns)
{
    size_t columns = width > 0 ? (size_t)width : 80;
    columns = columns < 60 ? 60 : columns;
    *table = (struct table){.out = out, .width = columns, .colour = colour, .seconds = ns_to_s(elapsed_ns)};
    table->wide = columns >= ALL_WIDTH + NAME_MIN;
    table->name_width = columns - (table->wide ? ALL_WIDTH : COUNTS_WIDTH);
    if (table->name_width > NAME_WIDEST) {
        table->name_width = NAME_WIDEST;
    }
}

static void cell(struct table *table, const char *text, size_t width)
{
    text_fit(table->out, str_of(text), width, true);
}

/* In two-line rows the latencies begin at the left. */
static void break_row(struct table *table)
{
    if (!table->wide) {
        buf_char(table->out, '\n');
    }
}

void table_head(struct table *table, const char *title, const char *bad)
{
    buf_text(table->out, colour_code(table->colour, COLOUR_BOLD));
    text_fit(table->out, str_of(title), table->name_width, false);
    buf_text(table->out, colour_code(table->colour, COLOUR_NONE));
    buf_text(table->out, colour_code(table->colour, COLOUR_DIM));
    cell(table, "count", COUNT_WIDTH);
    cell(table, bad, BAD_WIDTH);
    cell(table, "rate", RATE_WIDTH);
    break_row(table);
    for (size_t i = 0; i < LATENCIES; i++) {
        cell(table, latency_names[i], LATENCY_WIDTH);
    }
    buf_text(table->out, colour_code(table->colour, COLOUR_NONE));
    buf_char(table->out, '\n');
}

static void latency_cells(struct table *table, const struct hist *hist)
{
    static const double percents[] = {50, 90, 95, 99, 99.9};
    uint64_t ns[LATENCIES] = {hist_min(hist), (uint64_t)hist_mean(hist)};
    hist_percentiles(hist, percents, 5, &ns[2]);
    ns[LATENCIES - 1] = hist->max_ns;
    for (size_t i = 0; i < LATENCIES; i++) {
        cell(table, hist->count ? text_duration(ns[i]).s : "-", LATENCY_WIDTH);
    }
}

void table_row(struct table *table, struct str name, size_t indent, uint64_t count, uint64_t bad,
               const struct hist *hist)
{
    buf_printf(table->out, "%*s", (int)indent, "");
    text_fit(table->out, name, table->name_width - indent, false);
    cell(table, text_count(count).s, COUNT_WIDTH);
    buf_text(table->out, bad ? colour_code(table->colour, COLOUR_BAD) : "");
    cell(table, text_count(bad).s, BAD_WIDTH);
    buf_text(table->out, bad ? colour_code(table->colour, COLOUR_NONE) : "");
    cell(table, table->seconds >= RATE_SECONDS_MIN ? text_rate((double)count / table->seconds).s : "-", RATE_WIDTH);
    break_row(table);
    latency_cells(table, hist);
    buf_char(table->out, '\n');
}
