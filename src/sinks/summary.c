#include "sinks/summary.h"

#include "base/clock.h"
#include "sinks/table.h"

#include <stdlib.h>
#include <string.h>

#define FAILURES_SHOWN 20
#define EXAMPLE_INDENT 6
#define LABEL_WIDTH    14

/* Rows in the order in which they are told, for tables whose groups came in another. */
struct row {
    const struct transaction_group *group;
    size_t journey; /* index of the first group of its journey */
    size_t index;
    bool root;
};

static int by_journey(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->journey != y->journey) {
        return x->journey < y->journey ? -1 : 1;
    }
    if (x->root != y->root) {
        return x->root ? -1 : 1;
    }
    return x->index < y->index ? -1 : 1;
}

static bool same_journey(const struct group *a, const struct group *b)
{
    return a->is_other == b->is_other && str_equal(a->part[0], b->part[0]);
}

/* Journey by journey, each with its transactions behind it. `rows` has room for all groups. */
static void order_rows(struct row *rows, const struct groups *groups)
{
    for (size_t i = 0; i < groups_count(groups); i++) {
        const struct transaction_group *group = groups_at(groups, i);
        size_t journey = 0;
        while (!same_journey(&rows[journey].group->key, &group->key) && journey < i) {
            journey++;
        }
        rows[i] = (struct row){group, journey, i, message_transaction_label(group->key.part[1]).n == 0};
    }
    qsort(rows, groups_count(groups), sizeof *rows, by_journey);
}

/* Whether `inner` is a transaction of the same journey inside `outer`. */
static bool is_inside(const struct row *inner, const struct row *outer)
{
    static const char separator[] = " :: ";
    struct str in = group_name(&inner->group->key, 1), out = group_name(&outer->group->key, 1);
    size_t more = sizeof separator - 1;
    return inner->journey == outer->journey && in.n > out.n + more && memcmp(in.p, out.p, out.n) == 0 &&
           memcmp(in.p + out.n, separator, more) == 0;
}

/* A transaction ends after those inside it, and so its group came later: it is told before them all the same. */
static void outer_first(struct row *rows, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct row outer = rows[i];
        size_t first = i;
        for (size_t j = i; j-- > 0 && rows[j].journey == outer.journey;) {
            if (is_inside(&rows[j], &outer)) {
                first = j;
            }
        }
        memmove(&rows[first + 1], &rows[first], (i - first) * sizeof *rows);
        rows[first] = outer;
    }
}

static void write_transactions(struct table *table, const struct totals *totals)
{
    size_t count = groups_count(&totals->transactions);
    struct row *rows = count ? calloc(count, sizeof *rows) : NULL;
    if (!rows) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        rows[i].group = groups_at(&totals->transactions, i);
    }
    order_rows(rows, &totals->transactions);
    outer_first(rows, count);
    table_head(table, "JOURNEYS AND TRANSACTIONS", "errors");
    for (size_t i = 0; i < count; i++) {
        const struct transaction_group *group = rows[i].group;
        bool root = rows[i].root || group->key.is_other;
        struct str name = root ? group_name(&group->key, 0) : message_transaction_label(group->key.part[1]);
        table_row(table, name, root ? 0 : 2, group->count, group->errors, &group->duration);
    }
    buf_char(table->out, '\n');
    free(rows);
}

static void request_row(struct table *table, const struct request_group *group)
{
    struct buf name;
    buf_init(&name, 0);
    if (group->key.is_other) {
        buf_text(&name, "other");
    } else {
        struct str label = message_transaction_label(group->key.part[0]), method = group_name(&group->key, 1);
        buf_printf(&name, STR_FMT "%s" STR_FMT, STR_ARG(method), label.n ? " " : "", (int)label.n,
                   label.n ? label.p : "");
    }
    table_row(table, buf_view(&name), 0, group->count, group->bad_status, &group->latency);
    buf_done(&name);
}

static void write_requests(struct table *table, const struct totals *totals)
{
    size_t count = groups_count(&totals->request_groups);
    if (count == 0) {
        return;
    }
    table_head(table, "REQUESTS", "4xx/5xx");
    for (size_t i = 0; i < count; i++) {
        request_row(table, groups_at(&totals->request_groups, i));
    }
    if (count > 1) {
        table_row(table, STR("all requests"), 0, totals->requests, totals->bad_status, &totals->latency);
    }
    buf_char(table->out, '\n');
}

static int by_count(const void *a, const void *b)
{
    const struct failure_group *x = *(const struct failure_group *const *)a;
    const struct failure_group *y = *(const struct failure_group *const *)b;
    return x->count < y->count ? 1 : x->count > y->count ? -1 : 0;
}

static void write_failure(const struct table *table, const struct failure_group *group)
{
    struct buf *out = table->out, line;
    struct str type = group->key.is_other ? STR("of other kinds") : group_name(&group->key, 0);
    struct str location = group_name(&group->key, 1), where = message_transaction_label(group->key.part[2]);
    buf_init(&line, 0);
    buf_printf(&line, "%s × " STR_FMT, text_count(group->count).s, STR_ARG(type.n ? type : STR("error")));
    if (where.n > 0) {
        buf_printf(&line, " in \"" STR_FMT "\"", STR_ARG(where));
    }
    if (location.n > 0 && !group->key.is_other) {
        buf_printf(&line, " at " STR_FMT, STR_ARG(location));
    }
    buf_printf(out, "  %s", colour_code(table->colour, COLOUR_BAD));
    text_wrap(out, buf_view(&line), 2, EXAMPLE_INDENT, table->width);
    buf_text(out, colour_code(table->colour, COLOUR_NONE));
    if (group->example) {
        buf_printf(out, "%*s", EXAMPLE_INDENT, "");
        text_wrap(out, str_of(group->example), EXAMPLE_INDENT, EXAMPLE_INDENT, table->width);
    }
    buf_done(&line);
}

