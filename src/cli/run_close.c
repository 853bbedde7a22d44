#include "base/log.h"
#include "cli/complain.h"
#include "cli/run.h"
#include "cli/run_fleet.h"
#include "sinks/report.h"
#include "sinks/summary.h"
#include "sinks/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NOTES_MAX 12

/* Items that never came back, of all pools; one may serve several journeys. */
static uint64_t count_lost(const struct scenario *scenario)
{
    uint64_t lost = 0;

    for (size_t i = 0; i < scenario->count; i++) {
        const struct datapool *pool = scenario->entries[i].pool;
        size_t first = 0;

        while (scenario->entries[first].pool != pool) {
            first++;
        }
        lost += pool && first == i ? pool->lost : 0;
    }
    return lost;
}

/* Lines of the summary that are there for a reason only. */
struct notes {
    char texts[NOTES_MAX][320];
    const char *lines[NOTES_MAX];
    size_t count;
};

static void note(void *arg, const char *line)
{
    struct notes *notes = arg;

    if (notes->count < NOTES_MAX) {
        snprintf(notes->texts[notes->count], sizeof notes->texts[0], "%s", line);
        notes->lines[notes->count] = notes->texts[notes->count];
        notes->count++;
    }
}

static void make_notes(const struct run *run, struct notes *notes)
{
    const struct http_counts *http = &run->http_counts;
    char line[200];

    if (run->counts.clock_started && run->counts.started == 0) {
        note(notes, "no journey was started: the volume models wanted none, or the datapools had no item");
    }
    if (run->counts.backed_off > 0) {
        snprintf(line, sizeof line,
                 "%lld journeys failed at once and were replaced no faster than 1,000 a second "
                 "(--failure-backoff=off for full speed)",
                 (long long)run->counts.backed_off);
        note(notes, line);
    }
    if (count_lost(&run->scenario) > 0) {
        snprintf(line, sizeof line, "datapool items lost, for their checkin failed: %llu",
                 (unsigned long long)count_lost(&run->scenario));
        note(notes, line);
    }
    run_fleet_notes(run, note, notes);
    if (http->responses > http->native) { /* worth a line: it costs more */
        snprintf(line, sizeof line, "%s over the native transport, %s over libcurl",
                 text_counted(http->native, "response").s, text_counted(http->responses - http->native, "response").s);
        note(notes, line);
    }
}

void run_print_results(struct run *run, size_t *crossed)
{
    struct notes notes = {.count = 0};
    struct buf text;
    struct summary summary = {
        .totals = &run->totals,
        .thresholds = &run->thresholds,
        .collector = run->collector,
        .recorder = run->recorder,
        .aborted = run->http_counts.aborted,
        .notes = notes.lines,
        .title = run->scenario.name,
        .width = text_columns(STDOUT_FILENO, 80),
        .colour = text_colour(STDOUT_FILENO),
    };

    make_notes(run, &notes);
    summary.note_count = notes.count;
    buf_init(&text, 0);
    if (run->options->report) {
        report_write(&text, &run->totals, &run->thresholds, summary.colour);
    }
    *crossed = summary_write(&text, &summary);
    bool written = fwrite(text.data, 1, text.size, stdout) == text.size && fflush(stdout) == 0;
    if (!written && errno != EPIPE) { /* `| head` has what it wanted */
        fprintf(stderr, "mite: cannot write the summary: %s\n", strerror(errno));
        run->status = EXIT_BROKE;
    }
    buf_done(&text);
}

static int exit_status(const struct run *run, size_t crossed)
{
    if (run->status) {
        return run->status;
    }
    if (run->signal) {
        return EXIT_SIGNALLED;
    }
    return crossed || run->debugged || count_lost(&run->scenario) > 0 || run->fleet_counts.items_lost > 0 ? EXIT_FAILED
                                                                                                          : EXIT_GOOD;
}

int run_close(struct run *run)
{
    struct mite_error error = {0};
    size_t crossed = 0;
    int status;

    engine_end(run);
    log_flush_repeats();
    if (run->collector && run->loading) {
        collector_close(run->collector);
    } else if (run->collector) {
        collector_discard(run->collector);
    }
    if (run->loading && run->status != EXIT_USAGE) {
        run_print_results(run, &crossed);
    }
    run_forget_crashes();
    status = exit_status(run, crossed);
    if (webhook_end(&run->webhook, &error) < 0) {
        complain("mite", &error);
        error_done(&error);
    }
    processors_free(&run->processors);
    if (run->collector) {
        sink_free(collector_sink(run->collector));
    }
    if (run->recorder) {
        sink_free(recorder_sink(run->recorder));
    }
    scenario_done(&run->scenario);
    hosts_close(&run->hosts);
    config_done(&run->config);
    totals_done(&run->totals);
    buf_done(&run->dropped);
    return status;
}