/* The most frequent kinds, each with one example. */
static void write_failures(const struct table *table, const struct totals *totals)
{
    size_t count = groups_count(&totals->failures);
    const struct failure_group **groups = count ? calloc(count, sizeof *groups) : NULL;
    if (!groups) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        groups[i] = groups_at(&totals->failures, i);
    }
    qsort(groups, count, sizeof *groups, by_count);
    buf_printf(table->out, "%sERRORS%s\n", colour_code(table->colour, COLOUR_BOLD),
               colour_code(table->colour, COLOUR_NONE));
    uint64_t hidden = 0;
    for (size_t i = 0; i < count; i++) {
        if (i < FAILURES_SHOWN) {
            write_failure(table, groups[i]);
        } else {
            hidden += groups[i]->count;
        }
    }
    if (count > FAILURES_SHOWN) {
        buf_printf(table->out, "  and %s of %s\n", text_counted(hidden, "error").s,
                   text_counted(count - FAILURES_SHOWN, "further kind").s);
    }
    buf_char(table->out, '\n');
    free(groups);
}

static void remark(const struct table *table, const char *label, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A line, or more, that begins with a word about what it tells of. */
static void remark(const struct table *table, const char *label, const char *format, ...)
{
    struct buf text;
    va_list args;
    bool bad = strcmp(label, "FAILED") == 0;
    buf_init(&text, 0);
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    buf_printf(table->out, "%s%-*s%s", colour_code(table->colour, bad ? COLOUR_BAD : COLOUR_DIM), LABEL_WIDTH, label,
               colour_code(table->colour, COLOUR_NONE));
    text_wrap(table->out, buf_view(&text), LABEL_WIDTH, LABEL_WIDTH, table->width);
    buf_done(&text);
}

static void write_collector(const struct table *table, const struct collector *collector)
{
    struct collector_counts counts;
    const char *stopped = collector_stopped(collector);
    collector_count(collector, &counts);
    if (counts.left_out > 0 || stopped) {
        remark(table, "collector", "%s left out of %s%s%s", text_counted(counts.left_out, "message").s,
               collector_dir(collector), stopped ? ": " : "", stopped ? stopped : "");
    }
}

static void write_recorder(const struct table *table, const struct recorder *recorder)
{
    struct recorder_counts counts;
    const char *refused = recorder_first_refusal(recorder), *failure = recorder_first_failure(recorder);
    recorder_count(recorder, &counts);
    if (counts.refused > 0) {
        remark(table, "recorder", "%s refused: %s", text_counted(counts.refused, "message").s, refused ? refused : "");
    }
    if (counts.failed > 0) {
        remark(table, "recorder", "%s lost: %s", text_counted(counts.failed, "record").s, failure ? failure : "");
    }
}

/* What a number in the tables does not say. */
static void write_remarks(const struct table *table, const struct summary *summary)
{
    const struct totals *totals = summary->totals;
    if (totals->wait.max_ns > 0) {
        remark(table, "wait", "p50 %s, p99 %s, max %s until the journey went on",
               text_duration(hist_percentile(&totals->wait, 50)).s, text_duration(hist_percentile(&totals->wait, 99)).s,
               text_duration(totals->wait.max_ns).s);
    }
    if (summary->aborted > 0) {
        remark(table, "aborted", "%s cut off at the end, in no other figure",
               text_counted(summary->aborted, "request").s);
    }
    if (summary->collector) {
        write_collector(table, summary->collector);
    }
    if (summary->recorder) {
        write_recorder(table, summary->recorder);
    }
    for (size_t i = 0; i < summary->note_count; i++) {
        remark(table, "note", "%s", summary->notes[i]);
    }
}

static size_t write_crossed(const struct table *table, const struct summary *summary)
{
    struct buf lines;
    buf_init(&lines, 0);
    size_t crossed = thresholds_crossed(summary->thresholds, summary->totals, &lines);
    for (struct str rest = buf_view(&lines); rest.n > 0;) {
        const char *end = memchr(rest.p, '\n', rest.n);
        size_t length = end ? (size_t)(end - rest.p) : rest.n;
        remark(table, "FAILED", "%.*s", (int)length, rest.p);
        rest.p += length + !!end;
        rest.n -= length + !!end;
    }
    buf_done(&lines);
    return crossed;
}

void summary_last_line(struct buf *out, const struct totals *totals)
{
    buf_printf(out, "%llu requests, %llu errors, %llu journeys in %.1f s, %llu bytes received\n",
               (unsigned long long)totals->requests, (unsigned long long)totals->errors,
               (unsigned long long)totals->journeys, ns_to_s(totals_elapsed_ns(totals)),
               (unsigned long long)totals->bytes_received);
}

size_t summary_write(struct buf *out, const struct summary *summary)
{
    struct table table;
    size_t crossed = 0;
    table_init(&table, out, summary->width, summary->colour, totals_elapsed_ns(summary->totals));
    buf_char(out, '\n');
    if (summary->title && *summary->title) {
        buf_printf(out, "%s%s%s\n\n", colour_code(table.colour, COLOUR_BOLD), summary->title,
                   colour_code(table.colour, COLOUR_NONE));
    }
    write_transactions(&table, summary->totals);
    write_requests(&table, summary->totals);
    write_failures(&table, summary->totals);
    write_remarks(&table, summary);
    if (summary->thresholds) {
        crossed = write_crossed(&table, summary);
    }
    summary_last_line(out, summary->totals);
    return crossed;
}
